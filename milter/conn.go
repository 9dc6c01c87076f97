package milter

import (
	"errors"
	"io"
	"net"
	"sync/atomic"
	"time"

	gomilter "github.com/emersion/go-milter"
)

var (
	errTimeout  = errors.New("timed out")
	errDraining = errors.New("shutting down")
)

// conn is a milter connection: it takes commands off the wire, checks them, and
// hands each to its handler once. It answers in go-milter's replies, which are
// collected until there is nothing more to read. Header fields and body go where
// they are to stay, without a copy in between.
//
// All but interrupt, hungUp and rank belongs to the goroutine that serves it.
type conn struct {
	nc     net.Conn
	h      handler
	limits *atomic.Pointer[Limits]
	quick  func() // asks for immediate acknowledgements, nil where there is no need

	buf   []byte // filled from r to w
	r, w  int
	pool  *[]byte // what buf was taken from the pool with, nil once it has grown
	reply []byte  // answers not sent yet
	begun time.Time

	phase    phase
	protocol gomilter.OptProtocol // what was agreed on
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
	onClose  func(*conn) // called behind all else, may be nil
}

func newConn(nc net.Conn, h handler, limits *atomic.Pointer[Limits], draining *atomic.Bool, onClose func(*conn)) *conn {
	c := &conn{nc: nc, h: h, limits: limits, draining: draining, onClose: onClose, quick: quickAck(nc)}
	c.pool = readPool.Get().(*[]byte)
	c.buf = *c.pool
	c.idle.Store(true)
	c.opened = time.Now()
	c.begun = c.opened
	return c
}

// close sends what is left, unless the session ended by an error, and closes.
func (c *conn) close() {
	if c.err == nil {
		c.err = c.flush()
	}
	c.nc.Close()
	c.phase, c.reply = phaseClosed, nil
	if c.pool != nil {
		readPool.Put(c.pool)
	}
	c.buf, c.pool = nil, nil
	if c.onClose != nil {
		c.onClose(c)
	}
}

// end makes the command in work the last one. The first cause counts.
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
	_, ok := c.nc.(*net.UnixConn)
	return ok
}

// hungUp reports whether the peer waits for no answer any more. Any goroutine
// may ask.
func (c *conn) hungUp() bool { return hungUp(c.nc) }

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
	c.nc.SetReadDeadline(time.Unix(1, 0))
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
