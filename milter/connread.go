package milter

import (
	"errors"
	"fmt"
	"io"
	"net"
	"sync"
	"syscall"
	"time"
)

const readSize = 8 << 10 // fits a typical bounce's commands up to its body

var (
	readPool    = sync.Pool{New: func() any { b := make([]byte, readSize); return &b }}
	discardPool = sync.Pool{New: func() any { b := make([]byte, 64<<10); return &b }}
)

// take moves n octets of the current frame to dst, or drops them if dst is nil or full.
// Octets that are not buffered yet are read straight into dst.
func (c *conn) take(n int, dst *buffer) error {
	have := min(n, c.w-c.r)
	if dst != nil {
		dst.write(c.buf[c.r : c.r+have])
	}
	c.r += have
	n -= have
	var scratch *[]byte
	for n > 0 {
		var p []byte
		if dst != nil {
			p = dst.room()
		}
		kept := p != nil
		if !kept {
			if scratch == nil {
				scratch = discardPool.Get().(*[]byte)
				defer discardPool.Put(scratch)
			}
			p = *scratch
		}
		m, err := c.read(p[:min(n, len(p))], true)
		if err != nil {
			return err
		}
		if kept {
			dst.filled(m)
		}
		n -= m
	}
	return nil
}

// need reads until n octets of the current frame are buffered. The buffer grows as
// they arrive, never because a frame announces a length.
func (c *conn) need(n int) error {
	for c.w-c.r < n {
		if c.r == c.w {
			c.r, c.w = 0, 0
			c.shrink()
		}
		if c.r > 0 && (c.w == len(c.buf) || c.r+n > len(c.buf)) {
			c.w = copy(c.buf, c.buf[c.r:c.w])
			c.r = 0
		}
		if c.w == len(c.buf) {
			grown := make([]byte, min(2*len(c.buf), 5+maxCommand))
			copy(grown, c.buf)
			if c.pool != nil {
				readPool.Put(c.pool)
			}
			c.buf, c.pool = grown, nil
		}
		m, err := c.read(c.buf[c.w:], c.w > c.r)
		if err != nil {
			return err
		}
		c.w += m
	}
	return nil
}

// shrink goes back to a pooled buffer after a long command has made the buffer grow.
// The buffer must be empty.
func (c *conn) shrink() {
	if c.pool == nil {
		c.pool = readPool.Get().(*[]byte)
		c.buf = *c.pool
	}
}

// read makes one read call. within says that a frame has begun; the time for the rest
// of it then runs from its first octets.
func (c *conn) read(p []byte, within bool) (int, error) {
	// Send the answers before waiting for the peer.
	if err := c.flush(); err != nil {
		return 0, err
	}
	for {
		l := c.limits.Load()
		var deadline time.Time
		switch {
		case c.phase == phaseNew:
			deadline = c.begun.Add(l.NegotiateTimeout)
		// QUIRK: Postfix collects commands that get no answer and sends them
		// when its buffer is full, in the middle of a frame. The rest follows
		// when its client goes on.
		case !within, c.phase <= phaseMail && !c.content && c.pieces == 0:
			deadline = time.Now().Add(l.IdleTimeout)
		default:
			if c.begun.IsZero() {
				c.begun = time.Now()
			}
			deadline = c.begun.Add(l.FrameTimeout)
		}
		idle := c.phase <= phaseIdle && !within
		if err := c.nc.SetReadDeadline(deadline); err != nil {
			return 0, readError(err, within)
		}
		// This comes after SetReadDeadline: an interrupt before that is seen
		// here, one after it ends the read below.
		if idle && c.draining.Load() {
			return 0, errDraining
		}
		// An answer also acknowledges what came before it. Without one, the
		// peer may hold back its next piece until it gets an acknowledgement.
		if c.quick != nil && !c.replied {
			c.quick()
		}
		n, err := c.nc.Read(p)
		if n > 0 {
			c.replied = false
			if within {
				c.pieces++
			}
			return n, nil
		}
		if err == nil {
			continue
		}
		if isTimeout(err) && c.draining.Load() && (idle || time.Now().Before(deadline)) {
			continue // interrupted: the session ends above, or finishes the message that it has begun
		}
		return 0, readError(err, within)
	}
}

func isTimeout(err error) bool {
	var ne net.Error
	return errors.As(err, &ne) && ne.Timeout()
}

func readError(err error, within bool) error {
	switch {
	case isTimeout(err) && within:
		return fmt.Errorf("reading a frame: %w", errTimeout)
	case isTimeout(err):
		return fmt.Errorf("waiting for a frame: %w", errTimeout)
	case errors.Is(err, io.EOF) && within:
		return fmt.Errorf("reading a frame: %w", io.ErrUnexpectedEOF)
	case errors.Is(err, io.EOF), errors.Is(err, net.ErrClosed):
		return io.EOF
	case errors.Is(err, syscall.ECONNRESET) && !within:
		return io.EOF // some peers hang up this way
	}
	return fmt.Errorf("reading: %w", err)
}
