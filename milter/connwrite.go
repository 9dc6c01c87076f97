package milter

import (
	"encoding/binary"
	"errors"
	"fmt"
	"time"

	gomilter "github.com/emersion/go-milter"
)

// flushSize is how much of answers waits for more before it is sent.
const flushSize = 32 << 10

var errWrite = errors.New("writing")

// agreed reports whether one of these was negotiated.
func (c *conn) agreed(p gomilter.OptProtocol) bool { return c.protocol&p != 0 }

// goOn answers a command, unless it was agreed that this one gets no answer.
func (c *conn) goOn(noReply gomilter.OptProtocol) {
	if !c.agreed(noReply) {
		c.answer(gomilter.RespContinue)
	}
}

// answer keeps a reply until the peer waits for it. What goes wrong in sending
// ends the session.
func (c *conn) answer(r gomilter.Response) {
	m := r.Response()
	c.reply = binary.BigEndian.AppendUint32(c.reply, uint32(1+len(m.Data)))
	c.reply = append(append(c.reply, m.Code), m.Data...)
	c.spill()
}

// modify asks for a change of a header field: an empty value deletes it. It
// returns false when nothing can be sent any more.
func (c *conn) modify(code gomilter.ModifyActCode, index int, name, value string) bool {
	data := make([]byte, 0, 4+len(name)+1+len(value)+1)
	data = binary.BigEndian.AppendUint32(data, uint32(index))
	data = append(append(data, name...), 0)
	data = append(append(data, value...), 0)
	c.answer(gomilter.NewResponse(byte(code), data))
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

// flush sends the answers that wait. Once that has failed nothing more is sent:
// a peer that does not read holds a session for one write timeout, no longer.
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
