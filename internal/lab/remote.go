package lab

import (
	"bufio"
	"bytes"
	"fmt"
	"net"
	"slices"
	"strings"
	"sync"
	"time"
)

// Remote is an SMTP server that plays the rest of the world: it keeps what it
// accepts, and refuses what its policy says.
type Remote struct {
	Addr string

	policy Policy
	ln     net.Listener
	mu     sync.Mutex
	got    []Received
	conns  map[net.Conn]bool
}

// Policy decides on one recipient ("RCPT", its address) or on a whole message
// ("DATA", its first recipient). It returns the reply of refusal, lines
// separated by "\n", or "" to accept.
type Policy func(stage, recipient string) string

// Received is a message that the Remote accepted.
type Received struct {
	Message
	From string
	To   []string
}

// StartRemote starts a Remote on a free port.
func (l *Lab) StartRemote(policy Policy) (*Remote, error) {
	ports, err := FreePorts(1)
	if err != nil {
		return nil, err
	}
	ln, err := net.Listen("tcp", Loopback(ports[0]))
	if err != nil {
		return nil, fmt.Errorf("starting the remote server: %w", err)
	}
	r := &Remote{Addr: ln.Addr().String(), policy: policy, ln: ln, conns: map[net.Conn]bool{}}
	l.Defer(r.stop)
	go r.serve()
	return r, nil
}

func (r *Remote) serve() {
	for {
		conn, err := r.ln.Accept()
		if err != nil {
			return
		}
		r.mu.Lock()
		r.conns[conn] = true
		r.mu.Unlock()
		go func() {
			r.session(conn)
			conn.Close()
			r.mu.Lock()
			delete(r.conns, conn)
			r.mu.Unlock()
		}()
	}
}

func (r *Remote) stop() {
	r.ln.Close()
	r.mu.Lock()
	defer r.mu.Unlock()
	for c := range r.conns {
		c.Close()
	}
}

// Messages returns the messages accepted so far, in order.
func (r *Remote) Messages() []Received {
	r.mu.Lock()
	defer r.mu.Unlock()
	return append([]Received(nil), r.got...)
}

// Wait waits for n messages to a recipient, and returns them.
func (r *Remote) Wait(to string, n int) ([]Received, error) {
	var out []Received
	err := Until(fmt.Sprintf("%d messages to %s at the remote server", n, to), func() (bool, error) {
		out = out[:0]
		for _, m := range r.Messages() {
			if slices.Contains(m.To, to) {
				out = append(out, m)
			}
		}
		return len(out) >= n, nil
	})
	return out, err
}

// session serves one client. It offers no PIPELINING, so each command is
// answered before the next arrives.
func (r *Remote) session(conn net.Conn) {
	in := bufio.NewReader(conn)
	say := func(reply string) {
		lines := strings.Split(reply, "\n")
		fmt.Fprintf(conn, "%s\r\n", strings.Join(lines, "\r\n"))
	}
	var m Received
	say("220 mx.remote.test ESMTP")
	for {
		conn.SetDeadline(time.Now().Add(5 * time.Minute)) // a session's bound in RFC 5321, section 4.5.3.2
		line, err := in.ReadString('\n')
		if err != nil {
			return
		}
		line = strings.TrimRight(line, "\r\n")
		verb, arg, _ := strings.Cut(line, " ")
		switch strings.ToUpper(verb) {
		case "EHLO":
			say("250-mx.remote.test\n250-8BITMIME\n250-SMTPUTF8\n250 ENHANCEDSTATUSCODES")
		case "MAIL":
			m = Received{From: bare(arg)}
			say("250 2.1.0 Ok")
		case "RCPT":
			if refusal := r.policy("RCPT", bare(arg)); refusal != "" {
				say(refusal)
				continue
			}
			m.To = append(m.To, bare(arg))
			say("250 2.1.5 Ok")
		case "DATA":
			if len(m.To) == 0 {
				say("503 5.5.1 no valid recipients")
				continue
			}
			say("354 go on")
			if m.Raw, err = readDotted(in); err != nil {
				return
			}
			if refusal := r.policy("DATA", m.To[0]); refusal != "" {
				say(refusal)
				continue
			}
			r.mu.Lock()
			r.got = append(r.got, m)
			r.mu.Unlock()
			say("250 2.0.0 Ok: kept")
		case "HELO", "RSET", "NOOP":
			say("250 2.0.0 Ok")
		case "QUIT":
			say("221 2.0.0 Bye")
			return
		default:
			say("502 5.5.2 not here")
		}
	}
}

// bare returns the address in "FROM:<a@b> ARGS".
func bare(arg string) string {
	_, rest, _ := strings.Cut(arg, "<")
	addr, _, _ := strings.Cut(rest, ">")
	return addr
}

// readDotted reads a message up to its final dot; line ends become LF.
func readDotted(in *bufio.Reader) ([]byte, error) {
	var b bytes.Buffer
	for {
		line, err := in.ReadBytes('\n')
		if err != nil {
			return nil, fmt.Errorf("reading a message: %w", err)
		}
		line = bytes.TrimSuffix(line, []byte("\r\n"))
		if bytes.Equal(line, []byte(".")) {
			return b.Bytes(), nil
		}
		b.Write(bytes.TrimPrefix(line, []byte(".")))
		b.WriteByte('\n')
	}
}
