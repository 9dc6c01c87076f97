package maillog

import (
	"bytes"
	"errors"
	"io"
	"iter"
	"os"
	"runtime"
	"sync"
	"time"

	"github.com/bounce-milter/bounce-milter/classify"
	"github.com/bounce-milter/bounce-milter/internal/files"
)

// Stdin is the path that stands for standard input.
const Stdin = "-"

// Source reads whole logs, plain or compressed, on all processors. The zero value has no
// Judge, and is otherwise ready to use.
type Source struct {
	Stdin    io.Reader      // what "-" reads; nil means os.Stdin
	Format   Format         // the only format to look for, "" for all
	Location *time.Location // of time stamps without a zone, nil for the local zone
	Judge    *Judge         // judges attempts; nil judges nothing
	Workers  int            // 0 means one for each processor
}

// Attempt is an entry and the verdict on it.
type Attempt struct {
	Entry
	// Verdict is set if the source has a judge, and the entry is about an attempt for a
	// recipient or says that a server gave up.
	Verdict classify.Recipient
}

// Batch is what some lines of a log say, in their order.
type Batch struct {
	File     string    // the path as given
	Attempts []Attempt // valid until the next batch is asked for
	Octets   int64     // of the file, before it was decompressed
	Lines    int
	LongLine bool // a line was too long to keep, and most of it was skipped

	// Latest is the time before which time stamps without a year were taken to be, see
	// [Parser].
	Latest time.Time
	// Err says why the file, or the rest of it, could not be read. The next batch is of
	// the next file.
	Err error
}

// chunkSize is how much is read at once, in octets.
const chunkSize = 512 << 10

// chunk is a piece of a file on its way through a worker.
type chunk struct {
	batch  Batch
	text   []byte // whole lines
	pieces []waitingPiece
	parser *Parser // of this file
	done   chan struct{}
}

// waitingPiece is a piece of a split line, which has its place before batch.Attempts[at].
type waitingPiece struct {
	at   int
	line logLine
}

// Batches reads the logs at the paths one after another. A path that cannot be read is a
// batch with an error; reading goes on with the next. See [Order] for rotated logs.
func (s *Source) Batches(paths ...string) iter.Seq[*Batch] {
	return func(yield func(*Batch) bool) {
		workers := s.Workers
		if workers <= 0 {
			workers = runtime.GOMAXPROCS(0)
		}
		r := &reading{src: s, quit: make(chan struct{}), todo: make(chan *chunk), order: make(chan *chunk, 2*workers)}
		r.free.New = func() any { return &chunk{text: make([]byte, 0, chunkSize+4096), done: make(chan struct{}, 1)} }
		var all sync.WaitGroup
		all.Go(func() { r.files(paths) })
		for range workers {
			all.Go(r.work)
		}
		defer all.Wait()
		defer close(r.quit)
		var join joiner
		for c := range r.order {
			<-c.done
			if len(c.pieces) > 0 {
				c.join(s, &join)
			}
			if !yield(&c.batch) {
				return
			}
			r.recycle(c)
		}
	}
}

// reading is one run of a Source.
type reading struct {
	src   *Source
	quit  chan struct{}
	todo  chan *chunk // to the workers
	order chan *chunk // to the caller, in the order of the files
	free  sync.Pool
}

// work reads the lines of chunks.
func (r *reading) work() {
	for c := range r.todo {
		c.read(r.src)
		c.done <- struct{}{}
	}
}

func (r *reading) recycle(c *chunk) {
	clear(c.batch.Attempts)
	clear(c.pieces)
	c.batch = Batch{Attempts: c.batch.Attempts[:0]}
	c.text, c.pieces, c.parser = c.text[:0], c.pieces[:0], nil
	r.free.Put(c)
}

// send hands a chunk on, and reports whether anybody still wants it.
func (r *reading) send(c *chunk, parse bool) bool {
	select {
	case r.order <- c:
	case <-r.quit:
		return false
	}
	if !parse {
		c.done <- struct{}{}
		return true
	}
	select {
	case r.todo <- c:
	case <-r.quit:
		return false
	}
	return true
}

// files reads every file into chunks.
func (r *reading) files(paths []string) {
	defer close(r.order)
	defer close(r.todo)
	for _, path := range paths {
		err := r.file(path)
		if errors.Is(err, errQuit) {
			return
		}
		if err != nil {
			c := r.free.Get().(*chunk)
			c.batch.File, c.batch.Err = path, err
			if !r.send(c, false) {
				return
			}
		}
	}
}

var errQuit = errors.New("nobody wants more")

// file reads a file into chunks of whole lines.
func (r *reading) file(path string) error {
	f, err := openLog(path, r.src.Stdin)
	if err != nil {
		return files.Why(err)
	}
	defer f.Close()
	parser := &Parser{Format: r.src.Format, Location: r.src.Location, Latest: f.latest}
	var tail []byte // the beginning of a line whose end is not read yet
	skipping, long := false, false
	counted := int64(0)
	for {
		c := r.free.Get().(*chunk)
		c.batch.File, c.batch.Latest, c.parser = path, f.latest, parser
		c.text = append(c.text, tail...)
		tail = tail[:0]
		from := len(c.text)
		n, err := readFull(f, c.text[from:max(cap(c.text), from)])
		c.text = c.text[:from+n]
		c.batch.Octets = f.octets() - counted
		counted += c.batch.Octets
		if skipping {
			if i := bytes.IndexByte(c.text, '\n'); i >= 0 {
				c.text, skipping = c.text[:copy(c.text, c.text[i+1:])], false
			} else {
				c.text = c.text[:0]
			}
		}
		if err == nil {
			if i := bytes.LastIndexByte(c.text, '\n'); i >= 0 {
				tail = append(tail, c.text[i+1:]...)
				c.text = c.text[:i+1]
			} else if len(c.text) > 0 { // a line longer than a chunk: its beginning will do
				skipping, long = true, true
			}
		}
		c.batch.LongLine, long = long, false
		if !r.send(c, true) {
			return errQuit
		}
		if err == io.EOF {
			return nil
		}
		if err != nil {
			return files.Why(err)
		}
	}
}

// readFull fills b, unless the file ends first. Unlike [io.ReadFull] it keeps the file's own
// error, which tells an end from a file that is cut short.
func readFull(f io.Reader, b []byte) (int, error) {
	n := 0
	for n < len(b) {
		m, err := f.Read(b[n:])
		n += m
		if err != nil {
			return n, err
		}
	}
	return n, nil
}

// read reads the lines of a chunk.
func (c *chunk) read(s *Source) {
	p := c.parser
	var room [4]Entry
	for rest := c.text; len(rest) > 0; {
		line := rest
		if i := bytes.IndexByte(rest, '\n'); i >= 0 {
			line, rest = rest[:i], rest[i+1:]
		} else {
			rest = nil
		}
		c.batch.Lines++
		if !isCandidate(line) {
			continue
		}
		l, ok := p.read(line)
		if !ok {
			continue
		}
		if l.piece.of > 0 {
			c.pieces = append(c.pieces, waitingPiece{len(c.batch.Attempts), l})
			continue
		}
		for _, e := range p.entries(room[:0], &l) {
			c.batch.Attempts = append(c.batch.Attempts, s.attempt(e))
		}
	}
}

// attempt adds the verdict to an entry.
func (s *Source) attempt(e Entry) Attempt {
	a := Attempt{Entry: e}
	if s.Judge != nil && (e.Recipient != "" && e.Action() != "" || e.Result == Expired) {
		a.Verdict = s.Judge.Recipient(&e)
	}
	return a
}

// join puts pieces of lines together, in their places among the other lines.
func (c *chunk) join(s *Source, j *joiner) {
	var all []Attempt
	from := 0
	for _, w := range c.pieces {
		all = append(all, c.batch.Attempts[from:w.at]...)
		from = w.at
		if l, ok := j.join(w.line); ok {
			for _, e := range c.parser.entries(nil, &l) {
				all = append(all, s.attempt(e))
			}
		}
	}
	c.batch.Attempts = append(all, c.batch.Attempts[from:]...)
}

// openedLog is an open log.
type openedLog struct {
	io.Reader
	latest time.Time
	octets func() int64
	close  []func() error
}

// Close closes the log.
func (f *openedLog) Close() error {
	var err error
	for _, c := range f.close {
		err = errors.Join(err, c())
	}
	return err
}

// openLog opens a log and decompresses it if need be.
func openLog(path string, stdin io.Reader) (*openedLog, error) {
	f := &openedLog{latest: time.Now()}
	var from io.Reader
	if path == Stdin {
		if from = stdin; from == nil {
			from = os.Stdin
		}
	} else {
		file, err := os.Open(path)
		if err != nil {
			return nil, err
		}
		f.close = append(f.close, file.Close)
		if info, err := file.Stat(); err == nil {
			if info.IsDir() {
				f.Close()
				return nil, errors.New("is a folder")
			}
			if info.Mode().IsRegular() && info.ModTime().Before(f.latest) {
				f.latest = info.ModTime()
			}
		}
		from = file
	}
	counter := &counting{r: from}
	f.octets = func() int64 { return counter.n }
	if err := f.decompress(counter); err != nil {
		f.Close()
		return nil, err
	}
	return f, nil
}

// counting counts what is read.
type counting struct {
	r io.Reader
	n int64
}

func (c *counting) Read(b []byte) (int, error) {
	n, err := c.r.Read(b)
	c.n += int64(n)
	return n, err
}
