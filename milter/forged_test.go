package milter

import (
	"fmt"
	"io"
	"net"
	"runtime"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus/testutil"
)

// repeated returns n header fields by this name, in which %d stands for a
// number of each.
func repeated(n int, name string) []string {
	lines := make([]string, n)
	for i := range lines {
		lines[i] = strings.ReplaceAll(name, "%d", fmt.Sprint(i)) + ": x"
	}
	return lines
}

// TestManyForgedHeaders sends more forged headers than are removed, in shapes
// that hide some behind others, and wants the limits kept, ours removed all the
// same, and what stays said.
func TestManyForgedHeaders(t *testing.T) {
	long := strings.Repeat("n", 800)
	tests := []struct {
		name  string
		lines []string
		del   int    // deletions
		last  string // the last of them, in the order of deletion
		left  int
	}{
		{"one name of ours", repeated(12000, "X-Bounce-Type"), maxOwnDeletions, "m1 X-Bounce-Type: ", 12000 - maxOwnDeletions},
		{"as many as are removed", repeated(maxOwnDeletions, "X-Bounce-Result"), maxOwnDeletions, "m1 X-Bounce-Result: ", 0},
		{"other names in front", append(repeated(5000, "X-Bounce-Junk-%d"), "x-bounce-category: invalid-address"),
			maxOtherDeletions + 1, fmt.Sprintf("m1 X-Bounce-Junk-%d: ", maxOtherDeletions-1), 5000 - maxOtherDeletions},
		{"one other name in front", append(repeated(5000, "X-Bounce-Junk"), "X-Bounce-Kind: feedback"),
			maxOtherDeletions + 1, "m1 X-Bounce-Junk: ", 5000 - maxOtherDeletions},
		{"other names that end like ours", append(repeated(5000, "X-Bounce-%dKind"), "X-Bounce-Kind: feedback"),
			maxOtherDeletions + 1, fmt.Sprintf("m1 X-Bounce-%dKind: ", maxOtherDeletions-1), 5000 - maxOtherDeletions},
		{"names longer than any", append(repeated(50, "X-Bounce-"+long+"%d"), "X-Bounce-Reason: x"), 1, "m1 X-Bounce-Reason: ", 50},
		{"below a long header", append(repeated(20000, "X-Field-%d-"+long), repeated(20, "X-Bounce-Action")...),
			minDeletions, "m1 X-Bounce-Action: ", 20 - minDeletions},
		{"the field that says so", []string{"X-Bounce-Forged: 3 left", "x-bounce-FORGED: none"}, 2, "m1 X-Bounce-Forged: ", 0},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			ts := start(t, nil)
			c := newClient(t, ts.dial(t), offerAll)
			c.expect('c', connectFrame("192.0.2.1"))
			mods := c.message("a@example.org", tt.lines...)
			if tt.left > 0 {
				want := fmt.Sprintf("i0 X-Bounce-Forged: %d left", tt.left)
				if len(mods) == 0 || mods[len(mods)-1].String() != want {
					t.Fatalf("%d changes, want %q last", len(mods), want)
				}
				mods = mods[:len(mods)-1]
			}
			if len(mods) != tt.del || mods[len(mods)-1].String() != tt.last {
				t.Errorf("%d deletions, the last %s; want %d, the last %s", len(mods), mods[len(mods)-1], tt.del, tt.last)
			}
			at := map[string]uint32{}
			for _, m := range mods {
				if before, ok := at[m.name]; m.op != 'm' || ok && m.index != before-1 {
					t.Fatalf("%s comes after index %d", m, before)
				}
				at[m.name] = m.index
			}
			for name, index := range at {
				if index != 1 {
					t.Errorf("the last deletion of %s is that of %d", name, index)
				}
			}
			forged := 0
			for _, l := range tt.lines {
				if hasPrefixFold([]byte(l), "X-Bounce-") {
					forged++
				}
			}
			if got := int(testutil.ToFloat64(ts.metrics.forgedTotal)); got != forged {
				t.Errorf("%d forged headers counted, want %d", got, forged)
			}
			if got, lines := ts.errors(stageForged), strings.Count(ts.log.String(), "\n"); got != min(tt.left, 1) || lines != got {
				t.Errorf("%d errors, log %s", got, ts.log)
			}
			// A bounce of that kind is tagged, and nothing is left for the next.
			if mods := c.message("", append(tt.lines, "Content-Type: multipart/report")...); len(mods) != tt.del+min(tt.left, 1)+5 {
				t.Errorf("a bounce: %d changes", len(mods))
			}
			if mods := c.message("a@example.org", "Subject: x", "X-Bounce-Type: x"); len(mods) != 1 {
				t.Errorf("the next message: %v", mods)
			}
			c.conn.Close()
			ts.quiet(t)
		})
	}
}

// TestForgedNamesOfOddOctets wants names compared as MTAs compare them: ASCII
// letters without case, everything else as it is.
func TestForgedNamesOfOddOctets(t *testing.T) {
	ts := start(t, nil)
	c := newClient(t, ts.dial(t), offerAll)
	c.expect('c', connectFrame("192.0.2.1"))
	for _, lines := range [][]string{
		{"X-Bounce-\u212aind", "X-Bounce-Kind"}, // Kelvin sign, which Unicode folds to k
		{"X-Bounce-Re\u017fult", "X-Bounce-Result"},
		{"X-Bounce-\xff", "X-Bounce-\xfe"},
		{"X-Bounce-\u00c4", "X-Bounce-\u00e4"},
	} {
		mods := c.message("a@example.org", lines[0]+": 1", lines[1]+": 2")
		var got []string
		for _, m := range mods {
			got = append(got, m.String())
		}
		want := []string{"m1 " + lines[0] + ": ", "m1 " + lines[1] + ": "}
		slices.Sort(got)
		slices.Sort(want)
		if !slices.Equal(got, want) {
			t.Errorf("changes %q, want %q", got, want)
		}
	}
}

// TestForgedNamesTakeMemory has many sessions send as many and as long names
// under our prefix as they can.
func TestForgedNamesTakeMemory(t *testing.T) {
	ts := start(t, func(c *Config) { c.Limits.MemoryOctets = 2 << 20 })
	var before, after runtime.MemStats
	runtime.GC()
	runtime.ReadMemStats(&before)
	var lines []byte
	for i := range 2000 {
		lines = append(lines, headerFrame(fmt.Sprintf("X-Bounce-%d-%s", i, strings.Repeat("n", 200+i)), "x")...)
	}
	var clients []*wireClient
	for range 50 {
		c := newClient(t, ts.dial(t), offerAll)
		c.expect('c', connectFrame("192.0.2.1"))
		c.expect('c', mailFrame("a@example.org"))
		c.send(lines, frame('N', ""))
		if code, _ := c.read(); code != 'c' {
			t.Fatalf("answered with %q", code)
		}
		clients = append(clients, c)
	}
	used := ts.memory.used.Load()
	if used == 0 || used > 2<<20 {
		t.Errorf("%d octets counted as held", used)
	}
	runtime.GC()
	runtime.ReadMemStats(&after)
	if grown := int64(after.HeapAlloc) - int64(before.HeapAlloc); grown > 8<<20 {
		t.Errorf("the heap grew by %d octets", grown)
	}
	for _, c := range clients {
		if mods := c.end(frame('E', "")); len(mods) < 2 || mods[len(mods)-1].name != "X-Bounce-Forged" {
			t.Errorf("%d changes", len(mods))
		}
		c.conn.Close()
	}
	ts.quiet(t)
	if used := ts.memory.used.Load(); used != 0 {
		t.Errorf("%d octets held when all has ended", used)
	}
}

// TestPeerThatNeverReads ends a message with many changes and reads none: it
// may hold its session for one write timeout only.
func TestPeerThatNeverReads(t *testing.T) {
	const timeout = 300 * time.Millisecond
	ts := start(t, func(c *Config) { c.Limits.WriteTimeout = timeout })
	near, far := net.Pipe()
	counted := &countConn{Conn: far}
	ts.admit(counted)
	c := newClient(t, near, offerAll)
	c.expect('c', connectFrame("192.0.2.1"))
	c.expect('c', mailFrame(""))
	var lines []byte
	for _, l := range slices.Concat(repeated(maxOwnDeletions, "X-Bounce-Type"), repeated(maxOtherDeletions, "X-Bounce-%d"+strings.Repeat("n", 240))) {
		name, value, _ := strings.Cut(l, ": ")
		lines = append(lines, headerFrame(name, value)...)
	}
	c.expect('c', append(append(lines, headerFrame("Content-Type", "multipart/report")...), frame('N', "")...))
	before := counted.writes.Load()
	c.send(frame('E', ""))
	begun := time.Now()
	eventually(t, "the session ends", func() bool { return testutil.ToFloat64(ts.metrics.sessions) == 0 })
	if held := time.Since(begun); held > 2*timeout && !raceEnabled {
		t.Errorf("the session was held for %v", held)
	}
	if n := counted.writes.Load() - before; n != 1 {
		t.Errorf("%d writes after the peer stopped reading", n)
	}
	if n := ts.errors(stageWrite); n != 1 {
		t.Errorf("errors_total{stage=%q} = %d", stageWrite, n)
	}
	if _, err := near.Read(make([]byte, 1)); err != io.EOF {
		t.Errorf("the connection is left open: %v", err)
	}
	goodMessage(t, ts)
}
