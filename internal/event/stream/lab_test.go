package stream

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/bounce-milter/bounce-milter/classify"
	"github.com/bounce-milter/bounce-milter/internal/event"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil"
)

// fake is a sink that does what the test says.
type fake struct {
	name string
	send func(ctx context.Context, batch []event.Item) (event.Sent, error)

	mu     sync.Mutex
	got    []string // ids that were accepted
	opened int
	closed int
}

func (f *fake) Send(ctx context.Context, batch []event.Item) (sent event.Sent, err error) {
	sent = event.Sent{Done: len(batch)}
	if f.send != nil {
		sent, err = f.send(ctx, batch)
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	for i := range max(0, min(sent.Done, len(batch))) {
		if !slices.Contains(sent.Refused, i) {
			f.got = append(f.got, batch[i].ID)
		}
	}
	return sent, err
}

func (f *fake) Close() error {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.closed++
	return nil
}

func (f *fake) ids() string {
	f.mu.Lock()
	defer f.mu.Unlock()
	return strings.Join(f.got, " ")
}

// lab is a stream with fake sinks.
type lab struct {
	*Stream
	reg   *prometheus.Registry
	log   *lockedBuffer
	sinks map[string]*fake
}

type lockedBuffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (l *lockedBuffer) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.Write(p)
}

func (l *lockedBuffer) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.String()
}

var quick = pace{first: time.Microsecond, most: time.Millisecond, grace: time.Minute}

func newLab(sinks ...*fake) *lab {
	l := &lab{reg: prometheus.NewRegistry(), log: &lockedBuffer{}, sinks: map[string]*fake{}}
	l.Stream = newStream(NewMetrics(l.reg), slog.New(slog.NewTextHandler(l.log, nil)))
	l.pace = quick
	for _, f := range sinks {
		l.sinks[f.name] = f
	}
	l.open = func(o SinkOptions) (event.Sink, error) {
		f := l.sinks[o.Name]
		f.mu.Lock()
		defer f.mu.Unlock()
		f.opened++
		return f, nil
	}
	return l
}

func start(t testing.TB, l *lab, o Options) {
	t.Helper()
	if err := l.begin(o); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		ctx, cancel := context.WithCancel(context.Background())
		cancel()
		l.Close(ctx)
	})
}

// options returns options with file sinks. The fakes do not write the files.
func options(spool string, names ...string) Options {
	o := DefaultOptions()
	o.Spool = spool
	for _, n := range names {
		s := DefaultSink()
		s.Name, s.Type, s.File.Path = n, TypeFile, "/nowhere/"+n
		o.Sinks = append(o.Sinks, s)
	}
	return o
}

func spoolFolder(t testing.TB) string {
	dir := t.TempDir()
	if err := os.Chmod(dir, 0o700); err != nil {
		t.Fatal(err)
	}
	return dir
}

// record records from, from+1 and so on to to-1, each as a message of its own.
func record(l *lab, from, to int) {
	for i := from; i < to; i++ {
		l.Record([]event.Record{{ID: fmt.Sprint(i), Time: event.Time{Time: time.Now()}, Recipient: classify.Recipient{Address: "carla@example.com"}}})
	}
}

func ids(from, to int) string {
	var list []string
	for i := from; i < to; i++ {
		list = append(list, fmt.Sprint(i))
	}
	return strings.Join(list, " ")
}

func waitFor(t testing.TB, what string, ok func() bool) {
	t.Helper()
	for end := time.Now().Add(time.Minute); !ok(); time.Sleep(time.Millisecond) {
		if time.Now().After(end) {
			t.Fatalf("waited a minute for %s", what)
		}
	}
}

func (l *lab) count(sink, result string) int {
	return int(testutil.ToFloat64(l.metrics.events.WithLabelValues(sink, result)))
}

func (l *lab) drops(sink, result string) int {
	return int(testutil.ToFloat64(l.metrics.dropped.WithLabelValues(sink, result)))
}

func is[T comparable](t testing.TB, what string, got, want T) {
	t.Helper()
	if got != want {
		t.Errorf("%s: got %v, want %v", what, got, want)
	}
}

// both runs a test with a spool and without.
func both(t *testing.T, f func(t *testing.T, spool string)) {
	t.Run("spool", func(t *testing.T) { f(t, spoolFolder(t)) })
	t.Run("memory", func(t *testing.T) { f(t, "") })
}

func BenchmarkRecord(b *testing.B) {
	for name, dir := range map[string]string{"spool": spoolFolder(b), "memory": ""} {
		b.Run(name, func(b *testing.B) {
			a := &fake{name: "a", send: func(_ context.Context, batch []event.Item) (event.Sent, error) {
				return event.Sent{Done: 0}, &event.LaterError{After: time.Hour, Err: errors.New("down")}
			}}
			l := newLab(a)
			start(b, l, options(dir, "a"))
			records := []event.Record{{ID: "01JDKQ3V5X0000000000000000", Recipient: classify.Recipient{Diagnostic: strings.Repeat("x", 250)}}}
			b.SetParallelism(16) // sessions
			b.RunParallel(func(pb *testing.PB) {
				for pb.Next() {
					l.Record(slices.Clone(records))
				}
			})
			b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "records/s")
		})
	}
}
