package classify

import (
	"bytes"
	"cmp"
	"fmt"
	"math/bits"
	"slices"
)

// trie is the automaton in the making. Its nodes are numbers in the order of a
// walk along the branches; 0 is the root.
type trie struct {
	a      *automaton
	nodes  []node
	levels []uint32 // nodes, shallow ones first, and so side by side with their siblings
	steps  []step   // of all nodes
}

type node struct {
	parent, fail uint32 // fail is the longest suffix that is a node
	depth        uint32
	from, to     uint32 // of steps that lead to nodes of depth 3 or more
	state        uint32 // with flagOut if a pattern ends there
	out          uint32 // in found, 0 where no pattern ends
	class        uint8  // of the octet that leads here
}

// step leads to a node by the class of an octet.
type step struct {
	to    uint32
	class uint8
}

func newTrie(a *automaton, patterns []string) *trie {
	total := 0
	for _, p := range patterns {
		total += len(p)
	}
	type entry struct {
		classes []byte
		id      int32
	}
	buf, entries := make([]byte, 0, total), make([]entry, len(patterns))
	for id, p := range patterns {
		from := len(buf)
		for i := 0; i < len(p); i++ {
			buf = append(buf, a.class[p[i]])
		}
		entries[id] = entry{buf[from:], int32(id)}
	}
	slices.SortFunc(entries, func(x, y entry) int {
		return cmp.Or(bytes.Compare(x.classes, y.classes), int(x.id-y.id))
	})

	t := &trie{a: a, nodes: make([]node, 1, total*5/8+1)}
	path := []uint32{0} // of the pattern before, with which the next shares its head
	var last []byte
	for _, e := range entries {
		same := 0
		for same < min(len(last), len(e.classes)) && last[same] == e.classes[same] {
			same++
		}
		path = path[:same+1]
		for _, c := range e.classes[same:] {
			t.nodes = append(t.nodes, node{parent: path[len(path)-1], class: c, depth: uint32(len(path))})
			path = append(path, uint32(len(t.nodes)-1))
		}
		n := &t.nodes[path[len(path)-1]]
		if n.out == 0 { // else the same pattern came just before, and its list is continued
			n.out = uint32(len(a.found))
			a.found = append(a.found, 0)
		}
		a.found = append(a.found, e.id)
		a.found[n.out]++
		last = e.classes
	}
	t.sortByDepth()
	return t
}

func (t *trie) sortByDepth() {
	var starts []int
	for i := range t.nodes {
		for int(t.nodes[i].depth) >= len(starts)-1 {
			starts = append(starts, 0)
		}
		starts[t.nodes[i].depth+1]++
	}
	for d := 1; d < len(starts); d++ {
		starts[d] += starts[d-1]
	}
	t.levels = make([]uint32, len(t.nodes))
	for i := range t.nodes {
		d := t.nodes[i].depth
		t.levels[starts[d]] = uint32(i)
		starts[d]++
	}
}

// link finds for every node what it falls back to, the steps that lead deep
// from it, and the patterns that end there. What a node falls back to is
// shallower than it is, so shallow nodes go first.
func (t *trie) link() {
	a := t.a
	a.shallow = make([]uint32, a.classes*a.classes)
	single := make([]uint32, a.classes) // the nodes of depth 1
	t.steps = make([]step, 0, 6*len(t.nodes))
	next := 1
	for _, id := range t.levels {
		n := &t.nodes[id]
		t.collect(n)
		from := next
		for next < len(t.levels) && t.nodes[t.levels[next]].parent == id {
			next++
		}
		children := t.levels[from:next]
		switch n.depth {
		case 0:
			for _, c := range children {
				single[t.nodes[c].class] = c
			}
			for before := range a.classes {
				copy(a.shallow[before*a.classes:], single)
			}
		case 1:
			for _, c := range children {
				child := &t.nodes[c]
				child.fail = single[child.class]
				a.shallow[int(n.class)*a.classes+int(child.class)] = c
			}
		default:
			t.merge(n, children)
		}
	}
}

// collect adds the patterns that end at a node's fall-back to its own.
func (t *trie) collect(n *node) {
	a, more := t.a, t.nodes[n.fail].out
	if n.out == 0 {
		n.out = more
	} else if more != 0 {
		own, others := a.group(n.out), a.group(more)
		n.out = uint32(len(a.found))
		a.found = append(append(append(a.found, int32(len(own)+len(others))), own...), others...)
	}
}

// merge makes the steps of a node of its children and of the steps of its
// fall-back, whose targets its children fall back to. Both are in the order of
// classes.
func (t *trie) merge(n *node, children []uint32) {
	other := t.steps[t.nodes[n.fail].from:t.nodes[n.fail].to]
	n.from = uint32(len(t.steps))
	for _, c := range children {
		child := &t.nodes[c]
		for len(other) > 0 && other[0].class < child.class {
			t.steps = append(t.steps, other[0])
			other = other[1:]
		}
		if len(other) > 0 && other[0].class == child.class {
			child.fail = other[0].to
			other = other[1:]
		} else {
			child.fail = t.a.shallow[int(n.class)*t.a.classes+int(child.class)]
		}
		t.steps = append(t.steps, step{c, child.class})
	}
	t.steps = append(t.steps, other...)
	n.to = uint32(len(t.steps))
}

// maxTries bounds the places, 64 at a time, that are tried for one row before
// holes that are left so far are given up. It keeps placing linear.
const maxTries = 4

// place lays the rows over each other and numbers the states.
func (t *trie) place() error {
	a := t.a
	var full, begun bitset // places that hold an entry, and those where a row begins
	const own = 0          // class whose place in the row is the state's own
	begun.set(0)
	low, size := 0, 0 // no hole below low is looked at
	for i := range t.nodes {
		n := &t.nodes[i]
		steps, at, fit := t.steps[n.from:n.to], low, uint64(0)
		for tries := 1; ; tries++ {
			fit = ^begun.from(at)
			if n.out != 0 {
				fit &^= full.from(at + own)
			}
			for _, s := range steps {
				fit &^= full.from(at + int(s.class))
			}
			if fit != 0 {
				break
			}
			if at += 64; tries%maxTries == 0 {
				low += 64
			}
		}
		at += bits.TrailingZeros64(fit)
		begun.set(at)
		for _, s := range steps {
			full.set(at + int(s.class))
		}
		size = max(size, at+a.classes)
		n.state = uint32(at)
		if n.out != 0 {
			full.set(at + own)
			n.state |= flagOut
		}
	}
	if size > maxState || len(a.found) > maxState || a.classes > noClass {
		return fmt.Errorf("%w: %d places for the steps between them, of %d at most", errTooManyPhrases, size, maxState)
	}
	a.deep = make([]deepStep, size)
	for i := range a.deep {
		a.deep[i] = noClass << classShift
	}
	for i := range t.nodes {
		n := &t.nodes[i]
		at := n.state &^ flagOut
		if n.out != 0 {
			a.deep[at+own] = noClass<<classShift | deepStep(n.out)
		}
		for _, s := range t.steps[n.from:n.to] {
			a.deep[at+uint32(s.class)] = deepStep(s.class)<<classShift | deepStep(t.nodes[s.to].state)
		}
	}
	for i, id := range a.shallow {
		a.shallow[i] = t.nodes[id].state
	}
	a.root, a.states = t.nodes[0].state, len(t.nodes)
	return nil
}

// bitset is a set of small numbers that grows.
type bitset []uint64

func (b *bitset) set(i int) {
	for i>>6 >= len(*b) {
		*b = append(*b, 0)
	}
	(*b)[i>>6] |= 1 << (i & 63)
}

// from returns the 64 numbers from i, i itself as the lowest bit.
func (b bitset) from(i int) uint64 {
	at, shift := i>>6, i&63
	if at+1 < len(b) {
		return b[at]>>shift | b[at+1]<<(64-shift)
	}
	if at < len(b) {
		return b[at] >> shift
	}
	return 0
}
