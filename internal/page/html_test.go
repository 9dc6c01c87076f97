package page

import (
	"net/http"
	"net/url"
	"regexp"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/bounce-milter/bounce-milter/classify"
	"github.com/bounce-milter/bounce-milter/classify/dsn"
	"golang.org/x/net/html"
)

// hostile is what strangers would like to see on the page.
var hostile = []string{
	`550 <script>alert(1)</script>`,
	`550 "><img src=x onerror=alert(1)>`,
	`550 </code></blockquote><style>*{display:none}</style>`,
	`550 javascript:alert(1) <a href="javascript:alert(1)">mend</a>`,
	"550 \u202edlrow\u202c \u2066isolated\u2069 \u200bhidden\u200b",
	"550 \x1b[31mred\x07\x00 and \r\n\r\nHTTP/1.1 200 OK",
	"550 \xff\xfe broken \xc3",
	"550 {{.S}} ${7*7} %s%n",
	"550 " + strings.Repeat("very long ", 10_000),
	"550 " + strings.Repeat("x", 100_000),
	"550 " + strings.Repeat("\u0301", 5000),
	"550 stuffed larder for " + strings.Repeat("@ ", 400),
	"550 stuffed larders for " + strings.Repeat("\",", 400),
}

// Whatever strangers write is text on the page, in one line, bounded and visible.
func TestHostile(t *testing.T) {
	b, _ := testBoard(begin)
	b.SetWords(testWords)
	for _, s := range hostile {
		x := bounce(classify.Unclassified)
		x.Reply, x.Address, x.Original = s, "<script>"+s, "x@"+s
		b.times(1, x)
	}
	b.SetStatus(func() Status {
		s := badStatus()
		evil := strings.Join(hostile[:8], " ")
		s.Reload.Error, s.Host, s.Version, s.Listen = evil, `"><script>`, "<b>", []string{"<i>"}
		s.Sinks[0].Error, s.Sinks[0].Name = evil, "<u>"
		return s
	})
	for path, h := range map[string]http.Handler{"/": b.Home(), "/page/words": b.Files()} {
		w := get(t, h, path)
		if w.Body.Len() > 300_000 {
			t.Errorf("%s has %d octets", path, w.Body.Len())
		}
		if !utf8.Valid(w.Body.Bytes()) {
			t.Errorf("%s is not UTF-8", path)
		}
		z := html.NewTokenizer(w.Body)
		for z.Next() != html.ErrorToken {
			tok := z.Token()
			if tok.Type == html.TextToken && strings.ContainsAny(tok.Data, "\u202e\u2066\u200b\x1b\x00\r") {
				t.Errorf("%s shows %q", path, tok.Data)
			}
			if tok.Type != html.StartTagToken && tok.Type != html.SelfClosingTagToken {
				continue
			}
			switch tok.Data {
			case "script", "img", "style", "iframe", "object", "form", "base":
				t.Errorf("%s has an element %s", path, tok)
			}
			for _, a := range tok.Attr {
				if strings.HasPrefix(a.Key, "on") || a.Key == "style" {
					t.Errorf("%s has an attribute %s", path, tok)
				}
				if a.Key == "href" || a.Key == "src" {
					if u, err := url.Parse(a.Val); err != nil || u.IsAbs() || u.Host != "" {
						t.Errorf("%s links to %q", path, a.Val)
					}
				}
			}
		}
	}
	s := b.fresh()
	if len(s.Replies) < 8 {
		t.Errorf("%d replies", len(s.Replies))
	}
	for _, r := range s.Replies {
		if len(r.Text) > 2*maxReply || len(r.Rule) > 4*maxReply || strings.ContainsAny(r.Text, "\n\x1b\u202e") {
			t.Errorf("a reply of %d octets: %.100q", len(r.Text), r.Text)
		}
	}
}

// No more replies are kept than there is room for, and the same one is kept once.
func TestRepliesAreBounded(t *testing.T) {
	b, _ := testBoard(begin)
	x := bounce(classify.Unclassified)
	for i := range 200 {
		x.Reply = "550 word" + strings.Repeat("x", i%60)
		b.times(1, x)
	}
	x.Reply = "550 the same for carla@example.com"
	b.times(2, x)
	x.Reply = "550 the same for gustav@example.org"
	b.times(1, x)
	s := b.fresh()
	if len(s.Replies) != maxReplies || s.Replies[0].Times != 3 || s.Replies[0].Text != "550 the same for [address]" {
		t.Errorf("%d replies, the first %+v", len(s.Replies), s.Replies[0])
	}
	x.Reply = "550 many at once"
	for range 10 * maxWaiting {
		b.Bounce(x)
	}
	b.takeOver()
	if n := len(b.replies.waiting); n != 0 {
		t.Errorf("%d replies wait", n)
	}
}

// Every answer says how it may be used.
func TestSecurityHeaders(t *testing.T) {
	b, _ := testBoard(begin)
	for path, h := range map[string]http.Handler{"/": b.Home(), "/?window=7d&every=60": b.Home(), "/page/words": b.Files(),
		"/page/style.css": b.Files(), "/page/icon.svg": b.Files(), "/api/v1/summary": b.JSON()} {
		w := get(t, h, path)
		csp := w.Header().Get("Content-Security-Policy")
		if w.Code != 200 || !strings.HasPrefix(csp, "default-src 'none'; style-src 'self';") || strings.Contains(csp, "unsafe") ||
			w.Header().Get("X-Content-Type-Options") != "nosniff" || w.Header().Get("Content-Type") == "" {
			t.Errorf("%s: %d %v", path, w.Code, w.Header())
		}
		if again := w.Header().Get("Refresh"); (again != "") != strings.Contains(path, "every") {
			t.Errorf("%s loads again: %q", path, again)
		}
	}
	if w := get(t, b.Files(), "/page/nothing"); w.Code != 404 {
		t.Errorf("/page/nothing: %d", w.Code)
	}
}

// Every word on the status page is explained on the page that it links to.
func TestWordsAreExplained(t *testing.T) {
	b, _ := used()
	b.SetStatus(badStatus)
	words := get(t, b.Files(), "/page/words").Body.String()
	ids := map[string]bool{}
	for _, m := range regexp.MustCompile(` id="([^"]+)"`).FindAllStringSubmatch(words, -1) {
		if ids[m[1]] {
			t.Errorf("id %s is there twice", m[1])
		}
		ids[m[1]] = true
	}
	links := regexp.MustCompile(`page/words#([^"]+)"`).FindAllStringSubmatch(get(t, b.Home(), "/").Body.String(), -1)
	if len(links) < 20 {
		t.Errorf("%d links", len(links))
	}
	for _, m := range links {
		if !ids[m[1]] {
			t.Errorf("%s is not explained", m[1])
		}
	}
	if strings.Contains(words, "<dd></dd>") {
		t.Error("a word has no explanation")
	}
}

// What is wrong stands on top, and what is well does not.
func TestTrouble(t *testing.T) {
	ids := func(b *Board) (list []string) {
		for _, t := range b.fresh().Trouble {
			list = append(list, t.ID)
		}
		return list
	}
	b, _ := testBoard(begin)
	if got := ids(b); len(got) != 0 {
		t.Errorf("without a reason: %v", got)
	}
	if page := get(t, b.Home(), "/").Body.String(); strings.Contains(page, `class="alert`) || !strings.Contains(page, "Ready for mail") {
		t.Error("an empty page is in trouble")
	}
	b.SetStatus(badStatus)
	b.Error("inspect", 3)
	b.missed.Add(1)
	if got, want := strings.Join(ids(b), " "), "not-serving socket-lost reload-refused web-config sink-behind sink-failing errors missed"; got != want {
		t.Errorf("got  %s\nwant %s", got, want)
	}
	bad, _ := testBoard(begin)
	bad.SetStatus(badStatus)
	page := get(t, bad.Home(), "/").Body.String()
	if alert, verdict := strings.Index(page, `class="alert grave"`), strings.Index(page, "Mail is not served"); alert < 0 || alert > verdict {
		t.Errorf("the banner stands at %d, the verdict at %d", alert, verdict)
	}
	if !strings.Contains(page, "config.toml:3: &lt;b&gt;wrong&lt;/b&gt;") {
		t.Error("the page does not say why the reload was refused")
	}
}

// Silence is told if mail or bounces usually come: not in a quiet place, and not at once.
func TestQuiet(t *testing.T) {
	for _, tt := range []struct {
		name             string
		messages, bounce int // an hour
		silence          time.Duration
		mail             bool // goes on
		want             string
	}{
		{"busy, and mail stops", 60, 20, 90 * time.Minute, false, "no-mail"},
		{"busy, for a moment", 60, 20, 50 * time.Minute, false, ""},
		{"bounces stop", 60, 20, 90 * time.Minute, true, "no-bounce"},
		{"one bounce an hour stops for a day", 60, 1, 24 * time.Hour, true, "no-bounce"},
		{"one bounce an hour stops for five hours", 60, 1, 5 * time.Hour, true, ""},
		{"a quiet place", 1, 0, 8 * time.Hour, false, ""},
		{"nothing ever", 0, 0, 48 * time.Hour, false, ""},
	} {
		b, c := testBoard(begin)
		hour := func(messages, bounces int) {
			for range messages {
				b.Message(dsn.KindNone)
			}
			b.times(bounces, bounce(classify.Mailbox))
			b.takeOver()
		}
		for range 24 {
			hour(tt.messages, tt.bounce)
			c.pass(time.Hour)
		}
		hour(tt.messages, tt.bounce)
		for end := c.mono + tt.silence; c.mono < end; c.pass(10 * time.Minute) {
			if tt.mail {
				hour(tt.messages/6, 0)
			}
		}
		if tt.mail {
			hour(1, 0)
		}
		got := ""
		for _, x := range b.fresh().Trouble {
			got += x.ID
		}
		if got != tt.want {
			t.Errorf("%s: %q, want %q", tt.name, got, tt.want)
		}
	}
}

func TestSpoken(t *testing.T) {
	for d, want := range map[time.Duration]string{
		-time.Second: "0 seconds", 0: "0 seconds", time.Second: "1 second", 59 * time.Second: "59 seconds", 61 * time.Second: "1 minute",
		time.Hour: "1 hour", 90 * time.Minute: "1 hour 30 minutes", 25 * time.Hour: "1 day 1 hour", 72 * time.Hour: "3 days",
	} {
		if got := spoken(d); got != want {
			t.Errorf("%v: %q, want %q", d, got, want)
		}
	}
	for n, want := range map[uint64]string{0: "0", 999: "999", 1000: "1\u202f000", 1234567: "1\u202f234\u202f567"} {
		if got := grouped(n); got != want {
			t.Errorf("%d: %q, want %q", n, got, want)
		}
	}
}

// A few beside many can still be told from none.
func TestLevel(t *testing.T) {
	if level(0, 10) != 0 || level(1, 1_000_000) != 1 || level(1_000_000, 1_000_000) != 5 || level(1, 1) != 1 || level(30, 1000) < 2 {
		t.Errorf("%d %d %d %d %d", level(0, 10), level(1, 1_000_000), level(1_000_000, 1_000_000), level(1, 1), level(30, 1000))
	}
}

// A million bounces of one minute, and numbers at their end, are shown as such.
func TestLargeNumbers(t *testing.T) {
	b, _ := testBoard(begin)
	b.mu.Lock()
	x := bounce(classify.Blocked)
	b.rings.add(b.names.bounce(&x), 1<<40)
	b.mu.Unlock()
	page := get(t, b.Home(), "/").Body.String()
	if !strings.Contains(page, "4\u202f294\u202f967\u202f295") {
		t.Error("the highest number is not shown")
	}
}
