package maillog

import (
	"sync"
	"testing"

	"github.com/bounce-milter/bounce-milter/classify"
)

var engine = sync.OnceValues(func() (*classify.Engine, error) { return classify.New(classify.Options{}) })

func testEngine(t testing.TB) *classify.Engine {
	t.Helper()
	e, err := engine()
	if err != nil {
		t.Fatal(err)
	}
	return e
}

// TestJudge judges lines; the second time the verdict is remembered and the same.
func TestJudge(t *testing.T) {
	j, p := NewJudge(testEngine(t)), testParser()
	for _, tt := range []struct{ line, action, typ, reason string }{
		{`Nov 27 23:58:02 mx1 postfix/smtp[1]: AAAA1: to=<u@example.net>, relay=mx.example.net[192.0.2.26]:25, delay=2, dsn=5.1.1, status=bounced (host mx.example.net[192.0.2.26] said: 550 5.1.1 <u@example.net>: Recipient address rejected: User unknown (in reply to RCPT TO command))`, "failed", "hard", "unknown-recipient"},
		{`Nov 27 23:58:02 mx1 postfix/smtp[1]: AAAA1: to=<v@example.net>, relay=mx.example.net[192.0.2.27]:25, delay=2, dsn=5.1.1, status=bounced (host mx.example.net[192.0.2.27] said: 550 5.1.1 <v@example.net>: Recipient address rejected: User unknown (in reply to RCPT TO command))`, "failed", "hard", "unknown-recipient"},
		{`Nov 27 23:58:02 mx1 postfix/smtp[1]: AAAA2: to=<u@example.net>, relay=none, delay=2, dsn=4.4.1, status=deferred (connect to mx.example.net[192.0.2.26]:25: Connection timed out)`, "delayed", "soft", "network-error"},
		{`Nov 27 23:58:02 mx1 postfix/smtp[1]: AAAA3: to=<u@example.net>, relay=none, delay=2, dsn=5.4.4, status=bounced (Host or domain name not found. Name service error for name=example.net type=AAAA: Host not found)`, "failed", "hard", "unknown-domain"},
		{`Nov 27 23:58:02 mx1 postfix/smtp[1]: AAAA3: to=<u@example.net>, relay=none, delay=2, dsn=4.4.3, status=deferred (Host or domain name not found. Name service error for name=example.net type=MX: Host not found, try again)`, "delayed", "soft", "routing-error"},
		{`Nov 27 23:58:02 mx1 postfix/smtp[1]: AAAA4: to=<u@example.net>, relay=none, delay=2, dsn=5.4.6, status=bounced (mail for example.net loops back to myself)`, "failed", "soft", "mail-loop"},
		{`Nov 27 23:58:02 mx1 postfix/error[1]: AAAA5: to=<u@example.net>, relay=none, delay=2, dsn=4.7.28, status=deferred (delivery temporarily suspended: host gmail-smtp-in.l.google.com[192.0.2.1] refused to talk to me: 421-4.7.28 Gmail has detected an unusual rate of mail originating from your IP address 421 4.7.28 a640c23a62f3a-aab8d3c5a1bsi12345)`, "delayed", "soft", "rate-limited"},
		{`Nov 27 23:58:02 mx1 postfix/local[1]: AAAA6: to=<u@example.net>, relay=local, delay=2, dsn=5.1.1, status=bounced (unknown user: "u")`, "failed", "hard", "unknown-recipient"},
		{`Nov 27 23:58:02 mx1 postfix/smtp[1]: AAAA7: to=<u@example.net>, relay=mx.example.net[192.0.2.26]:25, delay=2, dsn=2.0.0, status=sent (250 2.0.0 Ok)`, "delivered", "", ""},
		{`2026-11-27 23:58:03 1tG9oF-00000000Yh1-2X1A ** u@example.net R=virtual: Unrouteable address`, "failed", "hard", "unknown-domain"},
		{`Nov 27 23:58:03 mx3 sm-mta[5122]: 4ARMw1ab005121: to=<u@example.net>, delay=00:00:02, xdelay=00:00:01, mailer=esmtp, pri=121234, relay=mx.example.net. [192.0.2.26], dsn=5.1.1, stat=User unknown`, "failed", "hard", "unknown-recipient"},
		{`Nov 27 23:58:03 mx3 sm-mta[5122]: 4ARMw1ab005121: to=<u@example.net>, delay=00:00:02, xdelay=00:00:01, mailer=esmtp, pri=121234, relay=mx.example.net. [192.0.2.26], dsn=4.0.0, stat=Deferred: Connection refused by mx.example.net.`, "delayed", "soft", "network-error"},
	} {
		es := p.Append(nil, []byte(tt.line))
		if len(es) != 1 {
			t.Errorf("%d entries of %s", len(es), tt.line)
			continue
		}
		for range 2 {
			r := j.Recipient(&es[0])
			if string(r.Action) != tt.action || string(r.Type) != tt.typ || r.Reason != tt.reason {
				t.Errorf("%s, %s, %s (%s %s), want %s, %s, %s: %s", r.Action, r.Type, r.Reason, r.Evidence, r.Rule, tt.action, tt.typ, tt.reason, tt.line)
			}
			if r.Address != es[0].Recipient || r.Diagnostic == "" || r.RemoteMTA != es[0].Relay {
				t.Errorf("%+v: %s", r, tt.line)
			}
		}
	}
}

// TestNormal tells which replies count as the same.
func TestNormal(t *testing.T) {
	for _, tt := range []struct {
		a, b string
		same bool
	}{
		{"550 <u@example.net> no", "550 <v@example.net> no", true},
		{"550 5.7.1 [192.0.2.1] blocked", "550 5.7.1 [198.51.100.7] blocked", true},
		{"421 4.7.28 a640c23a62f3a-aab8d3c5a1bsi12345 - gsmtp", "421 4.7.28 98e67ed59e1d1-2ea86f1c3a9si4711 - gsmtp", true},
		{"550 5.1.1 no", "550 5.1.2 no", false},
		{"550 5.7.1 (S775)", "550 5.7.1 (S776)", false},
		{"554 (AS16012609)", "554 (AS16012608)", false},
		{"550 https://x.example/?code=1234567890123a", "550 https://x.example/?code=1234567890123b", false},
		{"550 mailbox-a1234567.example.com", "550 mailbox-a1234568.example.com", false},
		{"550 OFR_416", "550 OFR_417", false},
	} {
		a := appendNormal(nil, tt.a, "u@example.net")
		b := appendNormal(nil, tt.b, "v@example.net")
		if (string(a) == string(b)) != tt.same {
			t.Errorf("%q and %q", a, b)
		}
	}
}
