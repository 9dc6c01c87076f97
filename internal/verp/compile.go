package verp

import (
	"fmt"
	"slices"
)

// Problem is an error in one of a list of patterns.
type Problem struct {
	Pattern int // index in the list
	Err     error
}

// Compile reads the patterns of one configuration. No address may match two of them.
// Compile returns every error, and each says what to write instead.
func Compile(texts []string) (*Patterns, []Problem) {
	ps := &Patterns{}
	var problems []Problem
	bad := func(i int, format string, a ...any) {
		problems = append(problems, Problem{i, fmt.Errorf(format, a...)})
	}
	if len(texts) > MaxPatterns {
		bad(MaxPatterns, "is one of %d patterns: write at most %d", len(texts), MaxPatterns)
		texts = texts[:MaxPatterns]
	}
	seen := map[string]bool{}
next:
	for i, text := range texts {
		p, err := parse(text)
		if err != nil {
			bad(i, "%q %w", text, err)
			continue
		}
		key := lower(text)
		if seen[key] {
			bad(i, "%q is listed twice: take one out", text)
			continue
		}
		seen[key] = true
		for _, other := range ps.list {
			if both, ok := other.overlaps(p); ok {
				bad(i, "%q matches %q and %q: change one of them so that no address matches both", both+"@"+p.domain, other.text, text)
				continue next
			}
		}
		ps.list = append(ps.list, p)
	}
	return ps, problems
}

// overlaps returns the shortest local part that matches both patterns, if there is one.
//
// It walks through both patterns at once, octet by octet (a breadth-first search). A
// state of the search is a pair of places, one in each pattern. There are at most as many
// pairs as the product of the patterns' lengths, and each is visited once.
func (p *pattern) overlaps(q *pattern) (string, bool) {
	if p.domain != q.domain {
		return "", false
	}
	a, b := p.places(), q.places()
	width := len(b) + 1
	octet := make([]byte, (len(a)+1)*width) // the octet that led to a pair, 0 if not visited
	before := make([]int, len(octet))       // the pair that it was reached from
	queue := []int{0}
	at, common := 0, byte(0)
	visit := func(i, j int) {
		if to := i*width + j; octet[to] == 0 {
			octet[to], before[to] = common, at
			queue = append(queue, to)
		}
	}
	for len(queue) > 0 {
		at, queue = queue[0], queue[1:]
		i, j := at/width, at%width
		if i == len(a) && j == len(b) {
			var word []byte
			for ; at != 0; at = before[at] {
				word = append(word, octet[at])
			}
			slices.Reverse(word)
			return string(word), true
		}
		if i == len(a) || j == len(b) {
			continue
		}
		if common = a[i].common(b[j]); common == 0 {
			continue
		}
		visit(i+1, j+1)
		// A field may go on after this octet.
		if a[i].octet == 0 {
			visit(i, j+1)
		}
		if b[j].octet == 0 {
			visit(i+1, j)
		}
	}
	return "", false
}

// place is a place in a pattern: one octet of text, or a field.
type place struct {
	octet byte // 0 for a field
	field field
}

func (p *pattern) places() []place {
	var list []place
	for i, text := range p.texts {
		for j := 0; j < len(text); j++ {
			list = append(list, place{octet: text[j]})
		}
		if i < len(p.fields) {
			list = append(list, place{field: p.fields[i]})
		}
	}
	return list
}

// common returns an octet that both places allow, 0 if there is none.
func (p place) common(q place) byte {
	switch {
	case p.octet == 0 && q.octet == 0:
		return 'a' // every field has letters
	case p.octet == 0 && holds(p.field, q.octet):
		return q.octet
	case p.octet == q.octet, q.octet == 0 && holds(q.field, p.octet):
		return p.octet
	}
	return 0
}
