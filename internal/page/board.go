// Package page is the status page: what a daemon saw in the last hour, day and week, for
// people at / and for programs at /api/v1/summary.
//
// The mail path hands over what it saw by atomic counters and a channel that it never waits
// for; it shares no lock with readers of the page. A [Board] counts by the minute for a day
// and by the hour for a week, in less than [MaxMemory]. It uses the monotonic clock, so that
// nothing moves when the wall clock is set, and it can be kept in a file over a restart.
//
// What strangers wrote is masked, cleaned and bounded before it is kept, and escaped where
// it is shown.
package page

import (
	"log/slog"
	"sync"
	"sync/atomic"
	"time"

	"github.com/bounce-milter/bounce-milter/classify"
	"github.com/bounce-milter/bounce-milter/classify/dsn"
	"github.com/bounce-milter/bounce-milter/classify/origin"
)

// MaxMemory is what a Board holds at most, in octets, whatever comes.
const MaxMemory = 4 << 20

// maxQueue is how many bounces may wait until they are counted. Further ones are dropped,
// and counted as missed.
const maxQueue = 2048

// Bounce is a failed or delayed recipient.
type Bounce struct {
	Category classify.Category
	Type     classify.Type
	Delayed  bool
	Provider string // a name of the rules in force, or "other"
	Reason   string // likewise, or "unknown"

	// Reply is what was said, and Address and Original are the addresses that it may
	// contain. They are set only if no rule understood the bounce, and kept for seconds,
	// until they are masked.
	Reply             string
	Address, Original string
}

// origins are what is known about whose the mail is that came back.
var origins = origin.Origins()

// Reason is what the page says about a reason.
type Reason struct {
	ID       string
	Category classify.Category
	Type     classify.Type
	Meaning  string // what happened
	Advice   string // what to do
}

// Words are what the rules in force can say. They never change.
type Words struct {
	Reasons []Reason
	// Understand returns the words of a reply in the form that phrases are matched on, with
	// "@" for what no phrase matches. Without it no rules are proposed.
	Understand func(reply string) string
}

// Board counts what the daemon sees, and shows it.
type Board struct {
	queue    chan Bounce
	wake     chan struct{} // the queue is half full
	missed   atomic.Uint64 // bounces that were not counted because too many waited
	messages map[dsn.Kind]*atomic.Uint64
	origins  map[origin.Origin]*atomic.Uint64
	errors   map[string]*atomic.Uint64 // by stage

	status atomic.Pointer[func() Status]
	sinks  atomic.Pointer[func() []Sink]
	words  atomic.Pointer[wordTable]

	wall    func() time.Time     // for what is shown
	elapsed func() time.Duration // since start, by the monotonic clock
	start   time.Time

	mu      sync.Mutex // never held by the mail path
	since   int64      // second of the Board's clock when counting began
	rings   rings
	names   names
	replies replies
	seen    seen
	file    stateFile

	cache struct {
		sync.Mutex
		at      time.Duration
		summary *Summary
		made    map[string][]byte // pages that were made of it
	}
}

// seen says when something was seen last, as seconds on the Board's clock; 0 is never.
type seen struct{ message, bounce int64 }

// New makes a Board that counts errors by these stages.
func New(stages []string) *Board {
	start := time.Now()
	return newBoard(stages, start, time.Now, func() time.Duration { return time.Since(start) })
}

func newBoard(stages []string, start time.Time, wall func() time.Time, elapsed func() time.Duration) *Board {
	b := &Board{queue: make(chan Bounce, maxQueue), wake: make(chan struct{}, 1), messages: map[dsn.Kind]*atomic.Uint64{},
		origins: map[origin.Origin]*atomic.Uint64{}, errors: map[string]*atomic.Uint64{},
		wall: wall, elapsed: elapsed, start: start}
	for _, k := range dsn.Kinds() {
		b.messages[k] = new(atomic.Uint64)
	}
	for _, o := range origins {
		b.origins[o] = new(atomic.Uint64)
	}
	for _, s := range stages {
		b.errors[s] = new(atomic.Uint64)
	}
	b.names = newNames()
	b.rings = newRings()
	b.since = b.second()
	b.rings.turn(b.minute())
	b.SetWords(Words{})
	return b
}

// Bounce counts a bounce. It never waits and allocates nothing: if too many wait to be
// counted, it only counts that one is missing.
func (b *Board) Bounce(x Bounce) {
	select {
	case b.queue <- x:
	default:
		b.missed.Add(1)
	}
	// They are counted every second anyway: waking a goroutine for each would cost mail
	// more than all the rest.
	if len(b.queue) >= maxQueue/2 {
		select {
		case b.wake <- struct{}{}:
		default:
		}
	}
}

// Message counts a message of a kind. It never waits and allocates nothing.
func (b *Board) Message(k dsn.Kind) {
	if n := b.messages[k]; n != nil {
		n.Add(1)
	}
}

// Origin counts whose mail a report returns. It never waits and allocates nothing.
func (b *Board) Origin(o origin.Origin) {
	if n := b.origins[o]; n != nil {
		n.Add(1)
	}
}

// Error counts n errors at a stage. It never waits and allocates nothing.
func (b *Board) Error(stage string, n uint64) {
	if c := b.errors[stage]; c != nil {
		c.Add(n)
	}
}

// SetStatus sets the function that says how the daemon is.
func (b *Board) SetStatus(f func() Status) { b.status.Store(&f) }

// SetSinks sets the function that says how the sinks are.
func (b *Board) SetSinks(f func() []Sink) { b.sinks.Store(&f) }

// SetWords puts the words of other rules in force.
func (b *Board) SetWords(w Words) { b.words.Store(newWordTable(w)) }

// second is now on the Board's clock: Unix time at the start, and from then on seconds of
// the monotonic clock, whatever is done to the wall clock.
func (b *Board) second() int64 { return b.start.Unix() + int64(b.elapsed()/time.Second) }

func (b *Board) minute() int64 { return b.second() / 60 }

// timeOf returns what the wall clock showed, or would have shown, at a second of the Board's
// clock.
func (b *Board) timeOf(second int64) time.Time {
	return b.wall().Add(-time.Duration(b.second()-second) * time.Second).Truncate(time.Second)
}

// collect takes over what the mail path has left. It is called with mu held.
func (b *Board) collect() {
	now := b.second()
	b.rings.turn(now / 60)
	for k, n := range b.messages {
		if v := n.Swap(0); v > 0 {
			b.seen.message = now
			b.rings.add(b.names.counter("message "+string(k)), v)
		}
	}
	for o, n := range b.origins {
		if v := n.Swap(0); v > 0 {
			b.rings.add(b.names.counter("origin "+string(o)), v)
		}
	}
	for s, n := range b.errors {
		if v := n.Swap(0); v > 0 {
			b.rings.add(b.names.counter("error "+s), v)
		}
	}
	if v := b.missed.Swap(0); v > 0 {
		b.rings.add(b.names.counter("missed"), v)
	}
	for range maxQueue { // no more, so that a flood does not keep us here
		select {
		case x := <-b.queue:
			b.note(&x, now)
		default:
			return
		}
	}
}

// note counts a bounce. It is called with mu held.
func (b *Board) note(x *Bounce, now int64) {
	b.seen.bounce = now
	b.rings.add(b.names.bounce(x), 1)
	if x.Reply != "" {
		b.replies.add(x, now)
	}
}

// tick is how often a Board takes over what the mail path has left.
const tick = time.Second

// Run takes over what the mail path leaves, and writes the state now and then, until stop is
// closed; then it writes it once more.
func (b *Board) Run(stop <-chan struct{}, log *slog.Logger) {
	every := time.NewTicker(tick)
	defer every.Stop()
	for {
		select {
		case <-b.wake:
			b.mu.Lock()
			b.collect()
			b.mu.Unlock()
		case <-every.C:
			b.mu.Lock()
			b.collect()
			b.replies.mask(b.words.Load())
			b.mu.Unlock()
			b.saveIfDue(log)
		case <-stop:
			b.mu.Lock()
			b.collect()
			b.replies.mask(b.words.Load())
			b.mu.Unlock()
			b.Save(log)
			return
		}
	}
}
