package main

import (
	"log/slog"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/bounce-milter/bounce-milter/config"
)

func TestProgress(t *testing.T) {
	var w strings.Builder
	now := time.Unix(0, 0)
	p := newProgress(&w, 80, 1000)
	p.now = func() time.Time { return now }
	p.start = now

	p.add(100)
	if w.String() != "" {
		t.Errorf("a short run shows %q", w.String())
	}
	now = now.Add(time.Second)
	p.add(150)
	want := "\rclassify  " + "██████████" + strings.Repeat(" ", 30) + "   25 %  2 messages  3s left\x1b[K"
	if w.String() != want {
		t.Errorf("got  %q\nwant %q", w.String(), want)
	}
	w.Reset()
	now = now.Add(50 * time.Millisecond)
	p.add(1)
	if w.String() != "" {
		t.Errorf("drawn again after 50 ms: %q", w.String())
	}
	p.clear()
	p.clear()
	if w.String() != "\r\x1b[K" {
		t.Errorf("cleared with %q", w.String())
	}
	if n := len([]rune(newProgress(&w, 40, 1000).line(now))); n > 40 {
		t.Errorf("%d columns on a terminal of 40", n)
	}
	var none *progress
	none.add(1)
	none.clear()

	unknown := newProgress(&w, 80, 0)
	unknown.messages = 1234567
	if got := unknown.line(now); got != "classify  1,234,567 messages" {
		t.Errorf("of unknown size: %q", got)
	}
}

func TestBar(t *testing.T) {
	for _, tt := range []struct {
		share float64
		want  string
	}{{0, ""}, {0.0001, "▏"}, {0.5, "██"}, {0.6, "██▍"}, {1, "████"}, {7, "████"}, {-1, ""}} {
		if got := bar(tt.share, 4); got != tt.want {
			t.Errorf("%v: %q, want %q", tt.share, got, tt.want)
		}
	}
}

func TestClean(t *testing.T) {
	for in, want := range map[string]string{
		"plain é 漢字":              "plain é 漢字",
		"\x1b]0;title\x07\x9b31m": "·]0;title··31m",
		"two\nlines\tand":         "two lines and",
		"a\u202eb\u200bc\ufeffd":  "a·b·c·d",
		"broken \xff":             "broken ·",
	} {
		if got := clean(in); got != want {
			t.Errorf("%q: %q, want %q", in, got, want)
		}
	}
}

func TestWrap(t *testing.T) {
	got := wrap("  one two\nthree  averyverylongword  four", 9)
	if want := []string{"one two", "three", "averyverylongword", "four"}; !slices.Equal(got, want) {
		t.Errorf("%q, want %q", got, want)
	}
	if got := wrap("", 9); got != nil {
		t.Errorf("%q of nothing", got)
	}
}

// Languages without spaces are broken where Unicode allows it, and wide characters
// count as two columns.
func TestWrapWide(t *testing.T) {
	for _, c := range []struct {
		name, text string
		n          int
		want       []string
	}{
		{"Japanese", "550 該当するユーザーが存在しません。", 14, []string{"550 該当する", "ユーザーが存在", "しません。"}},
		{"no line begins with a full stop", "存在しません。", 13, []string{"存在しませ", "ん。"}},
		{"an id stays whole", "user-unknown-in-table/該当する", 12, []string{"user-unknown-in-table/", "該当する"}},
		{"Thai", "ไม่พบผู้ใช้นี้", 5, []string{"ไม่พบผู้", "ใช้นี้"}},
		{"Latin letters", "Empfänger unbekannt", 10, []string{"Empfänger", "unbekannt"}},
		{"one character wider than the line", "存在", 1, []string{"存", "在"}},
	} {
		if got := wrap(c.text, c.n); !slices.Equal(got, c.want) {
			t.Errorf("%s: %q, want %q", c.name, got, c.want)
		}
	}
}

func TestPad(t *testing.T) {
	for in, want := range map[string]string{
		"abc": "abc   ", "存在": "存在  ", "e\u0301": "e\u0301     ", "longer than that": "longer than that",
	} {
		if got := pad(in, 6); got != want {
			t.Errorf("%q: %q, want %q", in, got, want)
		}
	}
}

// FuzzWrap: nothing is lost, and what can be broken fits.
func FuzzWrap(f *testing.F) {
	for _, s := range []string{"550 該当するユーザーが存在しません。", "ไม่พบผู้ใช้นี้ 👩‍👩‍👧 x", "\xff\xfe a\u200bb", "a-b/c 存在"} {
		f.Add(s, 10)
	}
	f.Fuzz(func(t *testing.T, s string, n int) {
		if n < 2 || n > 200 || len(s) > 4000 {
			return
		}
		got := strings.Join(wrap(s, n), "")
		if want := strings.Join(strings.Fields(s), ""); strings.Join(strings.Fields(got), "") != want {
			t.Errorf("%q became %q", s, got)
		}
	})
}

func TestStyle(t *testing.T) {
	if got := (style{}).paint(red, "x"); got != "x" {
		t.Errorf("no terminal: %q", got)
	}
	if got := (style{on: true}).paint(red, "x"); got != "\x1b[31mx\x1b[0m" {
		t.Errorf("terminal: %q", got)
	}
}

// A reload changes level and format of loggers that exist, what they were given
// included.
func TestLogHandler(t *testing.T) {
	var w strings.Builder
	h := newLogHandler(&w)
	log := slog.New(h).With("session", 7).WithGroup("g")
	line := func() string {
		defer w.Reset()
		log.Info("hello", "x", 1)
		_, text, _ := strings.Cut(w.String(), "level")
		return strings.TrimSpace(text)
	}
	if got, want := line(), `=INFO msg=hello session=7 g.x=1`; got != want {
		t.Errorf("got %q, want %q", got, want)
	}
	h.set(config.Log{Level: slog.LevelInfo, Format: "json"})
	if got, want := line(), `":"INFO","msg":"hello","session":7,"g":{"x":1}}`; got != want {
		t.Errorf("got %q, want %q", got, want)
	}
	h.set(config.Log{Level: slog.LevelWarn, Format: "json"})
	if got := line(); got != "" {
		t.Errorf("below the level: %q", got)
	}
}
