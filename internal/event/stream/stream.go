// Package stream carries records from the mail to the sinks.
//
// Mail hands its records to [Stream.Record], which returns when they are with the
// kernel, in the spool, or in memory where there is none. Behind the mail's back each
// sink reads them at its own pace, from a place of its own: at least once, and in order.
// A sink that fails is tried again, more and more rarely, while its records wait in the
// spool; whatever becomes of sinks and spool, mail waits a quarter of a second at most.
package stream

import (
	"context"
	"fmt"
	"log/slog"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/bounce-milter/bounce-milter/internal/event"
	"github.com/bounce-milter/bounce-milter/internal/event/file"
	"github.com/bounce-milter/bounce-milter/internal/event/jetstream"
	"github.com/bounce-milter/bounce-milter/internal/event/spool"
	"github.com/bounce-milter/bounce-milter/internal/event/webhook"
)

// MaxMemory bounds the records that wait where there is no spool, in octets.
const MaxMemory = 16 << 20

// syncEvery is how often what was written is forced to the disk.
const syncEvery = time.Second

// Stream carries records to sinks.
type Stream struct {
	metrics *Metrics
	log     *slog.Logger
	open    func(SinkOptions) (event.Sink, error)
	pace    pace

	now atomic.Pointer[flow] // nil where there is no sink

	mu     sync.Mutex // one change at a time
	names  []string   // of sinks that have series
	closed bool

	unwritten sync.Once // a record that is none was logged
}

// flow is a journal with what writes and reads it. It lives as long as its folder stays
// the configured one.
type flow struct {
	spool   string // folder, "" for memory
	journal spool.Journal
	writer  *writer
	quit    chan struct{} // closed when nothing is written any more

	mu      sync.Mutex
	runners []*runner
}

// New makes a stream, with the spool open and the sinks at work. version is that of the
// program, which sinks may tell.
func New(o Options, version string, m *Metrics, log *slog.Logger) (*Stream, error) {
	s := newStream(m, log)
	s.open = func(o SinkOptions) (event.Sink, error) { return openSink(o, version) }
	return s, s.begin(o)
}

func newStream(m *Metrics, log *slog.Logger) *Stream {
	return &Stream{metrics: m, log: log, pace: usualPace}
}

func (s *Stream) begin(o Options) error {
	c, err := s.Prepare(o)
	if err != nil {
		return err
	}
	s.metrics.stream.Store(s)
	c.Apply()
	return nil
}

// openSink opens a sink of a type.
func openSink(o SinkOptions, version string) (event.Sink, error) {
	switch o.Type {
	case TypeFile:
		return file.New(o.File)
	case TypeWebhook:
		return webhook.New(o.Webhook, version)
	case TypeNATS:
		return jetstream.New(o.NATS)
	}
	return nil, fmt.Errorf("%q is no type of sink", o.Type)
}

// Record takes the records of one message. It returns when they are with the kernel, or
// after a quarter of a second: then they follow, or are dropped and counted.
func (s *Stream) Record(records []event.Record) {
	f := s.now.Load()
	if f == nil {
		return
	}
	list := make([][]byte, 0, len(records))
	for i := range records {
		line, err := records[i].JSON()
		if err != nil || len(line) > spool.MaxRecord {
			s.unwritten.Do(func() {
				s.log.Error("events: a record cannot be written and is dropped", "id", records[i].ID, "octets", len(line), "error", err)
			})
			s.dropped(f, droppedRefused, 1)
			continue
		}
		list = append(list, line)
	}
	if len(list) == 0 {
		return
	}
	for !f.writer.write(list) { // it ended meanwhile
		last := f
		if f = s.now.Load(); f == nil || f == last {
			s.dropped(last, droppedStopped, len(list))
			return
		}
	}
}

// dropped counts records that no sink of a flow will get.
func (s *Stream) dropped(f *flow, result string, n int) {
	for _, r := range f.sinks() {
		s.metrics.drop(r.o.Name, result, int64(n))
	}
}

func (f *flow) sinks() []*runner {
	f.mu.Lock()
	defer f.mu.Unlock()
	return slices.Clone(f.runners)
}

// running are the sinks at work.
func (s *Stream) running() []*runner {
	if f := s.now.Load(); f != nil {
		return f.sinks()
	}
	return nil
}

// Reopen has files opened anew, as SIGHUP asks for.
func (s *Stream) Reopen() {
	for _, r := range s.running() {
		r.reopen()
	}
}

// Close has what waits written and delivered until ctx ends, and ends. What is not
// delivered by then waits in the spool for the next process.
func (s *Stream) Close(ctx context.Context) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.closed = true
	if f := s.now.Swap(nil); f != nil {
		s.finish(ctx, f)
	}
}
