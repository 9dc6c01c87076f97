package main

import (
	"bufio"
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net"
	"time"
)

// Protocol options of the milter wire (libmilter/mfdef.h).
const (
	noRcpt     = 0x8
	noData     = 0x200
	noReplyHdr = 0x80
	noReplyEOH = 0x40000
	noReplyBdy = 0x80000
	everything = 0x1fffff
)

// header is one field of the message that is sent.
type header struct{ name, value string }

// message is what a client sends over and over.
type message struct {
	from    string
	headers []header
	body    []byte
}

// parse takes a message with LF line ends apart.
func parse(from string, raw []byte) message {
	head, body, _ := bytes.Cut(raw, []byte("\n\n"))
	m := message{from: from, body: bytes.ReplaceAll(body, []byte("\n"), []byte("\r\n"))}
	for line := range bytes.SplitSeq(head, []byte("\n")) {
		if line[0] == ' ' || line[0] == '\t' {
			m.headers[len(m.headers)-1].value += "\n" + string(line)
			continue
		}
		name, value, _ := bytes.Cut(line, []byte(": "))
		m.headers = append(m.headers, header{string(name), string(value)})
	}
	return m
}

// client is a mail server's side of one milter connection. It waits for no
// answer that the filter said it does not give, and sends what it may without
// one together with what comes next, as a mail server may.
type client struct {
	conn    net.Conn
	in      *bufio.Reader
	out     []byte
	options uint32
	tags    int // header insertions seen
}

// errWire is a reply that the protocol does not allow.
var errWire = errors.New("unexpected reply")

func dial(network, addr string) (*client, error) {
	conn, err := net.Dial(network, addr)
	if err != nil {
		return nil, fmt.Errorf("connecting to the milter: %w", err)
	}
	c := &client{conn: conn, in: bufio.NewReaderSize(conn, 64<<10)}
	offer := binary.BigEndian.AppendUint32(nil, 6)
	offer = binary.BigEndian.AppendUint32(offer, 0x1ff)
	offer = binary.BigEndian.AppendUint32(offer, everything)
	c.frame('O', offer)
	cmd, payload, err := c.read()
	if err == nil && (cmd != 'O' || len(payload) < 12) {
		err = errWire
	}
	if err == nil {
		c.options = binary.BigEndian.Uint32(payload[8:])
		c.frame('C', []byte("mx.remote.test\x004\x00\x19192.0.2.9\x00"))
		err = c.proceed()
	}
	if err == nil {
		c.frame('H', []byte("mx.remote.test\x00"))
		err = c.proceed()
	}
	if err != nil {
		conn.Close()
		return nil, fmt.Errorf("opening a milter session: %w", err)
	}
	return c, nil
}

// frame adds a command to what is sent next.
func (c *client) frame(cmd byte, payload []byte) {
	c.out = binary.BigEndian.AppendUint32(c.out, uint32(len(payload)+1))
	c.out = append(c.out, cmd)
	c.out = append(c.out, payload...)
}

// read sends what is waiting and reads one reply.
func (c *client) read() (byte, []byte, error) {
	if len(c.out) > 0 {
		if _, err := c.conn.Write(c.out); err != nil {
			return 0, nil, err
		}
		c.out = c.out[:0]
	}
	var size [4]byte
	if _, err := io.ReadFull(c.in, size[:]); err != nil {
		return 0, nil, err
	}
	payload := make([]byte, binary.BigEndian.Uint32(size[:]))
	if _, err := io.ReadFull(c.in, payload); err != nil {
		return 0, nil, err
	}
	if len(payload) == 0 {
		return 0, nil, errWire
	}
	return payload[0], payload[1:], nil
}

// errAccepted says that the filter wants no more of this message.
var errAccepted = errors.New("accepted early")

// proceed reads a reply that must be "continue".
func (c *client) proceed() error {
	cmd, _, err := c.read()
	switch {
	case err != nil:
		return err
	case cmd == 'a':
		return errAccepted
	case cmd != 'c' && cmd != 's':
		return fmt.Errorf("%w %q", errWire, cmd)
	}
	return nil
}

// unless reads the reply to the last command, if the filter gives one.
func (c *client) unless(option uint32) error {
	if c.options&option != 0 {
		return nil
	}
	return c.proceed()
}

// send sends one message up to the filter's verdict, and then an Abort, as
// Postfix does.
func (c *client) send(m *message) error {
	err := c.transact(m)
	if errors.Is(err, errAccepted) {
		err = nil
	}
	c.frame('A', nil)
	return err
}

func (c *client) transact(m *message) error {
	c.frame('D', []byte("Mi\x004ABCD\x00{mail_addr}\x00"+m.from+"\x00"))
	c.frame('M', []byte("<"+m.from+">\x00"))
	if err := c.proceed(); err != nil {
		return err
	}
	if c.options&noRcpt == 0 {
		c.frame('R', []byte("<user@lab.test>\x00"))
		if err := c.proceed(); err != nil {
			return err
		}
	}
	if c.options&noData == 0 {
		c.frame('T', nil)
		if err := c.proceed(); err != nil {
			return err
		}
	}
	for _, h := range m.headers {
		c.frame('L', []byte(h.name+"\x00"+h.value+"\x00"))
		if err := c.unless(noReplyHdr); err != nil {
			return err
		}
	}
	c.frame('N', nil)
	if err := c.unless(noReplyEOH); err != nil {
		return err
	}
	c.frame('B', m.body)
	if err := c.unless(noReplyBdy); err != nil {
		return err
	}
	c.frame('E', nil)
	for {
		cmd, _, err := c.read()
		switch {
		case err != nil:
			return err
		case cmd == 'i':
			c.tags++
		case cmd == 'a' || cmd == 'c':
			return nil
		case cmd != 'm' && cmd != 'h':
			return fmt.Errorf("%w %q", errWire, cmd)
		}
	}
}

// pace sends messages for a while over one connection and returns how many it
// sent and how long that took.
func pace(network, addr string, m *message, limit time.Duration) (n int, took time.Duration, tags int, err error) {
	c, err := dial(network, addr)
	if err != nil {
		return 0, 0, 0, err
	}
	defer c.conn.Close()
	began := time.Now()
	for {
		if err := c.send(m); err != nil {
			return 0, 0, 0, fmt.Errorf("sending a message: %w", err)
		}
		n++
		if took = time.Since(began); took >= limit {
			return n, took, c.tags, nil
		}
	}
}
