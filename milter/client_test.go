package milter

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"io"
	"net"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	gomilter "github.com/emersion/go-milter"
)

// offerAll is what Postfix and Sendmail offer: everything.
const (
	offerAll     = gomilter.OptProtocol(0x1fffff)
	offerActions = 0x1ff
)

// wireClient speaks the protocol as MTAs do and libraries do not: pipelined, with no-reply,
// and out of order if a test needs it.
type wireClient struct {
	t        testing.TB
	conn     net.Conn
	version  uint32
	actions  gomilter.OptAction
	protocol gomilter.OptProtocol
	buf      []byte
	refused  string // the reply that the last message was refused with
}

// mod is one change that the milter asks for.
type mod struct {
	op    byte // i or m
	index uint32
	name  string
	value string
}

func frame(code byte, data string) []byte {
	b := binary.BigEndian.AppendUint32(nil, uint32(1+len(data)))
	return append(append(b, code), data...)
}

func headerFrame(name, value string) []byte { return frame('L', name+"\x00"+value+"\x00") }
func mailFrame(from string, args ...string) []byte {
	return frame('M', "<"+from+">\x00"+strings.Join(append(args, ""), "\x00"))
}
func rcptFrame(to string) []byte { return frame('R', "<"+to+">\x00") }

func connectFrame(addr string) []byte {
	family := "4"
	if strings.Contains(addr, ":") {
		family = "6"
	}
	return frame('C', "mx.example.com\x00"+family+"\x30\x39"+addr+"\x00")
}

func offerFrame(version uint32, actions gomilter.OptAction, p gomilter.OptProtocol) []byte {
	b := binary.BigEndian.AppendUint32(nil, version)
	b = binary.BigEndian.AppendUint32(b, uint32(actions))
	b = binary.BigEndian.AppendUint32(b, uint32(p))
	return frame('O', string(b))
}

// newClient negotiates protocol version 6 with every action.
func newClient(t testing.TB, conn net.Conn, p gomilter.OptProtocol) *wireClient {
	t.Helper()
	return newClientVersion(t, conn, 6, offerActions, p)
}

func newClientVersion(t testing.TB, conn net.Conn, version uint32, a gomilter.OptAction, p gomilter.OptProtocol) *wireClient {
	t.Helper()
	conn.SetDeadline(time.Now().Add(patience))
	c := &wireClient{t: t, conn: conn}
	c.send(offerFrame(version, a, p))
	code, data := c.read()
	if code != 'O' || len(data) != 12 {
		t.Fatalf("the offer is answered with %q, %d octets", code, len(data))
	}
	c.version = binary.BigEndian.Uint32(data)
	c.actions = gomilter.OptAction(binary.BigEndian.Uint32(data[4:]))
	c.protocol = gomilter.OptProtocol(binary.BigEndian.Uint32(data[8:]))
	if extra := c.actions &^ a; extra != 0 {
		t.Fatalf("actions %b that were not offered", extra)
	}
	if extra := c.protocol &^ p; extra != 0 {
		t.Fatalf("protocol bits %b that were not offered", extra)
	}
	return c
}

func (c *wireClient) send(frames ...[]byte) {
	c.t.Helper()
	if _, err := c.conn.Write(bytes.Join(frames, nil)); err != nil {
		c.t.Fatalf("sending: %v", err)
	}
}

func (c *wireClient) read() (byte, []byte) {
	c.t.Helper()
	var head [5]byte
	if _, err := io.ReadFull(c.conn, head[:]); err != nil {
		c.t.Fatalf("reading an answer: %v", err)
	}
	n := int(binary.BigEndian.Uint32(head[:])) - 1
	if cap(c.buf) < n {
		c.buf = make([]byte, n)
	}
	data := c.buf[:n]
	if _, err := io.ReadFull(c.conn, data); err != nil {
		c.t.Fatalf("reading an answer: %v", err)
	}
	return head[4], data
}

// expect sends a frame and expects one answer, unless it was negotiated that CONNECT, HELO
// or MAIL get none. The next frame must be answered all the same.
func (c *wireClient) expect(want byte, f []byte) {
	c.t.Helper()
	c.send(f)
	if !c.answered(f[4]) {
		return
	}
	if got, _ := c.read(); got != want {
		c.t.Fatalf("%q is answered with %q, want %q", f[4], got, want)
	}
}

// answered reports whether a command that begins a session or a message gets an answer.
func (c *wireClient) answered(code byte) bool {
	agreed := map[byte]gomilter.OptProtocol{'C': gomilter.OptNoConnReply, 'H': gomilter.OptNoHeloReply, 'M': gomilter.OptNoMailReply,
		'R': gomilter.OptNoRcptReply}
	return c.protocol&agreed[code] == 0
}

// end sends the end of a message and returns the changes before its acceptance.
func (c *wireClient) end(f []byte) []mod {
	c.t.Helper()
	c.send(f)
	var mods []mod
	for {
		code, data := c.read()
		switch code {
		case 'a':
			c.refused = ""
			return mods
		case 'y':
			c.refused = strings.TrimRight(string(data), "\x00")
			return mods
		case 'i', 'm':
			m := mod{op: code, index: binary.BigEndian.Uint32(data)}
			parts := strings.SplitN(string(data[4:]), "\x00", 3)
			m.name, m.value = parts[0], parts[1]
			mods = append(mods, m)
		default:
			c.t.Fatalf("the end of a message is answered with %q", code)
		}
	}
}

// message sends a message as an MTA would: header fields as "Name: value", then an empty
// line, then body chunks. It returns the changes, or nil if the message was accepted before
// its end.
func (c *wireClient) message(from string, lines ...string) []mod {
	c.t.Helper()
	c.send(mailFrame(from))
	if c.answered('M') {
		if code, _ := c.read(); code == 'a' {
			return nil
		}
	}
	if c.protocol&gomilter.OptNoRcptTo == 0 {
		c.expect('c', rcptFrame("user@example.net"))
	}
	return c.content(lines)
}

// content sends what follows the envelope.
func (c *wireClient) content(lines []string) []mod {
	c.t.Helper()
	for len(lines) > 0 && lines[0] != "" {
		name, value, _ := strings.Cut(lines[0], ": ")
		c.send(headerFrame(name, value))
		if c.protocol&gomilter.OptNoHeaderReply == 0 {
			if code, _ := c.read(); code != 'c' {
				c.t.Fatalf("a header is answered with %q", code)
			}
		}
		lines = lines[1:]
	}
	c.send(frame('N', ""))
	if c.protocol&gomilter.OptNoEOHReply == 0 {
		if code, _ := c.read(); code == 'a' {
			return nil
		}
	}
	for _, chunk := range lines {
		if chunk == "" {
			continue
		}
		c.send(frame('B', chunk))
		if c.protocol&gomilter.OptNoBodyReply == 0 {
			code, _ := c.read()
			if code == 'a' && c.protocol&gomilter.OptNoEOHReply != 0 {
				return nil
			}
			if code == 's' {
				if c.protocol&gomilter.OptSkip == 0 {
					c.t.Fatal("SKIP was not negotiated")
				}
				break
			}
			if code != 'c' {
				c.t.Fatalf("a body chunk is answered with %q", code)
			}
		}
	}
	return c.end(frame('E', ""))
}

func (m mod) String() string { return fmt.Sprintf("%c%d %s: %s", m.op, m.index, m.name, m.value) }

// nullPath is the field on top of an inspected message with the null sender.
const nullPath = "Return-Path: <>\r\n"

// goodReport is the body of a small bounce.
const goodReport = "--b\r\nContent-Type: message/delivery-status\r\n\r\nReporting-MTA: dns; mx.example.com\r\n\r\n" +
	"Final-Recipient: rfc822; gone@example.com\r\nAction: failed\r\nStatus: 5.1.1\r\n\r\n--b--\r\n"

// goodMessage checks that the server works: it tags a bounce on a new connection.
func goodMessage(t testing.TB, ts *testServer) []mod {
	t.Helper()
	c := newClient(t, ts.dial(t), offerAll)
	defer c.conn.Close()
	c.expect('c', connectFrame("192.0.2.1"))
	c.expect('c', frame('H', "mx.example.com\x00"))
	mods := c.message("", "Subject: Undelivered", "Content-Type: multipart/report; report-type=delivery-status; boundary=b", "", goodReport)
	if len(mods) == 0 || mods[0].op != 'i' {
		t.Fatalf("a good message is answered with %v", mods)
	}
	c.send(frame('Q', ""))
	return mods
}

// countConn counts calls.
type countConn struct {
	net.Conn
	reads, writes atomic.Int32
}

func (c *countConn) Read(p []byte) (int, error)  { c.reads.Add(1); return c.Conn.Read(p) }
func (c *countConn) Write(p []byte) (int, error) { c.writes.Add(1); return c.Conn.Write(p) }
