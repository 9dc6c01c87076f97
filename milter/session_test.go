package milter

import (
	"bytes"
	"fmt"
	"net"
	"net/netip"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/bounce-milter/bounce-milter/classify"
	"github.com/bounce-milter/bounce-milter/classify/dsn"
	gomilter "github.com/emersion/go-milter"
	"github.com/prometheus/client_golang/prometheus/testutil"
)

// versionDialer makes go-milter's client, which always offers version 6,
// offer another one.
type versionDialer struct{ version byte }

func (d versionDialer) Dial(network, addr string) (net.Conn, error) {
	c, err := net.Dial(network, addr)
	return &versionConn{Conn: c, version: d.version}, err
}

type versionConn struct {
	net.Conn
	version byte
	done    bool
}

func (c *versionConn) Write(p []byte) (int, error) {
	if !c.done && len(p) == 17 && p[4] == 'O' {
		p = bytes.Clone(p)
		p[8], c.done = c.version, true
	}
	return c.Conn.Write(p)
}

// TestGoMilterClient runs go-milter's own client through what an MTA does on
// one connection, at each protocol version, with each choice of no-reply.
func TestGoMilterClient(t *testing.T) {
	const noReply = gomilter.OptNoHeaderReply | gomilter.OptNoEOHReply | gomilter.OptNoBodyReply
	const noReplyAtAll = noReply | gomilter.OptNoConnReply | gomilter.OptNoHeloReply | gomilter.OptNoMailReply | gomilter.OptNoRcptReply
	tests := []struct {
		version  byte
		protocol gomilter.OptProtocol
	}{
		{2, 0}, {2, gomilter.OptNoRcptTo}, {3, 0}, {6, 0}, {6, noReply}, {6, gomilter.OptNoHeaderReply},
		{6, gomilter.OptNoBodyReply}, {6, noReply | gomilter.OptNoRcptTo | gomilter.OptNoData | gomilter.OptNoUnknown | gomilter.OptHeaderLeadingSpace},
		{6, noReplyAtAll}, {6, gomilter.OptNoMailReply},
	}
	for _, tt := range tests {
		for _, keep := range []Forged{ForgedRemove, ForgedKeep} {
			t.Run(fmt.Sprintf("v%d/%x/%s", tt.version, tt.protocol, keep), func(t *testing.T) {
				ts := start(t, func(c *Config) { c.ForgedHeaders, c.LookAt = keep, LookAtEnvelope })
				client := gomilter.NewClientWithOptions("unix", ts.path, gomilter.ClientOptions{
					Dialer:      versionDialer{tt.version},
					ReadTimeout: 10 * time.Second, WriteTimeout: 10 * time.Second,
					ActionMask:   gomilter.OptAddHeader | gomilter.OptChangeHeader,
					ProtocolMask: tt.protocol,
				})
				s, err := client.Session()
				if err != nil {
					t.Fatal(err)
				}
				if s.ProtocolOption(gomilter.OptHeaderLeadingSpace) {
					t.Error("leading space asked for")
				}
				ok := func(a *gomilter.Action, err error) gomilter.ActionCode {
					t.Helper()
					if err != nil {
						t.Fatal(err)
					}
					return a.Code
				}
				ok(s.Conn("mx.example.com", gomilter.FamilyInet, 25, "192.0.2.1"))
				ok(s.Helo("mx.example.com"))
				for i := range 5 {
					if err := s.Macros(gomilter.CodeMail, "i", fmt.Sprintf("QID%d", i)); err != nil {
						t.Fatal(err)
					}
					// A bounce, and ordinary mail between bounces.
					from, ctype := "", "multipart/report; boundary=b"
					if i%2 == 1 {
						from, ctype = "someone@example.org", "text/plain"
					}
					if ok(s.Mail(from, nil)) == gomilter.ActAccept {
						if from == "" || keep == ForgedRemove {
							t.Fatal("accepted at MAIL")
						}
						continue
					}
					for n := range 50 {
						ok(s.Rcpt(fmt.Sprintf("u%d@example.net", n), nil))
					}
					ok(s.HeaderField("Subject", "a\n\tfolded one"))
					ok(s.HeaderField("Content-Type", ctype))
					if ok(s.HeaderEnd()) == gomilter.ActAccept {
						if from == "" {
							t.Fatal("a bounce was accepted at the end of its header")
						}
						continue
					}
					ok(s.BodyChunk([]byte("--b\r\n")))
					mods, a, err := s.End()
					if got := ok(a, err); got != gomilter.ActAccept {
						t.Fatalf("the end is answered with %q", got)
					}
					if tagged := len(mods) == 5; tagged != (from == "") {
						t.Fatalf("message %d from %q: %d changes", i, from, len(mods))
					}
					if from == "" {
						if want := nullPath + "Subject: a\n\tfolded one\r\nContent-Type: " + ctype + "\r\n\r\n--b\r\n"; string(ts.insp.last()) != want {
							t.Errorf("inspected %q, want %q", ts.insp.last(), want)
						}
					}
				}
				if err := s.Close(); err != nil {
					t.Fatal(err)
				}
				ts.quiet(t)
				if got := ts.messages(dsn.KindDSN); got != 3 {
					t.Errorf("%d bounces counted, want 3", got)
				}
				if got := ts.messages(dsn.KindNone); got != 2 {
					t.Errorf("%d ordinary messages counted, want 2", got)
				}
				if log := ts.log.String(); log != "" {
					t.Errorf("logged: %s", log)
				}
			})
		}
	}
}

// TestOffer checks that nothing is asked for that was not offered, and that
// accepting early stays possible where it matters.
func TestOffer(t *testing.T) {
	const nr = gomilter.OptNoHeaderReply | gomilter.OptNoBodyReply
	tests := []struct {
		name     string
		version  uint32
		actions  gomilter.OptAction
		offer    gomilter.OptProtocol
		keep     Forged
		want     gomilter.OptProtocol
		wantActs gomilter.OptAction
		wantVer  uint32
	}{
		{"everything", 6, offerActions, offerAll, ForgedRemove, wantProtocol | wantOnUnix, wantActions, 6},
		{"everything, keep, headers seen", 6, offerActions, offerAll, ForgedKeep, wantProtocol | wantOnUnix, wantActions, 6},
		{"everything, keep", 6, offerActions, offerAll, ForgedKeep,
			wantProtocol | gomilter.OptNoConnReply | gomilter.OptNoHeloReply | gomilter.OptNoEOHReply, wantActions, 6},
		{"everything, TCP", 6, offerActions, offerAll, ForgedRemove, wantProtocol, wantActions, 6},
		{"everything, TCP, keep", 6, offerActions, offerAll, ForgedKeep, wantProtocol | gomilter.OptNoEOHReply, wantActions, 6},
		{"a later version", 7, offerActions, offerAll, ForgedRemove, wantProtocol | wantOnUnix, wantActions, 6},
		{"version 2", 2, 0x3f, 0x7f, ForgedRemove, gomilter.OptNoRcptTo, wantActions, 2},
		{"no actions", 6, 0, offerAll, ForgedRemove, wantProtocol | wantOnUnix, 0, 6},
		{"no-reply only", 4, offerActions, nr, ForgedKeep, nr, wantActions, 4},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			ts := start(t, func(c *Config) {
				c.ForgedHeaders = tt.keep
				if !strings.Contains(tt.name, "headers seen") {
					c.LookAt = LookAtEnvelope
				}
				if strings.Contains(tt.name, "TCP") {
					c.Listen = []Socket{{"tcp", "127.0.0.1:0"}}
				}
			})
			c := newClientVersion(t, ts.dial(t), tt.version, tt.actions, tt.offer)
			if c.protocol != tt.want || c.actions != tt.wantActs || c.version != tt.wantVer {
				t.Errorf("asked for protocol %b, actions %b, version %d", c.protocol, c.actions, c.version)
			}
			c.expect('c', connectFrame("192.0.2.1"))
			mods := c.message("", "X-Bounce-Category: forged", "Content-Type: multipart/report", "", "x")
			if tagged := len(mods) > 0; tagged != (tt.actions != 0) {
				t.Errorf("changes: %v", mods)
			}
			c.message("a@example.org", "Subject: hello", "", "x")
		})
	}
}

func TestForgedHeaders(t *testing.T) {
	forgedMail := []string{"X-Bounce-Category: a", "Subject: x", "x-bounce-CATEGORY: b", "X-Bounce-Origin: c",
		"X-BOUNCE-category : d", "X-Bounce-Key: stays", "", strings.Repeat("x", 60000), "y"}
	deletions := []string{"m3 X-Bounce-Category: ", "m2 X-Bounce-Category: ", "m1 X-Bounce-Category: ", "m1 X-Bounce-Origin: "}
	report := slices.Concat(forgedMail[:6], []string{"Content-Type: multipart/report", "", "x"})
	tags := []string{"i0 X-Bounce-Result", "i0 X-Bounce-Action", "i0 X-Bounce-Reason", "i0 X-Bounce-Type", "i0 X-Bounce-Category"}

	tests := []struct {
		name   string
		change func(*Config)
		from   string
		lines  []string
		want   []string // changes, insertions without their value
		forged int      // counted
		seen   bool     // inspected
	}{
		{name: "ordinary mail", from: "a@example.org", lines: forgedMail, want: deletions, forged: 4},
		{name: "ordinary mail without", from: "a@example.org", lines: []string{"Subject: x", "", "y"}},
		{name: "bounce", lines: report, want: append(slices.Clone(deletions), tags...), forged: 4, seen: true},
		{name: "bounce with a sender", from: "MAILER-DAEMON@example.org", lines: report,
			want: append(slices.Clone(deletions), tags...), forged: 4, seen: true},
		{name: "report with a sender", from: "a@example.org", lines: report,
			want: append(slices.Clone(deletions), tags...), forged: 4, seen: true},
		{name: "null sender, no bounce", lines: forgedMail, want: deletions, forged: 4, seen: true},
		{name: "kept on ordinary mail", change: func(c *Config) { c.ForgedHeaders = ForgedKeep }, from: "a@example.org", lines: forgedMail},
		{name: "kept on null sender, no bounce", change: func(c *Config) { c.ForgedHeaders = ForgedKeep }, lines: forgedMail, seen: true},
		{name: "replaced on a bounce although kept", change: func(c *Config) { c.ForgedHeaders = ForgedKeep }, lines: report,
			want: append(slices.Clone(deletions), tags...), forged: 4, seen: true},
		{name: "trusted client", change: trustClient, from: "a@example.org", lines: forgedMail},
		{name: "trusted client tagged a bounce", change: trustClient, lines: report},
		{name: "trusted client did not tag a bounce", change: trustClient, lines: report[5:], want: tags, seen: true},
		{name: "trusted client wrote no tag of ours", change: trustClient, lines: append([]string{"X-Bounce-Other: c"}, report[5:]...), want: tags, seen: true},
		{name: "observed", change: func(c *Config) { c.Mode = ModeObserve }, lines: report, forged: 4, seen: true},
		{name: "other prefix", change: func(c *Config) { c.HeaderPrefix = "X-Returned-" }, from: "a@example.org",
			lines: append([]string{"X-Returned-Kind: a"}, forgedMail...), want: []string{"m1 X-Returned-Kind: "}, forged: 1},
	}
	for _, offer := range []gomilter.OptProtocol{offerAll, 0, gomilter.OptSkip, gomilter.OptNoHeaderReply} {
		for _, tt := range tests {
			t.Run(fmt.Sprintf("%x/%s", offer, tt.name), func(t *testing.T) {
				ts := start(t, tt.change)
				c := newClient(t, ts.dial(t), offer)
				c.expect('c', connectFrame("192.0.2.1"))
				for range 2 { // and nothing is left over for the second
					mods := c.message(tt.from, tt.lines...)
					var got []string
					for _, m := range mods {
						s := m.String()
						if m.op == 'i' {
							s, _, _ = strings.Cut(s, ":")
						}
						got = append(got, s)
					}
					if !slices.Equal(got, tt.want) {
						t.Errorf("changes %q, want %q", got, tt.want)
					}
				}
				if got := int(testutil.ToFloat64(ts.metrics.forgedTotal)); got != 2*tt.forged {
					t.Errorf("%d forged headers counted, want %d", got, 2*tt.forged)
				}
				if seen := len(ts.insp.seen) == 2; seen != tt.seen {
					t.Errorf("inspected %d times", len(ts.insp.seen))
				}
			})
		}
	}
}

func trustClient(c *Config) {
	c.TrustedNetworks = []netip.Prefix{netip.MustParsePrefix("192.0.2.0/24"), netip.MustParsePrefix("2001:db8::/32")}
}

// TestSkip checks that a body stops crossing the wire when enough was seen.
func TestSkip(t *testing.T) {
	ts := start(t, func(c *Config) { c.Limits.Report.Octets = 100 << 10 })
	c := newClient(t, ts.dial(t), gomilter.OptSkip)
	c.expect('c', connectFrame("192.0.2.1"))
	chunk := strings.Repeat("0123456789abcdef", 4095)

	c.expect('c', mailFrame(""))
	c.expect('c', headerFrame("Content-Type", "multipart/report"))
	c.expect('c', frame('N', ""))
	c.expect('c', frame('B', chunk))
	c.expect('s', frame('B', chunk))
	if mods := c.end(frame('E', "")); len(mods) == 0 {
		t.Error("not tagged")
	}
	if n := len(ts.insp.last()); n != 100<<10 {
		t.Errorf("inspected %d octets", n)
	}

	c.expect('c', mailFrame("a@example.org"))
	c.expect('c', headerFrame("X-Bounce-Type", "hard"))
	c.expect('c', frame('N', ""))
	c.expect('s', frame('B', "x"))
	if mods := c.end(frame('E', "")); len(mods) != 1 {
		t.Errorf("changes %v", mods)
	}
}

// TestAborts ends messages at every stage, pipelined with the next, and then
// sends a good one on the same connection.
func TestAborts(t *testing.T) {
	ts := start(t, nil)
	stages := [][][]byte{
		{mailFrame("")},
		{mailFrame(""), headerFrame("Subject", "x")},
		{mailFrame(""), headerFrame("Subject", "x"), frame('N', "")},
		{mailFrame(""), headerFrame("X-Bounce-Type", "x"), frame('N', ""), frame('B', "abc")},
	}
	for _, offer := range []gomilter.OptProtocol{offerAll, 0} {
		c := newClient(t, ts.dial(t), offer)
		c.expect('c', connectFrame("192.0.2.1"))
		for _, frames := range stages {
			answers := 0
			for _, f := range frames {
				c.send(f)
				switch f[4] {
				case 'M':
					if !c.answered('M') {
						continue
					}
				case 'L':
					if c.protocol&gomilter.OptNoHeaderReply != 0 {
						continue
					}
				case 'B':
					if c.protocol&gomilter.OptNoBodyReply != 0 {
						continue
					}
				}
				answers++
			}
			c.send(frame('A', ""), frame('A', ""), frame('A', "")) // pipelined RSETs
			for range answers {
				if code, _ := c.read(); code != 'c' {
					t.Fatalf("answered with %q", code)
				}
			}
			if mods := c.message("", "Content-Type: multipart/report", "", "x"); len(mods) != 5 {
				t.Errorf("after an abort: %v", mods)
			}
			if want := nullPath + "Content-Type: multipart/report\r\n\r\nx"; string(ts.insp.last()) != want {
				t.Errorf("inspected %q", ts.insp.last())
			}
		}
		// Without an abort between them, as Sendmail does it.
		c.expect('c', mailFrame(""))
		c.send(headerFrame("Subject", "left behind"))
		if c.protocol&gomilter.OptNoHeaderReply == 0 {
			c.read()
		}
		if mods := c.message("", "Content-Type: multipart/report", "", "x"); len(mods) != 5 || strings.Contains(string(ts.insp.last()), "left") {
			t.Errorf("after a message without an end: %v, inspected %q", mods, ts.insp.last())
		}
		// Another client on the same connection.
		c.send(frame('K', ""))
		c.expect('c', connectFrame("192.0.2.2"))
		if mods := c.message("", "Content-Type: multipart/report", "", "x"); len(mods) != 5 {
			t.Errorf("after a new connection on the old: %v", mods)
		}
		c.send(frame('Q', ""))
	}
	ts.quiet(t)
}

// TestReturnPath checks that what is inspected has the sender on top, as it
// will have in a mailbox, unless it is no sender at all.
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

// TestTrustedOnBothSockets wants the sender to decide alike whether or not MAIL
// is answered: what it lets pass is not looked at for what its header says.
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

// TestLastPieceWithTheEnd covers an end of message that carries octets.
func TestLastPieceWithTheEnd(t *testing.T) {
	ts := start(t, nil)
	c := newClient(t, ts.dial(t), offerAll)
	c.expect('c', connectFrame("192.0.2.1"))
	c.expect('c', mailFrame(""))
	c.send(headerFrame("Content-Type", "multipart/report"))
	c.expect('c', frame('N', ""))
	c.send(frame('B', "first, "))
	if mods := c.end(frame('E', "last")); len(mods) != 5 {
		t.Errorf("changes %v", mods)
	}
	if !strings.HasSuffix(string(ts.insp.last()), "\r\n\r\nfirst, last") {
		t.Errorf("inspected %q", ts.insp.last())
	}
}

// TestOneWriteAMessage checks that changes and acceptance leave together, and
// that a pipelined message takes few reads.
func TestOneWriteAMessage(t *testing.T) {
	ts := start(t, nil)
	counted := &countConn{}
	near, far := net.Pipe()
	counted.Conn = far
	ts.admit(counted)
	c := newClient(t, near, offerAll)
	c.expect('c', connectFrame("192.0.2.1"))
	c.expect('c', mailFrame(""))
	frames := [][]byte{headerFrame("Content-Type", "multipart/report")}
	for i := range 25 {
		frames = append(frames, headerFrame(fmt.Sprintf("X-Header-%d", i), "some value or other"))
	}
	c.expect('c', bytes.Join(append(frames, frame('N', "")), nil))
	before := counted.writes.Load()
	if mods := c.end(append(frame('B', strings.Repeat("x", 5000)), frame('E', "")...)); len(mods) != 5 {
		t.Fatalf("changes %v", mods)
	}
	if n := counted.writes.Load() - before; n != 1 {
		t.Errorf("the end of a message was answered in %d writes", n)
	}
	near.Close()
	ts.quiet(t)
}

func TestPanicsAreContained(t *testing.T) {
	ts := start(t, nil)
	boom := true
	ts.insp.res = func([]byte) classify.Result {
		if boom {
			panic("boom")
		}
		return bounce("u@example.com")
	}
	c := newClient(t, ts.dial(t), offerAll)
	c.expect('c', connectFrame("192.0.2.1"))
	if mods := c.message("", "Content-Type: multipart/report", "X-Bounce-Type: hard"); len(mods) != 1 {
		t.Errorf("a message whose inspection panicked: %v, want its forged header gone", mods)
	}
	if ts.errors(stageInspect) != 1 || strings.Count(ts.log.String(), "boom") != 1 || !strings.Contains(ts.log.String(), "TestPanicsAreContained") {
		t.Errorf("%d errors, log %s", ts.errors(stageInspect), ts.log)
	}
	boom = false
	if mods := c.message("", "Content-Type: multipart/report"); len(mods) != 5 {
		t.Errorf("the next message: %v", mods)
	}
	// A panic in the session itself costs that session.
	ses := &session{srv: ts.Server}
	near, far := net.Pipe()
	ses.conn = newConn(far, panicHandler{ses}, &ts.limits, &ts.draining, nil)
	ses.conn.onClose = func(c *conn) { ts.report(ses, c.err) }
	go ses.conn.serve()
	pc := newClient(t, near, offerAll)
	pc.send(connectFrame("192.0.2.1"))
	if _, err := near.Read(make([]byte, 1)); err == nil {
		t.Error("the session goes on")
	}
	eventually(t, "the panic is counted", func() bool { return ts.errors(stageSession) == 1 })
	eventually(t, "the panic is logged", func() bool { return strings.Contains(ts.log.String(), "session panicked") })
	goodMessage(t, ts)
}

type panicHandler struct{ *session }

func (panicHandler) connected(string, netip.AddrPort) { panic("in a session") }
