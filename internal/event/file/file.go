package file

import (
	"context"
	"fmt"
	"io"
	"os"
	"sync/atomic"
	"syscall"
	"time"

	"github.com/bounce-milter/bounce-milter/internal/event"
)

// Sink appends one line per record. Other programs may append whole lines to the same
// file. If the file is moved away, the sink creates a new one.
type Sink struct {
	path   string
	file   *os.File // nil if it is not open
	reopen atomic.Bool
	buf    []byte
}

var _ event.Sink = (*Sink)(nil)

// New makes a sink. It does not open the file yet.
func New(o Options) (*Sink, error) { return &Sink{path: o.Path}, nil }

// Reopen causes the file to be opened anew before the next record. It may be called
// concurrently.
func (s *Sink) Reopen() { s.reopen.Store(true) }

// Send implements [event.Sink]. An item is done when the kernel has it.
func (s *Sink) Send(ctx context.Context, batch []event.Item) (event.Sent, error) {
	if err := s.open(); err != nil {
		return event.Sent{}, err
	}
	begin, regular := s.size()
	s.buf = s.buf[:0]
	if regular && s.torn(begin) {
		s.buf = append(s.buf, '\n')
	}
	head := len(s.buf)
	for _, it := range batch {
		s.buf = append(s.buf, it.JSON...)
		s.buf = append(s.buf, '\n')
	}
	// For a pipe whose reader stalls. Other files have no deadline and need none.
	stop := context.AfterFunc(ctx, func() { s.file.SetWriteDeadline(time.Now()) })
	n, err := s.file.Write(s.buf)
	if !stop() {
		s.file.SetWriteDeadline(time.Time{})
	}
	if err == nil {
		return event.Sent{Done: len(batch)}, nil
	}
	done, whole := lines(batch, n-head)
	if regular && n > 0 {
		// Nobody should read half a line. If this fails, the next Send ends the line.
		_ = s.file.Truncate(begin + int64(min(n, head+whole)))
	}
	s.close()
	return event.Sent{Done: done}, fmt.Errorf("writing events: %w", err)
}

// lines returns how many complete lines of a batch the first n octets contain, and the
// octets of these lines.
func lines(batch []event.Item, n int) (count, octets int) {
	for _, it := range batch {
		if octets+len(it.JSON)+1 > n {
			break
		}
		octets += len(it.JSON) + 1
		count++
	}
	return count, octets
}

// open opens the file, unless it is open and is still the file that the path names.
func (s *Sink) open() error {
	again := s.reopen.Swap(false)
	if s.path == Stdout {
		s.file = os.Stdout
		return nil
	}
	if s.file != nil && (again || s.moved()) {
		s.close()
	}
	if s.file != nil {
		return nil
	}
	// O_NONBLOCK: a pipe that nobody reads is an error, so the sink does not hang.
	// 0600: the records contain people's addresses.
	f, err := os.OpenFile(s.path, os.O_WRONLY|os.O_APPEND|os.O_CREATE|syscall.O_NONBLOCK, 0o600)
	if err != nil {
		return fmt.Errorf("opening the file of events: %w", err)
	}
	s.file = f
	return nil
}

// moved reports whether the path now names another file or none, as after logrotate.
func (s *Sink) moved() bool {
	is, err := s.file.Stat()
	if err != nil {
		return true
	}
	named, err := os.Stat(s.path)
	return err != nil || !os.SameFile(is, named)
}

// size returns the size of the open file, and false if it is not a regular file.
func (s *Sink) size() (int64, bool) {
	info, err := s.file.Stat()
	if err != nil || !info.Mode().IsRegular() {
		return 0, false
	}
	return info.Size(), true
}

// torn reports whether the file ends in the middle of a line, as after a crash.
func (s *Sink) torn(size int64) bool {
	if size == 0 || s.path == Stdout {
		return false
	}
	f, err := os.Open(s.path)
	if err != nil {
		return false // this user may only write the file
	}
	defer f.Close()
	var last [1]byte
	_, err = f.ReadAt(last[:], size-1)
	return (err == nil || err == io.EOF) && last[0] != '\n'
}

func (s *Sink) close() {
	if s.file != nil && s.path != Stdout {
		s.file.Close()
	}
	s.file = nil
}

// Close implements [event.Sink].
func (s *Sink) Close() error {
	s.close()
	return nil
}
