package stream

import (
	"errors"
	"log/slog"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/bounce-milter/bounce-milter/internal/event/spool"
)

// stuck is a journal whose disk hangs until goOn is closed.
type stuck struct {
	spool.Journal
	asked chan struct{} // gets a value for each Append
	goOn  chan struct{}

	mu  sync.Mutex
	got int
}

func (s *stuck) Append(records [][]byte) error {
	s.asked <- struct{}{}
	<-s.goOn
	s.mu.Lock()
	defer s.mu.Unlock()
	s.got += len(records)
	return nil
}

// If the disk hangs, mail waits once for a moment, then not at all. What does not fit into
// memory is dropped and counted, and the rest is written when the disk goes on.
func TestDiskHangs(t *testing.T) {
	j := &stuck{asked: make(chan struct{}, 1000), goOn: make(chan struct{})}
	var dropped atomic.Int64
	w := newWriter(j, slog.New(slog.DiscardHandler), func() {}, func(n int) { dropped.Add(int64(n)) })
	w.wait = time.Millisecond
	go w.run()
	w.write([][]byte{[]byte("first")})
	<-j.asked
	w.wait = time.Hour // nobody waits for it, because the disk is known to hang
	const n, octets = 100, 100_000
	for range n {
		if !w.write([][]byte{make([]byte, octets)}) {
			t.Fatal("not taken")
		}
	}
	if d := dropped.Load(); d < n-maxQueued/octets-1 || d >= n {
		t.Errorf("%d dropped", d)
	}
	close(j.goOn)
	waitFor(t, "the rest", func() bool {
		j.mu.Lock()
		defer j.mu.Unlock()
		return j.got+int(dropped.Load()) == n+1
	})
	w.write([][]byte{[]byte("waits and is written")}) // would take an hour otherwise
	<-w.close()
	if w.write(nil) {
		t.Error("taken after the end")
	}
	is(t, "written", j.got+int(dropped.Load()), n+2)
}

// A disk that hangs does not keep the daemon from ending.
func TestDiskHangsAtEnd(t *testing.T) {
	j := &neverEnds{Journal: spool.NewMemory(1000), goOn: make(chan struct{})}
	t.Cleanup(func() { close(j.goOn) })
	l := newLab(&fake{name: "a"})
	f := l.newFlow("", j)
	l.pace.grace = time.Millisecond
	l.now.Store(f)
	l.Close(t.Context())
	if !strings.Contains(l.log.String(), "the spool did not end in time") {
		t.Errorf("log: %s", l.log)
	}
}

// neverEnds is a journal whose Close returns only when goOn is closed.
type neverEnds struct {
	spool.Journal
	goOn chan struct{}
}

func (j *neverEnds) Close() error {
	<-j.goOn
	return nil
}

// failing is a journal whose disk cannot be written.
type failing struct{ spool.Journal }

func (failing) Append([][]byte) error { return errors.New("input/output error") }

// A disk that cannot be written delays neither mail nor the end of the daemon.
func TestDiskFails(t *testing.T) {
	var dropped atomic.Int64
	w := newWriter(failing{}, slog.New(slog.DiscardHandler), func() {}, func(n int) { dropped.Add(int64(n)) })
	w.wait, w.retry = time.Hour, time.Hour
	go w.run()
	for range 10 {
		w.write([][]byte{[]byte("a"), []byte("b")})
	}
	<-w.close()
	is(t, "dropped", dropped.Load(), 20)
}
