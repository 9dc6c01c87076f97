package milter

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net"
	"net/netip"
	"runtime/debug"
	"sync"
	"sync/atomic"
	"time"

	gomilter "github.com/emersion/go-milter"
)

const (
	readSize  = 8 << 10  // a bounce's commands up to its body, mostly
	flushSize = 32 << 10 // replies waiting for more are sent beyond this
)

var (
	readPool    = sync.Pool{New: func() any { b := make([]byte, readSize); return &b }}
	discardPool = sync.Pool{New: func() any { b := make([]byte, 64<<10); return &b }}

	errTimeout  = errors.New("timed out")
	errDraining = errors.New("shutting down")
)

// handler takes what a conn keeps from go-milter: frames that come in such
// numbers, or with such effect on memory, that they are dealt with in place.
type handler interface {
	offered(offer) (version uint32, a gomilter.OptAction, p gomilter.OptProtocol, err error)
	connected(host string, client netip.AddrPort)
	macros(stage byte, data []byte)
	mail(from string, utf8 bool)
	// header takes one header field; cut says that its end was skipped.
	header(name, value []byte, cut bool)
	// body returns where octets of the body go, nil when no more are wanted.
	body() *buffer
	// reset forgets the message and the client: another one follows.
	reset()
}

// panicError is a panic that was caught, with where it happened.
type panicError struct {
	value any
	stack []byte
}

func (e *panicError) Error() string { return fmt.Sprintf("panic: %v", e.value) }

// conn is a milter connection as go-milter sees it: Read hands over checked
// frames only, Write collects until there is nothing more to read. Header
// fields, body, macros and negotiation never reach go-milter; it would take
// memory for each, answer where no answer is wanted, and keep header fields
// from message to message. Errors end in a clean end of file for go-milter,
// which would log them; the cause goes to ended.
//
// All but interrupt and hungUp belongs to the goroutine that reads.
type conn struct {
	net.Conn
	h      handler
	limits *atomic.Pointer[Limits]
	quick  func() // asks for immediate acknowledgements, nil where there is no need

	buf   []byte // filled from r to w
	r, w  int
	pool  *[]byte // what buf was taken from the pool with, nil once it has grown
	out   []byte  // rest of the frame that go-milter is reading, within buf
	reply []byte  // answers not sent yet
	begun time.Time

	phase    phase
	noReply  gomilter.OptProtocol // no-reply bits in force
	skip     bool                 // SKIP was negotiated
	pieces   int                  // that came of the current frame after its first
	content  bool                 // a header field was seen: the MTA has the whole message
	err      error                // why reading ended, nil for a clean end
	broken   error                // why writing failed: nothing more is sent
	replied  bool                 // something was sent since the last octet came
	opened   time.Time
	idle     atomic.Bool // between messages
	arriving atomic.Bool // the content of a message, from its first header field to its end
	holds    atomic.Bool // the MTA sends CONNECT and MAIL when it likes, for they are not answered
	spoke    atomic.Bool // the negotiation is behind it
	client   atomic.Bool // it has told of a client
	evicted  atomic.Bool // closed to make room
	draining *atomic.Bool
	onClose  func(*conn)
	closed   sync.Once
}

var _ net.Conn = (*conn)(nil)

func newConn(nc net.Conn, h handler, limits *atomic.Pointer[Limits], draining *atomic.Bool, onClose func(*conn)) *conn {
	c := &conn{Conn: nc, h: h, limits: limits, draining: draining, onClose: onClose, quick: quickAck(nc)}
	c.pool = readPool.Get().(*[]byte)
	c.buf = *c.pool
	c.idle.Store(true)
	c.opened = time.Now()
	c.begun = c.opened
	return c
}

// Read gives go-milter the next octets of checked frames.
func (c *conn) Read(p []byte) (n int, err error) {
	defer func() {
		if v := recover(); v != nil {
			c.end(&panicError{v, debug.Stack()})
			n, err = 0, io.EOF
		}
	}()
	for len(c.out) == 0 {
		if c.phase == phaseClosed {
			return 0, io.EOF
		}
		if err := c.next(); err != nil {
			c.end(err)
			return 0, io.EOF
		}
	}
	n = copy(p, c.out)
	c.out = c.out[n:]
	return n, nil
}

// Write keeps p until the peer waits for it. It never fails: what goes wrong
// in sending ends the next Read.
func (c *conn) Write(p []byte) (int, error) {
	c.reply = append(c.reply, p...)
	c.spill()
	return len(p), nil
}

// Close sends what is left and closes. Only the first call does anything.
func (c *conn) Close() error {
	var err error
	c.closed.Do(func() {
		if c.phase != phaseClosed {
			c.end(errLost) // by go-milter, which cannot be
		}
		if c.err == nil {
			c.err = c.flush()
		}
		err = c.Conn.Close()
		c.phase, c.out, c.reply = phaseClosed, nil, nil
		if c.pool != nil {
			readPool.Put(c.pool)
		}
		c.buf, c.pool = nil, nil
		if c.onClose != nil {
			c.onClose(c)
		}
	})
	return err
}

// end makes every further Read an end of file. The first cause counts.
func (c *conn) end(err error) {
	if c.phase != phaseClosed {
		c.phase = phaseClosed
		if !errors.Is(err, io.EOF) {
			c.err = err
		}
	}
}

// isUnix reports whether the peer is on this host, behind a unix socket.
func (c *conn) isUnix() bool {
	_, ok := c.Conn.(*net.UnixConn)
	return ok
}

// hungUp reports whether the peer waits for no answer any more. Any goroutine
// may ask.
func (c *conn) hungUp() bool { return hungUp(c.Conn) }

// What a connection has shown of being a mail server's, the least first.
const (
	rankSilent  = iota // no word of the protocol
	rankDue            // no client, though it sends CONNECT at once, for we answer it
	rankHolding        // no client: Postfix may hold CONNECT back on a unix socket
	rankClient
)

func (c *conn) rank() int {
	switch {
	case !c.spoke.Load():
		return rankSilent
	case c.client.Load():
		return rankClient
	case c.holds.Load():
		return rankHolding
	}
	return rankDue
}

// interrupt wakes a session that waits between messages, for draining. It
// reports whether it is one.
func (c *conn) interrupt() bool {
	if !c.idle.Load() {
		return false
	}
	c.Conn.SetReadDeadline(time.Unix(1, 0))
	return true
}

func (c *conn) setPhase(p phase) {
	if p <= phaseIdle && c.arriving.Load() {
		c.arriving.Store(false)
	}
	c.content = c.content && p >= phaseMail && p == c.phase
	c.phase = p
	c.idle.Store(p <= phaseIdle)
}

// next deals with one frame: in place, or by pointing out at it.
func (c *conn) next() error {
	c.pieces = 0
	if c.phase != phaseNew {
		c.begun = time.Time{}
	}
	if err := c.need(5); err != nil {
		return err
	}
	length := int(binary.BigEndian.Uint32(c.buf[c.r:]))
	if length == 0 {
		return frameError("no command")
	}
	code := gomilter.Code(c.buf[c.r+4])
	if err := allowed(c.phase, code, length); err != nil {
		return err
	}
	switch code {
	case gomilter.CodeBody, gomilter.CodeEOB:
		return c.bodyFrame(code, length-1)
	case gomilter.CodeHeader:
		if !c.content {
			c.content = true
			c.arriving.Store(true)
		}
		return c.headerFrame(length - 1)
	}
	if err := c.need(4 + length); err != nil {
		return err
	}
	frame := c.buf[c.r : c.r+4+length]
	c.r += len(frame)
	return c.command(code, frame, frame[5:])
}

// command deals with a whole frame that is neither header nor body.
func (c *conn) command(code gomilter.Code, frame, data []byte) error {
	switch code {
	case gomilter.CodeOptNeg:
		return c.negotiate(data)
	case gomilter.CodeConn:
		host, addr, err := parseConnect(data)
		if err != nil {
			return err
		}
		c.setPhase(phaseIdle)
		c.client.Store(true)
		c.h.connected(host, addr)
	case gomilter.CodeHelo:
		if err := checkString(data, "HELO"); err != nil {
			return err
		}
	case gomilter.CodeMacro:
		if len(data) == 0 {
			return frameError("macros of no command")
		}
		c.h.macros(data[0], data[1:])
		return nil
	case gomilter.CodeMail:
		from, utf8, err := parseMail(data)
		if err != nil {
			return err
		}
		c.setPhase(phaseMail)
		c.client.Store(true) // of whom it does not tell, but there is one
		c.h.mail(from, utf8)
	case gomilter.CodeRcpt:
		if err := checkString(data, "RCPT"); err != nil {
			return err
		}
	case gomilter.CodeEOH:
		c.setPhase(phaseBody)
	case gomilter.CodeAbort:
		c.setPhase(phaseIdle)
	case gomilter.CodeQuit:
		c.end(io.EOF)
		return nil
	case gomilter.CodeQuitNewConn:
		// The connection is used again, for another client, as negotiated.
		c.setPhase(phaseIdle)
		c.client.Store(false)
		c.h.reset()
		return nil
	case codeUnknown:
		// go-milter would end the session.
		c.answer(gomilter.ActContinue)
		return nil
	}
	c.out = frame
	return nil
}

func (c *conn) negotiate(data []byte) error {
	o, err := parseOffer(data)
	if err != nil {
		return err
	}
	version, actions, protocol, err := c.h.offered(o)
	if err != nil {
		return err
	}
	c.noReply = protocol & (gomilter.OptNoMailReply | gomilter.OptNoHeaderReply | gomilter.OptNoEOHReply | gomilter.OptNoBodyReply)
	c.skip = protocol&gomilter.OptSkip != 0
	c.holds.Store(protocol&(gomilter.OptNoConnReply|gomilter.OptNoMailReply) != 0)
	c.reply = append(c.reply, 0, 0, 0, 13, byte(gomilter.CodeOptNeg))
	c.reply = binary.BigEndian.AppendUint32(c.reply, version)
	c.reply = binary.BigEndian.AppendUint32(c.reply, uint32(actions))
	c.reply = binary.BigEndian.AppendUint32(c.reply, uint32(protocol))
	c.setPhase(phaseIdle)
	c.spoke.Store(true)
	return nil
}

// headerFrame takes a header field; n is the length of its data.
func (c *conn) headerFrame(n int) error {
	keep := min(n, keepHeader)
	if err := c.need(5 + keep); err != nil {
		return err
	}
	name, value, err := parseHeader(c.buf[c.r+5:c.r+5+keep], keep < n)
	if err != nil {
		return err
	}
	c.h.header(name, value, keep < n)
	c.r += 5 + keep
	if err := c.take(n-keep, nil); err != nil {
		return err
	}
	if c.noReply&gomilter.OptNoHeaderReply == 0 {
		c.answer(gomilter.ActContinue)
	}
	return nil
}

// bodyFrame takes n octets of body, and hands the end of the message on.
func (c *conn) bodyFrame(code gomilter.Code, n int) error {
	c.r += 5
	dst := c.h.body()
	if err := c.take(n, dst); err != nil {
		return err
	}
	if code == gomilter.CodeEOB {
		// QUIRK: libmilter lets the end carry a last piece; go-milter does not.
		c.setPhase(phaseIdle)
		c.out = endOfMessage
		return nil
	}
	switch {
	case c.noReply&gomilter.OptNoBodyReply != 0:
	case c.skip && (dst == nil || c.h.body() == nil):
		c.answer(gomilter.ActSkip)
	default:
		c.answer(gomilter.ActContinue)
	}
	return nil
}

var endOfMessage = []byte{0, 0, 0, 1, byte(gomilter.CodeEOB)}

func (c *conn) answer(a gomilter.ActionCode) {
	c.reply = append(c.reply, 0, 0, 0, 1, byte(a))
	c.spill()
}

// refuse answers with an SMTP reply, which the MTA gives to its client.
func (c *conn) refuse(reply string) {
	c.reply = binary.BigEndian.AppendUint32(c.reply, uint32(1+len(reply)+1))
	c.reply = append(c.reply, byte(gomilter.ActReplyCode))
	c.reply = append(append(c.reply, reply...), 0)
	c.spill()
}

// modify asks for a change of a header field: an empty value deletes it. It
// returns false when nothing can be sent any more.
func (c *conn) modify(code gomilter.ModifyActCode, index int, name, value string) bool {
	c.reply = binary.BigEndian.AppendUint32(c.reply, uint32(1+4+len(name)+1+len(value)+1))
	c.reply = append(c.reply, byte(code))
	c.reply = binary.BigEndian.AppendUint32(c.reply, uint32(index))
	c.reply = append(append(c.reply, name...), 0)
	c.reply = append(append(c.reply, value...), 0)
	c.spill()
	return c.broken == nil
}

// send sends the answers now, for a peer that waits for them.
func (c *conn) send() {
	if c.r == c.w {
		if err := c.flush(); err != nil {
			c.end(err)
		}
	}
}

// spill sends answers before they are waited for when there are many.
func (c *conn) spill() {
	if len(c.reply) > flushSize {
		if err := c.flush(); err != nil {
			c.end(err)
		}
	}
}
