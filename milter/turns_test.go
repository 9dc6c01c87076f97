package milter

import (
	"context"
	"net/netip"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/bounce-milter/bounce-milter/classify/dsn"
)

// patient is an MTA that waits for its answers, until it is made to go.
type patient struct{ gone bool }

func (p patient) hungUp() bool { return p.gone }

func TestTurnsAreFair(t *testing.T) {
	turns := newTurns(1)
	turns.patience = time.Hour
	held, err := turns.take(netip.Prefix{}, patient{})
	if err != nil {
		t.Fatal(err)
	}
	many, few, one := clientKey(netip.MustParseAddr("192.0.2.1")), clientKey(netip.MustParseAddr("192.0.2.2")), clientKey(netip.MustParseAddr("2001:db8::1"))
	type turn struct {
		client netip.Prefix
		slot   *slot
	}
	had := make(chan turn)
	waiting := 0
	for _, client := range []netip.Prefix{many, many, many, many, few, few, one} {
		go func() {
			s, err := turns.take(client, patient{})
			if err != nil {
				t.Error(err)
			}
			had <- turn{client, s}
		}()
		waiting++
		eventually(t, "it waits", func() bool {
			turns.mu.Lock()
			defer turns.mu.Unlock()
			return turns.waiting == waiting
		})
	}
	var order []netip.Prefix
	for range waiting {
		turns.give(held)
		next := <-had
		order, held = append(order, next.client), next.slot
	}
	if want := []netip.Prefix{many, few, one, many, few, many, many}; !slices.Equal(order, want) {
		t.Errorf("turns went to %v, want %v", order, want)
	}
	turns.give(held)
	if len(turns.queues) > 0 || turns.ring.Len() > 0 || len(turns.free) != 1 || turns.waiting != 0 {
		t.Errorf("left behind: %+v", turns)
	}
}

func TestTurnsAreNotWaitedForLong(t *testing.T) {
	turns := newTurns(1)
	slot, err := turns.take(netip.Prefix{}, patient{})
	if err != nil {
		t.Fatal(err)
	}
	turns.patience = time.Millisecond
	if _, err := turns.take(netip.Prefix{}, patient{}); err != errBusy {
		t.Errorf("got %v, want %v", err, errBusy)
	}
	turns.patience = time.Hour
	if _, err := turns.take(netip.Prefix{}, patient{gone: true}); err != errHungUp {
		t.Errorf("got %v, want %v", err, errHungUp)
	}
	turns.give(slot)
	if len(turns.queues) > 0 || len(turns.free) != 1 || turns.waiting != 0 {
		t.Errorf("left behind: %+v", turns)
	}
}

func TestClientKey(t *testing.T) {
	for addr, want := range map[string]string{
		"192.0.2.1":        "192.0.2.1/32",
		"::ffff:192.0.2.1": "192.0.2.1/32",
		"2001:db8:1:2::3":  "2001:db8:1:2::/64",
		"2001:db8:1:2:f::": "2001:db8:1:2::/64",
		"fe80::1%eth0":     "fe80::/64",
		"2001:db8:1:3::3":  "2001:db8:1:3::/64",
	} {
		if got := clientKey(netip.MustParseAddr(addr)); got.String() != want {
			t.Errorf("%s: got %s, want %s", addr, got, want)
		}
	}
	if got := clientKey(netip.Addr{}); got.IsValid() {
		t.Errorf("no address: got %s", got)
	}
}

// TestBusyMessagePassesStripped fills every slot. The next message passes in time and
// untagged, without the headers that a stranger forged.
func TestBusyMessagePassesStripped(t *testing.T) {
	ts := start(t, nil)
	ts.turns.patience = time.Millisecond
	for range ts.turns.slots {
		s, err := ts.turns.take(netip.Prefix{}, patient{})
		if err != nil {
			t.Fatal(err)
		}
		defer ts.turns.give(s)
	}
	c := newClient(t, ts.dial(t), offerAll)
	c.expect('c', connectFrame("192.0.2.1"))
	mods := c.message("", "X-Bounce-Type: hard", "Content-Type: multipart/report", "", "body")
	if len(mods) != 1 || mods[0].op != 'm' || mods[0].value != "" {
		t.Errorf("got %v, want the forged header deleted", mods)
	}
	if ts.errors(stageBusy) != 1 || ts.messages(dsn.KindNone) != 1 || !strings.Contains(ts.log.String(), "no turn came in time") {
		t.Errorf("%d counted, log %s", ts.errors(stageBusy), ts.log)
	}
	if _, stuck := ts.turns.stuck(); stuck {
		t.Error("a daemon with much to do is taken for dead")
	}
}

// TestHangingUpEndsInspection makes MTAs hang up while their message is inspected, or waits
// to be.
func TestHangingUpEndsInspection(t *testing.T) {
	for _, network := range []string{"unix", "tcp"} {
		t.Run(network, func(t *testing.T) {
			ts := start(t, func(c *Config) {
				if network == "tcp" {
					c.Listen = []Socket{{"tcp", "127.0.0.1:0"}}
				}
			})
			ts.turns.patience = time.Hour
			begun := make(chan struct{}, 10)
			ts.insp.wait = func(ctx context.Context) { begun <- struct{}{}; <-ctx.Done() }
			clients := len(ts.turns.slots) + 2
			for range clients {
				c := newClient(t, ts.dial(t), offerAll)
				c.send(connectFrame("192.0.2.1"), mailFrame(""), headerFrame("Content-Type", "multipart/report"), frame('N', ""), frame('E', ""))
				c.conn.Close()
			}
			for range ts.turns.slots {
				<-begun
			}
			eventually(t, "every session has ended", func() bool { return ts.errors(stageInspect) == clients })
			ts.quiet(t)
			if n := ts.messages(dsn.KindDSN) + ts.messages(dsn.KindNone); n != 0 {
				t.Errorf("%d messages counted that the MTA took otherwise", n)
			}
			ts.insp.wait = nil
			goodMessage(t, ts)
		})
	}
}

// TestLongInspectionEnds lets the time of an inspection run out: the message
// passes.
func TestLongInspectionEnds(t *testing.T) {
	ts := start(t, nil)
	ts.insp.wait = func(ctx context.Context) {
		for _, s := range ts.turns.slots {
			s.mu.Lock()
			s.begun = s.begun.Add(-maxInspect)
			s.mu.Unlock()
		}
		<-ctx.Done()
	}
	c := newClient(t, ts.dial(t), offerAll)
	c.expect('c', connectFrame("192.0.2.1"))
	if mods := c.message("", "Content-Type: multipart/report", "", "body"); len(mods) != 0 {
		t.Errorf("got %v", mods)
	}
	if ts.errors(stageInspect) != 1 || !strings.Contains(ts.log.String(), errTooLong.Error()) {
		t.Errorf("%d counted, log %s", ts.errors(stageInspect), ts.log)
	}
	ts.insp.wait = nil
	goodMessage(t, ts)
}

func TestStuckInspectionIsSeen(t *testing.T) {
	turns := newTurns(2)
	s, err := turns.take(netip.Prefix{}, patient{})
	if err != nil {
		t.Fatal(err)
	}
	s.begin(patient{})
	if d, stuck := turns.stuck(); stuck {
		t.Errorf("stuck after %v", d)
	}
	s.mu.Lock()
	s.begun = s.begun.Add(-stuckAfter - time.Second)
	s.mu.Unlock()
	if _, stuck := turns.stuck(); !stuck {
		t.Error("not seen")
	}
	s.end()
	turns.give(s)
	if d, stuck := turns.stuck(); stuck || d != 0 {
		t.Errorf("stuck after %v although it has ended", d)
	}
}
