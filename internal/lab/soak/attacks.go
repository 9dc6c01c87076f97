package main

import (
	"context"
	"encoding/binary"
	"fmt"
	"math/rand/v2"
	"net"
	"slices"
	"strings"
	"sync"
	"time"
)

// attacks are hostile peers on the milter's TCP port.
type attacks struct {
	addr string

	mu   sync.Mutex
	done map[string]int
}

// frame is one command on the milter wire.
func frame(cmd byte, payload string) string {
	b := binary.BigEndian.AppendUint32(nil, uint32(len(payload)+1))
	return string(append(b, cmd)) + payload
}

// negotiate offers protocol version 6 with every action and option.
var negotiate = frame('O', "\x00\x00\x00\x06\x00\x00\x01\xff\x00\x1f\xff\xff")

// attack is what one peer sends before it goes. stay is for those that wait
// until the daemon has enough of them, drip for those that send an octet at a
// time, deaf for those that never read.
type attack struct {
	name       string
	send       string
	stay, drip bool
	deaf       bool
}

var repertoire = []attack{
	{name: "zero-length frame", send: "\x00\x00\x00\x00"},
	{name: "oversized frame", send: "\x7f\xff\xff\xffL"},
	{name: "just too large", send: "\x00\x10\x00\x01B" + strings.Repeat("x", 4096)},
	{name: "truncated frame", send: negotiate + "\x00\x00\x00\x30Labc"},
	{name: "closed mid-length", send: negotiate + "\x00\x00"},
	{name: "unknown command", send: negotiate + frame('z', "what")},
	{name: "out of order", send: frame('E', "") + frame('B', "body") + frame('L', "a\x00b\x00")},
	{name: "missing NULs", send: negotiate + frame('M', "<>") + frame('L', "Subject") + frame('R', "")},
	{name: "empty payloads", send: negotiate + frame('C', "") + frame('H', "") + frame('M', "") + frame('D', "")},
	{name: "plain HTTP", send: "GET / HTTP/1.1\r\nHost: x\r\n\r\n"},
	{name: "noise", send: "\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03"},
	{name: "nothing", stay: true},
	{name: "slow writer", send: negotiate + frame('H', "slow.remote.test\x00"), drip: true},
	{name: "half a message", send: negotiate + frame('M', "<>\x00") + strings.Repeat(frame('L', "X-Bounce-Type\x00hard\x00"), 400) + frame('B', strings.Repeat("y", 60000))},
	{name: "never reads", send: negotiate + strings.Repeat(frame('H', "deaf.remote.test\x00")+frame('M', "<>\x00")+frame('A', ""), 5000), deaf: true},
	{name: "negotiates for ever", send: strings.Repeat(negotiate, 200)},
}

// run attacks until ctx ends, up to a hundred peers at a time.
func (a *attacks) run(ctx context.Context) {
	a.done = map[string]int{}
	var wg sync.WaitGroup
	slots := make(chan struct{}, 100)
	for {
		select {
		case <-ctx.Done():
			wg.Wait()
			return
		case <-time.After(rand.N(40 * time.Millisecond)):
		}
		slots <- struct{}{}
		wg.Go(func() {
			defer func() { <-slots }()
			a.one(ctx, repertoire[rand.IntN(len(repertoire))])
		})
	}
}

// one is one hostile peer. It stays for some seconds at most. It is not an error if the
// daemon hangs up or is not there.
func (a *attacks) one(ctx context.Context, k attack) {
	conn, err := net.DialTimeout("tcp", a.addr, time.Second)
	if err != nil {
		return
	}
	defer conn.Close()
	patience := time.Now().Add(rand.N(6 * time.Second))
	conn.SetDeadline(patience)
	a.mu.Lock()
	a.done[k.name]++
	a.mu.Unlock()
	if k.drip {
		for i := 0; i < len(k.send) && time.Now().Before(patience) && ctx.Err() == nil; i++ {
			if _, err := conn.Write([]byte{k.send[i]}); err != nil {
				return
			}
			time.Sleep(time.Second / 4)
		}
		return
	}
	if _, err := conn.Write([]byte(k.send)); err != nil || k.deaf && ctx.Err() != nil {
		return
	}
	if k.deaf {
		select {
		case <-ctx.Done():
		case <-time.After(time.Until(patience)):
		}
		return
	}
	if !k.stay {
		conn.SetDeadline(time.Now().Add(500 * time.Millisecond))
	}
	buf := make([]byte, 4096)
	for ctx.Err() == nil {
		if _, err := conn.Read(buf); err != nil {
			return
		}
	}
}

// report says how many peers attacked.
func (a *attacks) report() string {
	a.mu.Lock()
	defer a.mu.Unlock()
	var names []string
	sum := 0
	for name, n := range a.done {
		names = append(names, fmt.Sprintf("%s %d", name, n))
		sum += n
	}
	slices.Sort(names)
	return fmt.Sprintf("hostile peers            %d: %s", sum, strings.Join(names, ", "))
}
