package stream

import (
	"log/slog"
	"sync"
	"time"

	"github.com/bounce-milter/bounce-milter/internal/event/spool"
)

// Bounds of what waits to be written, and of the wait.
const (
	maxWait   = 250 * time.Millisecond // that mail waits for its records to be written
	maxQueued = 4 << 20                // octets that wait for a disk that takes none
	maxWrite  = 1 << 20                // octets that are written at once, about
	minWrite  = 4 << 10                // the same, of a disk that is nearly full
	diskRetry = time.Second            // until a disk that took none is asked again
)

// writer writes records to a journal: those of messages that end at the same time by
// one call, each told when its records are with the kernel. What the disk does not take
// waits in memory, up to a bound, while mail goes on.
type writer struct {
	journal spool.Journal
	wrote   func()    // after each write
	dropped func(int) // so many records will never be written
	log     *slog.Logger
	wait    time.Duration

	mu     sync.Mutex
	queue  []*written // oldest first
	octets int        // of the queue
	atOnce int        // octets to write at once: fewer while the disk takes none
	retry  time.Duration
	slow   bool // the disk keeps mail waiting: no more of it waits
	closed bool

	wake chan struct{}
	quit chan struct{} // closed by close
	done chan struct{} // closed when nothing is written any more
}

// written are the records of one message.
type written struct {
	records [][]byte
	octets  int
	done    chan struct{} // closed when they are written, or will not be soon
	told    bool          // done is closed
}

func newWriter(j spool.Journal, log *slog.Logger, wrote func(), dropped func(int)) *writer {
	return &writer{journal: j, wrote: wrote, dropped: dropped, log: log, wait: maxWait, retry: diskRetry, atOnce: maxWrite,
		wake: make(chan struct{}, 1), quit: make(chan struct{}), done: make(chan struct{})}
}

// write hands records over and returns when they are written, or with a disk that is
// slow or takes nothing soon. It returns false where the writer has ended.
func (w *writer) write(records [][]byte) bool {
	m := &written{records: records, done: make(chan struct{})}
	for _, r := range records {
		m.octets += len(r)
	}
	w.mu.Lock()
	if w.closed {
		w.mu.Unlock()
		return false
	}
	w.queue = append(w.queue, m)
	w.octets += m.octets
	lost := w.shrink()
	slow := w.slow
	w.mu.Unlock()
	w.dropped(lost)
	select {
	case w.wake <- struct{}{}:
	default:
	}
	if slow {
		return true
	}
	t := time.NewTimer(w.wait)
	defer t.Stop()
	select {
	case <-m.done:
	case <-t.C:
		w.mu.Lock()
		w.slow = true
		w.mu.Unlock()
	}
	return true
}

// shrink drops the oldest that wait while there is more than may be, and returns how
// many records. It is called with mu held.
func (w *writer) shrink() (lost int) {
	for len(w.queue) > 1 && w.octets > maxQueued {
		m := w.queue[0]
		w.queue = w.queue[1:]
		w.octets -= m.octets
		lost += len(m.records)
		m.tell()
	}
	return lost
}

func (m *written) tell() {
	if !m.told {
		m.told = true
		close(m.done)
	}
}

// run writes until close is called.
func (w *writer) run() {
	defer close(w.done)
	failing := false
	for {
		batch := w.take()
		if len(batch) == 0 {
			select {
			case <-w.wake:
				continue
			case <-w.quit:
			}
			if batch = w.take(); len(batch) == 0 {
				return
			}
		}
		var records [][]byte
		for _, m := range batch {
			records = append(records, m.records...)
		}
		err := w.journal.Append(records)
		lost := w.end(batch, err)
		w.dropped(lost)
		switch {
		case err == nil:
			w.wrote()
			if failing && w.empty() {
				failing = false
				w.log.Info("events: the spool is written again")
			}
			continue
		case !failing:
			w.log.Error("events: the spool cannot be written; mail is served on, and records wait in memory as far as it goes", "error", err)
		}
		failing = true
		select {
		case <-time.After(w.again()):
		case <-w.quit:
			w.abandon()
			return
		}
	}
}

// again is how long to wait for a disk that took nothing.
func (w *writer) again() time.Duration {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.retry
}

func (w *writer) empty() bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	return len(w.queue) == 0
}

// take takes what waits, up to about atOnce octets.
func (w *writer) take() []*written {
	w.mu.Lock()
	defer w.mu.Unlock()
	n, octets := 0, 0
	for n < len(w.queue) && (n == 0 || octets+w.queue[n].octets <= w.atOnce) {
		octets += w.queue[n].octets
		n++
	}
	batch := w.queue[:n:n]
	w.queue = w.queue[n:]
	w.octets -= octets
	return batch
}

// end tells those who wait what became of a batch. With an error it is written later,
// unless there is too much by now.
func (w *writer) end(batch []*written, err error) (lost int) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.slow = err != nil
	for _, m := range batch {
		m.tell()
		if err != nil {
			w.octets += m.octets
		}
	}
	if err == nil {
		w.atOnce = min(2*w.atOnce, maxWrite)
		return 0
	}
	w.atOnce = max(w.atOnce/2, minWrite)
	w.queue = append(batch, w.queue...)
	for _, m := range w.queue {
		m.tell()
	}
	return w.shrink()
}

// abandon drops all that waits.
func (w *writer) abandon() {
	w.mu.Lock()
	lost := 0
	for _, m := range w.queue {
		m.tell()
		lost += len(m.records)
	}
	w.queue, w.octets = nil, 0
	w.mu.Unlock()
	w.dropped(lost)
}

// close has what waits written, and returns a channel that is closed then. A disk that
// takes nothing is not waited for.
func (w *writer) close() <-chan struct{} {
	w.mu.Lock()
	if !w.closed {
		w.closed = true
		close(w.quit)
	}
	w.mu.Unlock()
	return w.done
}
