package stream

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/bounce-milter/bounce-milter/internal/event"
	"github.com/bounce-milter/bounce-milter/internal/event/spool"
	"github.com/bounce-milter/bounce-milter/internal/toml"
)

// Change is another configuration that is ready to be put in force.
type Change struct {
	s       *Stream
	o       Options
	folder  string        // of journal
	journal spool.Journal // a new one, nil where the old one stays
}

// Prepare readies another configuration: what can go wrong goes wrong here, and changes
// nothing. The error is a [toml.Problems]. Either Apply or Drop follows.
func (s *Stream) Prepare(o Options) (*Change, error) {
	if err := o.Validate().Err(); err != nil {
		return nil, err
	}
	c := &Change{s: s, o: o}
	f := s.now.Load()
	if len(o.Sinks) == 0 || f != nil && f.spool == o.Spool {
		return c, nil
	}
	if o.Spool == "" {
		s.log.Warn("events: no spool is configured: what waits for a sink is in memory, and a restart loses it", "octets", MaxMemory)
		c.journal = spool.NewMemory(MaxMemory)
		return c, nil
	}
	j, err := spool.Open(o.Spool, spool.Options{Max: o.SpoolMax, Sync: o.Sync == SyncAlways, Lazy: o.Sync == SyncNever})
	var fe *spool.FolderError
	switch {
	case errors.As(err, &fe):
		return nil, toml.Problems{{Key: "events.spool", Message: err.Error()}}
	case err != nil: // a disk that cannot be read is no reason to leave mail alone
		s.log.Error("events: the spool cannot be opened: what waits for a sink is in memory until a reload", "error", err)
		c.journal = spool.NewMemory(MaxMemory)
	default:
		c.folder, c.journal = o.Spool, j
	}
	return c, nil
}

// Drop gives back what was readied.
func (c *Change) Drop() {
	if c.journal != nil {
		c.journal.Close()
	}
}

// Apply puts the configuration in force. Sinks that are the same in it go on as if
// nothing had happened.
func (c *Change) Apply() {
	s := c.s
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		c.Drop()
		return
	}
	old := s.now.Load()
	var f *flow
	switch {
	case c.journal != nil:
		f = s.newFlow(c.folder, c.journal)
	case len(c.o.Sinks) > 0:
		f = old
	}
	if f != nil {
		s.setSinks(f, c.o)
	}
	s.now.Store(f)
	if old != nil && old != f {
		ctx, cancel := context.WithTimeout(context.Background(), s.pace.grace)
		defer cancel()
		s.finish(ctx, old)
	}
	for _, name := range s.names {
		if !slices.ContainsFunc(c.o.Sinks, func(o SinkOptions) bool { return o.Name == name }) {
			s.metrics.end(name)
		}
	}
	s.names = nil
	for _, o := range c.o.Sinks {
		s.names = append(s.names, o.Name)
	}
}

// newFlow begins to write a journal.
func (s *Stream) newFlow(folder string, j spool.Journal) *flow {
	f := &flow{spool: folder, journal: j, quit: make(chan struct{})}
	f.writer = newWriter(j, s.log, f.notify, func(n int) { s.dropped(f, droppedDisk, n) })
	go f.writer.run()
	go f.sync(s)
	return f
}

// sync forces what was written to the disk now and then.
func (f *flow) sync(s *Stream) {
	t := time.NewTicker(syncEvery)
	defer t.Stop()
	said := throttle{}
	for {
		select {
		case <-t.C:
			if err := f.journal.Sync(); err != nil && said.allow("sync") {
				s.log.Error("events: a power cut would lose records", "error", err)
			}
		case <-f.quit:
			return
		}
	}
}

// notify tells every sink that there are new records.
func (f *flow) notify() {
	for _, r := range f.sinks() {
		r.notify()
	}
}

// setSinks has a flow read by the sinks of a configuration and by no others.
func (s *Stream) setSinks(f *flow, o Options) {
	if j, ok := f.journal.(*spool.Spool); ok {
		j.SetMax(o.SpoolMax)
		j.SetSync(o.Sync == SyncAlways, o.Sync == SyncNever)
	}
	old := f.sinks()
	var next []*runner
	var names []string
	for _, so := range o.Sinks {
		names = append(names, so.Name)
		s.metrics.begin(so.Name)
		r := s.newRunner(f, so)
		i := slices.IndexFunc(old, func(r *runner) bool { return r.o.Name == so.Name })
		switch {
		case i < 0:
			// Now, so that it gets what comes from here on.
			if err := r.begin(); err != nil {
				r.fails("opening its place", err)
			}
			go r.run(nil)
		case old[i].identity == r.identity:
			r = old[i]
			old = slices.Delete(old, i, i+1)
		default:
			old[i].end(s.pace.grace)
			go r.run(old[i].done)
			old = slices.Delete(old, i, i+1)
		}
		next = append(next, r)
	}
	f.mu.Lock()
	f.runners = next
	f.mu.Unlock()
	for _, r := range old {
		r.end(s.pace.grace)
	}
	for _, r := range old {
		r.wait(s.pace.grace)
	}
	if err := f.journal.Keep(names); err != nil {
		s.log.Warn("events: a sink that is no more holds its place in the spool", "error", err)
	}
}

func (s *Stream) newRunner(f *flow, o SinkOptions) *runner {
	r := &runner{o: o, identity: o.identity(), journal: f.journal, keeps: f.spool != "", open: s.open, metrics: s.metrics,
		log: s.log.With("sink", o.Name), pace: s.pace, quiet: throttle{},
		wake: make(chan struct{}, 1), drain: make(chan struct{}), done: make(chan struct{})}
	if r.keeps {
		r.parked = parkFile(f.spool, o.Name)
	}
	r.ctx, r.leave = context.WithCancel(context.Background())
	r.sending, r.kill = context.WithCancel(context.Background())
	return r
}

// identity is what makes a sink another one: what is configured, and the files that it
// names, for secrets change in them.
func (o *SinkOptions) identity() string {
	h := sha256.New()
	fmt.Fprintf(h, "%#v\n", *o)
	for _, path := range o.files() {
		data, err := event.ReadSecret(path)
		fmt.Fprintf(h, "%d %v\n%s", len(data), err, data)
	}
	return hex.EncodeToString(h.Sum(nil))
}

// finish ends a flow: what waits is written and delivered until ctx ends.
func (s *Stream) finish(ctx context.Context, f *flow) {
	select {
	case <-f.writer.close():
	case <-ctx.Done():
		s.log.Error("events: the spool was not written to the end in time")
	}
	close(f.quit)
	sinks := f.sinks()
	for _, r := range sinks {
		close(r.drain)
	}
	for _, r := range sinks {
		select {
		case <-r.done:
		case <-ctx.Done():
			r.end(0)
		}
	}
	for _, r := range sinks {
		if !r.wait(s.pace.grace) {
			r.log.Error("events: the sink did not end in time")
		}
		if n, _ := r.waiting(); n > 0 && !r.keeps {
			s.metrics.drop(r.o.Name, droppedStopped, n)
			r.log.Error("events: records that were in memory alone are lost", "records", n)
		} else if n > 0 {
			r.log.Info("events: records wait in the spool for the next start", "records", n)
		}
	}
	closed := make(chan error, 1)
	go func() { closed <- f.journal.Close() }()
	select {
	case err := <-closed:
		if err != nil {
			s.log.Error("events: ending the spool", "error", err)
		}
	case <-time.After(s.pace.grace): // its disk hangs, which is no reason to stay
		s.log.Error("events: the spool did not end in time")
	}
}
