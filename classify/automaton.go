package classify

import (
	"errors"
	"slices"
)

// automaton finds every occurrence of many patterns in one pass over a text
// (Aho and Corasick, 1975), however many patterns there are, at one step an
// octet: no step falls back.
//
// Where an octet leads to is mostly told by it and the octet before, whatever
// stood before these: to a node of depth 2 at most. That table, shallow, is
// small and stays in the cache. A state holds only what leads deeper, in rows
// that lie over each other in one table (Aoe, 1989), so that a row takes the
// room of what is in it and not of the alphabet.
type automaton struct {
	class   [256]uint8 // of each octet; 0 is every octet that no pattern holds
	classes int
	// deep holds the step that leads from a state by a class at their sum,
	// unless it is another state's: then it is another class's too, for no
	// two rows begin at one place. A state is the place where its row begins.
	// No pattern holds an octet of class 0: that place is where the state's
	// patterns are, if it has any.
	deep    []deepStep
	shallow []uint32 // by the class before and the class: where deep has no entry
	root    uint32
	// A state carries flagOut where it is led to if a pattern ends there.
	found  []int32 // groups: how many patterns, then these
	states int     // nodes of the trie
}

// deepStep holds in its highest octet the class by which it leads to the state,
// with flagOut, in its other three; of noClass it leads to a group, or nowhere.
type deepStep uint32

const (
	classShift = 24
	flagOut    = 1 << 23
	maxState   = flagOut - 1
	noClass    = 0xff // there are fewer: UTF-8 does not use all octets
)

var errTooManyPhrases = errors.New("too many phrases")

// newAutomaton builds the automaton for patterns, none of which is empty or
// holds NUL. It has room for some ten times the built-in ones.
func newAutomaton(patterns []string) (*automaton, error) {
	a := &automaton{found: make([]int32, 1)}
	a.classes, a.class = octetRanks(patterns)
	t := newTrie(a, patterns)
	t.link()
	if err := t.place(); err != nil {
		return nil, err
	}
	return a, nil
}

// octetRanks numbers the octets that occur in patterns from 1, frequent ones first, so
// that what texts hold most lies side by side. It returns one more than the last
// number.
func octetRanks(patterns []string) (ranks int, rank [256]uint8) {
	var count [256]int
	for _, p := range patterns {
		for i := 0; i < len(p); i++ {
			count[p[i]]++
		}
	}
	octets := make([]int, 256)
	for i := range octets {
		octets[i] = i
	}
	slices.SortStableFunc(octets, func(i, j int) int { return count[j] - count[i] })
	ranks = 1
	for _, c := range octets {
		if count[c] > 0 {
			rank[c] = uint8(ranks) // 255 at most: NUL is in no pattern
			ranks++
		}
	}
	return ranks, rank
}

// scan calls found with the patterns that end at each place where any does,
// all occurrences in the order of their ends.
func (a *automaton) scan(text []byte, found func(patterns []int32, end int)) {
	deep, shallow, classes := a.deep, a.shallow, a.classes
	state, before := a.root, 0
	for i, octet := range text {
		class := int(a.class[octet])
		if e := deep[int(state)+class]; int(e>>classShift) == class {
			state = uint32(e) & (flagOut | maxState)
		} else {
			state = shallow[before+class]
		}
		before = class * classes
		if state&flagOut != 0 {
			state &^= flagOut
			found(a.group(uint32(deep[state])&(flagOut|maxState)), i+1)
		}
	}
}

// group returns the patterns of a group.
func (a *automaton) group(at uint32) []int32 {
	return a.found[at+1:][:a.found[at]]
}

// rarest returns the place of the octet in s that patterns hold least often.
func rarest(s []byte, rank *[256]uint8) int {
	best := 0
	rarity := func(i int) uint8 { return rank[s[i]] - 1 } // in no pattern: the greatest
	for i := range s {
		if rarity(i) > rarity(best) {
			best = i
		}
	}
	return best
}
