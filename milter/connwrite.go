package milter

import (
	"encoding/binary"
	"errors"
	"fmt"
	"time"

	gomilter "github.com/emersion/go-milter"
)

// flushSize is how many octets of answers are collected before they are sent.
const flushSize = 32 << 10

var errWrite = errors.New("writing")

// agreed reports whether one of these options was negotiated.
func (c *conn) agreed(p gomilter.OptProtocol) bool { return c.protocol&p != 0 }

// goOn answers a command, unless it was negotiated that this one gets no answer.
func (c *conn) goOn(noReply gomilter.OptProtocol) {
	if !c.agreed(noReply) {
		c.answer(gomilter.RespContinue)
	}
}

// answer keeps a reply until the peer waits for it. An error in sending ends the
// session.
func (c *conn) answer(r gomilter.Response) {
	m := r.Response()
	c.reply = binary.BigEndian.AppendUint32(c.reply, uint32(1+len(m.Data)))
	c.reply = append(append(c.reply, m.Code), m.Data...)
	c.spill()
}

// modify asks the MTA to change a header field; an empty value deletes it. It returns
// false if nothing can be sent any more.
func (c *conn) modify(code gomilter.ModifyActCode, index int, name, value string) bool {
	c.reply = binary.BigEndian.AppendUint32(c.reply, uint32(1+4+len(name)+1+len(value)+1))
	c.reply = binary.BigEndian.AppendUint32(append(c.reply, byte(code)), uint32(index))
	c.reply = append(append(c.reply, name...), 0)
	c.reply = append(append(c.reply, value...), 0)
	c.spill()
	return c.broken == nil
}

// send sends the answers now, unless there is more to read.
func (c *conn) send() {
	if c.r == c.w {
		if err := c.flush(); err != nil {
			c.end(err)
		}
	}
}

// spill sends answers early if there are many.
func (c *conn) spill() {
	if len(c.reply) > flushSize {
		if err := c.flush(); err != nil {
			c.end(err)
		}
	}
}

// flush sends the collected answers. After an error nothing more is sent, so that a
// peer that does not read holds a session for one write timeout only.
func (c *conn) flush() error {
	if c.broken != nil {
		c.reply = nil
		return c.broken
	}
	if len(c.reply) == 0 {
		return nil
	}
	c.nc.SetWriteDeadline(time.Now().Add(c.limits.Load().WriteTimeout))
	_, err := c.nc.Write(c.reply)
	c.replied = true
	c.reply = c.reply[:0]
	if cap(c.reply) > flushSize {
		c.reply = nil
	}
	if err != nil {
		if isTimeout(err) {
			err = errTimeout
		}
		c.broken = fmt.Errorf("%w: %w", errWrite, err)
	}
	return c.broken
}
