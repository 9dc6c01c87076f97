package main

import (
	"bytes"
	"fmt"
	"io"
	"sync"
	"time"
)

const (
	// logBuffer is how many octets of the log wait for a slow reader.
	logBuffer = 1 << 20

	// logPause is how long lines gather after some were written: under load, to
	// wake a thread for every line costs a mail more than all else about the line.
	logPause = 10 * time.Millisecond

	// logPatience is how long the program, when it ends, waits for such a reader.
	logPatience = time.Second
)

// logWriter buffers the log, so that code that writes a line never waits for a reader
// that stalls or has gone. Lines that find no room, or cannot be written, are lost; once
// a line goes through again, another says how many were lost.
type logWriter struct {
	w      io.Writer
	notice func(lost int) []byte // makes the line that says how many were lost
	wake   chan struct{}
	hurry  chan struct{} // ends the pause
	done   chan struct{} // closed when nothing more is written

	mu     sync.Mutex
	wait   []byte
	lost   int       // lost lines that no notice has reported yet
	count  func(int) // is told of lost lines; nil until CountLost
	early  int       // lines lost before CountLost
	closed bool
}

// newLogWriter writes to w until Close.
func newLogWriter(w io.Writer, notice func(lost int) []byte) *logWriter {
	l := &logWriter{w: w, notice: notice, wake: make(chan struct{}, 1), hurry: make(chan struct{}, 1), done: make(chan struct{})}
	go l.run()
	return l
}

// Write takes one or more complete lines. It never fails and never waits.
func (l *logWriter) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.closed || len(l.wait)+len(p) > logBuffer {
		l.lose(p)
		return len(p), nil
	}
	l.wait = append(l.wait, p...)
	nudge(l.wake)
	if len(l.wait) > logBuffer/2 {
		nudge(l.hurry)
	}
	return len(p), nil
}

// CountLost makes the writer tell f of lost lines, including those lost before.
func (l *logWriter) CountLost(f func(int)) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.count = f
	if l.early > 0 {
		f(l.early)
		l.early = 0
	}
}

// Close writes what still waits, for logPatience at most.
func (l *logWriter) Close() error {
	l.mu.Lock()
	l.closed = true
	nudge(l.wake)
	nudge(l.hurry)
	l.mu.Unlock()
	select {
	case <-l.done:
		return nil
	case <-time.After(logPatience):
		return fmt.Errorf("writing the log: its reader takes nothing")
	}
}

// nudge sends to a channel that has room for one, unless something waits in it.
func nudge(c chan struct{}) {
	select {
	case c <- struct{}{}:
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
	within := false // the last line written was cut short: begin a new one
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
		select {
		case <-time.After(logPause):
		case <-l.hurry:
		}
	}
}
