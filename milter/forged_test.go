package milter

import (
	"fmt"
	"io"
	"net"
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

// TestStrangersHeadersStay checks header fields whose names begin like ours but belong to
// others.
func TestStrangersHeadersStay(t *testing.T) {
	ts := start(t, nil)
	c := newClient(t, ts.dial(t), offerAll)
	c.expect('c', connectFrame("192.0.2.1"))
	strangers := []string{"X-Bounce-Key: 1", "X-Bounce-Tracking-ID: 2", "X-Bounce-: 3", "X-Bounce-Types: 4", "X-Bounce-Typ: 5", "X-Bounce: 6", "X-Bounce-Type-X: 7"}
	if mods := c.message("a@example.org", strangers...); len(mods) != 0 {
		t.Errorf("ordinary mail: %v", mods)
	}
	if mods := c.message("a@example.org", append(strangers, "x-bounce-KIND \t: feedback", "X-Bounce-Origin: ours")...); len(mods) != 2 || mods[0].String() != "m1 X-Bounce-Kind: " || mods[1].String() != "m1 X-Bounce-Origin: " {
		t.Errorf("ordinary mail with forged headers: %v", mods)
	}
	mods := c.message("", append(strangers, "Content-Type: multipart/report")...)
	if len(mods) != 5 || mods[0].op != 'i' {
		t.Errorf("a bounce: %v", mods)
	}
	if got := testutil.ToFloat64(ts.metrics.forgedTotal); got != 2 {
		t.Errorf("%v forged headers counted, want 2", got)
	}
}

// TestManyForgedHeaders sends many forged headers, in odd places. Either all are removed or
// the message is refused.
func TestManyForgedHeaders(t *testing.T) {
	long := strings.Repeat("n", 800)
	all := 0
	for work := 0; work <= maxDeletionWork; all++ {
		work += all * (len("X-Bounce-Type: x\r\n") + lineWork)
	}
	tests := []struct {
		name    string
		lines   []string
		del     int // deletions
		refused bool
	}{
		{"one name of ours", repeated(12000, "X-Bounce-Type"), 0, true},
		{"as many as can be removed", repeated(2700, "X-Bounce-Type"), 2700, false},
		{"behind strangers' headers", append(repeated(5000, "X-Bounce-Junk-%d"), "x-bounce-category: invalid-address"), 1, false},
		{"below a long header", append(repeated(20000, "X-Field-%d-"+long), repeated(20, "X-Bounce-Action")...), 20, false},
		{"many below a long header", append(repeated(20000, "X-Field-%d-"+long), repeated(200, "X-Bounce-Action")...), 0, true},
		{"below many folded lines", append(slices.Repeat([]string{"X-Field: " + strings.Repeat("\n x", 20000)}, 10), repeated(200, "X-Bounce-Action")...), 0, true},
		{"the field that says so", []string{"X-Bounce-Forged: 3 left", "x-bounce-FORGED: none"}, 2, false},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			ts := start(t, nil)
			c := newClient(t, ts.dial(t), offerAll)
			c.expect('c', connectFrame("192.0.2.1"))
			mods := c.message("a@example.org", tt.lines...)
			if got := c.refused != ""; got != tt.refused {
				t.Fatalf("refused: %v, with %d changes", got, len(mods))
			}
			if tt.refused && !strings.HasPrefix(c.refused, "550 5.7.1 ") {
				t.Errorf("refused with %q", c.refused)
			}
			if len(mods) != tt.del {
				t.Errorf("%d deletions, want %d", len(mods), tt.del)
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
				name, _, _ := strings.Cut(l, ":")
				if ts.state.Load().own.index([]byte(name)) >= 0 {
					forged++
				}
			}
			if got := int(testutil.ToFloat64(ts.metrics.forgedTotal)); got != forged {
				t.Errorf("%d forged headers counted, want %d", got, forged)
			}
			errors := 0
			if tt.refused {
				errors = 1
			}
			if got, lines := ts.errors(stageForged), strings.Count(ts.log.String(), "\n"); got != errors || lines != got {
				t.Errorf("%d errors, log %s", got, ts.log)
			}
			// A bounce with such headers is tagged, or refused too, and the next message
			// is not affected.
			mods = c.message("", append(tt.lines, "Content-Type: multipart/report")...)
			if (c.refused != "") != tt.refused || !tt.refused && len(mods) != tt.del+5 {
				t.Errorf("a bounce: refused %q, %d changes", c.refused, len(mods))
			}
			if mods := c.message("a@example.org", "Subject: x", "X-Bounce-Type: x"); len(mods) != 1 {
				t.Errorf("the next message: %v", mods)
			}
			c.conn.Close()
			ts.quiet(t)
		})
	}
	if all < 2700 {
		t.Errorf("%d fields at the top are removed", all)
	}
}

// TestTooManyForgedHeadersPass checks messages that may not be refused: those that the MTA
// submits itself, and all if forged headers are kept. A field on top says what stays.
func TestTooManyForgedHeadersPass(t *testing.T) {
	lines := append(repeated(5000, "X-Bounce-Type"), "Content-Type: multipart/report")
	for name, tt := range map[string]struct {
		forged  Forged
		mode    Mode
		connect []byte
		last    string
	}{
		"from the MTA itself": {ForgedRemove, ModeTag, frame('C', "localhost\x004\x00\x00127.0.0.1\x00"), "i0 X-Bounce-Category: invalid-address"},
		"no address":          {ForgedRemove, ModeTag, frame('C', "localhost\x00U"), "i0 X-Bounce-Category: invalid-address"},
		"kept":                {ForgedKeep, ModeTag, connectFrame("192.0.2.1"), "i0 X-Bounce-Category: invalid-address"},
		"only observed":       {ForgedRemove, ModeObserve, connectFrame("192.0.2.1"), ""},
	} {
		t.Run(name, func(t *testing.T) {
			ts := start(t, func(c *Config) { c.ForgedHeaders, c.Mode = tt.forged, tt.mode })
			c := newClient(t, ts.dial(t), offerAll)
			c.expect('c', tt.connect)
			mods := c.message("", lines...)
			if c.refused != "" {
				t.Fatalf("refused with %q", c.refused)
			}
			if tt.last == "" {
				if len(mods) != 0 {
					t.Errorf("%d changes", len(mods))
				}
				return
			}
			inserted := mods[slices.IndexFunc(mods, func(m mod) bool { return m.op == 'i' }):]
			if want := fmt.Sprintf("i0 X-Bounce-Forged: %d left", 5000-(len(mods)-len(inserted))); inserted[0].String() != want || len(inserted) != 6 {
				t.Errorf("%d insertions, the first %s, want %s", len(inserted), inserted[0], want)
			}
			if last := inserted[len(inserted)-1].String(); last != tt.last {
				t.Errorf("at the top is %s", last)
			}
		})
	}
}

// TestForgedNamesOfOddOctets checks that names are compared as MTAs compare them: ignoring
// the case of ASCII letters, and everything else exactly.
func TestForgedNamesOfOddOctets(t *testing.T) {
	ts := start(t, nil)
	c := newClient(t, ts.dial(t), offerAll)
	c.expect('c', connectFrame("192.0.2.1"))
	for name, own := range map[string]bool{
		"X-Bounce-\u212aind": false, "X-Bounce-Re\u017fult": false, "X-Bounce-\xff": false, // Kelvin sign, which Unicode folds to k
		"X-BOUNCE-kind": true, "x-bounce-result ": true, "X-Bounce-Type \t": true, " X-Bounce-Type": false,
	} {
		if mods := c.message("a@example.org", name+": 1"); (len(mods) == 1) != own {
			t.Errorf("%q: changes %v", name, mods)
		}
	}
}

// TestPeerThatNeverReads ends a message that gets many changes, and does not read them. The
// session must end after one write timeout.
func TestPeerThatNeverReads(t *testing.T) {
	ts := start(t, func(c *Config) { c.Limits.WriteTimeout = 300 * time.Millisecond })
	near, far := net.Pipe()
	counted := &countConn{Conn: far}
	ts.admit(counted)
	c := newClient(t, near, offerAll)
	c.expect('c', connectFrame("192.0.2.1"))
	c.expect('c', mailFrame(""))
	var lines []byte
	for _, l := range repeated(2700, "X-Bounce-Type") {
		name, value, _ := strings.Cut(l, ": ")
		lines = append(lines, headerFrame(name, value)...)
	}
	c.expect('c', append(append(lines, headerFrame("Content-Type", "multipart/report")...), frame('N', "")...))
	before := counted.writes.Load()
	c.send(frame('E', ""))
	// Were each of the changes waited for, this would take a quarter of an hour.
	eventually(t, "the session ends", func() bool { return testutil.ToFloat64(ts.metrics.sessions) == 0 })
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
