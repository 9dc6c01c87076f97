package main

import (
	"bytes"
	"fmt"
	"io"
	"sync"
	"time"
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
