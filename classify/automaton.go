package classify

import "slices"

// automaton finds every occurrence of many patterns in one pass over a text
// (Aho and Corasick, 1975), however many patterns there are.
//
// A state with several children has a full row of transitions, one for every
// class of octets, so that it costs one look-up. Most states lie inside one
// phrase and have a single child; they hold that child alone and fall back to
// the longest suffix that is a state too. Thousands of phrases so take a few
// megabytes, most of which no text ever touches.
type automaton struct {
	class   [256]uint8 // of each octet; 0 is every octet that no pattern holds
	classes int
	nodes   []node
	rows    []uint32 // full rows, classes entries each; entries are states with flagOut
	out     []outSet // by node; patterns that end in it
	found   []int32  // patterns of all nodes
}

// node is one state. A node with a row has row > 0 (rows begin at row-1).
type node struct {
	row   uint32
	next  uint32 // the only child, with flagOut; 0 if there is none
	fail  uint32
	class uint8 // of the octet that leads to next
}

// outSet is a range of automaton.found, and the nearest suffix with one.
type outSet struct {
	from, to int32
	suffix   uint32
}

// flagOut marks a transition into a state where some pattern ends.
const flagOut = 1 << 31

// newAutomaton builds the automaton for patterns, none of which is empty.
func newAutomaton(patterns []string) *automaton {
	a := &automaton{classes: 1}
	for _, p := range patterns {
		for i := 0; i < len(p); i++ {
			if a.class[p[i]] == 0 {
				a.class[p[i]] = uint8(a.classes) // at most 255 classes: NUL is in no pattern
				a.classes++
			}
		}
	}
	t := newTrie(a, patterns)
	t.link()
	return a
}

// trie is the automaton in the making.
type trie struct {
	a        *automaton
	children [][]edge // by node
	ends     [][]int32
	order    []uint32 // nodes, shallow ones first
}

type edge struct {
	class uint8
	to    uint32
}

func newTrie(a *automaton, patterns []string) *trie {
	t := &trie{a: a, children: make([][]edge, 1), ends: make([][]int32, 1)}
	for id, p := range patterns {
		at := uint32(0)
		for i := 0; i < len(p); i++ {
			at = t.child(at, a.class[p[i]])
		}
		t.ends[at] = append(t.ends[at], int32(id))
	}
	t.order = append(make([]uint32, 0, len(t.children)), 0)
	for i := 0; i < len(t.order); i++ {
		for _, e := range t.children[t.order[i]] {
			t.order = append(t.order, e.to)
		}
	}
	return t
}

// child returns the child of a node, which it makes if need be.
func (t *trie) child(at uint32, class uint8) uint32 {
	for _, e := range t.children[at] {
		if e.class == class {
			return e.to
		}
	}
	to := uint32(len(t.children))
	t.children = append(t.children, nil)
	t.ends = append(t.ends, nil)
	t.children[at] = append(t.children[at], edge{class, to})
	return to
}

// link turns the trie into the automaton: outputs, fall-backs and rows. It
// visits shallow states first, for a fall-back is always shallower.
func (t *trie) link() {
	a := t.a
	a.nodes = make([]node, len(t.children))
	a.out = make([]outSet, len(t.children))
	rows := 1
	for n := 1; n < len(t.children); n++ {
		if len(t.children[n]) > 1 {
			rows++
		}
	}
	a.rows = make([]uint32, 0, rows*a.classes)
	for _, n := range t.order {
		o := &a.out[n]
		o.from = int32(len(a.found))
		a.found = append(a.found, t.ends[n]...)
		o.to = int32(len(a.found))
		fail := a.nodes[n].fail
		if n != 0 {
			o.suffix = fail
			if s := a.out[fail]; s.from == s.to {
				o.suffix = s.suffix
			}
		}
		for _, e := range t.children[n] {
			if n != 0 {
				a.nodes[e.to].fail = a.step(fail, e.class) &^ flagOut
			}
		}
		if n != 0 && len(t.children[n]) < 2 {
			for _, e := range t.children[n] {
				a.nodes[n].class, a.nodes[n].next = e.class, e.to
			}
			continue
		}
		// A full row: where this state has no child, that of its fall-back.
		from := len(a.rows)
		a.rows = slices.Grow(a.rows, a.classes)[:from+a.classes]
		row := a.rows[from:]
		if n != 0 {
			for c := range row {
				row[c] = a.step(fail, uint8(c))
			}
		}
		for _, e := range t.children[n] {
			row[e.class] = e.to // flagged below, once its outputs are known
		}
		a.nodes[n].row = uint32(from + 1)
	}
	t.flag()
}

// flag marks every transition whose target ends a pattern.
func (t *trie) flag() {
	a := t.a
	ends := func(n uint32) bool {
		o := a.out[n]
		return o.from < o.to || o.suffix != 0
	}
	for i, to := range a.rows {
		if ends(to &^ flagOut) {
			a.rows[i] = to | flagOut
		}
	}
	for i := range a.nodes {
		if n := &a.nodes[i]; n.next != 0 && ends(n.next) {
			n.next |= flagOut
		}
	}
}

// step follows one octet's class from a state. While the automaton is built it
// is called only for states that are finished, which all shallower ones are.
func (a *automaton) step(state uint32, class uint8) uint32 {
	for {
		n := &a.nodes[state]
		if n.row != 0 {
			return a.rows[int(n.row-1)+int(class)]
		}
		if n.next != 0 && n.class == class {
			return n.next
		}
		state = n.fail
	}
}

// scan calls found with every pattern and where it ends, for all occurrences.
func (a *automaton) scan(text []byte, found func(pattern int32, end int)) {
	state := uint32(0)
	for i, c := range text {
		state = a.step(state, a.class[c])
		if state&flagOut == 0 {
			continue
		}
		state &^= flagOut
		for n := state; ; {
			o := &a.out[n]
			for _, p := range a.found[o.from:o.to] {
				found(p, i+1)
			}
			if n = o.suffix; n == 0 {
				break
			}
		}
	}
}

// size is the memory in octets that the automaton holds.
func (a *automaton) size() int {
	return len(a.nodes)*16 + len(a.rows)*4 + len(a.out)*12 + len(a.found)*4
}
