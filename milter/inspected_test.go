package milter

import (
	"strings"
	"testing"

	"github.com/bounce-milter/bounce-milter/classify"
	"github.com/bounce-milter/bounce-milter/classify/dsn"
)

// TestReturnPath checks that an inspected message has the envelope sender on top, as it will
// have in a mailbox, unless the sender is not valid.
func TestReturnPath(t *testing.T) {
	ts := start(t, nil)
	c := newClient(t, ts.dial(t), offerAll)
	c.expect('c', connectFrame("192.0.2.1"))
	for from, want := range map[string]string{
		"":                          nullPath,
		"MAILER-DAEMON@example.org": "Return-Path: <MAILER-DAEMON@example.org>\r\n",
		"MAILER-DAEMON@a\r\nX: y":   "",
		"MAILER-DAEMON@" + strings.Repeat("a", 400): "",
	} {
		c.message(from, "Subject: x", "", "body")
		if got := string(ts.insp.last()); got != want+"Subject: x\r\n\r\nbody" {
			t.Errorf("from %.40q: inspected %q", from, got)
		}
	}
}

// TestTrustedOnBothSockets checks that the sender decides in the same way whether or not MAIL
// is answered: if it lets a message pass, the header is not examined.
func TestTrustedOnBothSockets(t *testing.T) {
	for _, network := range []string{"unix", "tcp"} {
		ts := start(t, func(c *Config) {
			trustClient(c)
			if network == "tcp" {
				c.Listen = []Socket{{"tcp", "127.0.0.1:0"}}
			}
		})
		c := newClient(t, ts.dial(t), offerAll)
		c.expect('c', connectFrame("192.0.2.1"))
		if mods := c.message("owner@example.org", "Content-Type: multipart/report", "", "x"); len(mods) > 0 || len(ts.insp.seen) > 0 {
			t.Errorf("%s: %v, %d inspected", network, mods, len(ts.insp.seen))
		}
		if mods := c.message("", "Content-Type: multipart/report", "", "x"); len(mods) != 5 {
			t.Errorf("%s: a bounce afterwards: %v", network, mods)
		}
		if got := ts.messages(dsn.KindNone); got != 1 {
			t.Errorf("%s: %d ordinary messages counted", network, got)
		}
	}
}

func TestWhatIsInspected(t *testing.T) {
	tests := []struct {
		name, from string
		lines      []string
		want       bool
	}{
		{"null sender", "", []string{"Subject: x"}, true},
		{"mailer-daemon", "Mailer-Daemon@example.org", []string{"Subject: x"}, true},
		{"mailer-daemon without domain", "MAILER-DAEMON", []string{"Subject: x"}, true},
		{"author is mailer-daemon", "srs0=x@example.org", []string{"From: Mail Delivery System <MAILER-DAEMON@mx.example.com>"}, true},
		{"bare author", "srs0=x@example.org", []string{"From: MAILER-DAEMON (Mail Delivery)"}, true},
		{"report", "x@example.org", []string{"CONTENT-type: \n\tMultipart/Report; boundary=x"}, true},
		{"automatic reply", "x@example.org", []string{"Auto-Submitted: auto-replied (vacation)"}, true},
		{"failed recipients", "x@example.org", []string{"X-Failed-Recipients: u@example.com"}, true},
		{"automatic notification", "x@example.org", []string{"Auto-Submitted: auto-generated"}, false},
		{"Debian's vacation", "x@example.org", []string{"Subject: away from my mail", "Precedence: bulk"}, true},
		{"Subject of a bounce", "x@example.org", []string{"Subject: =?utf-8?q?Undelivered_?=\n\t=?utf-8?q?Mail?="}, true},
		{"Amazon SNS", "x@example.org", []string{"From: Bounces <no-reply@sns.amazonaws.com>"}, true},
		{"ordinary", "x@example.org", []string{"From: Daemon <x@example.org>", "Content-Type: multipart/mixed; boundary=report"}, false},
	}
	for _, forged := range []Forged{ForgedRemove, ForgedKeep} {
		for _, look := range []LookAt{LookAtHeader, LookAtEnvelope} {
			ts := start(t, func(c *Config) { c.ForgedHeaders, c.LookAt = forged, look })
			c := newClient(t, ts.dial(t), offerAll)
			c.expect('c', connectFrame("192.0.2.1"))
			for _, tt := range tests {
				want := tt.want && (look == LookAtHeader || tt.from != "x@example.org" && tt.from != "srs0=x@example.org")
				before := len(ts.insp.seen)
				c.message(tt.from, append(tt.lines, "", "body")...)
				if got := len(ts.insp.seen) > before; got != want {
					t.Errorf("%s, %s, %s: inspected %v, want %v", tt.name, forged, look, got, want)
				}
			}
		}
	}
}

func TestInternationalised(t *testing.T) {
	ts := start(t, nil)
	ts.insp.res = func([]byte) classify.Result { return bounce("jürgen@exämple.com") }
	c := newClient(t, ts.dial(t), offerAll)
	c.expect('c', connectFrame("2001:db8::1"))
	last := func(mods []mod) string { return mods[0].value } // inserted first, lowest: the result
	// own sends a message as Postfix sends its own, from this client.
	own := func(addr string, port byte, lines ...string) []mod {
		c.expect('c', frame('C', "localhost\x004\x00"+string(rune(port))+addr+"\x00"))
		return c.message("", lines...)
	}
	tests := []struct {
		name string
		mods func() []mod
		want string
	}{
		{"plain", func() []mod { return c.message("", "Subject: x") }, `"j\x{FC}rgen@ex\x{E4}mple.com"; `},
		{"raw UTF-8 in the header, not asked for", func() []mod { return c.message("", "Subject: für") }, `"j\x{FC}rgen@`},
		{"asked for at MAIL", func() []mod {
			c.expect('c', mailFrame("", "BODY=8BITMIME", "SMTPUTF8"))
			c.send(headerFrame("Subject", "x"))
			c.expect('c', frame('N', ""))
			return c.end(frame('E', ""))
		}, "jürgen@exämple.com; "},
		{"sender of that kind", func() []mod { return c.message("postmaster@exämple.org", "Subject: x") }, "jürgen@exämple.com; "},
		{"the MTA's own, raw UTF-8", func() []mod { return own("127.0.0.1", 0, "Subject: für") }, "jürgen@exämple.com; "},
		{"the MTA's own, ASCII", func() []mod { return own("127.0.0.1", 0, "Subject: x") }, `"j\x{FC}rgen@`},
		{"the MTA's own, another charset", func() []mod { return own("127.0.0.1", 0, "Subject: f\xfcr") }, `"j\x{FC}rgen@`},
		{"the MTA's own, two charsets", func() []mod { return own("127.0.0.1", 0, "X-A: ü", "Subject: f\xfcr", "X-B: ü") }, `"j\x{FC}rgen@`},
		{"from localhost by SMTP", func() []mod { return own("127.0.0.1", 25, "Subject: für") }, `"j\x{FC}rgen@`},
		{"port 0 from elsewhere", func() []mod { return own("192.0.2.1", 0, "Subject: für") }, `"j\x{FC}rgen@`},
	}
	for _, tt := range tests {
		if got := last(tt.mods()); !strings.HasPrefix(got, tt.want) {
			t.Errorf("%s: %q, want %q first", tt.name, got, tt.want)
		}
	}
}
