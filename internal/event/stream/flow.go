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

// Change is a new configuration that is ready to be applied.
type Change struct {
	s       *Stream
	o       Options
	folder  string        // of journal, "" if it is in memory
	journal spool.Journal // a new one, nil if the old one stays
}

// Prepare makes a new configuration ready. Everything that can fail is done here, and if it
// fails nothing has changed. The error is a [toml.Problems]. After Prepare, either Apply or
// Drop must be called.
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
		s.log.Warn("events: no spool is configured: records wait for sinks in memory, and a restart loses them", "octets", MaxMemory)
		c.journal = spool.NewMemory(MaxMemory)
		return c, nil
	}
	j, err := spool.Open(o.Spool, spool.Options{Max: o.SpoolMax, Sync: o.Sync == SyncAlways, Lazy: o.Sync == SyncNever})
	var fe *spool.FolderError
	switch {
	case errors.As(err, &fe):
		return nil, toml.Problems{{Key: "events.spool", Message: err.Error()}}
	case err != nil: // mail is served even if the disk cannot be read
		s.log.Error("events: the spool cannot be opened: until a reload, records wait for sinks in memory", "error", err)
		c.journal = spool.NewMemory(MaxMemory)
	default:
		c.folder, c.journal = o.Spool, j
	}
	return c, nil
}

// Drop releases what Prepare has opened.
func (c *Change) Drop() {
	if c.journal != nil {
		c.journal.Close()
	}
}

// Apply puts the configuration into effect. Sinks that have not changed go on undisturbed.
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

// sync forces what was written to the disk, every syncEvery.
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

// setSinks makes the sinks of a configuration the only readers of a flow.
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
			// Opened here and not in run, so that it gets all records from now on.
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
		s.log.Warn("events: the place in the spool of a sink that was removed could not be deleted", "error", err)
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

// identity changes when the sink has to be opened anew: when its configuration changes, or
// the content of a file that it names, such as a secret.
func (o *SinkOptions) identity() string {
	h := sha256.New()
	fmt.Fprintf(h, "%#v\n", *o)
	for _, path := range o.files() {
		data, err := event.ReadSecret(path)
		fmt.Fprintf(h, "%d %v\n%s", len(data), err, data)
	}
	return hex.EncodeToString(h.Sum(nil))
}

// finish ends a flow. Until ctx ends, waiting records are written and delivered.
func (s *Stream) finish(ctx context.Context, f *flow) {
	select {
	case <-f.writer.close():
	case <-ctx.Done():
		s.log.Error("events: not all records were written to the spool in time")
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
			r.log.Error("events: records that were only in memory are lost", "records", n)
		} else if n > 0 {
			r.log.Info("events: records wait in the spool for the next start", "records", n)
		}
	}
	closed := make(chan error, 1)
	go func() { closed <- f.journal.Close() }()
	select {
	case err := <-closed:
		if err != nil {
			s.log.Error("events: closing the spool", "error", err)
		}
	case <-time.After(s.pace.grace): // the disk hangs; the daemon ends all the same
		s.log.Error("events: the spool did not end in time")
	}
}
