package milter

import (
	"encoding/binary"
	"fmt"
	"io"
	"net"
	"runtime"
	"strings"
	"syscall"
	"testing"
	"time"

	gomilter "github.com/emersion/go-milter"
	"github.com/prometheus/client_golang/prometheus/testutil"
)

// TestHostilePeers connects one bad peer after the other. After each it checks that the server
// serves a good message, that goroutines and memory are released, and that the counters say
// what happened.
func TestHostilePeers(t *testing.T) {
	length := func(n uint32, rest string) []byte {
		return append(binary.BigEndian.AppendUint32(nil, n), rest...)
	}
	// said negotiates and connects, then sends what is wrong.
	said := func(frames ...[]byte) func(*testing.T, *testServer) {
		return func(t *testing.T, ts *testServer) {
			c := newClient(t, ts.dial(t), offerAll)
			c.expect('c', connectFrame("192.0.2.1"))
			c.conn.Write(concat(frames))
			wantClosed(t, c.conn)
		}
	}
	first := func(b []byte) func(*testing.T, *testServer) {
		return func(t *testing.T, ts *testServer) {
			c := ts.dial(t)
			c.Write(b)
			wantClosed(t, c)
		}
	}
	// The good messages before and after must keep to these times, too, on a busy machine.
	const timeout, pace = 3 * time.Second, 300 * time.Millisecond
	tests := []struct {
		name    string
		attack  func(*testing.T, *testServer)
		stage   string
		refused string
	}{
		{"zero length", said(length(0, "xxxx")), stageFrame, ""},
		{"zero length first", first(length(0, "xxxx")), stageFrame, refusedProtocol},
		{"4 GiB", said(length(1<<32-1, "B")), stageFrame, ""},
		{"just too long", said(mailFrame(""), frame('N', ""), length(maxFrame+1, "B")), stageFrame, ""},
		{"long command", said(length(maxCommand+1, "M")), stageFrame, ""},
		{"unknown command", said(frame('Z', "what")), stageFrame, ""},
		{"HTTP", first([]byte("GET / HTTP/1.1\r\nHost: example.com\r\n\r\n")), stageFrame, refusedProtocol},
		{"TLS", first([]byte("\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03")), stageFrame, refusedProtocol},
		{"SMTP", first([]byte("EHLO mx.example.com\r\n")), stageFrame, refusedProtocol},
		{"no negotiation", first(connectFrame("192.0.2.1")), stageFrame, refusedProtocol},
		{"short offer", first(frame('O', "1234")), stageFrame, refusedProtocol},
		{"version 1", first(offerFrame(1, 0x1ff, 0)), stageNegotiate, refusedProtocol},
		{"two offers", said(offerFrame(6, 0x1ff, 0)), stageFrame, ""},
		{"body without a message", said(frame('B', "x")), stageFrame, ""},
		{"body before the end of the header", said(mailFrame(""), frame('B', "x")), stageFrame, ""},
		{"header without a message", said(headerFrame("a", "b")), stageFrame, ""},
		{"header after the header", said(mailFrame(""), frame('N', ""), headerFrame("a", "b")), stageFrame, ""},
		{"end without a message", said(frame('E', "")), stageFrame, ""},
		{"end of header without a message", said(frame('N', "")), stageFrame, ""},
		{"recipient without a message", said(rcptFrame("u@example.com")), stageFrame, ""},
		{"DATA without a message", said(frame('T', "")), stageFrame, ""},
		{"MAIL without NUL", said(frame('M', "<a@example.org>")), stageFrame, ""},
		{"MAIL without anything", said(frame('M', "")), stageFrame, ""},
		{"HELO without NUL", said(frame('H', "mx")), stageFrame, ""},
		{"RCPT without NUL", said(mailFrame(""), frame('R', "<u@example.com>")), stageFrame, ""},
		{"header without NUL", said(mailFrame(""), frame('L', "Subject")), stageFrame, ""},
		{"header without a second NUL", said(mailFrame(""), frame('L', "Subject\x00x")), stageFrame, ""},
		{"macro of nothing", said(frame('D', "")), stageFrame, ""},
		{"connect without family", said(frame('C', "mx.example.com\x00")), stageFrame, ""},
		{"connect without NUL", said(frame('C', "mx.example.com")), stageFrame, ""},
		{"connect without address", said(frame('C', "mx.example.com\x004")), stageFrame, ""},
		{"connect of another family", said(frame('C', "mx.example.com\x00Zxx\x00")), stageFrame, ""},
		{"closes within a length", func(t *testing.T, ts *testServer) {
			c := newClient(t, ts.dial(t), offerAll)
			c.conn.Write([]byte{0, 0})
			c.conn.Close()
		}, stageRead, ""},
		{"closes within a frame", func(t *testing.T, ts *testServer) {
			c := newClient(t, ts.dial(t), offerAll)
			c.conn.Write(length(1000, "M<a@example.org"))
			c.conn.Close()
		}, stageRead, ""},
		{"closes within a body", func(t *testing.T, ts *testServer) {
			c := newClient(t, ts.dial(t), offerAll)
			c.expect('c', mailFrame(""))
			c.expect('c', frame('N', ""))
			c.conn.Write(length(1<<20, "B"+strings.Repeat("x", 100_000)))
			c.conn.Close()
		}, stageRead, ""},
		{"says nothing", func(t *testing.T, ts *testServer) {
			wantClosed(t, ts.dial(t))
		}, stageTimeout, refusedSilent},
		{"an octet at a time", func(t *testing.T, ts *testServer) {
			c := newClient(t, ts.dial(t), offerAll)
			go func() {
				for _, b := range mailFrame("someone.with.a.long.name@example.org") {
					if _, err := c.conn.Write([]byte{b}); err != nil {
						return
					}
					time.Sleep(pace)
				}
			}()
			wantClosed(t, c.conn)
		}, stageTimeout, ""},
		{"an octet at a time from the start", func(t *testing.T, ts *testServer) {
			c := ts.dial(t)
			go func() {
				for _, b := range offerFrame(6, 0x1ff, 0) {
					if _, err := c.Write([]byte{b}); err != nil {
						return
					}
					time.Sleep(pace)
				}
			}()
			wantClosed(t, c)
		}, stageTimeout, refusedSilent},
		{"never reads", func(t *testing.T, ts *testServer) {
			c := newClient(t, ts.dial(t), 0)
			c.expect('c', connectFrame("192.0.2.1"))
			helo := concat([][]byte{frame('H', "a\x00")})
			many := []byte(strings.Repeat(string(helo), 10000))
			for {
				if _, err := c.conn.Write(many); err != nil {
					return
				}
			}
		}, stageWrite, ""},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			ts := start(t, func(c *Config) {
				c.Limits.NegotiateTimeout = timeout
				c.Limits.FrameTimeout = timeout
				c.Limits.WriteTimeout = timeout
			})
			goodMessage(t, ts)
			ts.quiet(t)
			goroutines := runtime.NumGoroutine()
			tt.attack(t, ts)
			ts.quiet(t)
			goodMessage(t, ts)
			ts.quiet(t)
			eventually(t, "goroutines are back", func() bool { return runtime.NumGoroutine() <= goroutines })
			if got := ts.errors(tt.stage); got != 1 {
				t.Errorf("errors_total{stage=%q} = %d", tt.stage, got)
			}
			if tt.refused != "" && ts.refusedFor(tt.refused) != 1 {
				t.Errorf("sessions_refused_total{reason=%q} = %d", tt.refused, ts.refusedFor(tt.refused))
			}
			if n := strings.Count(ts.log.String(), "\n"); n != 1 {
				t.Errorf("%d lines logged:\n%s", n, ts.log)
			}
		})
	}
}

func concat(frames [][]byte) []byte {
	var b []byte
	for _, f := range frames {
		b = append(b, f...)
	}
	return b
}

// wantClosed fails the test unless the server closes the connection.
func wantClosed(t *testing.T, c net.Conn) {
	t.Helper()
	c.SetReadDeadline(time.Now().Add(patience))
	if _, err := io.Copy(io.Discard, c); isTimeout(err) {
		t.Error("the server does not close the connection")
	}
}

// TestIdleFlood opens more silent connections than are allowed. Mail must be served meanwhile,
// and everything must be released afterwards.
func TestIdleFlood(t *testing.T) {
	flood := min(2000, openFiles(t)/3)
	limit := flood / 6
	ts := start(t, func(c *Config) { c.Limits.MaxSessions = limit })
	c := newClient(t, ts.dial(t), offerAll)
	c.expect('c', connectFrame("192.0.2.1"))
	goodMessage(t, ts)
	eventually(t, "one session is open", func() bool { return testutil.ToFloat64(ts.metrics.sessions) == 1 })
	goroutines := runtime.NumGoroutine()
	var idle []net.Conn
	for range flood {
		nc, err := net.Dial("unix", ts.path)
		if err != nil {
			t.Fatal(err)
		}
		idle = append(idle, nc)
	}
	eventually(t, "the flood is in", func() bool {
		return testutil.ToFloat64(ts.metrics.opened)+float64(ts.refusedFor(refusedLimit)) >= float64(flood)
	})
	if n := testutil.ToFloat64(ts.metrics.sessions); int(n) > limit+1 {
		t.Errorf("%v sessions open, no more than %d may be", n, limit)
	}
	goodMessage(t, ts) // a new connection gets in
	if mods := c.message("", "Content-Type: multipart/report"); len(mods) != 5 {
		t.Errorf("on an old connection: %v", mods)
	}
	for _, nc := range idle {
		nc.Close()
	}
	eventually(t, "sessions and goroutines are back", func() bool {
		return testutil.ToFloat64(ts.metrics.sessions) == 1 && runtime.NumGoroutine() <= goroutines
	})
	if refused := ts.refusedFor(refusedSilent) + ts.refusedFor(refusedLimit); refused < flood-limit {
		t.Errorf("%d refused, want %d at least", refused, flood-limit)
	}
	goodMessage(t, ts)
}

// openFiles is how many files this process may have open.
func openFiles(t *testing.T) int {
	t.Helper()
	var l syscall.Rlimit
	if err := syscall.Getrlimit(syscall.RLIMIT_NOFILE, &l); err != nil {
		t.Fatal(err)
	}
	return int(min(l.Cur, 1<<20))
}

// TestSessionLimit refuses one session too many when all others are real.
func TestSessionLimit(t *testing.T) {
	ts := start(t, func(c *Config) { c.Limits.MaxSessions = 3 })
	for range 3 {
		c := newClient(t, ts.dial(t), offerAll&^gomilter.OptNoConnReply)
		c.expect('c', connectFrame("192.0.2.1"))
	}
	for range 20 {
		wantClosed(t, ts.dial(t))
	}
	eventually(t, "20 refusals are counted", func() bool { return ts.refusedFor(refusedLimit) == 20 })
	eventually(t, "some are logged", func() bool { return strings.Count(ts.log.String(), "\n") >= logBurst })
	if n := strings.Count(ts.log.String(), "\n"); n != logBurst {
		t.Errorf("%d lines logged, want %d", n, logBurst)
	}
}

// TestFullMemory makes many sessions hold as much memory as they can. None may be refused, and
// a late one must still be inspected.
func TestFullMemory(t *testing.T) {
	ts := start(t, func(c *Config) { c.Limits.MaxMemory = 4 << 20 })
	body := strings.Repeat("x", 60000)
	var clients []*wireClient
	for range 100 {
		c := newClient(t, ts.dial(t), offerAll)
		c.expect('c', connectFrame("192.0.2.1"))
		c.expect('c', mailFrame(""))
		c.send(headerFrame("Content-Type", "multipart/report"))
		c.expect('c', frame('N', ""))
		for range 5 {
			c.send(frame('B', body))
		}
		clients = append(clients, c)
	}
	eventually(t, "memory fills up", func() bool { return ts.memory.used.Load() > 3<<20 })
	const most = 4<<20 + 100*blockMin
	if used := ts.memory.used.Load(); used > most {
		t.Errorf("%d octets held, at most %d may be", used, most)
	}
	goodMessage(t, ts)
	for i, c := range clients {
		if mods := c.end(frame('E', "")); len(mods) != 5 {
			t.Fatalf("session %d: %v", i, mods)
		}
		c.conn.Close()
	}
	ts.quiet(t)
	least := 1 << 30
	for _, m := range ts.insp.seen {
		if len(m) > len(goodReport)*2 {
			least = min(least, len(m))
		}
	}
	if least < blockMin {
		t.Errorf("a message was inspected by %d octets only", least)
	}
	if n := testutil.ToFloat64(ts.metrics.truncated.WithLabelValues(cutMemory)); n < 90 {
		t.Errorf("%v messages counted as truncated", n)
	}
}

// TestLargeMessages sends bodies of 20 MB and headers beyond every limit.
func TestLargeMessages(t *testing.T) {
	ts := start(t, nil)
	for _, offer := range []uint32{0, 1 << 10, 0x1fffff} {
		c := newClient(t, ts.dial(t), gomilter.OptProtocol(offer))
		c.expect('c', connectFrame("192.0.2.1"))
		lines := []string{"X-Long: " + strings.Repeat("y", 900_000), "Content-Type: multipart/report"}
		for i := range 3000 {
			lines = append(lines, fmt.Sprintf("X-Many-%d: %s", i, strings.Repeat("z", 100)))
		}
		lines = append(lines, "X-Bounce-Type: forged behind all limits", "")
		chunk := strings.Repeat("0123456789abcdef", 4095)
		for range 20 << 20 / len(chunk) {
			lines = append(lines, chunk)
		}
		if mods := c.message("", lines...); len(mods) != 6 {
			t.Errorf("offer %x: %v", offer, mods)
		}
		if n := len(ts.insp.last()); n != DefaultConfig().Limits.Report.Octets {
			t.Errorf("offer %x: %d octets inspected", offer, n)
		}
		c.conn.Close()
	}
	ts.quiet(t)
}
