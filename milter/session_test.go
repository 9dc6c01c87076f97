package milter

import (
	"bytes"
	"fmt"
	"net"
	"net/netip"
	"slices"
	"strings"
	"testing"

	"github.com/bounce-milter/bounce-milter/classify"
	gomilter "github.com/emersion/go-milter"
	"github.com/prometheus/client_golang/prometheus/testutil"
)

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

// TestOneWriteAMessage checks that changes and acceptance are sent with one write, and that a
// pipelined message takes few reads.
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
