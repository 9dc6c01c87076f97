package milter

import (
	"container/list"
	"context"
	"errors"
	"net/netip"
	"slices"
	"sync"
	"sync/atomic"
	"time"
)

// An MTA waits for the answer to the end of a message: Postfix for 3 s where it
// is set up as the manual says. What may pass before it stays below that.
const (
	maxWait    = time.Second             // for a turn to be inspected
	maxInspect = 1500 * time.Millisecond // for the inspection

	// lookEvery is how often inspections that are not over at once are looked
	// after. Those that wait for one are more: each is every fourth time.
	lookEvery = 25 * time.Millisecond

	// looksIdle is how many times in a row nothing is found to look after
	// before nobody looks any more.
	looksIdle = 40

	// stuckAfter is when an inspection that should have ended long ago is
	// taken for one that never does.
	stuckAfter = 10 * time.Second
)

var (
	errBusy    = errors.New("no turn came in time")
	errHungUp  = errors.New("the MTA hung up while its message was inspected")
	errTooLong = errors.New("the inspection took too long")
)

// asker is who waits for an inspection.
type asker interface {
	hungUp() bool // it waits no longer
}

// turns shares out the right to inspect a message among clients: who has many
// messages waits for himself, not the others for him. A client has one queue,
// and the queues take turns.
type turns struct {
	patience time.Duration // how long a message waits
	slots    []*slot       // all that there are
	looking  atomic.Bool   // a goroutine looks after inspections

	mu      sync.Mutex
	free    []*slot
	queues  map[netip.Prefix]*list.Element // of ring, by client: those with messages that wait
	ring    list.List                      // of *queue: the first has the next turn
	waiting int
}

// queue holds the messages of one client that wait.
type queue struct {
	client  netip.Prefix
	waiting list.List // of chan *slot
}

func newTurns(n int) *turns {
	t := &turns{patience: maxWait, queues: map[netip.Prefix]*list.Element{}}
	for range n {
		t.slots = append(t.slots, &slot{turns: t})
	}
	t.free = append(t.free, t.slots...)
	return t
}

// clientKey is what counts as one client: an address, of IPv6 the network that
// one site has at least. All that have no address are one.
func clientKey(a netip.Addr) netip.Prefix {
	a = a.Unmap().WithZone("")
	bits := 64
	if a.Is4() {
		bits = 32
	}
	p, err := a.Prefix(bits)
	if err != nil {
		return netip.Prefix{}
	}
	return p
}

// take waits for a turn, as long as who asks does.
func (t *turns) take(client netip.Prefix, who asker) (*slot, error) {
	t.mu.Lock()
	if n := len(t.free); n > 0 {
		s := t.free[n-1]
		t.free = t.free[:n-1]
		t.mu.Unlock()
		return s, nil
	}
	at, ok := t.queues[client]
	if !ok {
		at = t.ring.PushBack(&queue{client: client})
		t.queues[client] = at
	}
	q := at.Value.(*queue)
	ready := make(chan *slot, 1)
	place := q.waiting.PushBack(ready)
	t.waiting++
	t.mu.Unlock()

	err := errBusy
	end := time.NewTimer(t.patience)
	defer end.Stop()
	look := time.NewTicker(4 * lookEvery)
	defer look.Stop()
wait:
	for {
		select {
		case s := <-ready:
			return s, nil
		case <-end.C:
			break wait
		case <-look.C:
			if who.hungUp() {
				err = errHungUp
				break wait
			}
		}
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	select {
	case s := <-ready: // at the last moment
		return s, nil
	default:
	}
	t.leave(at, place)
	return nil, err
}

// leave takes a message out of its queue. It is called with mu held.
func (t *turns) leave(at, place *list.Element) {
	q := at.Value.(*queue)
	q.waiting.Remove(place)
	t.waiting--
	if q.waiting.Len() == 0 {
		t.ring.Remove(at)
		delete(t.queues, q.client)
	}
}

// give ends a turn: the next queue's first message has it.
func (t *turns) give(s *slot) {
	t.mu.Lock()
	defer t.mu.Unlock()
	at := t.ring.Front()
	if at == nil {
		t.free = append(t.free, s)
		return
	}
	place := at.Value.(*queue).waiting.Front()
	ready := place.Value.(chan *slot)
	t.ring.MoveToBack(at)
	t.leave(at, place)
	ready <- s
}

// stuck returns for how long the longest inspection has gone on, if that is so
// long that it will not end.
func (t *turns) stuck() (time.Duration, bool) {
	t.mu.Lock()
	//lint:ignore SA2001 that the lock can be had is part of the test
	t.mu.Unlock()
	var longest time.Duration
	for _, s := range t.slots {
		longest = max(longest, s.running())
	}
	return longest, longest > stuckAfter
}

// lookAfter looks after the inspections in work: it ends those whose time is up
// or whose MTA has gone. It is one goroutine for all and comes and goes with the
// mail: a timer for each message costs more than the messages that it is for.
func (t *turns) lookAfter() {
	tick := time.NewTicker(lookEvery)
	defer tick.Stop()
	for idle := 0; ; {
		<-tick.C
		idle++
		for _, s := range t.slots {
			if s.look() {
				idle = 0
			}
		}
		if idle < looksIdle {
			continue
		}
		t.looking.Store(false)
		// One that began meanwhile may have counted on us.
		if !slices.ContainsFunc(t.slots, func(s *slot) bool { return s.running() > 0 }) || !t.looking.CompareAndSwap(false, true) {
			return
		}
		idle = 0
	}
}

// slot is one place to inspect in, with its scratch space.
type slot struct {
	turns   *turns
	scratch []byte

	mu     sync.Mutex
	who    asker // for the inspection in work, nil without one
	cancel context.CancelCauseFunc
	begun  time.Time
	used   bool // since it was looked at last
}

// begin begins an inspection. Its context ends when nobody waits for it or its
// time is up.
func (s *slot) begin(who asker) context.Context {
	ctx, cancel := context.WithCancelCause(context.Background())
	s.mu.Lock()
	s.who, s.cancel, s.begun, s.used = who, cancel, time.Now(), true
	s.mu.Unlock()
	if t := s.turns; !t.looking.Load() && t.looking.CompareAndSwap(false, true) {
		go t.lookAfter()
	}
	return ctx
}

// end ends it. The return value is how long it took.
func (s *slot) end() time.Duration {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.who = nil
	s.cancel(nil)
	return time.Since(s.begun)
}

// look looks after the inspection in work. It reports whether there was one
// since the last time.
func (s *slot) look() (used bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	used, s.used = s.used || s.who != nil, false
	switch {
	case s.who == nil:
	case time.Since(s.begun) >= maxInspect:
		s.cancel(errTooLong)
	case time.Since(s.begun) >= lookEvery && s.who.hungUp():
		s.cancel(errHungUp)
	}
	return used
}

// running returns for how long the inspection in work has gone on, at least one
// nanosecond, or 0 without one.
func (s *slot) running() time.Duration {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.who == nil {
		return 0
	}
	return max(1, time.Since(s.begun))
}
