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

// scanned lists what is found in a text, and complains unless an automaton and a book
// call out the same in the same order.
func scanned(t testing.TB, patterns []string, text string) []string {
	t.Helper()
	var found [2][]string
	for i, scan := range []func([]byte, func([]int32, int)){automatonOf(t, patterns).scan, newBook(patterns).scan} {
		scan([]byte(text), func(ids []int32, end int) {
			found[i] = append(found[i], fmt.Sprint(ids, "@", end))
		})
	}
	if !slices.Equal(found[0], found[1]) {
		t.Errorf("%q in %q: the automaton finds %v, the book %v", patterns, text, found[0], found[1])
	}
	var single []string
	newBook(patterns).scan([]byte(text), func(ids []int32, end int) {
		for _, p := range ids {
			single = append(single, fmt.Sprint(p, "@", end))
		}
	})
	slices.Sort(single)
	return single
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
		if got, want := scanned(t, c.patterns, c.text), naive(c.patterns, c.text); !slices.Equal(got, want) {
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
			patterns[i] = word(6+r.IntN(4), letters)
		}
		text := word(60, letters+1)
		if got, want := scanned(t, patterns, text), naive(patterns, text); !slices.Equal(got, want) {
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
		if got, want := scanned(t, patterns, text), naive(patterns, text); !slices.Equal(got, want) {
			t.Fatalf("%q in %q: found %v, want %v", patterns, text, got, want)
		}
	})
}

// size is the memory in octets that the automaton holds.
func (a *automaton) size() int {
	return len(a.deep)*4 + len(a.shallow)*4 + len(a.found)*4
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

// TestFinder: an engine that is asked little makes no automaton; one that is asked much
// does, and judges as before.
func TestFinder(t *testing.T) {
	set, _ := rules.Load("")
	e := engineOf(t, set)
	const text = "550 5.1.1 <u@example.com>: Recipient address rejected: User unknown in virtual mailbox table"
	first := e.Judge(&Evidence{Reply: text})
	if e.match.in.Load().auto != nil {
		t.Fatal("one reply made an automaton")
	}
	for range 2*patience/len(text) + 2 {
		if v := e.Judge(&Evidence{Reply: text}); v != first {
			t.Fatalf("%+v, first %+v", v, first)
		}
	}
	if in := e.match.in.Load(); in.auto == nil || in.book != nil {
		t.Error("half a megabyte of replies made no automaton")
	}
}

// BenchmarkNew measures what a program pays for an engine that is asked little.
func BenchmarkNew(b *testing.B) {
	b.ReportAllocs()
	for b.Loop() {
		if _, err := New(Options{}); err != nil {
			b.Fatal(err)
		}
	}
}

// BenchmarkBook measures the book on ordinary replies: what is spent before there is an
// automaton.
func BenchmarkBook(b *testing.B) {
	e := builtIn(b)
	text := []byte(" 550 5.1.1 <> recipient address rejected: user unknown in virtual mailbox table; please check the address ")
	book := newBook(e.match.phrases)
	b.SetBytes(int64(len(text)))
	for b.Loop() {
		book.scan(text, func([]int32, int) {})
	}
}

// TestNewAllocates bounds what an engine takes to make, as a measure of the start of the
// program that does not depend on the machine.
func TestNewAllocates(t *testing.T) {
	n := testing.AllocsPerRun(1, func() {
		if _, err := New(Options{}); err != nil {
			t.Fatal(err)
		}
	})
	if n > 50000 {
		t.Errorf("%.0f allocations for an engine: the maximum is 50000", n)
	}
}
