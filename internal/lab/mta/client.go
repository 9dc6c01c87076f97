// Package mta is a mail server's side of the milter wire, for load and measurements: it
// encodes messages ahead, and does not wait for answers that the filter said it will not
// give.
package mta

import (
	"bufio"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net"
	"slices"
	"strings"
	"time"

	"github.com/bounce-milter/bounce-milter/internal/lab"
)

// Protocol options of the milter wire (libmilter/mfdef.h).
const (
	noRcpt      = 0x8
	noData      = 0x200
	noReplyHdr  = 0x80
	noReplyConn = 0x1000
	noReplyHelo = 0x2000
	noReplyMail = 0x4000
	noReplyRcpt = 0x8000
	noReplyData = 0x10000
	noReplyEOH  = 0x40000
	noReplyBdy  = 0x80000
	everything  = 0x1fffff
)

// Message is what a client sends, perhaps over and over, as encoded commands: if they were
// encoded each time, that would be measured together with the filter.
type Message struct {
	mail, rcpt, data, eoh, body, eom []byte
	headers                          [][]byte
}

// command encodes one command.
func command(cmd byte, payload string) []byte {
	b := binary.BigEndian.AppendUint32(nil, uint32(len(payload)+1))
	return append(append(b, cmd), payload...)
}

// Envelope is what a mail server knows of a message beside its text.
type Envelope struct {
	QueueID  string
	From, To string
}

// Parse encodes a message with LF line ends.
func Parse(e Envelope, raw []byte) *Message {
	head, body, _ := strings.Cut(string(raw), "\n\n")
	m := &Message{
		mail: append(command('D', "Mi\x00"+e.QueueID+"\x00{mail_addr}\x00"+e.From+"\x00"), command('M', "<"+e.From+">\x00")...),
		rcpt: command('R', "<"+e.To+">\x00"), data: command('T', ""), eoh: command('N', ""),
		body: command('B', strings.ReplaceAll(body, "\n", "\r\n")), eom: command('E', ""),
	}
	var fields []string
	for line := range strings.SplitSeq(head, "\n") {
		if line[0] == ' ' || line[0] == '\t' {
			fields[len(fields)-1] += "\n" + line
			continue
		}
		fields = append(fields, line)
	}
	for _, f := range fields {
		name, value, _ := strings.Cut(f, ": ")
		m.headers = append(m.headers, command('L', name+"\x00"+value+"\x00"))
	}
	return m
}

// Fields is how many header fields the message has.
func (m *Message) Fields() int { return len(m.headers) }

// Client is a mail server's side of one milter connection. It does not wait for answers
// that the filter said it does not give, and sends such commands together with the next,
// as a mail server may.
type Client struct {
	conn    net.Conn
	in      *bufio.Reader
	out     []byte
	payload []byte // of the last reply
	options uint32
	tags    int
}

// errWire is a reply that the protocol does not allow.
var errWire = errors.New("unexpected reply")

// Dial connects to a filter, agrees on what it wants to see, and names the host that the
// mail comes from.
func Dial(network, addr string) (*Client, error) {
	conn, err := net.Dial(network, addr)
	if err != nil {
		return nil, fmt.Errorf("connecting to the milter: %w", err)
	}
	c := &Client{conn: conn, in: bufio.NewReaderSize(conn, 64<<10)}
	offer := binary.BigEndian.AppendUint32(nil, 6)
	offer = binary.BigEndian.AppendUint32(offer, 0x1ff)
	offer = binary.BigEndian.AppendUint32(offer, everything)
	c.add(command('O', string(offer)))
	cmd, payload, err := c.read()
	if err == nil && (cmd != 'O' || len(payload) < 12) {
		err = errWire
	}
	if err == nil {
		c.options = binary.BigEndian.Uint32(payload[8:])
		c.add(command('C', "mx.remote.test\x004\x00\x19192.0.2.9\x00"))
		err = c.unless(noReplyConn)
	}
	if err == nil {
		c.add(command('H', "mx.remote.test\x00"))
		err = c.unless(noReplyHelo)
	}
	if err != nil {
		conn.Close()
		return nil, fmt.Errorf("opening a milter session: %w", err)
	}
	return c, nil
}

// add adds a command to what is sent next.
func (c *Client) add(command []byte) { c.out = append(c.out, command...) }

// read sends what is waiting and reads one reply.
func (c *Client) read() (byte, []byte, error) {
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
	n := binary.BigEndian.Uint32(size[:])
	if n == 0 || n > 1<<20 {
		return 0, nil, errWire
	}
	c.payload = slices.Grow(c.payload[:0], int(n))[:n]
	if _, err := io.ReadFull(c.in, c.payload); err != nil {
		return 0, nil, err
	}
	return c.payload[0], c.payload[1:], nil
}

// errAccepted says that the filter has accepted the message before its end.
var errAccepted = errors.New("accepted early")

// proceed reads a reply that must be "continue".
func (c *Client) proceed() error {
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
func (c *Client) unless(option uint32) error {
	if c.options&option != 0 {
		return nil
	}
	return c.proceed()
}

// Close drops the connection.
func (c *Client) Close() error { return c.conn.Close() }

// Tags is how many header fields the filter has inserted so far.
func (c *Client) Tags() int { return c.tags }

// Send sends one message up to the filter's verdict, and then an Abort, as
// Postfix does. It waits no longer than [lab.Patience].
func (c *Client) Send(m *Message) error {
	if err := c.conn.SetDeadline(time.Now().Add(lab.Patience)); err != nil {
		return err
	}
	err := c.transact(m)
	if errors.Is(err, errAccepted) {
		err = nil
	}
	c.add(abort)
	return err
}

var abort = command('A', "")

func (c *Client) transact(m *Message) error {
	c.add(m.mail)
	if err := c.unless(noReplyMail); err != nil {
		return err
	}
	if c.options&noRcpt == 0 {
		c.add(m.rcpt)
		if err := c.unless(noReplyRcpt); err != nil {
			return err
		}
	}
	if c.options&noData == 0 {
		c.add(m.data)
		if err := c.unless(noReplyData); err != nil {
			return err
		}
	}
	for _, h := range m.headers {
		c.add(h)
		if err := c.unless(noReplyHdr); err != nil {
			return err
		}
	}
	c.add(m.eoh)
	if err := c.unless(noReplyEOH); err != nil {
		return err
	}
	c.add(m.body)
	if err := c.unless(noReplyBdy); err != nil {
		return err
	}
	c.add(m.eom)
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
