// Package mailbox reads mail on disk, one message at a time: single messages (.eml),
// mbox files in all four dialects, Maildirs, folders of any of these, and standard
// input.
//
// Only one message is in memory at a time, and at most [Source.MaxOctets] of it. What
// cannot be read becomes a [Message] with an error, and reading goes on after it.
package mailbox

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"iter"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/bounce-milter/bounce-milter/internal/files"
)

// Stdin is the path that stands for standard input.
const Stdin = "-"

// DefaultMaxOctets is the bound on one message if a Source sets none.
const DefaultMaxOctets = 1 << 20

// errEmpty is the error for an empty file that should hold a message.
var errEmpty = errors.New("the file is empty")

// Message is one message of a mailbox, or the error in its place.
type Message struct {
	// Name is the path as given; for a message of an mbox it is path#N, N from 1.
	Name string
	// Raw is the message without mbox framing, cut at the Source's bound. It is
	// valid until the next message is asked for.
	Raw []byte
	// Octets is how much of the file the message takes up, including framing
	// and the part beyond the bound.
	Octets int64
	// Err says why the message, or the rest of the file, could not be read.
	Err error
}

// Source reads mailboxes. The zero value is ready to use.
type Source struct {
	Stdin     io.Reader // what "-" reads; nil means os.Stdin
	MaxOctets int       // octets kept of one message; 0 means DefaultMaxOctets
}

// Messages yields every message under the paths, in the order of the paths and, within a
// folder, by name.
func (s *Source) Messages(paths ...string) iter.Seq[Message] {
	return func(yield func(Message) bool) {
		w := walker{src: s, yield: yield, max: s.MaxOctets}
		if w.max <= 0 {
			w.max = DefaultMaxOctets
		}
		w.run(paths)
	}
}

// Size returns the total size of all files under the paths, for a progress bar: the
// Octets of all messages add up to it. Standard input and what cannot be read count
// nothing.
func (s *Source) Size(paths ...string) int64 {
	w := walker{src: s, sizing: true, yield: func(Message) bool { return true }}
	w.run(paths)
	return w.size
}

// walker is one walk over the paths.
type walker struct {
	src   *Source
	max   int
	yield func(Message) bool
	buf   []byte // the bytes of the current message, reused
	br    *bufio.Reader

	sizing bool // only add up sizes
	size   int64
}

func (w *walker) run(paths []string) {
	for _, path := range paths {
		if !w.path(path) {
			return
		}
	}
}

// fail yields an error; like all methods here it reports whether to go on.
func (w *walker) fail(name string, err error) bool {
	// The path is in Name, so the error does not repeat it.
	return w.yield(Message{Name: name, Err: files.Why(err)})
}

// path reads one path as the user gave it.
func (w *walker) path(path string) bool {
	if path == Stdin {
		if w.sizing {
			return true
		}
		r := w.src.Stdin
		if r == nil {
			r = os.Stdin
		}
		return w.stdin(r)
	}
	info, err := os.Stat(path)
	switch {
	case err != nil:
		return w.fail(path, err)
	case info.IsDir():
		return w.folder(path)
	default:
		return w.file(path, info, false)
	}
}

// folder reads a Maildir, or every file below a plain folder. It skips hidden files, and
// links to folders, which could lead in a circle.
func (w *walker) folder(path string) bool {
	entries, err := os.ReadDir(path)
	if err != nil && !w.fail(path, err) {
		return false
	}
	maildir := isMaildir(entries)
	if maildir {
		for _, sub := range []string{"new", "cur"} {
			if !w.maildirPart(filepath.Join(path, sub)) {
				return false
			}
		}
	}
	for _, e := range entries {
		name := filepath.Join(path, e.Name())
		hidden := strings.HasPrefix(e.Name(), ".")
		switch {
		case e.IsDir() && maildir:
			// Maildir++ keeps its folders in hidden directories beside cur.
			if slices.Contains([]string{"new", "cur", "tmp"}, e.Name()) {
				continue
			}
			if !w.folder(name) {
				return false
			}
		case hidden || maildir: // files directly in a Maildir are the server's indexes
		case e.IsDir():
			if !w.folder(name) {
				return false
			}
		default:
			if !w.entry(name, false) {
				return false
			}
		}
	}
	return true
}

func (w *walker) maildirPart(path string) bool {
	entries, err := os.ReadDir(path)
	if err != nil && !w.fail(path, err) {
		return false
	}
	for _, e := range entries {
		if e.IsDir() || strings.HasPrefix(e.Name(), ".") {
			continue
		}
		if !w.entry(filepath.Join(path, e.Name()), true) {
			return false
		}
	}
	return true
}

// entry reads a file found in a folder. It skips pipes and devices, unless the user names
// one: reading them could wait for ever.
func (w *walker) entry(name string, single bool) bool {
	info, err := os.Stat(name)
	if err != nil {
		return w.fail(name, err)
	}
	if !info.Mode().IsRegular() {
		return true
	}
	return w.file(name, info, single)
}

// file reads one file. A file in a Maildir (single), or one called .eml, is one message
// and is never split at lines that begin with "From ".
func (w *walker) file(name string, info fs.FileInfo, single bool) bool {
	inner := strings.TrimSuffix(strings.ToLower(name), ".gz")
	single = single || filepath.Ext(inner) == ".eml"
	if w.sizing {
		if info.Mode().IsRegular() {
			w.size += info.Size()
		}
		return true
	}
	f, err := os.Open(name)
	if err != nil {
		return w.fail(name, err)
	}
	defer f.Close()
	if isGzip(f) {
		return w.compressed(name, f, single)
	}
	return w.stream(name, f, single)
}

// stream reads one message or one mbox; the first octets tell which.
func (w *walker) stream(name string, r io.Reader, single bool) bool {
	if w.br == nil {
		w.br = bufio.NewReaderSize(r, peekSize)
	} else {
		w.br.Reset(r)
	}
	at, base := seekable(r)
	skipped := skipBlank(w.br)
	head, err := w.br.Peek(5)
	if len(head) == 0 {
		switch {
		case err != nil && err != io.EOF:
			return w.fail(name, fmt.Errorf("reading: %w", err))
		case single:
			return w.fail(name, errEmpty)
		case name == Stdin:
			return w.fail(name, errors.New("nothing came on standard input"))
		}
		return true // an mbox without messages
	}
	if single || string(head) != "From " {
		return w.one(name, skipped)
	}
	m := mboxReader{br: w.br, at: at, off: base + skipped, max: w.max, buf: w.buf}
	for n := 1; ; n++ {
		start := m.off
		raw, err := m.next()
		w.buf = m.buf
		if err == io.EOF {
			return true
		}
		msg := Message{Name: fmt.Sprintf("%s#%d", name, n), Raw: raw, Octets: m.off - start}
		if n == 1 {
			msg.Octets += skipped
		}
		if err != nil {
			return w.fail(msg.Name, fmt.Errorf("reading: %w", err))
		}
		if !w.yield(msg) {
			return false
		}
	}
}

// one reads the rest of the stream as one message.
func (w *walker) one(name string, skipped int64) bool {
	// QUIRK: tools that split mboxes (procmail, formail, git) leave the "From "
	// line, sometimes quoted, at the head of a single message.
	for _, prefix := range []string{"From ", ">From "} {
		if head, _ := w.br.Peek(len(prefix)); string(head) == prefix {
			n, err := discardLine(w.br)
			skipped += n
			if err != nil {
				break
			}
		}
	}
	buf := bytes.NewBuffer(w.buf[:0])
	n, err := io.Copy(buf, io.LimitReader(w.br, int64(w.max)))
	w.buf = buf.Bytes()
	if err == nil && n == int64(w.max) {
		var more int64
		more, err = io.Copy(io.Discard, w.br)
		n += more
	}
	if err != nil {
		return w.fail(name, fmt.Errorf("reading: %w", err))
	}
	return w.yield(Message{Name: name, Raw: w.buf, Octets: n + skipped})
}

func isMaildir(entries []fs.DirEntry) bool {
	var parts int
	for _, e := range entries {
		if e.IsDir() && (e.Name() == "cur" || e.Name() == "new") {
			parts++
		}
	}
	return parts == 2
}

// seekable returns r as an io.ReaderAt with its current offset if it is a regular file,
// nil otherwise.
func seekable(r io.Reader) (io.ReaderAt, int64) {
	f, ok := r.(*os.File)
	if !ok {
		return nil, 0
	}
	if info, err := f.Stat(); err != nil || !info.Mode().IsRegular() {
		return nil, 0
	}
	pos, err := f.Seek(0, io.SeekCurrent)
	if err != nil {
		return nil, 0
	}
	return f, pos
}
