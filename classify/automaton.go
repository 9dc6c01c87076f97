package classify

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
	// A state is a number: where its row begins in rows or, with flagChain,
	// its place in chains. Where it is gone to it carries flagOut as well if
	// a pattern ends there.
	rows   []uint32
	chains []chain
	outs   []outSet // of the states with a row, by number of the row, then of the chains
	found  []int32  // patterns of all outSets
	states int
}

// chain is a state with one child at most.
type chain struct {
	next  uint32 // the child
	fail  uint32 // the longest suffix that is a state
	class uint8  // of the octet that leads to next; 0 where there is no child
}

// outSet is a range of automaton.found, and the nearest suffix with one.
type outSet struct {
	from, to int32
	suffix   uint32 // a state; 0 (the root) where there is none
}

const (
	flagOut   = 1 << 31
	flagChain = 1 << 30
)

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

// trie is the automaton in the making. Its nodes are numbers, 0 is the root;
// every slice but next is by node.
type trie struct {
	a       *automaton
	child   []uint32 // the first child, 0 if there is none
	sibling []uint32 // the next child of the same parent
	class   []uint8  // of the octet that leads here
	first   []int32  // pattern that ends here, plus one; 0 if none does
	next    []int32  // by pattern: another that ends in the same node, likewise
	order   []uint32 // nodes, shallow ones first
	state   []uint32 // number in the automaton
	fail    []uint32 // the longest suffix that is a node
	suffix  []uint32 // the nearest suffix that ends a pattern, 0 if none does
}

func newTrie(a *automaton, patterns []string) *trie {
	t := &trie{a: a, next: make([]int32, len(patterns))}
	t.add(0)
	for id, p := range patterns {
		at := uint32(0)
		for i := 0; i < len(p); i++ {
			at = t.grow(at, a.class[p[i]])
		}
		t.next[id], t.first[at] = t.first[at], int32(id+1)
	}
	t.order = make([]uint32, 1, len(t.child))
	for i := 0; i < len(t.order); i++ {
		for c := t.child[t.order[i]]; c != 0; c = t.sibling[c] {
			t.order = append(t.order, c)
		}
	}
	return t
}

// add makes a node without parent.
func (t *trie) add(class uint8) uint32 {
	t.child, t.sibling = append(t.child, 0), append(t.sibling, 0)
	t.class, t.first = append(t.class, class), append(t.first, 0)
	return uint32(len(t.child) - 1)
}

// grow returns the child of a node, which it makes if need be.
func (t *trie) grow(at uint32, class uint8) uint32 {
	if c := t.find(at, class); c != 0 {
		return c
	}
	c := t.add(class)
	t.sibling[c], t.child[at] = t.child[at], c
	return c
}

// find returns the child of a node, 0 if there is none.
func (t *trie) find(at uint32, class uint8) uint32 {
	c := t.child[at]
	for c != 0 && t.class[c] != class {
		c = t.sibling[c]
	}
	return c
}

// link turns the trie into the automaton. It visits shallow nodes first, for
// what a node falls back to is always shallower.
func (t *trie) link() {
	n := len(t.child)
	t.state, t.fail, t.suffix = make([]uint32, n), make([]uint32, n), make([]uint32, n)
	t.number()
	a := t.a
	for _, n := range t.order {
		fail := t.fail[n]
		if n != 0 {
			t.suffix[n] = fail
			if t.first[fail] == 0 {
				t.suffix[n] = t.suffix[fail]
			}
		}
		for c := t.child[n]; c != 0; c = t.sibling[c] {
			if n != 0 {
				t.fail[c] = t.follow(fail, t.class[c])
			}
		}
		o := &a.outs[a.outIndex(t.state[n])]
		o.from = int32(len(a.found))
		for p := t.first[n]; p != 0; p = t.next[p-1] {
			a.found = append(a.found, p-1)
		}
		o.to = int32(len(a.found))
		o.suffix = t.state[t.suffix[n]]
		if s := t.state[n]; s&flagChain != 0 {
			link := &a.chains[s&^flagChain]
			link.fail = t.state[fail]
			if c := t.child[n]; c != 0 {
				link.class, link.next = t.class[c], t.target(c)
			}
			continue
		}
		row := a.rows[t.state[n]:][:a.classes]
		if n != 0 { // where this node has no child, that of its fall-back
			t.fill(row, fail)
		}
		for c := t.child[n]; c != 0; c = t.sibling[c] {
			row[t.class[c]] = c | flagNode
		}
	}
	for i, r := range a.rows {
		if r&flagNode != 0 {
			a.rows[i] = t.target(r &^ flagNode)
		}
	}
}

// flagNode marks, while the rows are being made, the number of a node.
const flagNode = 1 << 29

// number gives every node its state. The root has the first row, so that it is
// state 0.
func (t *trie) number() {
	a := t.a
	rows, chains := 0, 0
	for _, n := range t.order {
		if c := t.child[n]; n != 0 && (c == 0 || t.sibling[c] == 0) {
			t.state[n] = uint32(chains) | flagChain
			chains++
		} else {
			t.state[n] = uint32(rows * a.classes)
			rows++
		}
	}
	a.rows = make([]uint32, rows*a.classes)
	a.chains = make([]chain, chains)
	a.outs = make([]outSet, rows+chains)
	a.states = rows + chains
}

// target is a node's state as it stands in a transition. Its suffixes need not
// be known yet: whether a pattern ends there is told from the node up.
func (t *trie) target(n uint32) uint32 {
	s := t.state[n]
	for m := n; m != 0; m = t.fail[m] {
		if t.first[m] != 0 {
			return s | flagOut
		}
	}
	return s
}

// follow returns the node that an octet's class leads to from a finished node.
func (t *trie) follow(n uint32, class uint8) uint32 {
	for {
		if c := t.find(n, class); c != 0 || n == 0 {
			return c
		}
		n = t.fail[n]
	}
}

// fill writes all transitions of a finished node.
func (t *trie) fill(row []uint32, n uint32) {
	s := t.state[n]
	if s&flagChain == 0 {
		copy(row, t.a.rows[s:][:len(row)])
		return
	}
	t.fill(row, t.fail[n])
	if c := t.child[n]; c != 0 {
		row[t.class[c]] = c | flagNode
	}
}

func (a *automaton) outIndex(state uint32) int {
	if state&flagChain != 0 {
		return len(a.rows)/a.classes + int(state&^flagChain)
	}
	return int(state) / a.classes
}

// scan calls found with every pattern and where it ends, for all occurrences.
func (a *automaton) scan(text []byte, found func(pattern int32, end int)) {
	rows, chains := a.rows, a.chains
	state := uint32(0)
	for i, octet := range text {
		class := a.class[octet]
		for state&flagChain != 0 {
			c := &chains[state&^flagChain]
			if c.class == class && class != 0 {
				state = c.next
				goto next
			}
			state = c.fail
		}
		state = rows[state+uint32(class)]
	next:
		if state&flagOut == 0 {
			continue
		}
		state &^= flagOut
		for s := state; ; {
			o := &a.outs[a.outIndex(s)]
			for _, p := range a.found[o.from:o.to] {
				found(p, i+1)
			}
			if s = o.suffix; s == 0 {
				break
			}
		}
	}
}

// size is the memory in octets that the automaton holds.
func (a *automaton) size() int {
	return len(a.rows)*4 + len(a.chains)*12 + len(a.outs)*12 + len(a.found)*4
}
