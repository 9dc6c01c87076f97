package milter

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/bounce-milter/bounce-milter/classify/dsn"
	"github.com/prometheus/client_golang/prometheus/testutil"
)

// again returns a message as it comes back, with the changes that the daemon made.
func again(mods []mod, lines ...string) []string {
	for _, m := range mods {
		lines = append([]string{m.name + ": " + m.value}, lines...)
	}
	return lines
}

// TestMessageComesBack sends the server a bounce that it has tagged, as a content filter
// returns it. In some cases the tags are no longer what the server wrote.
func TestMessageComesBack(t *testing.T) {
	report := []string{"Message-ID: <1@mx.example.com>", "Content-Type: multipart/report", "", goodReport}
	tests := []struct {
		name   string
		change func(lines []string) []string // of the message that comes back
		known  bool
	}{
		{"as it was", func(l []string) []string { return l }, true},
		{"below fields of the filter", func(l []string) []string { return append([]string{"X-Virus-Scanned: filter", "X-Spam-Flag: NO"}, l...) }, true},
		{"folded anew", func(l []string) []string {
			l = slices.Clone(l)
			l[4] = strings.ReplaceAll(strings.ReplaceAll(l[4], "\n\t", " "), "; reason", ";\r\n\treason")
			return l
		}, true},
		{"with a verdict more", func(l []string) []string { return append([]string{"X-Bounce-Type: hard"}, l...) }, false},
		{"with a verdict less", func(l []string) []string { return l[1:] }, false},
		{"with another verdict", func(l []string) []string { return append([]string{"X-Bounce-Category: dmarc"}, l[1:]...) }, false},
		{"with another Message-ID", func(l []string) []string {
			l = slices.Clone(l)
			l[5] = "Message-ID: <2@mx.example.com>"
			return l
		}, false},
	}
	for _, forged := range []Forged{ForgedRemove, ForgedKeep} {
		for _, tt := range tests {
			t.Run(fmt.Sprintf("%s/%s", forged, tt.name), func(t *testing.T) {
				ts := start(t, func(c *Config) { c.ForgedHeaders = forged })
				c := newClient(t, ts.dial(t), offerAll)
				c.expect('c', connectFrame("192.0.2.1"))
				back := again(c.message("", report...), report...)
				c.expect('c', connectFrame("127.0.0.1"))
				want := 1.0
				if !tt.known {
					want = 2
				}
				for range 2 { // a filter may make several messages of one
					if mods := c.message("", tt.change(back)...); (len(mods) == 0) != tt.known {
						t.Fatalf("changes %v", mods)
					}
					if got := float64(ts.messages(dsn.KindDSN)); got != want {
						t.Fatalf("%v bounces counted, want %v", got, want)
					}
					if !tt.known {
						break // it was tagged anew, and would be known so
					}
				}
				if got := testutil.ToFloat64(ts.metrics.again); (got == 2) != tt.known {
					t.Errorf("%v messages counted that came back", got)
				}
				if got := testutil.ToFloat64(ts.metrics.forgedTotal); (got == 0) != tt.known {
					t.Errorf("%v forged headers counted", got)
				}
				if got := ts.messages(dsn.KindNone); got != 0 {
					t.Errorf("%v ordinary messages counted", got)
				}
				c.conn.Close()
				ts.quiet(t)
			})
		}
	}
}

// TestMessageComesBackWithMessageID has a bounce without a Message-ID, to which
// the MTA gives one when the filter hands it in.
func TestMessageComesBackWithMessageID(t *testing.T) {
	ts := start(t, nil)
	c := newClient(t, ts.dial(t), offerAll)
	c.expect('c', connectFrame("192.0.2.1"))
	report := []string{"Content-Type: multipart/report", "", goodReport}
	back := again(c.message("", report...), append([]string{"Message-ID: <made@mx.example.org>"}, report...)...)
	if mods := c.message("", back...); len(mods) != 0 {
		t.Errorf("changes %v", mods)
	}
}

func TestWrittenForgets(t *testing.T) {
	w := newWritten()
	now := time.Now()
	sum := func(n int) *forged {
		f, own := &forged{}, newOwnNames([]string{"X-Bounce-Forged", "X-Bounce-Type"})
		f.add(&own, 1, fmt.Append(nil, n), 0, 0)
		return f
	}
	note := func(n int) { w.note([]field{{"X-Bounce-Type", fmt.Sprint(n)}}, 0, now) }
	note(0)
	if !w.knows(sum(0).sum, 0, now.Add(writtenAge-1)) || w.knows(sum(0).sum, 0, now.Add(writtenAge)) {
		t.Error("what was written is not known for its time")
	}
	for n := range maxWritten {
		note(n + 1)
		note(n + 1) // takes no second place
	}
	if w.knows(sum(0).sum, 0, now) || !w.knows(sum(1).sum, 0, now) || len(w.at) != maxWritten {
		t.Errorf("%d are remembered, the first one too: %v", len(w.at), w.knows(sum(0).sum, 0, now))
	}
}

// TestFieldSum folds fields as filters do, also long ones. The hash must be that of the words.
func TestFieldSum(t *testing.T) {
	sum := func(value string) mark {
		s := newFieldSum()
		s.add("X-Bounce-Result", []byte(value))
		return s.mark(1)
	}
	for _, words := range [][]string{{"a"}, {"a", "b", "c"}, {strings.Repeat("x", maxPiece), "y"},
		{strings.Repeat("x", 3*maxPiece+1)}, strings.Split(strings.Repeat("word ", 2*maxPiece), " ")} {
		plain := sum(strings.Join(words, " "))
		if folded := sum(" " + strings.Join(words, "\r\n\t") + "\t "); folded != plain {
			t.Errorf("%d words: folded, the hash is another one", len(words))
		}
		if other := sum(strings.Join(words, " ") + "z"); other == plain {
			t.Errorf("%d words: with another letter, the hash is the same", len(words))
		}
	}
	s := newFieldSum()
	fields := func() mark {
		s.reset()
		s.add("X-Bounce-Type", []byte("hard"))
		return s.mark(1)
	}
	if n := testing.AllocsPerRun(100, func() { fields() }); n > 0 && !raceEnabled {
		t.Errorf("%.0f allocations", n)
	}
}
