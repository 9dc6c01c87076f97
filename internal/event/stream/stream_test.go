package stream

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/bounce-milter/bounce-milter/classify"
	"github.com/bounce-milter/bounce-milter/internal/event"
	"github.com/bounce-milter/bounce-milter/internal/event/file"
	"github.com/bounce-milter/bounce-milter/internal/lab/smalldisk"
	"github.com/prometheus/client_golang/prometheus/testutil"
)

func TestDelivers(t *testing.T) {
	both(t, func(t *testing.T, dir string) {
		a, b := &fake{name: "a"}, &fake{name: "b"}
		l := newLab(a, b)
		start(t, l, options(dir, "a", "b"))
		record(l, 0, 50)
		l.Record(nil)
		for _, f := range []*fake{a, b} {
			waitFor(t, f.name, func() bool { return f.ids() == ids(0, 50) })
			waitFor(t, "the count", func() bool { return l.count(f.name, resultDelivered) == 50 })
		}
		l.Close(context.Background())
		is(t, "closed", a.closed, 1)
		record(l, 50, 51) // from a session that ends late
		is(t, "warned", strings.Contains(l.log.String(), "no spool is configured"), dir == "")
	})
}

// Whatever a sink does, each record arrives in order, and what happened to it is counted.
func TestRetries(t *testing.T) {
	both(t, func(t *testing.T, dir string) {
		calls := 0
		a := &fake{name: "a"}
		a.send = func(_ context.Context, batch []event.Item) (event.Sent, error) {
			calls++
			switch calls {
			case 1:
				return event.Sent{}, errors.New("down")
			case 2:
				panic("a mistake")
			case 3:
				return event.Sent{Done: len(batch) + 7}, errors.New("more than there are")
			case 4:
				return event.Sent{Done: -1, Refused: []int{-1, 99999}}, errors.New("fewer than none")
			case 5:
				return event.Sent{}, nil
			case 6:
				return event.Sent{}, &event.LaterError{After: time.Microsecond, Err: errors.New("busy")}
			case 7:
				return event.Sent{Done: 1, Refused: []int{0}, Why: []error{errors.New("410 Gone")}}, errors.New("then down")
			case 8:
				return event.Sent{Done: 1, Skipped: 1}, nil
			}
			return event.Sent{Done: len(batch)}, nil
		}
		l := newLab(a)
		start(t, l, options(dir, "a"))
		record(l, 0, 1)
		waitFor(t, "the first", func() bool { return a.ids() == "0" })
		l.Record([]event.Record{{ID: "1"}, {ID: "2"}, {ID: "3"}})
		waitFor(t, "the rest", func() bool { return strings.HasSuffix(a.ids(), "3") })
		is(t, "taken", a.ids(), "0 2 3") // 1 was refused, 2 skipped
		waitFor(t, "counts", func() bool { return l.count("a", resultDelivered) == 2 })
		is(t, "skipped", l.count("a", resultSkipped), 1)
		is(t, "opened", a.opened, 2)
		if l.count("a", resultRetried) < 6 {
			t.Errorf("retried %d", l.count("a", resultRetried))
		}
		if dir == "" {
			is(t, "dropped", l.drops("a", droppedRefused), 1)
			return
		}
		is(t, "parked", l.count("a", resultParked), 1)
		data, err := os.ReadFile(filepath.Join(dir, "a.parked.jsonl"))
		if err != nil || !strings.Contains(string(data), `"why":"410 Gone","record":{"v":1,"id":"1"`) || !strings.HasSuffix(string(data), "}}\n") {
			t.Errorf("parked %s, %v", data, err)
		}
		for _, want := range []string{"the sink fails and will be tried again", "down", "panicked", "accepts records again", "refused records, which are parked"} {
			if !strings.Contains(l.log.String(), want) {
				t.Errorf("the log lacks %q:\n%s", want, l.log)
			}
		}
	})
}

// If the process is killed nothing is lost, and records that are sent again have the same
// ids.
func TestKilled(t *testing.T) {
	dir := spoolFolder(t)
	a, b := &fake{name: "a"}, &fake{name: "b"}
	b.send = func(context.Context, []event.Item) (event.Sent, error) { return event.Sent{}, errors.New("down") }
	l := newLab(a, b)
	start(t, l, options(dir, "a", "b"))
	record(l, 0, 20)
	waitFor(t, "a", func() bool { return a.ids() == ids(0, 20) })
	copied := spoolFolder(t)
	if err := os.CopyFS(copied, os.DirFS(dir)); err != nil { // what the next process would find
		t.Fatal(err)
	}
	a2, b2 := &fake{name: "a"}, &fake{name: "b"}
	l2 := newLab(a2, b2)
	start(t, l2, options(copied, "a", "b"))
	record(l2, 20, 25)
	waitFor(t, "b after the kill", func() bool { return b2.ids() == ids(0, 25) })
	waitFor(t, "a after the kill", func() bool { return strings.HasSuffix(a2.ids(), ids(20, 25)) })
	if !strings.HasSuffix(ids(0, 25), a2.ids()) {
		t.Errorf("a got %s", a2.ids())
	}
}

// An orderly end delivers what waits. What a sink does not accept waits for the next start.
func TestClose(t *testing.T) {
	both(t, func(t *testing.T, dir string) {
		down := func(context.Context, []event.Item) (event.Sent, error) { return event.Sent{}, errors.New("down") }
		a, b := &fake{name: "a"}, &fake{name: "b", send: down}
		l := newLab(a, b)
		l.pace.linger = time.Hour // nobody waits for it at the end
		start(t, l, options(dir, "a", "b"))
		record(l, 0, 100)
		ctx, cancel := context.WithCancel(context.Background())
		if dir == "" {
			go func() {
				waitFor(t, "a", func() bool { return a.ids() == ids(0, 100) })
				cancel() // until then b is tried again
			}()
		}
		defer cancel()
		l.Close(ctx)
		is(t, "delivered at the end", a.ids(), ids(0, 100))
		if dir == "" {
			is(t, "lost", l.drops("b", droppedStopped), 100)
			return
		}
		b.send = nil
		l2 := newLab(&fake{name: "a"}, b)
		start(t, l2, options(dir, "a", "b"))
		waitFor(t, "b", func() bool { return b.ids() == ids(0, 100) })
		is(t, "a again", l2.sinks["a"].ids(), "")
	})
}

func TestReload(t *testing.T) {
	both(t, func(t *testing.T, dir string) {
		same, changed, gone, new := &fake{name: "same"}, &fake{name: "changed"}, &fake{name: "gone"}, &fake{name: "new"}
		var down sync.Map
		changed.send = func(_ context.Context, batch []event.Item) (event.Sent, error) {
			if _, yes := down.Load("changed"); yes {
				return event.Sent{}, errors.New("down")
			}
			return event.Sent{Done: len(batch)}, nil
		}
		l := newLab(same, changed, gone, new)
		start(t, l, options(dir, "same", "changed", "gone"))
		record(l, 0, 10)
		all := func(to int, sinks ...*fake) {
			t.Helper()
			for _, f := range sinks {
				waitFor(t, f.name, func() bool { return f.ids() == ids(0, to) })
			}
		}
		all(10, same, changed, gone)
		down.Store("changed", true)
		record(l, 10, 20)
		all(20, same, gone)

		bad := options(dir, "same", "same")
		if _, err := l.Prepare(bad); err == nil {
			t.Error("a bad configuration is taken")
		}
		o := options(dir, "same", "changed", "new")
		o.Sinks[1].File.Path += ".other"
		c, err := l.Prepare(o)
		if err != nil {
			t.Fatal(err)
		}
		c.Drop()
		if c, err = l.Prepare(o); err != nil {
			t.Fatal(err)
		}
		c.Apply()
		down.Delete("changed")
		record(l, 20, 30)
		all(30, same, changed)
		waitFor(t, "new", func() bool { return new.ids() == ids(20, 30) })
		is(t, "gone", gone.ids(), ids(0, 20))
		is(t, "same was opened", same.opened, 1)
		is(t, "changed was opened", changed.opened, 2)
		is(t, "gone was closed", gone.closed, 1)
		if text := l.exposed(t); strings.Contains(text, `"gone"`) || !strings.Contains(text, `"new"`) {
			t.Errorf("series:\n%s", text)
		}

		// The secret has changed: the sink is opened anew although its options are the same.
		key := filepath.Join(t.TempDir(), "key")
		o.Sinks[0].Addresses, o.Sinks[0].AddressKeyFile = AddressesHashed, key
		for i, secret := range []string{"one", "one", "two"} {
			if err := os.WriteFile(key, []byte(secret), 0o600); err != nil {
				t.Fatal(err)
			}
			if c, err = l.Prepare(o); err != nil {
				t.Fatal(err)
			}
			c.Apply()
			record(l, 30+i, 31+i)
			all(31+i, same)
		}
		is(t, "same was opened", same.opened, 3)

		// Another folder, then none.
		for i, other := range []string{spoolFolder(t), ""} {
			o.Spool = other
			if c, err = l.Prepare(o); err != nil {
				t.Fatal(err)
			}
			c.Apply()
			record(l, 33+i, 34+i)
			waitFor(t, "same", func() bool { return strings.HasSuffix(same.ids(), fmt.Sprint(33+i)) })
		}
		if c, err = l.Prepare(options("")); err != nil {
			t.Fatal(err)
		}
		c.Apply()
		record(l, 40, 50)
		if text := l.exposed(t); strings.Contains(text, "events") {
			t.Errorf("series without sinks:\n%s", text)
		}
	})
}

func (l *lab) exposed(t *testing.T) string {
	t.Helper()
	families, err := l.reg.Gather()
	if err != nil {
		t.Fatal(err)
	}
	var b strings.Builder
	for _, f := range families {
		fmt.Fprintln(&b, f)
	}
	return b.String()
}

// All series of a sink exist from the start, and no others do.
func TestMetrics(t *testing.T) {
	a := &fake{name: "a"}
	l := newLab(a)
	is(t, "without sinks", l.exposed(t), "")
	start(t, l, options("", "a"))
	const want = `
# HELP bounce_milter_events_dropped_total Records that a sink never got, by the reason.
# TYPE bounce_milter_events_dropped_total counter
bounce_milter_events_dropped_total{result="damaged",sink="a"} 0
bounce_milter_events_dropped_total{result="disk",sink="a"} 0
bounce_milter_events_dropped_total{result="overflow",sink="a"} 0
bounce_milter_events_dropped_total{result="refused",sink="a"} 0
bounce_milter_events_dropped_total{result="stopped",sink="a"} 0
# HELP bounce_milter_events_oldest_seconds Age of the oldest record that a sink has not accepted yet, 0 if none waits.
# TYPE bounce_milter_events_oldest_seconds gauge
bounce_milter_events_oldest_seconds{sink="a"} 0
# HELP bounce_milter_events_pending Records that wait for a sink.
# TYPE bounce_milter_events_pending gauge
bounce_milter_events_pending{sink="a"} 0
# HELP bounce_milter_events_total Records that were handed to a sink, by what happened to them.
# TYPE bounce_milter_events_total counter
bounce_milter_events_total{result="delivered",sink="a"} 0
bounce_milter_events_total{result="parked",sink="a"} 0
bounce_milter_events_total{result="retried",sink="a"} 0
bounce_milter_events_total{result="skipped",sink="a"} 0
`
	if err := testutil.GatherAndCompare(l.reg, strings.NewReader(want)); err != nil {
		t.Error(err)
	}
}

// While a sink never answers, mail goes on, other sinks go on, and memory is bounded.
func TestSinkNeverAnswers(t *testing.T) {
	both(t, func(t *testing.T, dir string) {
		a, b := &fake{name: "a"}, &fake{name: "b"}
		hangs := make(chan struct{})
		a.send = func(ctx context.Context, batch []event.Item) (event.Sent, error) {
			select {
			case <-hangs:
				return event.Sent{Done: len(batch)}, nil
			case <-ctx.Done():
				return event.Sent{}, ctx.Err()
			}
		}
		n := 0
		b.send = func(_ context.Context, batch []event.Item) (event.Sent, error) {
			n += len(batch)
			return event.Sent{Done: len(batch), Skipped: len(batch)}, nil
		}
		l := newLab(a, b)
		o := options(dir, "a", "b")
		o.SpoolMax = minSpool
		start(t, l, o)
		heap := func() uint64 {
			runtime.GC()
			var m runtime.MemStats
			runtime.ReadMemStats(&m)
			return m.HeapAlloc
		}
		before := heap()
		const each = 20
		total := 12_000
		if testing.Short() { // with the race detector
			total = 1000
		}
		diagnostic := strings.Repeat("long ", 700)
		for range total / each {
			records := make([]event.Record, each)
			for i := range records {
				records[i].ID, records[i].Diagnostic = "x", diagnostic
			}
			l.Record(records)
		}
		waitFor(t, "b", func() bool {
			return l.count("b", resultSkipped)+l.drops("b", droppedOverflow) == total
		})
		if after := heap(); after > before+MaxMemory+16<<20 {
			t.Errorf("%d MiB of heap", (after-before)>>20)
		}
		pending, oldest := l.running()[0].waiting()
		if pending == 0 || oldest == 0 {
			t.Errorf("%d wait, the oldest for %v", pending, oldest)
		}
		close(hangs)
		waitFor(t, "a", func() bool {
			return l.count("a", resultDelivered)+l.drops("a", droppedOverflow) == total
		})
		if testing.Short() {
			return
		}
		if l.drops("a", droppedOverflow) == 0 {
			t.Error("all of that fits into the bound?")
		}
		is(t, "logged", strings.Count(l.log.String(), "records were lost before the sink got them") > 0, true)
	})
}

// While the disk is full mail goes on, and the problem is logged and counted. It ends when
// there is room again.
func TestFullDisk(t *testing.T) {
	smalldisk.Run(t, "1m", func(t *testing.T, dir string) {
		a := &fake{name: "a"}
		l := newLab(a)
		start(t, l, options(dir, "a"))
		w := l.now.Load().writer
		w.mu.Lock()
		w.retry = time.Millisecond
		w.mu.Unlock()
		record(l, 0, 5)
		waitFor(t, "a", func() bool { return a.ids() == ids(0, 5) })
		ballast := filepath.Join(dir, "ballast")
		if err := os.WriteFile(ballast, make([]byte, 2<<20), 0o600); err == nil {
			t.Fatal("the disk is not full")
		}
		record(l, 5, 100)
		for range 60 { // more than may wait in memory
			l.Record([]event.Record{{ID: "big", Recipient: classify.Recipient{Diagnostic: strings.Repeat("x", 100_000)}}})
		}
		waitFor(t, "drops", func() bool { return l.drops("a", droppedDisk) > 0 })
		is(t, "said", strings.Count(l.log.String(), "the spool cannot be written"), 1)
		if err := os.Remove(ballast); err != nil {
			t.Fatal(err)
		}
		// What waits is more than fits on the disk at a time.
		waitFor(t, "the rest", func() bool { record(l, 100, 101); return strings.HasSuffix(a.ids(), "100") })
		waitFor(t, "the end of it in the log", func() bool { return strings.Contains(l.log.String(), "the spool can be written again") })
	})
}

func TestPrepareRefuses(t *testing.T) {
	l := newLab(&fake{name: "a"})
	_, err := l.Prepare(options("/nowhere/spool", "a"))
	if err == nil || !strings.HasPrefix(err.Error(), "events.spool: the folder /nowhere/spool does not exist: create it") {
		t.Error(err)
	}
}

// The real file sink, whose file is opened anew as by SIGHUP.
func TestFileSink(t *testing.T) {
	path := filepath.Join(t.TempDir(), "events.jsonl")
	l := newLab()
	l.open = func(o SinkOptions) (event.Sink, error) { return openSink(o, "1.0") }
	o := options(spoolFolder(t), "a")
	o.Sinks[0].File = file.Options{Path: path}
	o.Sinks[0].Addresses = AddressesDomain
	start(t, l, o)
	lines := func(n int) func() bool {
		return func() bool {
			data, _ := os.ReadFile(path)
			return bytes.Count(data, []byte("\n")) == n && !bytes.Contains(data, []byte("carla"))
		}
	}
	record(l, 0, 3)
	waitFor(t, "three lines", lines(3))
	if err := os.Rename(path, path+".1"); err != nil {
		t.Fatal(err)
	}
	l.Reopen()
	record(l, 3, 5)
	waitFor(t, "two lines", lines(2))
	if _, err := openSink(SinkOptions{Type: "pigeon"}, ""); err == nil {
		t.Error("a pigeon was opened")
	}
}
