package milter

import (
	"bytes"
	"log/slog"
	"strings"
	"testing"
	"time"

	"github.com/bounce-milter/bounce-milter/classify"
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
		res := bounce("gone@example.com", "b@example.com")
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
		`provider=google rule=google-no-such-user shadowed=[shadow-rule]`
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
