package classify

import "sync/atomic"

// names tells which patterns name a note behind a reply, or a marker, and so may occur
// in one. It is found out when first asked, because few are.
type names struct {
	words    *book // of notes, then of markers
	tails    int   // how many are of notes
	patterns []string
	known    []atomic.Uint32 // of each pattern, 0 if it was not asked
}

// What a pattern names.
const (
	ofTail = 1 << iota
	ofWrap
	asked
)

func newNames(tails, markers, patterns []string) names {
	return names{words: newBook(append(tails, markers...)), tails: len(tails), patterns: patterns,
		known: make([]atomic.Uint32, len(patterns))}
}

// of returns what a pattern names.
func (n *names) of(id int32) uint32 {
	known := n.known[id].Load()
	if known == 0 {
		known = n.in(n.patterns[id])
		n.known[id].Store(known)
	}
	return known
}

// in returns what a text names.
func (n *names) in(text string) uint32 {
	named := uint32(asked)
	n.words.within(text, func(id int32) {
		if int(id) < n.tails {
			named |= ofTail
		} else {
			named |= ofWrap
		}
	})
	return named
}
