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

// trie is the automaton in the making.
type trie struct {
	a        *automaton
	children [][]edge // by node
	ends     [][]int32
	order    []uint32 // nodes, shallow ones first
	state    []uint32 // by node: its number in the automaton
	fail     []uint32 // by node: another node
	suffix   []uint32 // by node: the nearest suffix that ends a pattern, 0 if none does
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

// link turns the trie into the automaton. It visits shallow nodes first, for
// what a node falls back to is always shallower.
func (t *trie) link() {
	n := len(t.children)
	t.state, t.fail, t.suffix = make([]uint32, n), make([]uint32, n), make([]uint32, n)
	t.number()
	a := t.a
	for _, n := range t.order {
		fail := t.fail[n]
		if n != 0 {
			t.suffix[n] = fail
			if len(t.ends[fail]) == 0 {
				t.suffix[n] = t.suffix[fail]
			}
		}
		for _, e := range t.children[n] {
			if n != 0 {
				t.fail[e.to] = t.follow(fail, e.class)
			}
		}
		o := &a.outs[t.outIndex(n)]
		o.from = int32(len(a.found))
		a.found = append(a.found, t.ends[n]...)
		o.to = int32(len(a.found))
		o.suffix = t.state[t.suffix[n]]
		if s := t.state[n]; s&flagChain != 0 {
			c := &a.chains[s&^flagChain]
			c.fail = t.state[fail]
			for _, e := range t.children[n] {
				c.class, c.next = e.class, t.target(e.to)
			}
			continue
		}
		row := a.rows[t.state[n]:][:a.classes]
		if n != 0 { // where this node has no child, that of its fall-back
			t.fill(row, fail)
		}
		for _, e := range t.children[n] {
			row[e.class] = e.to | flagNode
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
		if n != 0 && len(t.children[n]) < 2 {
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

func (t *trie) outIndex(n uint32) int { return t.a.outIndex(t.state[n]) }

// target is a node's state as it stands in a transition. Its suffixes need not
// be known yet: whether a pattern ends there is told from the node up.
func (t *trie) target(n uint32) uint32 {
	s := t.state[n]
	for m := n; m != 0; m = t.fail[m] {
		if len(t.ends[m]) > 0 {
			return s | flagOut
		}
	}
	return s
}

// follow returns the node that an octet's class leads to from a finished node.
func (t *trie) follow(n uint32, class uint8) uint32 {
	for {
		for _, e := range t.children[n] {
			if e.class == class {
				return e.to
			}
		}
		if n == 0 {
			return 0
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
	for _, e := range t.children[n] {
		row[e.class] = e.to | flagNode
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
