package stream

import (
	"log/slog"
	"sync"
	"time"

	"github.com/bounce-milter/bounce-milter/internal/event/spool"
)

// Bounds of the records that wait to be written, and of the wait.
const (
	maxWait   = 250 * time.Millisecond // longest time that mail waits for its records to be written
	maxQueued = 4 << 20                // octets that may wait while the disk cannot be written
	maxWrite  = 1 << 20                // about how many octets are written at once
	minWrite  = 4 << 10                // the same on a disk that is nearly full
	diskRetry = time.Second            // time until a disk that could not be written is tried again
)

// writer writes records to a journal. Records of messages that end at the same time are
// written with one call, and each message is told when the kernel has its records. While
// the disk cannot be written, records wait in memory, up to a bound, and mail goes on.
type writer struct {
	journal spool.Journal
	memory  bool      // the journal is no disk
	wrote   func()    // after each write
	dropped func(int) // is told how many records will never be written
	log     *slog.Logger
	wait    time.Duration

	mu     sync.Mutex
	queue  []*written // oldest first
	octets int        // of the queue
	atOnce int        // octets to write at once: fewer after an error
	retry  time.Duration
	slow   bool // the disk is slow or broken: mail does not wait for it
	closed bool

	wake chan struct{}
	quit chan struct{} // closed by close
	done chan struct{} // closed when nothing more is written
}

// written are the records of one message.
type written struct {
	records [][]byte
	octets  int
	done    chan struct{} // closed when they are written, or when it is clear that this will take long
	told    bool          // whether done is closed
}

func newWriter(j spool.Journal, log *slog.Logger, wrote func(), dropped func(int)) *writer {
	_, memory := j.(*spool.Memory)
	return &writer{journal: j, memory: memory, wrote: wrote, dropped: dropped, log: log, wait: maxWait, retry: diskRetry, atOnce: maxWrite,
		wake: make(chan struct{}, 1), quit: make(chan struct{}), done: make(chan struct{})}
}

// write queues records and returns when they are written. If the disk is slow or cannot be
// written, it returns earlier. It returns false if the writer has ended.
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
	if w.memory {
		// Nothing there can fail or hang, and to hand the records to another goroutine
		// costs half as much as the verdict.
		_ = w.journal.Append(records)
		w.mu.Unlock()
		w.wrote()
		return true
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

// shrink drops the oldest waiting messages while the queue is above its bound, and returns
// how many records it dropped. It is called with mu held.
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
				w.log.Info("events: the spool can be written again")
			}
			continue
		case !failing:
			w.log.Error("events: the spool cannot be written; mail is still served, and records wait in memory up to a bound", "error", err)
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

// again returns how long to wait before the disk is tried again.
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

// take removes waiting messages from the queue, up to about atOnce octets.
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

// end tells the waiting messages that a batch is done. After an error the batch goes back to
// the queue to be written later, unless there is too much in it by now.
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

// abandon drops everything that waits.
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

// close writes what waits, and returns a channel that is closed afterwards. It does not wait
// for a disk that cannot be written.
func (w *writer) close() <-chan struct{} {
	w.mu.Lock()
	if !w.closed {
		w.closed = true
		close(w.quit)
	}
	w.mu.Unlock()
	return w.done
}
