package classify

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"github.com/bounce-milter/bounce-milter/classify/rules"
)

// naive finds what the automaton should, in the slow and obvious way.
func naive(patterns []string, text string) []string {
	var found []string
	for id, p := range patterns {
		for i := 0; i+len(p) <= len(text); i++ {
			if text[i:i+len(p)] == p {
				found = append(found, fmt.Sprint(id, "@", i+len(p)))
			}
		}
	}
	slices.Sort(found)
	return found
}

func automatonOf(t testing.TB, patterns []string) *automaton {
	t.Helper()
	a, err := newAutomaton(patterns)
	if err != nil {
		t.Fatal(err)
	}
	return a
}

func scanned(a *automaton, text string) []string {
	var found []string
	a.scan([]byte(text), func(ids []int32, end int) {
		for _, p := range ids {
			found = append(found, fmt.Sprint(p, "@", end))
		}
	})
	slices.Sort(found)
	return found
}

func TestAutomaton(t *testing.T) {
	for _, c := range []struct {
		patterns []string
		text     string
	}{
		{[]string{"he", "she", "his", "hers"}, "ushers said he is his"},
		{[]string{"a", "aa", "aaa"}, "aaaaa"},
		{[]string{"user unknown", "unknown user", "unknown"}, "550 user unknown user unknown"},
		{[]string{"over quota", "ver quota exceeded", "quota"}, "is over quota exceeded"},
		{[]string{"abcd", "bc"}, "abce abcd"},
		{[]string{"ü", "über", "\xff"}, "dar\xffüber"},
		{[]string{"x"}, ""},
		{[]string{"same", "same"}, "the same"},
	} {
		a := automatonOf(t, c.patterns)
		if got, want := scanned(a, c.text), naive(c.patterns, c.text); !slices.Equal(got, want) {
			t.Errorf("%q in %q: found %v, want %v", c.patterns, c.text, got, want)
		}
	}
}

// TestAutomatonRandom compares with the naive loop on many small alphabets,
// where patterns overlap in every way there is.
func TestAutomatonRandom(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 2))
	word := func(n, letters int) string {
		b := make([]byte, 1+r.IntN(n))
		for i := range b {
			b[i] = 'a' + byte(r.IntN(letters))
		}
		return string(b)
	}
	for range 2000 {
		letters := 1 + r.IntN(4)
		patterns := make([]string, 1+r.IntN(12))
		for i := range patterns {
			patterns[i] = word(6, letters)
		}
		text := word(60, letters+1)
		if got, want := scanned(automatonOf(t, patterns), text), naive(patterns, text); !slices.Equal(got, want) {
			t.Fatalf("%q in %q: found %v, want %v", patterns, text, got, want)
		}
	}
}

func FuzzAutomaton(f *testing.F) {
	f.Add("he\nshe\nhis\nhers", "ushers")
	f.Add("aa\na\naaaa", "aaaaaaa")
	f.Add("\xff\n\x00", "a\xff\x00")
	f.Fuzz(func(t *testing.T, list, text string) {
		patterns := slices.DeleteFunc(strings.Split(list, "\n"), func(p string) bool { return p == "" || strings.Contains(p, "\x00") })
		if len(list) > 2000 || len(text) > 2000 || len(patterns) == 0 {
			return
		}
		if got, want := scanned(automatonOf(t, patterns), text), naive(patterns, text); !slices.Equal(got, want) {
			t.Fatalf("%q in %q: found %v, want %v", patterns, text, got, want)
		}
	})
}

// TestAutomatonCost checks the memory of the automaton of the embedded rules.
func TestAutomatonCost(t *testing.T) {
	set, _ := rules.Load("")
	e := engineOf(t, set)
	a := automatonOf(t, e.match.phrases)
	t.Logf("%d rules, %d patterns, %d states, %d octets", len(set.Rules), len(e.match.phrases), a.states, a.size())
	if a.size() > 30<<20 {
		t.Errorf("the automaton takes %d octets, more than 30 MB", a.size())
	}
}

// BenchmarkBuild measures the building of the automaton, which should take at most 100 ms.
func BenchmarkBuild(b *testing.B) {
	e := builtIn(b)
	b.ReportAllocs()
	for b.Loop() {
		automatonOf(b, e.match.phrases)
	}
}
