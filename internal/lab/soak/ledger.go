package main

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"strings"
	"sync"
	"time"

	"github.com/bounce-milter/bounce-milter/internal/lab"
)

// kind is what a message is, which decides what must happen to it.
type kind int

const (
	ordinary  kind = iota // passes
	forged                // passes without its X-Bounce- fields
	bounce                // is tagged
	ownBounce             // is refused by the remote server; its bounce is tagged
)

// entry is what is known about one message.
type entry struct {
	kind      kind
	epoch     uint64 // of the daemon when the connection was opened; even: it was up
	accepted  bool
	up        bool // the daemon was up until the acceptance or, of ownBounce, until the delivery was seen
	delivered int
	tagged    bool
	forgery   bool // a forged field was left
}

// ledger holds every message that was sent, by its id.
type ledger struct {
	now func() uint64 // the daemon's epoch

	mu      sync.Mutex
	entries map[string]*entry
	strange []string // deliveries that nobody sent
}

func newLedger(now func() uint64) *ledger { return &ledger{now: now, entries: map[string]*entry{}} }

// sent notes a message before it is sent, because its delivery may come before its
// acceptance is known.
func (l *ledger) sent(id string, k kind, epoch uint64) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.entries[id] = &entry{kind: k, epoch: epoch}
}

// still reports whether the daemon has been up since the epoch of a message.
func (l *ledger) still(e *entry) bool { return e.epoch%2 == 0 && l.now() == e.epoch }

// accepted notes that Postfix took a message.
func (l *ledger) accepted(id string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	e := l.entries[id]
	e.accepted = true
	if e.kind != ownBounce {
		e.up = l.still(e)
	}
}

// read takes deliveries out of a Maildir as they come, until ctx ends and the
// Maildir is empty.
func (l *ledger) read(ctx context.Context, dir lab.Maildir) {
	for {
		messages, err := dir.Messages()
		if err != nil {
			l.oddly(err.Error())
			return
		}
		for _, m := range messages {
			l.delivered(m)
			if err := os.Remove(m.File); err != nil {
				l.oddly(err.Error())
			}
		}
		if len(messages) > 0 {
			continue
		}
		select {
		case <-ctx.Done():
			return
		case <-time.After(200 * time.Millisecond):
		}
	}
}

func (l *ledger) oddly(what string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.strange = append(l.strange, what)
}

// delivered notes one delivery. A bounce that Postfix made is identified by the message
// that it returns.
func (l *ledger) delivered(m lab.Message) {
	id := m.Get("Message-Id")
	l.mu.Lock()
	defer l.mu.Unlock()
	e := l.entries[id]
	if e == nil {
		if i := bytes.Index(m.Raw, []byte("\nMessage-Id: <own-")); i >= 0 {
			line, _, _ := bytes.Cut(m.Raw[i+1:], []byte("\n"))
			id = strings.TrimPrefix(string(line), "Message-Id: ")
			e = l.entries[id]
		}
	}
	if e == nil {
		l.strange = append(l.strange, "nobody sent "+id)
		return
	}
	e.delivered++
	if e.kind == ownBounce {
		e.up = l.still(e)
	}
	if v := m.Get("X-Bounce-Category"); v != "" {
		e.tagged = v != "forged"
	}
	for _, f := range m.Tags("X-Bounce-") {
		if strings.Contains(f.Value, "forged") {
			e.forgery = true
		}
	}
}

// missing returns how many accepted messages have not been delivered.
func (l *ledger) missing() int {
	l.mu.Lock()
	defer l.mu.Unlock()
	n := 0
	for _, e := range l.entries {
		if e.accepted && e.delivered == 0 {
			n++
		}
	}
	return n
}

// wrong lists everything that is wrong.
func (l *ledger) wrong() []string {
	l.mu.Lock()
	defer l.mu.Unlock()
	out := append([]string(nil), l.strange...)
	for id, e := range l.entries {
		switch {
		case e.accepted && e.delivered == 0:
			out = append(out, id+" was accepted and not delivered")
		case e.delivered > 1:
			out = append(out, fmt.Sprintf("%s was delivered %d times", id, e.delivered))
		case e.accepted && e.up && (e.kind == bounce || e.kind == ownBounce) && !e.tagged:
			out = append(out, id+" is a bounce that came while the daemon was up, and is not tagged")
		case e.accepted && e.up && e.forgery:
			out = append(out, id+" came while the daemon was up, and a forged field is left")
		case e.kind == ordinary && e.tagged:
			out = append(out, id+" is no bounce and is tagged")
		}
	}
	return out
}

func (l *ledger) summary() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	accepted, delivered := 0, 0
	for _, e := range l.entries {
		if e.accepted {
			accepted++
		}
		delivered += e.delivered
	}
	return fmt.Sprintf("%d accepted, %d delivered", accepted, delivered)
}

// report returns the figures at the end.
func (l *ledger) report(took time.Duration) string {
	l.mu.Lock()
	defer l.mu.Unlock()
	var n, up, tagged [ownBounce + 1]int
	delivered, refused := 0, 0
	for _, e := range l.entries {
		delivered += e.delivered
		if !e.accepted {
			refused++
			continue
		}
		n[e.kind]++
		if e.up {
			up[e.kind]++
		}
		if e.tagged {
			tagged[e.kind]++
		}
	}
	all := n[ordinary] + n[forged] + n[bounce] + n[ownBounce]
	return fmt.Sprintf(`messages accepted        %d (%.0f/s), not accepted %d, delivered %d
  ordinary               %d
  with forged headers    %d, %d while the daemon was up
  bounces                %d, %d while it was up, %d tagged
  bounces Postfix made   %d, %d while it was up, %d tagged`,
		all, float64(all)/took.Seconds(), refused, delivered,
		n[ordinary], n[forged], up[forged], n[bounce], up[bounce], tagged[bounce], n[ownBounce], up[ownBounce], tagged[ownBounce])
}
