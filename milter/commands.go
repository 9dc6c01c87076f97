package milter

import (
	"encoding/binary"
	"fmt"
	"io"
	"net/netip"
	"runtime/debug"
	"time"

	gomilter "github.com/emersion/go-milter"
)

// handler is the milter behind a conn: the session, or what a test puts in its
// place. Each command that was checked calls one method, which answers through
// the conn where it says so; the conn answers the others.
type handler interface {
	// offered decides what is agreed on.
	offered(offer) (version uint32, a gomilter.OptAction, p gomilter.OptProtocol, err error)
	// connected tells of a client and answers, as greeted does with its name.
	connected(host string, client netip.AddrPort)
	greeted(name string)
	macros(stage byte, data []byte)
	// mail begins a message and answers.
	mail(from string, utf8 bool)
	// header takes one header field; cut says that its end was skipped.
	header(name, value []byte, cut bool)
	// headerEnd answers.
	headerEnd()
	// body returns where octets of the body go, nil when no more are wanted.
	body() *buffer
	// messageEnd makes the changes, if there are any, and answers.
	messageEnd()
	// abort forgets the message, reset the client too: another one follows.
	abort()
	reset()
}

// panicError is a panic that was caught, with where it happened.
type panicError struct {
	value any
	stack []byte
}

func (e *panicError) Error() string { return fmt.Sprintf("panic: %v", e.value) }

// serve is the session: it takes commands until the last one and closes. A
// panic ends this session and no other.
func (c *conn) serve() {
	defer c.close()
	defer func() {
		if v := recover(); v != nil {
			c.end(&panicError{v, debug.Stack()})
		}
	}()
	for c.phase != phaseClosed {
		if err := c.next(); err != nil {
			c.end(err)
		}
	}
}

// next deals with one frame.
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
	data := c.buf[c.r+5 : c.r+4+length]
	c.r += 4 + length
	return c.command(code, data)
}

// command deals with a whole frame that is neither header nor body.
func (c *conn) command(code gomilter.Code, data []byte) error {
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
		name, err := parseString(data, "HELO")
		if err != nil {
			return err
		}
		c.h.greeted(string(name))
	case gomilter.CodeMacro:
		if len(data) == 0 {
			return frameError("macros of no command")
		}
		c.h.macros(data[0], data[1:])
	case gomilter.CodeMail:
		from, utf8, err := parseMail(data)
		if err != nil {
			return err
		}
		c.setPhase(phaseMail)
		c.client.Store(true) // of whom it does not tell, but there is one
		c.h.mail(from, utf8)
	case gomilter.CodeRcpt:
		// We do not ask for recipients, but an MTA may send them still.
		if _, err := parseString(data, "RCPT"); err != nil {
			return err
		}
		c.answer(gomilter.RespContinue)
	case gomilter.CodeData, codeUnknown:
		c.answer(gomilter.RespContinue)
	case gomilter.CodeEOH:
		c.setPhase(phaseBody)
		c.h.headerEnd()
	case gomilter.CodeAbort:
		c.setPhase(phaseIdle)
		c.h.abort()
	case gomilter.CodeQuit:
		c.end(io.EOF)
	case gomilter.CodeQuitNewConn:
		// The connection is used again, for another client, as negotiated.
		c.setPhase(phaseIdle)
		c.client.Store(false)
		c.h.reset()
	}
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
	c.protocol = protocol
	c.holds.Store(c.agreed(gomilter.OptNoConnReply | gomilter.OptNoMailReply))
	answer := binary.BigEndian.AppendUint32(make([]byte, 0, 12), version)
	answer = binary.BigEndian.AppendUint32(answer, uint32(actions))
	answer = binary.BigEndian.AppendUint32(answer, uint32(protocol))
	c.answer(gomilter.NewResponse(byte(gomilter.CodeOptNeg), answer))
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
	c.goOn(gomilter.OptNoHeaderReply)
	return nil
}

// bodyFrame takes n octets of body, behind which the message may end.
func (c *conn) bodyFrame(code gomilter.Code, n int) error {
	c.r += 5
	dst := c.h.body()
	if err := c.take(n, dst); err != nil {
		return err
	}
	if code == gomilter.CodeEOB {
		// QUIRK: the end may carry a last piece of the body, as in libmilter.
		c.setPhase(phaseIdle)
		c.h.messageEnd()
		return nil
	}
	if c.agreed(gomilter.OptSkip) && !c.agreed(gomilter.OptNoBodyReply) && (dst == nil || c.h.body() == nil) {
		c.answer(respSkip)
		return nil
	}
	c.goOn(gomilter.OptNoBodyReply)
	return nil
}

// respSkip asks for no more of a body (SMFIR_SKIP).
const respSkip = gomilter.SimpleResponse(gomilter.ActSkip)
