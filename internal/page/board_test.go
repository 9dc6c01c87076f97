package page

import (
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/bounce-milter/bounce-milter/classify"
	"github.com/bounce-milter/bounce-milter/classify/dsn"
)

// clock is a time that tests set: the wall clock and the monotonic one go separately.
type clock struct {
	mu   sync.Mutex
	mono time.Duration
	wall time.Time
}

// begin is when the tests' boards start: half past an hour.
var begin = time.Date(2026, 11, 27, 14, 30, 0, 0, time.UTC)

func (c *clock) pass(d time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.mono, c.wall = c.mono+d, c.wall.Add(d)
}

// set sets the wall clock, and no time passes.
func (c *clock) set(by time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.wall = c.wall.Add(by)
}

func (c *clock) now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.wall
}

func (c *clock) elapsed() time.Duration {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.mono
}

var silent = slog.New(slog.NewTextHandler(io.Discard, nil))

func testBoard(start time.Time) (*Board, *clock) {
	c := &clock{wall: start}
	b := newBoard([]string{"inspect", "log"}, start, c.now, c.elapsed)
	b.SetStatus(func() Status { return Status{Serving: true, Started: start, Reload: Reload{Succeeded: start}} })
	return b, c
}

var testWords = Words{
	Reasons: []Reason{
		{"unknown", classify.Unclassified, classify.Soft, "It was not understood.", "Read it."},
		{"mailbox-full", classify.MailboxFull, classify.Soft, "The mailbox is over quota.", "Wait."},
	},
	Understand: func(reply string) string { return strings.ToLower(reply) },
}

// badStatus is that of a daemon with which everything is wrong that can be.
func badStatus() Status {
	at := begin.Add(-time.Minute)
	return Status{Host: "mx1.example.org", Started: begin, Version: "1.2.3", Revision: strings.Repeat("0123456789", 4), Mode: "tag", Forged: "remove",
		Listen: []string{"tcp:127.0.0.1:8894"}, Lost: []string{"unix:/run/x"}, Reload: Reload{begin, &at, "config.toml:3: <b>wrong</b>"},
		Sinks: []Sink{{"crm", "webhook", 12, 400, ""}, {"old", "file", 3, 4000, "writing: no space"}}, WebConfigWrong: true}
}

// bounce is a bounce of a category.
func bounce(c classify.Category) Bounce {
	return Bounce{Category: c, Type: classify.Soft, Provider: "other", Reason: "unknown"}
}

// times counts a bounce often.
func (b *Board) times(n int, x Bounce) {
	for range n {
		b.Bounce(x)
		if len(b.queue) == cap(b.queue) {
			b.takeOver()
		}
	}
	b.takeOver()
}

// takeOver does what Run does every second.
func (b *Board) takeOver() {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.collect()
	b.replies.mask(b.words.Load())
}

// fresh is a summary that is not a second old.
func (b *Board) fresh() *Summary { return b.summarise() }

func get(t *testing.T, h http.Handler, path string) *httptest.ResponseRecorder {
	t.Helper()
	w := httptest.NewRecorder()
	h.ServeHTTP(w, httptest.NewRequest("GET", path, nil))
	return w
}

// Each window has what was counted in it, and nothing else.
func TestWindows(t *testing.T) {
	b, c := testBoard(begin)
	check := func(hour, day, week uint64) {
		t.Helper()
		s := b.fresh()
		for name, want := range map[string]uint64{"1h": hour, "24h": day, "7d": week} {
			w := s.Windows[name]
			bars := uint64(0)
			for _, bar := range w.Bars {
				bars += total(bar.Categories)
			}
			reasons, providers := uint64(0), uint64(0)
			for _, r := range w.Reasons {
				reasons += r.Bounces
			}
			for _, p := range w.Providers {
				providers += p.Bounces
			}
			if w.Bounces != want || total(w.Categories) != want || total(w.Types) != want || bars != want || reasons != want || providers != want {
				t.Errorf("%v after the start, %s: %d bounces, %v, bars %d, reasons %d, providers %d; want %d",
					c.mono, name, w.Bounces, w.Categories, bars, reasons, providers, want)
			}
		}
	}
	check(0, 0, 0)
	b.times(3, bounce(classify.MailboxFull))
	check(3, 3, 3)
	c.pass(59 * time.Minute)
	b.times(2, bounce(classify.Blocked))
	check(5, 5, 5)
	c.pass(time.Minute)
	check(2, 5, 5)
	c.pass(22 * time.Hour)
	check(0, 5, 5)
	c.pass(time.Hour)
	check(0, 2, 5)
	c.pass(5 * 24 * time.Hour)
	check(0, 0, 5)
	c.pass(24 * time.Hour) // the first hour ended less than a week ago
	check(0, 0, 2)
	c.pass(time.Hour)
	check(0, 0, 0)
	c.pass(1000 * time.Hour)
	check(0, 0, 0)
	b.times(1, bounce(classify.DMARC))
	check(1, 1, 1)
}

// Whatever is done to the wall clock, and when summer ends, everything stays as long ago as it is.
func TestClockIsSet(t *testing.T) {
	for _, by := range []time.Duration{time.Hour, -time.Hour, 3 * time.Minute, -40 * 365 * 24 * time.Hour, 40 * 365 * 24 * time.Hour} {
		b, c := testBoard(begin)
		b.times(3, bounce(classify.Mailbox))
		b.Message(dsn.KindDSN)
		c.pass(10 * time.Minute)
		c.set(by)
		b.times(1, bounce(classify.Mailbox))
		s := b.fresh()
		if n := s.Windows["1h"].Bounces; n != 4 {
			t.Errorf("set by %v: %d bounces in the last hour, want 4", by, n)
		}
		if want := c.now().Add(-10 * time.Minute); !s.Since.Equal(want) {
			t.Errorf("set by %v: since %v, want %v", by, s.Since, want)
		}
		if bar := s.Windows["1h"].Bars[49]; bar.Categories["mailbox"] != 3 || !bar.From.Equal(c.now().Add(-10*time.Minute)) {
			t.Errorf("set by %v: ten minutes ago %v", by, bar)
		}
		c.pass(50 * time.Minute)
		if n := b.fresh().Windows["1h"].Bounces; n != 1 {
			t.Errorf("set by %v: %d bounces an hour later, want 1", by, n)
		}
	}
}

func TestRising(t *testing.T) {
	b, c := testBoard(begin)
	at := func(provider string, n int) {
		x := bounce(classify.RateLimit)
		x.Provider = provider
		b.times(n, x)
	}
	at("steady", 20)
	at("daily", 60)
	c.pass(23 * time.Hour)
	at("steady", 18)
	at("falling", 20)
	c.pass(time.Hour)
	at("steady", 22)
	at("daily", 62)
	at("new", 9)
	at("falling", 1)
	at("few", 3)
	s := b.fresh()
	got := map[string]Change{}
	for _, c := range s.Rising.Providers {
		got[c.Name] = c
	}
	for name, want := range map[string]Change{
		"steady":  {"steady", 22, 18, 20, false},
		"daily":   {"daily", 62, 0, 60, false}, // as every day at this hour
		"new":     {"new", 9, 0, 0, true},
		"falling": {"falling", 1, 20, 0, false},
		"few":     {"few", 3, 0, 0, false},
	} {
		if got[name] != want {
			t.Errorf("%s: %+v, want %+v", name, got[name], want)
		}
	}
	if s.Rising.Providers[0].Name != "new" {
		t.Errorf("what rises stands first, not %s", s.Rising.Providers[0].Name)
	}
	if !s.Rising.BeforeComplete || s.Rising.YesterdayComplete {
		t.Errorf("after 24 hours: %+v", s.Rising)
	}
	if len(s.Rising.Categories) != 1 || s.Rising.Categories[0].Now != 97 {
		t.Errorf("categories: %+v", s.Rising.Categories)
	}
}

// A daemon that has just started has nothing to compare with, so nothing rises: not until
// the hour before was counted whole. What was not counted is not shown as zero.
func TestNothingRisesAtFirst(t *testing.T) {
	b, c := testBoard(begin)
	b.times(100, bounce(classify.Blocked))
	home := func() string {
		b.takeOver()
		return get(t, b.Home(), "/").Body.String()
	}
	for _, tt := range []struct {
		pass          time.Duration
		before, rises bool
		says, saysNot string
	}{
		{0, false, false, "Nothing can be said yet: counting began", "▲ +"},
		{time.Hour + 58*time.Minute, false, false, "two hours are needed to compare", "▲ +"},
		{2 * time.Minute, true, true, "<td class=\"num\">–</td>", "Nothing can be said yet"},
		{25 * time.Hour, true, true, "<td class=\"num\">0</td>", "is known of yesterday"},
	} {
		c.pass(tt.pass)
		b.times(100, bounce(classify.Blocked))
		page, r := home(), b.fresh().Rising
		if r.BeforeComplete != tt.before || r.Categories[0].Rising != tt.rises {
			t.Errorf("after %v: %+v", tt.pass, r)
		}
		if !strings.Contains(page, tt.says) || strings.Contains(page, tt.saysNot) {
			t.Errorf("after %v the page says %q, or does not say %q:\n%s", tt.pass, tt.saysNot, tt.says, page)
		}
	}
}

// More bounces at once than can wait are counted as missing, and nobody waits.
func TestFlood(t *testing.T) {
	b, _ := testBoard(begin)
	for range maxQueue + 7 {
		b.Bounce(bounce(classify.Blocked))
	}
	s := b.fresh()
	if s.Windows["1h"].Bounces != maxQueue || s.Missed != 7 {
		t.Errorf("%d counted and %d missed", s.Windows["1h"].Bounces, s.Missed)
	}
	if len(s.Trouble) != 1 || s.Trouble[0].ID != "missed" {
		t.Errorf("trouble: %+v", s.Trouble)
	}
}

// However many names strangers could cause, what a Board holds is bounded, and every bounce
// is in its category.
func TestBounded(t *testing.T) {
	b, c := testBoard(begin)
	providers, reasons := make([]string, 3000), make([]string, maxMinuteCells+30)
	for i := range providers {
		providers[i] = fmt.Sprintf("provider-%d", i)
	}
	for i := range reasons {
		reasons[i] = fmt.Sprintf("reason-%d", i)
	}
	for i := range keptMinutes + 100 {
		b.mu.Lock()
		for j := range maxMinuteCells + 30 {
			x := bounce(categories[j%len(categories)])
			x.Provider, x.Reason = providers[(i*7+j)%len(providers)], reasons[j]
			b.note(&x, b.second())
		}
		b.mu.Unlock()
		c.pass(time.Minute)
		b.takeOver()
	}
	b.takeOver()
	cells := 0
	for _, ring := range [][][]cell{b.rings.minutes, b.rings.hours} {
		for _, s := range ring {
			cells += cap(s)
		}
	}
	if size := 8*cells + 32*(keptMinutes+keptHours); size > MaxMemory*3/4 {
		t.Errorf("%d octets of cells", size)
	}
	w := b.fresh().Windows["24h"]
	if want := uint64((24*60 - 1) * (maxMinuteCells + 30)); w.Bounces != want || total(w.Categories) != want {
		t.Errorf("%d bounces, %d by category, want %d", w.Bounces, total(w.Categories), want)
	}
	if data := b.encode(); int64(len(data)) > kept.Most/2 {
		t.Errorf("a state of %d octets", len(data))
	}
}

// The mail path allocates nothing here and takes no lock: with the Board's lock held it
// goes on.
func TestMailPathIsFree(t *testing.T) {
	b, _ := testBoard(begin)
	b.mu.Lock()
	defer b.mu.Unlock()
	x := bounce(classify.Unclassified)
	x.Reply, x.Address = "550 Something", "carla@example.com"
	if n := testing.AllocsPerRun(2*maxQueue, func() {
		b.Bounce(x)
		b.Message(dsn.KindNone)
		b.Error("inspect", 1)
	}); n != 0 {
		t.Errorf("%v allocations", n)
	}
}

// What a bounce costs the mail path.
func BenchmarkBounce(t *testing.B) {
	b, _ := testBoard(begin)
	x := bounce(classify.MailboxFull)
	t.ReportAllocs()
	for t.Loop() {
		b.Bounce(x)
		if len(b.queue) == cap(b.queue) {
			t.StopTimer()
			b.takeOver()
			t.StartTimer()
		}
	}
	if n := b.missed.Load(); n > 0 {
		t.Errorf("%d were dropped", n)
	}
}

// What counting a bounce costs, beside the mail.
func BenchmarkCount(t *testing.B) {
	b, _ := testBoard(begin)
	x := bounce(classify.MailboxFull)
	t.ReportAllocs()
	for t.Loop() {
		b.note(&x, 1)
	}
}

// What an ordinary message costs it.
func BenchmarkMessage(t *testing.B) {
	b := New(nil)
	t.ReportAllocs()
	for t.Loop() {
		b.Message(dsn.KindNone)
	}
}

// What a page costs, with a full week behind it.
func BenchmarkSummary(t *testing.B) {
	b, c := testBoard(begin)
	for i := range 7 * 24 * 60 {
		for j := range 20 {
			x := bounce(categories[j%len(categories)])
			x.Provider = fmt.Sprint("provider", (i+j)%40)
			b.times(1, x)
		}
		c.pass(time.Minute)
	}
	t.ReportAllocs()
	for t.Loop() {
		b.fresh()
	}
}

func BenchmarkPage(t *testing.B) {
	b, _ := testBoard(begin)
	b.times(100, bounce(classify.Mailbox))
	h := b.Home()
	for t.Loop() {
		h.ServeHTTP(httptest.NewRecorder(), httptest.NewRequest("GET", "/", nil))
	}
}
