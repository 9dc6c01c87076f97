package milter

import (
	"bytes"
	"io"
	"net"
	"net/netip"
	"sync/atomic"
	"testing"
	"time"
)

func TestParseConnect(t *testing.T) {
	tests := []struct{ name, data, host, addr string }{
		{"IPv4", "mx\x004\x30\x39192.0.2.1\x00", "mx", "192.0.2.1"},
		{"IPv6 of Postfix", "mx\x006\x30\x392001:db8::1\x00", "mx", "2001:db8::1"},
		{"IPv6 of Sendmail", "mx\x006\x30\x39IPv6:2001:db8::1\x00", "mx", "2001:db8::1"},
		{"IPv4 in IPv6", "mx\x006\x30\x39::ffff:192.0.2.1\x00", "mx", "192.0.2.1"},
		{"zone", "mx\x006\x30\x39fe80::1%eth0\x00", "mx", "fe80::1"},
		{"Postfix's own", "localhost\x004\x00\x00127.0.0.1\x00", "localhost", "127.0.0.1"},
		{"unix socket", "localhost\x00L\x00\x00/run/x\x00", "localhost", ""},
		{"unix socket without a port", "localhost\x00L/run/x\x00", "localhost", ""},
		{"unknown", "unknown\x00U", "unknown", ""},
		{"no address at all", "mx\x004\x30\x39nonsense\x00", "mx", ""},
	}
	for _, tt := range tests {
		host, addr, err := parseConnect([]byte(tt.data))
		want := netip.Addr{}
		if tt.addr != "" {
			want = netip.MustParseAddr(tt.addr)
		}
		if err != nil || host != tt.host || addr.Addr() != want {
			t.Errorf("%s: %q, %v, %v", tt.name, host, addr, err)
		}
	}
}

func TestMacro(t *testing.T) {
	data := []byte("j\x00mx.example.com\x00{daemon_name}\x00MTA\x00i\x00QID1\x00empty\x00\x00last\x00cut")
	for name, want := range map[string]string{"j": "mx.example.com", "daemon_name": "MTA", "i": "QID1", "empty": "", "last": "cut", "none": ""} {
		if got := macro(data, name); got != want {
			t.Errorf("macro %q = %q, want %q", name, got, want)
		}
	}
	if got := macro([]byte("{i}\x00QID2\x00"), "i"); got != "QID2" {
		t.Errorf("{i} = %q", got)
	}
}

// FuzzFrames feeds a session whatever a peer may send, in pieces. It must not panic, hang or
// use much memory.
func FuzzFrames(f *testing.F) {
	offer := offerFrame(6, 0x1ff, offerAll)
	good := concat([][]byte{offer, connectFrame("192.0.2.1"), frame('H', "mx\x00"), frame('D', "Mi\x00QID\x00"), mailFrame(""),
		rcptFrame("u@example.com"), headerFrame("Content-Type", "multipart/report"), frame('N', ""), frame('B', "body"), frame('E', "")})
	for _, seed := range [][]byte{good, append(bytes.Clone(good), good[len(offer):]...), offer, good[:len(good)-3], []byte("GET / HTTP/1.1\r\n\r\n"),
		concat([][]byte{offer, frame('A', ""), frame('K', ""), frame('U', "what\x00"), frame('Q', "")}),
		concat([][]byte{offer, mailFrame(""), {0, 1, 0, 0, 'L', 'a'}}), {0, 0, 0, 0}, {0xff, 0xff, 0xff, 0xff, 'B'}} {
		f.Add(seed, uint8(7))
		f.Add(seed, uint8(255))
	}
	ts := start(f, nil)
	f.Fuzz(func(t *testing.T, data []byte, piece uint8) {
		ses := &session{srv: ts.Server}
		raw := &scriptConn{in: data, piece: int(piece) + 1}
		var ended error
		done := make(chan struct{})
		var off atomic.Bool
		ses.conn = newConn(raw, ses, &ts.limits, &off, func(c *conn) {
			ended = c.err
			ses.endMessage()
			close(done)
		})
		go ses.conn.serve()
		select {
		case <-done:
		case <-time.After(patience):
			t.Fatal("the session does not end")
		}
		if p, ok := ended.(*panicError); ok {
			t.Fatalf("ended by %v", p)
		}
		if used := ts.memory.used.Load(); used != 0 {
			t.Fatalf("%d octets are not given back", used)
		}
		if raw.most > len(data)+readSize+maxFrame {
			t.Fatalf("asked for %d octets at once", raw.most)
		}
	})
}

// scriptConn reads what it was given in pieces, then ends.
type scriptConn struct {
	net.Conn // nil: what is not below is not called
	in       []byte
	piece    int
	most     int
}

func (c *scriptConn) Read(p []byte) (int, error) {
	c.most = max(c.most, len(p))
	if len(c.in) == 0 {
		return 0, io.EOF
	}
	n := copy(p[:min(len(p), c.piece)], c.in)
	c.in = c.in[n:]
	return n, nil
}

func (c *scriptConn) Write(p []byte) (int, error)      { return len(p), nil }
func (c *scriptConn) Close() error                     { return nil }
func (c *scriptConn) RemoteAddr() net.Addr             { return &net.UnixAddr{Name: "script", Net: "unix"} }
func (c *scriptConn) SetReadDeadline(time.Time) error  { return nil }
func (c *scriptConn) SetWriteDeadline(time.Time) error { return nil }
