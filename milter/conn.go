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

// conn is a milter connection: it reads commands, checks them, and calls its handler
// once for each. Answers are go-milter's replies; they are collected and sent when
// there is nothing more to read. Header fields and body are read straight into the
// buffer that keeps them.
//
// Only interrupt, hungUp and rank may be called from other goroutines than the one
// that serves the connection.
type conn struct {
	nc     net.Conn
	h      handler
	limits *atomic.Pointer[Limits]
	quick  func() // asks the kernel for immediate acknowledgements, nil if there is no need

	buf   []byte // filled from r to w
	r, w  int
	pool  *[]byte // the pooled slice behind buf, nil once buf has grown
	reply []byte  // answers not sent yet
	begun time.Time

	phase    phase
	protocol gomilter.OptProtocol // what was negotiated
	pieces   int                  // reads for the current frame after its first octets
	content  bool                 // a header field was seen: the MTA has the whole message
	err      error                // why reading ended, nil for a clean end
	broken   error                // why writing failed: nothing more is sent
	replied  bool                 // something was sent since the last read
	opened   time.Time
	idle     atomic.Bool // between messages
	arriving atomic.Bool // content is arriving: set from the first header field to the end of the message
	holds    atomic.Bool // the MTA may hold CONNECT or MAIL back, because they get no answer
	unheard  atomic.Bool // CONNECT gets none
	spoke    atomic.Bool // negotiation is done
	client   atomic.Bool // the MTA has reported a client
	evicted  atomic.Bool // closed to make room
	draining *atomic.Bool
	onClose  func(*conn) // called last, may be nil
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

// close sends the remaining answers, unless the session ended with an error, and closes
// the connection.
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

// end makes the current command the last one. The first cause counts.
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

// hungUp reports whether the peer has stopped waiting for an answer. Any goroutine may
// call it.
func (c *conn) hungUp() bool { return hungUp(c.nc) }

// How likely a connection is a mail server's, from the least likely up.
const (
	rankSilent  = iota // has not spoken the protocol yet
	rankDue            // reported no client, although an MTA sends CONNECT at once if we answer it
	rankHolding        // reported no client, but Postfix may hold CONNECT back on a unix socket
	rankClient         // reported a client
)

func (c *conn) rank() int {
	switch {
	case !c.spoke.Load():
		return rankSilent
	case c.client.Load():
		return rankClient
	case c.unheard.Load():
		return rankHolding
	}
	return rankDue
}

// interrupt wakes a session that waits between messages, for draining. It reports
// whether the session was waiting so.
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
