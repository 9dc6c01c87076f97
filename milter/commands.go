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

// handler is the milter behind a conn: the session, or a test's stand-in. For each
// command, once it is checked, conn calls one method. Methods whose comments say so
// answer through the conn; the conn itself answers the other commands.
type handler interface {
	// offered decides what is agreed on.
	offered(offer) (version uint32, a gomilter.OptAction, p gomilter.OptProtocol, err error)
	// connected gets a client and answers; greeted gets its HELO name and
	// answers.
	connected(host string, client netip.AddrPort)
	greeted(name string)
	macros(stage byte, data []byte)
	// mail begins a message and answers.
	mail(from string, utf8 bool)
	// recipient gets a recipient of the envelope and answers.
	recipient(to []byte)
	// header gets one header field; cut says that its end was skipped.
	header(name, value []byte, cut bool)
	// headerEnd answers.
	headerEnd()
	// body returns the buffer for the body, nil if no more of it is wanted.
	body() *buffer
	// piece answers a piece of the body.
	piece()
	// messageEnd sends the changes, if there are any, and answers.
	messageEnd()
	// abort forgets the message; reset also forgets the client, because
	// another one follows.
	abort()
	reset()
}

// panicError is a panic that was recovered, with its stack.
type panicError struct {
	value any
	stack []byte
}

func (e *panicError) Error() string { return fmt.Sprintf("panic: %v", e.value) }

// serve runs the session: it handles commands until the last one, then closes the
// connection. A panic ends only this session.
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

// next handles one frame.
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
		return frameError("frame without a command")
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

// command handles a complete frame that is neither header nor body.
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
			return frameError("macros without a command")
		}
		c.h.macros(data[0], data[1:])
	case gomilter.CodeMail:
		from, utf8, err := parseMail(data)
		if err != nil {
			return err
		}
		c.setPhase(phaseMail)
		c.client.Store(true) // it was not introduced, but there is one
		c.h.mail(from, utf8)
	case gomilter.CodeRcpt:
		// An MTA may send recipients though nobody asked for them.
		to, err := parseRcpt(data)
		if err != nil {
			return err
		}
		c.h.recipient(to)
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
		// The connection is reused for another client; what was negotiated
		// still holds.
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
	c.unheard.Store(c.agreed(gomilter.OptNoConnReply))
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

// bodyFrame takes n octets of the body. With CodeEOB the message ends after them.
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
	c.h.piece()
	return nil
}

// respSkip tells the MTA to skip the rest of the body (SMFIR_SKIP).
const respSkip = gomilter.SimpleResponse(gomilter.ActSkip)
