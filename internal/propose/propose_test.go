package propose

import (
	"fmt"
	"strings"
	"testing"
	"time"
)

func TestGroups(t *testing.T) {
	day := func(n int) time.Time { return time.Date(2026, 11, n, 0, 0, 0, 0, time.UTC) }
	var g Groups
	for _, m := range []Miss{
		{Reply: "550 5.7.1 <carla@example.com>: the gatekeeper declines (ticket 12345)", Time: day(3)},
		{Reply: "554 mode seven is active at mx1.example.com", Hint: "something"},
		{Reply: "550 5.7.1 <bob@example.net>: the gatekeeper declines (ticket 9)", Time: day(1)},
		{Reply: "550 5.7.1 <bob@example.net>: the gatekeeper refuses (ticket 9)", Time: day(2)},
		{Reply: "550 5.7.1 carla: something else altogether, of no ticket", Known: []string{"carla@example.com"}},
		{Reply: "550 5.1.1"},
		{Reply: "  "},
	} {
		g.Add(m)
	}
	var got []string
	for _, x := range g.List() {
		got = append(got, fmt.Sprintf("%d %s %d", x.Count, x.Pattern, len(x.Examples)))
	}
	want := []string{
		"3 550 5.7.1 <[address]>: the gatekeeper * (ticket [number]) 2",
		"1 550 5.7.1 [name]: something else altogether, of no ticket 1",
		"1 554 mode seven is active at [host] 1",
	}
	if strings.Join(got, "\n") != strings.Join(want, "\n") {
		t.Errorf("groups\n%s\nwant\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
	}
	if g.Wordless != 2 {
		t.Errorf("%d without words", g.Wordless)
	}
	first := g.List()[0]
	if !first.First.Equal(day(1)) || !first.Last.Equal(day(3)) {
		t.Errorf("from %v to %v", first.First, first.Last)
	}
	for _, x := range g.List() {
		for _, e := range append(x.Examples, x.Replies...) {
			if strings.Contains(e, "carla") || strings.Contains(e, "bob") || strings.Contains(e, "12345") {
				t.Errorf("not masked: %s", e)
			}
		}
	}
}

// TestGroupsAreBounded adds replies that have nothing in common, and replies that all fall
// into one leaf of the tree; what is frequent stays.
func TestGroupsAreBounded(t *testing.T) {
	word := func(n int) string {
		var b strings.Builder
		for ; ; n /= 26 {
			b.WriteByte(byte('a' + n%26))
			if n < 26 {
				return b.String() + "ish"
			}
		}
	}
	for name, reply := range map[string]func(n int) string{
		"nothing in common": func(n int) string { return word(n) + " " + word(n*7+1) + " " + word(n*3+2) },
		"one leaf": func(n int) string {
			return "same start " + word(n) + " " + word(n+1) + " " + word(n+2) + " " + word(n+3)
		},
	} {
		var g Groups
		const often = 50
		for range often {
			g.Add(Miss{Reply: "same start of all that is frequent here"})
			g.Add(Miss{Reply: "the usual suspects"})
		}
		for n := range 30_000 {
			g.Add(Miss{Reply: reply(n)})
		}
		list := g.List()
		if len(list) != g.n || len(list) > maxGroups {
			t.Errorf("%s: %d groups, %d counted", name, len(list), g.n)
		}
		for _, leaf := range g.leaves {
			if len(leaf) > maxLeaf {
				t.Errorf("%s: a leaf with %d groups", name, len(leaf))
			}
		}
		sum := 0
		for _, x := range list {
			sum += x.Count
		}
		if sum+g.Dropped != 30_000+2*often {
			t.Errorf("%s: %d counted, %d dropped", name, sum, g.Dropped)
		}
		if list[0].Count < often {
			t.Errorf("%s: the most frequent was met %d times", name, list[0].Count)
		}
	}
}

func TestPhrases(t *testing.T) {
	tests := []struct {
		name       string
		understood []string
		want       string // the first, "" for none
	}{
		{"none", nil, ""},
		{"short", []string{"no"}, ""},
		{"one word", []string{"delivery"}, ""},
		{"one long word", []string{"verschwundibusleer"}, "verschwundibusleer"},
		{"two words", []string{"not today"}, "not today"},
		{"one", []string{"the gatekeeper declines"}, "the gatekeeper declines"},
		{"around an address", []string{"refused for @ by the gatekeeper of mail"}, "by the gatekeeper of mail"},
		{"what differs is left out", []string{"the gatekeeper declines mode one at dawn", "the gatekeeper refuses mode one at dawn"}, "mode one at dawn"},
		{"nothing in common", []string{"the gatekeeper declines", "a wizard refuses"}, ""},
		{"long", []string{strings.Repeat("gatekeeper ", 20)}, strings.TrimSpace(strings.Repeat("gatekeeper ", 6))},
		{"long, without spaces", []string{strings.Repeat("見", 50)}, strings.Repeat("見", 24)},
		{"punctuation at the ends", []string{"-- (the gatekeeper declines): "}, "the gatekeeper declines"},
	}
	for _, tt := range tests {
		got := ""
		if list := Phrases(tt.understood); len(list) > 0 {
			got = list[0]
		}
		if got != tt.want {
			t.Errorf("%s: %q, want %q", tt.name, got, tt.want)
		}
	}
}

func FuzzPropose(f *testing.F) {
	f.Add("550 5.7.1 <carla@example.com>: the gatekeeper declines", "550 5.7.1 <bob@example.com>: the gatekeeper refuses")
	f.Add("\x00\xff[[[", "\u202e\"\"\"\\")
	f.Fuzz(func(t *testing.T, a, b string) {
		var g Groups
		for _, r := range []string{a, b, a + " " + b} {
			g.Add(Miss{Reply: r})
		}
		n := g.Wordless
		for _, x := range g.List() {
			n += x.Count
			for _, p := range Phrases(x.Replies) {
				if len(p) < minPhrase || len(p) > maxPhrase {
					t.Errorf("a phrase of %d octets: %q", len(p), p)
				}
				for _, r := range x.Replies {
					if !strings.Contains(r, p) {
						t.Errorf("%q does not stand in %q", p, r)
					}
				}
				if rule := Rule(p, Choose, x.Hint, x.Replies); strings.Count(rule, "[[rule]]\n") < 1 || strings.ContainsAny(rule, "\x00\x1b\x7f") {
					t.Errorf("%q", rule)
				}
			}
		}
		if n != 3 {
			t.Errorf("%d of 3 replies counted", n)
		}
	})
}
