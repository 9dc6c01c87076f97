package milter

import (
	"bytes"
	"fmt"
	"net"
	"strings"
	"testing"

	"github.com/bounce-milter/bounce-milter/classify/dsn"
	gomilter "github.com/emersion/go-milter"
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
					ReadTimeout: patience, WriteTimeout: patience,
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
	const wantRcpt = wantProtocol &^ gomilter.OptNoRcptTo
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
		{"everything, RCPT", 6, offerActions, offerAll, ForgedRemove, wantRcpt | wantOnUnix | gomilter.OptNoRcptReply, wantActions, 6},
		{"everything, RCPT, events", 6, offerActions, offerAll, ForgedRemove, wantRcpt | wantOnUnix | gomilter.OptNoRcptReply, wantActions, 6},
		{"everything, TCP, RCPT", 6, offerActions, offerAll, ForgedRemove, wantRcpt | gomilter.OptNoMailReply, wantActions, 6},
		{"everything, tickets", 6, offerActions, offerAll, ForgedRemove,
			wantRcpt&^gomilter.OptNoBodyReply | skips | wantOnUnix | gomilter.OptNoRcptReply, wantActions, 6},
		{"tickets, SKIP not offered", 6, offerActions, offerAll &^ gomilter.OptSkip, ForgedRemove,
			wantRcpt&^gomilter.OptSkip | wantOnUnix | gomilter.OptNoRcptReply, wantActions, 6},
		{"no-reply for RCPT not offered", 6, offerActions, offerAll &^ gomilter.OptNoRcptReply, ForgedRemove, wantRcpt | wantOnUnix, wantActions, 6},
		{"version 2, RCPT", 2, 0x3f, 0x7f, ForgedRemove, 0, wantActions, 2},
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
				if strings.Contains(tt.name, "events") {
					c.Events = true
				} else if strings.Contains(tt.name, "RCPT") {
					c.VERP = []string{"bounces+{local}={domain}@lists.example.org"}
				}
				if strings.Contains(tt.name, "tickets") {
					withTickets(c)
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
