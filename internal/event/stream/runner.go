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
	saveEvery    = 100 * time.Millisecond // shortest time between two saves of a place
	sendTimeout  = 10 * time.Minute       // for a batch, if the sink does not stop earlier by itself
	maxLater     = 24 * time.Hour         // longest wait that a receiver may ask for
)

// errNothing is the error of a sink that accepted nothing and returned no error.
var errNothing = errors.New("the sink accepted nothing and did not say why")

// runner carries records from a journal to one sink, at that sink's own pace.
type runner struct {
	o        SinkOptions
	identity string
	journal  spool.Journal
	parked   string // file for refused records, "" if there is no spool
	keeps    bool   // the journal keeps undelivered records when the process ends
	open     func(SinkOptions) (event.Sink, error)
	metrics  *Metrics
	log      *slog.Logger
	pace     pace

	reader spool.Reader
	mask   *masker
	sink   event.Sink
	saved  time.Time
	unkept bool   // a place was committed and not saved yet
	said   string // what is wrong, "" if nothing is, so that it is logged once
	quiet  throttle

	wake    chan struct{}
	drain   chan struct{}      // closed when the runner should end as soon as nothing waits
	ctx     context.Context    // of the runner, which still waits for the batch that is being sent
	leave   context.CancelFunc // ends ctx
	sending context.Context    // of the batch that is being sent
	kill    context.CancelFunc // ends sending
	done    chan struct{}

	mu     sync.Mutex
	pos    spool.Reader // the same as reader, for waiting()
	inHand int          // number of records that were read and are not done
	oldest time.Time    // time of the first of them
	again  func()       // the sink's Reopen, nil if it has none
	wrong  string       // why it takes no records, "" if it does
}

// pace is the timing of a sink, which tests shorten.
type pace struct {
	first, most time.Duration // the shortest and the longest wait between two attempts
	linger      time.Duration // how long a batch waits for more records after a pause
	grace       time.Duration // how long a sink may take to end
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

// hold notes which items are in hand.
func (r *runner) hold(items []event.Item) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.inHand = len(items)
	if len(items) > 0 {
		r.oldest = items[0].Time
	}
}

// reopen causes the sink's file to be opened anew, if it has one.
func (r *runner) reopen() {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.again != nil {
		r.again()
	}
}

// notify tells the runner that there are new records.
func (r *runner) notify() {
	select {
	case r.wake <- struct{}{}:
	default:
	}
}

// run carries records until drain is closed and nothing waits, or until ctx ends. If after
// is not nil, run begins when it is closed, that is, when the last runner with the same name
// has ended.
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

// gather waits a moment for more records, because a request with one record costs as much
// as one with many, and a sink that runs takes time from the mail. It does not wait if the
// runner should end.
func (r *runner) gather() {
	select {
	case <-r.drain:
	default:
		r.pause(r.pace.linger)
	}
}

// full reports whether the journal may have had more records than fitted into a batch.
func (r *runner) full(entries []spool.Entry) bool {
	octets := 0
	for _, e := range entries {
		octets += len(e.Data)
	}
	return len(entries) == batchRecords || octets > batchOctets/2
}

// next waits for records. It returns none if it is time to end.
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

// begin reads the key for masking, then opens the sink's place in the journal.
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
		r.log.Warn("events: records were lost before the sink got them", "overflow", lost.Overflow, "damaged", lost.Damaged)
	}
}

// deliver sends a batch until all of it is done. It returns false if it is time to end.
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
		r.fails("sending records", err)
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

// leaves reports whether the records of a sink that failed are left to the next process:
// this process is ending, and the journal keeps them.
func (r *runner) leaves() bool {
	select {
	case <-r.drain:
		return r.keeps
	default:
		return false
	}
}

// prepare turns entries into items. An entry that is not a record although its checksum is
// right counts as damaged.
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

// send opens the sink if it is not open, and sends the items. If a sink panics, none of the
// items is done, and the sink is opened anew.
func (r *runner) send(items []event.Item) (sent event.Sent, err error) {
	defer func() {
		if p := recover(); p != nil {
			sent, err = event.Sent{}, fmt.Errorf("panic: %v", p)
			r.log.Error("events: the sink panicked and will be tried again", "error", err, "stack", string(debug.Stack()))
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
	defer func() { _ = recover() }() // after a panic, which was logged, it may panic again
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

// account counts what happened to a batch, of which n items are done, and parks those that
// were refused.
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
	err := errors.New("there is no spool to park them in")
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
		r.log.Warn("events: the sink refused records, which are lost", append(attrs, "error", err)...)
		return
	}
	r.log.Warn("events: the sink refused records, which are parked", append(attrs, "file", r.parked)...)
}

// commit moves the place, and saves it if the last save was a while ago.
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
		r.unkept = true // tried again, or records are sent twice after a restart
		if r.quiet.allow("place") {
			r.log.Error("events: the sink's place in the spool cannot be saved", "error", err)
		}
	}
}

// fails logs that something is wrong. It logs the same thing again only after a while.
func (r *runner) fails(what string, err error) {
	r.goesWrong(what, err)
	if r.said == what && !r.quiet.allow("fails") {
		return
	}
	r.said = what
	r.quiet.allow("fails")
	r.log.Warn("events: the sink fails and will be tried again; its records wait", "doing", what, "error", err)
}

func (r *runner) recovers() {
	if r.said != "" {
		r.said = ""
		r.goesWrong("", nil)
		r.log.Info("events: the sink accepts records again")
	}
}

// pause waits, and returns false if ctx has ended. A runner that should end waits only as
// long as before the first new attempt.
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

// draining returns drain, or nil if it is closed already, so that a select does not return
// for it again and again.
func (r *runner) draining() <-chan struct{} {
	select {
	case <-r.drain:
		return nil
	default:
		return r.drain
	}
}

// end makes the runner end when the batch that is being sent is done, but at the latest
// after grace.
func (r *runner) end(grace time.Duration) {
	r.leave()
	time.AfterFunc(grace, r.kill)
}

// wait waits until the runner has ended, but no longer than most. It reports whether the
// runner has ended.
func (r *runner) wait(most time.Duration) bool {
	select {
	case <-r.done:
		return true
	case <-time.After(most):
		return false
	}
}

// giveBack releases what the runner holds, when it ends.
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

// throttleEvery is how often the same thing is logged.
const throttleEvery = 10 * time.Minute

// throttle allows one log line for each cause in throttleEvery.
type throttle map[string]time.Time

func (t throttle) allow(cause string) bool {
	if last, said := t[cause]; said && time.Since(last) < throttleEvery {
		return false
	}
	t[cause] = time.Now()
	return true
}
