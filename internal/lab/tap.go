package lab

import (
	"encoding/binary"
	"fmt"
	"io"
	"maps"
	"net"
	"sync"
)

// Tap stands between a mail server and a milter on the wire, counts what
// passes and lets a test act at an exact point of a message: after the third
// body chunk, say. It changes nothing.
type Tap struct {
	Addr string

	ln net.Listener
	mu sync.Mutex
	// target is dialled for each connection; seen counts the commands and octets
	// of the mail server; hook is called after a command was passed on.
	target string
	seen   map[byte]int
	octets int
	hook   func(cmd byte)
	conns  map[net.Conn]bool
}

// Commands of the mail server in the milter protocol (mfdef.h of libmilter).
const (
	CmdMail   = 'M'
	CmdRcpt   = 'R'
	CmdHeader = 'L'
	CmdEOH    = 'N'
	CmdBody   = 'B'
	CmdEOM    = 'E'
)

// StartTap starts a Tap on a TCP port in front of the milter at target, a TCP
// address.
func (l *Lab) StartTap(target string) (*Tap, error) {
	ports, err := FreePorts(1)
	if err != nil {
		return nil, err
	}
	ln, err := net.Listen("tcp", Loopback(ports[0]))
	if err != nil {
		return nil, fmt.Errorf("starting a tap: %w", err)
	}
	t := &Tap{Addr: ln.Addr().String(), ln: ln, target: target, seen: map[byte]int{}, conns: map[net.Conn]bool{}}
	l.Defer(t.stop)
	go t.serve()
	return t, nil
}

// Spec returns the tap's address as Postfix spells it.
func (t *Tap) Spec() string { return "inet:" + t.Addr }

// OnCommand sets the function that is called after each command was passed on;
// nil for none.
func (t *Tap) OnCommand(hook func(cmd byte)) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.hook = hook
}

// Seen returns how many commands of each kind, and how many octets, the mail
// server has sent since the last Reset.
func (t *Tap) Seen() (map[byte]int, int) {
	t.mu.Lock()
	defer t.mu.Unlock()
	out := map[byte]int{}
	maps.Copy(out, t.seen)
	return out, t.octets
}

// Reset begins a new count.
func (t *Tap) Reset() {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.seen, t.octets = map[byte]int{}, 0
}

func (t *Tap) stop() {
	t.ln.Close()
	t.mu.Lock()
	defer t.mu.Unlock()
	for c := range t.conns {
		c.Close()
	}
}

func (t *Tap) serve() {
	for {
		mta, err := t.ln.Accept()
		if err != nil {
			return
		}
		go t.session(mta)
	}
}

func (t *Tap) session(mta net.Conn) {
	defer mta.Close()
	filter, err := net.Dial("tcp", t.target)
	if err != nil {
		return
	}
	defer filter.Close()
	t.mu.Lock()
	t.conns[mta], t.conns[filter] = true, true
	t.mu.Unlock()
	defer func() {
		t.mu.Lock()
		delete(t.conns, mta)
		delete(t.conns, filter)
		t.mu.Unlock()
	}()
	go func() {
		io.Copy(mta, filter)
		mta.Close()
	}()
	var frame []byte
	for {
		var size [4]byte
		if _, err := io.ReadFull(mta, size[:]); err != nil {
			return
		}
		n := binary.BigEndian.Uint32(size[:])
		if n == 0 || n > 1<<20 {
			return
		}
		if cap(frame) < int(n)+4 {
			frame = make([]byte, n+4)
		}
		frame = frame[:n+4]
		copy(frame, size[:])
		if _, err := io.ReadFull(mta, frame[4:]); err != nil {
			return
		}
		t.mu.Lock()
		t.seen[frame[4]]++
		t.octets += len(frame)
		hook := t.hook
		t.mu.Unlock()
		if _, err := filter.Write(frame); err != nil {
			return
		}
		if hook != nil {
			hook(frame[4])
		}
	}
}
