package main

import (
	"bytes"
	"fmt"
	"io"
	"sync"
	"time"
	"unicode"
	"unicode/utf16"
	"unicode/utf8"
)

const (
	// logBuffer is how many octets of log wait for a reader that is slow.
	logBuffer = 1 << 20

	// logPatience is how long the end of the program waits for such a reader.
	logPatience = time.Second
)

// logWriter stands between the log and its reader, so that nobody who writes a
// line waits for one that stalls or has gone. Lines that find no room, or cannot
// be written, are lost; a line says how many when the next one goes through.
type logWriter struct {
	w      io.Writer
	notice func(lost int) []byte // the line that says so
	wake   chan struct{}
	done   chan struct{} // closed when nothing more is written

	mu     sync.Mutex
	wait   []byte
	lost   int       // lines, not yet said
	count  func(int) // is told of lost lines, nil before it is known
	early  int       // lines lost by then
	closed bool
}

// newLogWriter writes to w until Close.
func newLogWriter(w io.Writer, notice func(lost int) []byte) *logWriter {
	l := &logWriter{w: w, notice: notice, wake: make(chan struct{}, 1), done: make(chan struct{})}
	go l.run()
	return l
}

// Write takes one line or more, whole. It never fails and never waits.
func (l *logWriter) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.closed || len(l.wait)+len(p) > logBuffer {
		l.lose(p)
		return len(p), nil
	}
	l.wait = append(l.wait, p...)
	l.nudge()
	return len(p), nil
}

// CountLost has f told how many lines are lost, those lost before included.
func (l *logWriter) CountLost(f func(int)) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.count = f
	if l.early > 0 {
		f(l.early)
		l.early = 0
	}
}

// Close writes what waits, for logPatience at most.
func (l *logWriter) Close() error {
	l.mu.Lock()
	l.closed = true
	l.nudge()
	l.mu.Unlock()
	select {
	case <-l.done:
		return nil
	case <-time.After(logPatience):
		return fmt.Errorf("writing the log: its reader takes nothing")
	}
}

func (l *logWriter) nudge() {
	select {
	case l.wake <- struct{}{}:
	default:
	}
}

// lose counts the lines of p as lost. It is called with mu held.
func (l *logWriter) lose(p []byte) {
	n := bytes.Count(p, []byte("\n"))
	l.lost += n
	if l.count != nil {
		l.count(n)
	} else {
		l.early += n
	}
}

func (l *logWriter) run() {
	defer close(l.done)
	var taken []byte
	within := false // a line was cut short: the next begins anew
	for range l.wake {
		l.mu.Lock()
		taken, l.wait = l.wait, taken[:0]
		lost, closed := l.lost, l.closed
		l.mu.Unlock()
		if within && len(taken) > 0 {
			taken = append([]byte("\n"), taken...)
		}
		n, err := l.w.Write(taken)
		if n > 0 {
			within = taken[n-1] != '\n'
		}
		if err == nil && lost > 0 {
			if n, err = l.w.Write(l.notice(lost)); err == nil {
				l.mu.Lock()
				l.lost -= lost
				l.mu.Unlock()
			}
			within = err != nil && n > 0
		} else if err != nil {
			l.mu.Lock()
			l.lose(taken[n:])
			l.mu.Unlock()
		}
		if closed {
			return
		}
	}
}

// plainJSON escapes, in lines of JSON, what is not to be seen or moves what is:
// encoders leave DEL, C1 controls, marks of direction, characters without a
// width and tags as they are, and a terminal or a pager obeys them. Outside
// strings JSON has none of these.
type plainJSON struct{ w io.Writer }

func (p plainJSON) Write(line []byte) (int, error) {
	bad := func(r rune) bool { return r >= 0x7f && !unicode.IsPrint(r) }
	i := bytes.IndexFunc(line, bad)
	if i < 0 {
		return p.w.Write(line)
	}
	out := append(make([]byte, 0, len(line)+16), line[:i]...)
	for rest := line[i:]; len(rest) > 0; {
		r, n := utf8.DecodeRune(rest)
		switch {
		case !bad(r):
			out = append(out, rest[:n]...)
		case r > 0xffff: // RFC 8259 section 7
			high, low := utf16.EncodeRune(r)
			out = fmt.Appendf(out, `\u%04x\u%04x`, high, low)
		default:
			out = fmt.Appendf(out, `\u%04x`, r)
		}
		rest = rest[n:]
	}
	_, err := p.w.Write(out)
	return len(line), err
}
