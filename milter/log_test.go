package milter

import (
	"bytes"
	"fmt"
	"log/slog"
	"strings"
	"testing"
	"time"

	"github.com/bounce-milter/bounce-milter/classify"
	"github.com/bounce-milter/bounce-milter/internal/action"
)

func TestLogLimit(t *testing.T) {
	var buf bytes.Buffer
	l := newLogLimit(slog.New(slog.NewTextHandler(&buf, nil)))
	now := time.Unix(1e9, 0)
	l.now = func() time.Time { return now }
	lines := func() int { n := strings.Count(buf.String(), "\n"); buf.Reset(); return n }
	for range 1000 {
		l.warn("a", "trouble")
	}
	if n := lines(); n != logBurst {
		t.Errorf("%d lines of one cause", n)
	}
	l.error("b", "other trouble")
	if n := lines(); n != 1 {
		t.Errorf("%d lines of another", n)
	}
	now = now.Add(logPeriod)
	l.warn("a", "trouble")
	if s := buf.String(); !strings.Contains(s, "kept_back=995") {
		t.Errorf("later: %s", s)
	}
	buf.Reset()
	l.warn("a", "trouble")
	if s := buf.String(); strings.Contains(s, "kept_back") {
		t.Errorf("told twice: %s", s)
	}
}

func TestReportIsLogged(t *testing.T) {
	ts := start(t, nil)
	ts.lvl.Set(slog.LevelInfo)
	ts.insp.res = func([]byte) classify.Result {
		res := bounce("gone@example.com", "b@example.org")
		res.Shadowed = []string{"shadow-rule"}
		return res
	}
	c := newClient(t, ts.dial(t), offerAll)
	c.expect('c', connectFrame("192.0.2.1"))
	c.expect('c', frame('H', "helo.example.com\x00"))
	c.send(frame('D', "Mi\x00QID1\x00"))
	c.message("", "Subject: x")
	want := `msg=report queue_id=QID1 client=mx.example.com[192.0.2.1] helo=helo.example.com from="" kind=dsn recipients=2 ` +
		`recipient=gone@example.com action=failed category=invalid-address type=hard reason=unknown-recipient status=5.1.1 ` +
		`provider=google rule=google-no-such-user others="[b@example.org failed/hard/unknown-recipient]" shadowed=[shadow-rule]`
	eventually(t, "it is logged", func() bool { return strings.Contains(ts.log.String(), "msg=report") })
	if s := ts.log.String(); !strings.Contains(s, want) {
		t.Errorf("logged %s\nwant %s", s, want)
	}
	c.message("mailer-daemon@"+strings.Repeat("x", 60000), "Subject: x")
	eventually(t, "it is logged", func() bool { return strings.Count(ts.log.String(), "msg=report") == 2 })
	if s := ts.log.String(); len(s) > 2500 {
		t.Errorf("%d octets logged", len(s))
	}
}

// TestLoggedAddresses checks that log.addresses holds for every line.
func TestLoggedAddresses(t *testing.T) {
	tests := []struct {
		choice LogAddresses
		want   string // of the report
		never  []string
	}{
		{LogFull, `from=sender@example.net kind=dsn recipients=3 recipient=gone@example.com action=failed`, nil},
		{LogDomain, `from=@example.net kind=dsn recipients=3 recipient=@example.com action=failed`, []string{"sender", "gone", "b@", "local"}},
		{LogNone, `helo="" kind=dsn recipients=3 action=failed`, []string{"sender", "gone", "b@", "local", "from=", "recipient=", "@"}},
	}
	others := map[LogAddresses]string{
		LogFull:   `others="[b@example.org failed/hard/unknown-recipient local failed/hard/unknown-recipient]"`,
		LogDomain: `others="[@example.org failed/hard/unknown-recipient @ failed/hard/unknown-recipient]"`,
		LogNone:   `others="[failed/hard/unknown-recipient failed/hard/unknown-recipient]"`,
	}
	for _, tt := range tests {
		ts := start(t, func(c *Config) {
			c.LogAddresses = tt.choice
			c.Actions = []action.Options{{Name: "trial", DryRun: true, Discard: true, Match: action.Match{Type: []string{"hard"}}}}
		})
		ts.lvl.Set(slog.LevelInfo)
		ts.insp.res = func([]byte) classify.Result { return bounce("gone@example.com", "b@example.org", "local") }
		c := newClient(t, ts.dial(t), offerAll)
		c.expect('c', connectFrame("192.0.2.1"))
		c.message("sender@example.net", "Content-Type: multipart/report", "", "x")
		eventually(t, "it is logged", func() bool { return strings.Contains(ts.log.String(), "msg=report") })
		log := ts.log.String()
		for _, want := range []string{tt.want, others[tt.choice]} {
			if !strings.Contains(log, want) {
				t.Errorf("%s: logged %s\nwant %s", tt.choice, log, want)
			}
		}
		for _, word := range tt.never {
			if strings.Contains(log, word) {
				t.Errorf("%s: %q stands in %s", tt.choice, word, log)
			}
		}
	}
}

// TestManyRecipientsAreBounded checks that a report with many recipients is one line of
// bounded length.
func TestManyRecipientsAreBounded(t *testing.T) {
	ts := start(t, nil)
	ts.lvl.Set(slog.LevelInfo)
	ts.insp.res = func([]byte) classify.Result {
		var who []string
		for i := range 1000 {
			who = append(who, fmt.Sprintf("u%d.%s@example.com", i, strings.Repeat("x", 400)))
		}
		return bounce(who...)
	}
	c := newClient(t, ts.dial(t), offerAll)
	c.expect('c', connectFrame("192.0.2.1"))
	c.message("", "Subject: x")
	eventually(t, "it is logged", func() bool { return strings.Contains(ts.log.String(), "msg=report") })
	log := ts.log.String()
	if n := strings.Count(log, "failed/hard"); n != maxLogged-1 {
		t.Errorf("%d other recipients are named", n)
	}
	if len(log) > 10_000 || !strings.Contains(log, "recipients=1000") {
		t.Errorf("%d octets: %.300s", len(log), log)
	}
}
