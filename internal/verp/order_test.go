package verp

import (
	"math/rand/v2"
	"strings"
	"testing"
)

// TestOneWay compares patterns with a list of all ways to read an address: if a pattern is
// accepted there is at most one way, and the pattern finds it.
func TestOneWay(t *testing.T) {
	rng := rand.New(rand.NewPCG(1, 2))
	pick := func(from ...string) string { return from[rng.IntN(len(from))] }
	accepted, refused := 0, 0
	for range 3000 {
		p := &pattern{texts: []string{pick("", "b", "b-", "b+")}}
		for _, f := range rng.Perm(configurable)[:1+rng.IntN(4)] {
			p.fields = append(p.fields, field(f))
			p.texts = append(p.texts, pick("-", "+", "=", "--", "-b-", "=-", "+-+", "a", "=a="))
		}
		if rng.IntN(2) == 0 {
			p.texts[len(p.fields)] = ""
		}
		if p.order() != nil {
			refused++
			continue
		}
		accepted++
		for range 60 {
			s := p.texts[0]
			for i := range p.fields {
				for range 1 + rng.IntN(3) {
					s += pick("a", "b", "-", "+", "=")
				}
				s += p.texts[i+1]
			}
			ways := p.ways(s, 0)
			if len(ways) > 1 {
				t.Fatalf("%v %q: %q can be read in %d ways, %q", p.fields, p.texts, s, len(ways), ways)
			}
			got, ok := p.values(s, s)
			if ok != (len(ways) == 1) {
				t.Fatalf("%v %q: %q is read as %q, want %q", p.fields, p.texts, s, got, ways)
			}
			for i, f := range p.fields {
				if ok && got[f] != ways[0][i] {
					t.Fatalf("%v %q: %q is read as %q, want %q", p.fields, p.texts, s, got, ways)
				}
			}
		}
	}
	if accepted < 300 || refused < 300 {
		t.Errorf("%d patterns accepted, %d refused: too few of either", accepted, refused)
	}
}

// ways returns all ways to read s from the i-th text on, each as the values of the fields.
func (p *pattern) ways(s string, i int) [][]string {
	rest, ok := strings.CutPrefix(s, p.texts[i])
	if !ok {
		return nil
	}
	if i == len(p.fields) {
		if rest == "" {
			return [][]string{{}}
		}
		return nil
	}
	var all [][]string
	for n := 1; n <= len(rest) && holds(p.fields[i], rest[n-1]); n++ {
		for _, w := range p.ways(rest[n:], i+1) {
			all = append(all, append([]string{rest[:n]}, w...))
		}
	}
	return all
}

// TestOverlaps checks the search for an address that matches two patterns against random
// addresses.
func TestOverlaps(t *testing.T) {
	rng := rand.New(rand.NewPCG(3, 4))
	pick := func(from ...string) string { return from[rng.IntN(len(from))] }
	random := func() *pattern {
		p := &pattern{texts: []string{pick("", "b", "b-", "a+")}}
		for _, f := range rng.Perm(configurable)[:1+rng.IntN(2)] {
			p.fields = append(p.fields, field(f))
			p.texts = append(p.texts, pick("-", "+", "=", "-b", "b", "="))
		}
		return p
	}
	both, apart := 0, 0
	for range 3000 {
		p, q := random(), random()
		s, ok := p.overlaps(q)
		if ok {
			both++
			if len(p.ways(s, 0)) == 0 || len(q.ways(s, 0)) == 0 {
				t.Fatalf("%v %q and %v %q: %q does not fit both", p.fields, p.texts, q.fields, q.texts, s)
			}
			continue
		}
		apart++
		for range 30 {
			s := ""
			for range 1 + rng.IntN(7) {
				s += pick("a", "b", "-", "+", "=")
			}
			if len(p.ways(s, 0)) > 0 && len(q.ways(s, 0)) > 0 {
				t.Fatalf("%v %q and %v %q: %q fits both", p.fields, p.texts, q.fields, q.texts, s)
			}
		}
	}
	if both < 100 || apart < 100 {
		t.Errorf("%d pairs of patterns overlap, %d do not: too few of either", both, apart)
	}
}
