package classify

import (
	"slices"

	"github.com/bounce-milter/bounce-milter/classify/rules"
)

// compounds finds the words within which a phrase may begin.
type compounds struct {
	heads []string
	tails *book
}

func newCompounds(list []rules.Compound) compounds {
	var c compounds
	var tails []string
	for _, w := range list {
		c.heads, tails = append(c.heads, bare(w.Head)), append(tails, bare(w.Tail))
	}
	c.tails = newBook(tails)
	return c
}

// headsBefore returns the number of the list of what may stand before a pattern
// within a word.
func (m *matcher) headsBefore(c compounds, phrase string) uint16 {
	var heads []string
	c.tails.at([]byte(phrase), func(id int32) { heads = append(heads, c.heads[id]) })
	if len(heads) == 0 {
		return 0
	}
	slices.Sort(heads)
	n := slices.IndexFunc(m.heads, func(known []string) bool { return slices.Equal(known, heads) })
	if n < 0 {
		n = len(m.heads)
		m.heads = append(m.heads, heads)
	}
	return uint16(n)
}
