package stream

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"runtime/debug"
	"sync"
	"time"

	"github.com/bounce-milter/bounce-milter/internal/event"
	"github.com/bounce-milter/bounce-milter/internal/event/spool"
	"github.com/cenkalti/backoff/v5"
)

// Bounds of a batch, and of a sink's time.
const (
	batchRecords = 500
	batchOctets  = 1 << 20
	saveEvery    = 100 * time.Millisecond // that a place is kept at most
	sendTimeout  = 10 * time.Minute       // of a batch, for sinks have bounds of their own
	maxLater     = 24 * time.Hour         // that a sink may ask to be left alone
)

// errNothing is what a sink did that says neither what it took nor why not.
var errNothing = errors.New("the sink took nothing and did not say why")

// runner carries records from a journal to one sink, at the sink's own pace.
type runner struct {
	o        SinkOptions
	identity string
	journal  spool.Journal
	parked   string // file for refused records, "" where there is none
	keeps    bool   // the journal has what was not delivered after the process ended
	open     func(SinkOptions) (event.Sink, error)
	metrics  *Metrics
	log      *slog.Logger
	pace     pace

	reader spool.Reader
	mask   *masker
	sink   event.Sink
	saved  time.Time
	unkept bool   // committed and not saved
	said   string // what is wrong, "" where nothing is, so that it is said once
	quiet  throttle

	wake    chan struct{}
	drain   chan struct{}      // closed when it is to end as soon as nothing waits
	ctx     context.Context    // of the runner: what is being handed over is waited for
	leave   context.CancelFunc // ends ctx
	sending context.Context    // of what is being handed over
	kill    context.CancelFunc // ends sending
	done    chan struct{}

	mu     sync.Mutex
	pos    spool.Reader // reader, for waiting
	inHand int          // records read and not done with
	oldest time.Time    // of the first of them
	again  func()       // the sink's Reopen, nil where it has none
}

// pace is how fast a sink is tried again, which tests shorten.
type pace struct {
	first, most time.Duration // between two tries
	linger      time.Duration // that a batch waits for more after a pause
	grace       time.Duration // that a sink has to end after it was told to
}

var usualPace = pace{500 * time.Millisecond, time.Minute, 50 * time.Millisecond, 2 * time.Second}

// waiting returns how many records wait for the sink, and for how long the oldest does.
func (r *runner) waiting() (n int64, oldest time.Duration) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.pos != nil {
		n = r.pos.Pending()
	}
	if r.inHand > 0 {
		oldest = max(0, time.Since(r.oldest))
	}
	return n + int64(r.inHand), oldest
}

// hold says which items are in hand.
func (r *runner) hold(items []event.Item) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.inHand = len(items)
	if len(items) > 0 {
		r.oldest = items[0].Time
	}
}

// reopen has the sink's file opened anew, if it has one.
func (r *runner) reopen() {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.again != nil {
		r.again()
	}
}

// notify tells that there are new records.
func (r *runner) notify() {
	select {
	case r.wake <- struct{}{}:
	default:
	}
}

// run carries records until drain is closed and nothing waits, or ctx ends. It begins
// when the channel after is closed: then the name's last runner is done.
func (r *runner) run(after <-chan struct{}) {
	defer close(r.done)
	defer r.giveBack()
	if after != nil {
		select {
		case <-after:
		case <-r.ctx.Done():
			return
		}
	}
	b := backoff.NewExponentialBackOff()
	b.InitialInterval, b.MaxInterval, b.Multiplier = r.pace.first, r.pace.most, 2
	for r.ctx.Err() == nil {
		entries, err := r.next()
		if err != nil {
			r.fails("reading the journal", err)
			if r.leaves() || !r.pause(b.NextBackOff()) {
				return
			}
			continue
		}
		if len(entries) == 0 {
			return
		}
		full := r.full(entries)
		if !r.deliver(entries, b) {
			return
		}
		if !full {
			r.gather()
		}
	}
}

// gather lets records gather for a moment: a request for one costs as much as one for many,
// and each sink that wakes takes time from the mail. A runner that is to end does not wait.
func (r *runner) gather() {
	select {
	case <-r.drain:
	default:
		r.pause(r.pace.linger)
	}
}

// full reports whether the journal may have had more than went into a batch.
func (r *runner) full(entries []spool.Entry) bool {
	octets := 0
	for _, e := range entries {
		octets += len(e.Data)
	}
	return len(entries) == batchRecords || octets > batchOctets/2
}

// next waits for records. There are none when it is time to end.
func (r *runner) next() ([]spool.Entry, error) {
	for {
		if r.reader == nil {
			if err := r.begin(); err != nil {
				return nil, err
			}
		}
		entries, err := r.reader.Read(batchRecords, batchOctets)
		r.countLost()
		if err != nil || len(entries) > 0 {
			return entries, err
		}
		select {
		case <-r.drain:
			return nil, nil
		default:
		}
		var save <-chan time.Time
		if r.unkept {
			save = time.After(saveEvery)
		}
		select {
		case <-r.wake:
			r.gather()
		case <-save:
			r.save()
		case <-r.drain:
		case <-r.ctx.Done():
			return nil, nil
		}
	}
}

// begin opens the sink's place in the journal, once the key is there to mask by.
func (r *runner) begin() error {
	mask, err := newMasker(&r.o)
	if err != nil {
		return err
	}
	reader, err := r.journal.Reader(r.o.Name)
	if err != nil {
		return err
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	r.mask, r.reader, r.pos = mask, reader, reader
	return nil
}

func (r *runner) countLost() {
	lost := r.reader.Lost()
	r.metrics.drop(r.o.Name, droppedOverflow, lost.Overflow)
	r.metrics.drop(r.o.Name, droppedDamaged, lost.Damaged)
	if n := lost.Overflow + lost.Damaged; n > 0 && r.quiet.allow(droppedOverflow) {
		r.log.Warn("events: records were dropped before the sink had them", "overflow", lost.Overflow, "damaged", lost.Damaged)
	}
}

// deliver hands over a batch until all of it is done with. It returns false when it is
// time to end.
func (r *runner) deliver(entries []spool.Entry, b *backoff.ExponentialBackOff) bool {
	entries, items := r.prepare(entries)
	for len(items) > 0 {
		r.hold(items)
		sent, err := r.send(items)
		n := min(max(sent.Done, 0), len(items))
		r.account(items, sent, n)
		if n > 0 {
			r.commit(entries[n-1])
			items, entries = items[n:], entries[n:]
			b.Reset()
		}
		if err == nil && n == 0 {
			err = errNothing
		}
		if err == nil {
			r.recovers()
		}
		if r.ctx.Err() != nil && len(items) > 0 {
			return false
		}
		if err == nil {
			continue
		}
		r.metrics.count(r.o.Name, resultRetried, len(items))
		r.fails("handing over", err)
		wait := b.NextBackOff()
		var later *event.LaterError
		if errors.As(err, &later) {
			wait = max(wait, min(later.After, maxLater))
		}
		if r.leaves() || !r.pause(wait) || r.leaves() {
			return false
		}
	}
	r.hold(nil)
	return true
}

// leaves reports whether a sink that failed is left to the next process: while this
// one ends, where nothing is lost by it.
func (r *runner) leaves() bool {
	select {
	case <-r.drain:
		return r.keeps
	default:
		return false
	}
}

// prepare makes items of entries. One that is no record, though its checksum is right,
// is damaged.
func (r *runner) prepare(entries []spool.Entry) ([]spool.Entry, []event.Item) {
	items := make([]event.Item, 0, len(entries))
	good := make([]spool.Entry, 0, len(entries))
	for _, e := range entries {
		it, err := event.ReadItem(e.Data)
		if err == nil && r.mask.how != AddressesFull {
			it, err = event.NewItem(r.mask.record(it.Record()))
		}
		if err != nil {
			r.metrics.drop(r.o.Name, droppedDamaged, 1)
			continue
		}
		items = append(items, it)
		good = append(good, e)
	}
	if len(good) == 0 {
		r.commit(entries[len(entries)-1])
	}
	return good, items
}

// send opens the sink where it is not open, and hands over. A sink that panics has
// taken nothing, and is opened anew.
func (r *runner) send(items []event.Item) (sent event.Sent, err error) {
	defer func() {
		if p := recover(); p != nil {
			sent, err = event.Sent{}, fmt.Errorf("panic: %v", p)
			r.log.Error("events: the sink panicked and is tried again", "error", err, "stack", string(debug.Stack()))
			r.drop()
		}
	}()
	if r.sink == nil {
		sink, err := r.open(r.o)
		if err != nil {
			return event.Sent{}, fmt.Errorf("opening the sink: %w", err)
		}
		r.sink = sink
		if f, ok := sink.(interface{ Reopen() }); ok {
			r.mu.Lock()
			r.again = f.Reopen
			r.mu.Unlock()
		}
	}
	ctx, cancel := context.WithTimeout(r.sending, sendTimeout)
	defer cancel()
	return r.sink.Send(ctx, items)
}

// drop closes the sink, whatever state it is in.
func (r *runner) drop() {
	defer func() { _ = recover() }() // as it may have before, which was said
	r.mu.Lock()
	r.again = nil
	r.mu.Unlock()
	sink := r.sink
	r.sink = nil
	if sink != nil {
		if err := sink.Close(); err != nil {
			r.log.Debug("events: closing the sink", "error", err)
		}
	}
}

// account counts what became of a batch of which n items are done with, and parks those
// that were refused.
func (r *runner) account(items []event.Item, sent event.Sent, n int) {
	var refused []event.Item
	var why []string
	for k, i := range sent.Refused {
		if i < 0 || i >= n {
			continue
		}
		refused = append(refused, items[i])
		reason := "refused"
		if k < len(sent.Why) && sent.Why[k] != nil {
			reason = sent.Why[k].Error()
		}
		why = append(why, reason)
	}
	skipped := min(max(sent.Skipped, 0), n-len(refused))
	r.metrics.count(r.o.Name, resultDelivered, n-len(refused)-skipped)
	r.metrics.count(r.o.Name, resultSkipped, skipped)
	if len(refused) == 0 {
		return
	}
	err := errors.New("there is no spool to keep them in")
	if r.parked != "" {
		err = park(r.parked, refused, why)
	}
	if err != nil {
		r.metrics.drop(r.o.Name, droppedRefused, int64(len(refused)))
	} else {
		r.metrics.count(r.o.Name, resultParked, len(refused))
	}
	if !r.quiet.allow(resultParked) {
		return
	}
	attrs := []any{"records", len(refused), "first", refused[0].ID, "why", why[0]}
	if err != nil {
		r.log.Warn("events: the sink refused records, which are dropped", append(attrs, "error", err)...)
		return
	}
	r.log.Warn("events: the sink refused records, which are parked", append(attrs, "file", r.parked)...)
}

// commit moves the place, and keeps it now and then.
func (r *runner) commit(e spool.Entry) {
	r.reader.Commit(e)
	r.unkept = true
	if time.Since(r.saved) >= saveEvery {
		r.save()
	}
}

func (r *runner) save() {
	r.saved, r.unkept = time.Now(), false
	if err := r.reader.Save(); err != nil {
		r.unkept = true // or it is handed over again after a restart
		if r.quiet.allow("place") {
			r.log.Error("events: the sink's place in the spool cannot be kept", "error", err)
		}
	}
}

// fails says that something is wrong, once until it is something else or over.
func (r *runner) fails(what string, err error) {
	if r.said == what && !r.quiet.allow("fails") {
		return
	}
	r.said = what
	r.quiet.allow("fails")
	r.log.Warn("events: the sink fails and is tried again; records wait for it", "doing", what, "error", err)
}

func (r *runner) recovers() {
	if r.said != "" {
		r.said = ""
		r.log.Info("events: the sink takes records again")
	}
}

// pause waits, and returns false where ctx has ended. A runner that is to end waits no
// longer than it takes to try.
func (r *runner) pause(d time.Duration) bool {
	select {
	case <-r.drain:
		d = min(d, r.pace.first)
	default:
	}
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
	case <-r.ctx.Done():
	case <-r.draining():
	}
	return r.ctx.Err() == nil
}

// draining is drain, or of a runner that drains already nil: what was waited for
// once is not waited for again.
func (r *runner) draining() <-chan struct{} {
	select {
	case <-r.drain:
		return nil
	default:
		return r.drain
	}
}

// end has the runner end as soon as what is being handed over is, or after so long.
func (r *runner) end(grace time.Duration) {
	r.leave()
	time.AfterFunc(grace, r.kill)
}

// wait waits until the runner has ended, but so long at most.
func (r *runner) wait(most time.Duration) bool {
	select {
	case <-r.done:
		return true
	case <-time.After(most):
		return false
	}
}

// giveBack gives back what the runner holds, when it ends.
func (r *runner) giveBack() {
	r.drop()
	if r.reader == nil {
		return
	}
	if r.unkept {
		r.save()
	}
	r.reader.Close()
}

// throttleEvery is how often the log says the same again.
const throttleEvery = 10 * time.Minute

// throttle lets one line of a cause through, and the next after a while.
type throttle map[string]time.Time

func (t throttle) allow(cause string) bool {
	if last, said := t[cause]; said && time.Since(last) < throttleEvery {
		return false
	}
	t[cause] = time.Now()
	return true
}
