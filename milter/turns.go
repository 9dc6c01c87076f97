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

// An MTA waits for the answer to the end of a message: Postfix for 3 s if it is set up
// as the manual says. These two together stay below that.
const (
	maxWait    = time.Second             // for a turn to be inspected
	maxInspect = 1500 * time.Millisecond // for the inspection

	// lookEvery is how often a running inspection is checked. Messages that
	// wait for their turn are more, so each is checked a quarter as often.
	lookEvery = 25 * time.Millisecond

	// looksIdle is how many checks in a row must find no inspection before the
	// checking goroutine ends.
	looksIdle = 40

	// stuckAfter is how long an inspection must have run to be considered
	// one that never ends.
	stuckAfter = 10 * time.Second
)

var (
	errBusy    = errors.New("no turn came in time")
	errHungUp  = errors.New("the MTA hung up while its message was inspected")
	errTooLong = errors.New("the inspection took too long")
)

// asker waits for the inspection of its message.
type asker interface {
	hungUp() bool // reports whether it has stopped waiting
}

// turns shares out the right to inspect a message among clients, so that a client with
// many messages delays only itself. Each client has one queue, and the queues take
// turns.
type turns struct {
	patience time.Duration // how long a message waits at most
	slots    []*slot       // all slots
	looking  atomic.Bool   // the goroutine lookAfter is running

	mu      sync.Mutex
	free    []*slot
	queues  map[netip.Prefix]*list.Element // elements of ring, by client, if messages wait
	ring    list.List                      // of *queue: the first has the next turn
	waiting int
}

// queue holds the waiting messages of one client.
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

// clientKey returns what counts as one client: an IPv4 address, or an IPv6 /64, which is
// the least that a site has. All clients without an address are one.
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

// take waits for a turn, until the asker hangs up or patience is over.
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

// give ends a turn: the first message of the next queue gets the slot.
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

// stuck returns how long the longest inspection has run, and whether that is so long that
// it will never end.
func (t *turns) stuck() (time.Duration, bool) {
	t.mu.Lock()
	//lint:ignore SA2001 the test is also that it can be locked
	t.mu.Unlock()
	var longest time.Duration
	for _, s := range t.slots {
		longest = max(longest, s.running())
	}
	return longest, longest > stuckAfter
}

// lookAfter checks the running inspections and ends those whose time is up or whose MTA
// has hung up. There is one such goroutine for all inspections, and only while there is
// mail: a timer for each message would cost more than inspecting it.
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
		// An inspection that began just now may rely on this goroutine.
		if !slices.ContainsFunc(t.slots, func(s *slot) bool { return s.running() > 0 }) || !t.looking.CompareAndSwap(false, true) {
			return
		}
		idle = 0
	}
}

// slot is the right to inspect one message at a time, with scratch space.
type slot struct {
	turns   *turns
	scratch []byte

	mu     sync.Mutex
	who    asker           // of the running inspection, nil if there is none
	ctx    context.Context // of the inspections, until one is cancelled
	cancel context.CancelCauseFunc
	begun  time.Time
	used   bool // an inspection began since the last look
}

// begin begins an inspection. Its context ends when the asker has hung up or the time is
// up.
func (s *slot) begin(who asker) context.Context {
	s.mu.Lock()
	if s.ctx == nil || s.ctx.Err() != nil {
		s.ctx, s.cancel = context.WithCancelCause(context.Background())
	}
	ctx := s.ctx
	s.who, s.begun, s.used = who, time.Now(), true
	s.mu.Unlock()
	if t := s.turns; !t.looking.Load() && t.looking.CompareAndSwap(false, true) {
		go t.lookAfter()
	}
	return ctx
}

// end ends the inspection and returns how long it took.
func (s *slot) end() time.Duration {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.who = nil
	return time.Since(s.begun)
}

// look checks the running inspection. It reports whether there was one since the last
// look.
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

// running returns how long the running inspection has taken so far, at least one
// nanosecond, or 0 if there is none.
func (s *slot) running() time.Duration {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.who == nil {
		return 0
	}
	return max(1, time.Since(s.begun))
}
