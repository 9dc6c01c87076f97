// Package stream carries records from the mail to the sinks.
//
// The daemon passes the records of a message to [Stream.Record]. It returns when the kernel
// has them in the spool, or when they are in memory if there is no spool. Each sink reads
// them independently of the mail, at its own pace and from a place of its own, in order and
// at least once. A sink that fails is tried again at growing intervals, while its records
// wait in the spool. Whatever happens to sinks and spool, mail waits at most a quarter of a
// second.
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

// MaxMemory is how many octets of records may wait if there is no spool.
const MaxMemory = 16 << 20

// syncEvery is how often written records are forced to the disk.
const syncEvery = time.Second

// Stream carries records to sinks.
type Stream struct {
	metrics *Metrics
	log     *slog.Logger
	open    func(SinkOptions) (event.Sink, error)
	pace    pace

	now atomic.Pointer[flow] // nil if there is no sink

	mu     sync.Mutex // allows one change at a time
	names  []string   // names of the sinks that have series
	closed bool

	unwritten sync.Once // logs the first record that cannot be written
}

// flow is a journal with its writer and its readers. It exists for as long as its folder is
// the configured one.
type flow struct {
	spool   string // folder, "" for memory
	journal spool.Journal
	writer  *writer
	quit    chan struct{} // closed when nothing more is written

	mu      sync.Mutex
	runners []*runner
}

// New makes a stream, opens the spool and starts the sinks. version is the version of the
// program, which sinks may send.
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

// openSink opens a sink of the type that the options say.
func openSink(o SinkOptions, version string) (event.Sink, error) {
	switch o.Type {
	case TypeFile:
		return file.New(o.File)
	case TypeWebhook:
		return webhook.New(o.Webhook, version)
	case TypeNATS:
		return jetstream.New(o.NATS)
	}
	return nil, fmt.Errorf("%q is not a type of sink", o.Type)
}

// Record takes the records of one message. It returns when the kernel has them, but at the
// latest after a quarter of a second. In that case they are written later, or dropped and
// counted.
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
	for !f.writer.write(list) { // the writer has ended meanwhile
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

// running returns the runners of all sinks.
func (s *Stream) running() []*runner {
	if f := s.now.Load(); f != nil {
		return f.sinks()
	}
	return nil
}

// Reopen causes files to be opened anew, as on SIGHUP.
func (s *Stream) Reopen() {
	for _, r := range s.running() {
		r.reopen()
	}
}

// Close writes and delivers waiting records until ctx ends, then ends the stream. Records
// that are not delivered by then wait in the spool for the next process.
func (s *Stream) Close(ctx context.Context) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.closed = true
	if f := s.now.Swap(nil); f != nil {
		s.finish(ctx, f)
	}
}
