// Package propose groups replies that no rule understood, and proposes rules for them.
//
// In each reply it masks everything that could name a person, a machine or a message. Masked
// replies of the same number of words that differ in few of them form a group: a tree finds
// the candidates by their length and their first words, as Drain does (He and others, 2017),
// so that a reply is compared with few groups. Memory is bounded; the groups that were met
// least often make room.
package propose

import (
	"slices"
	"strings"
	"time"

	"github.com/bounce-milter/bounce-milter/internal/mask"
)

const (
	// maxReply is how many octets of a reply are looked at, and maxWords how many words.
	maxReply = 2000
	maxWords = 80
	// maxGroups is how many groups are kept at a time.
	maxGroups = 5000
	// maxLeaf is how many groups a reply is compared with at most.
	maxLeaf = 64
	// alike is the share of words, in percent, that two replies of a group have in common
	// at least.
	alike = 60
	// maxExamples is how many different replies of a group are kept.
	maxExamples = 2
)

// Wildcard stands in a pattern for words that differ.
const Wildcard = "*"

// Miss is a reply that no rule understood.
type Miss struct {
	Reply string
	// Known are addresses that the reply may quote.
	Known []string
	// Time is when it was given, zero if that is not known.
	Time time.Time
	// Hint says what its codes stand for, "" for nothing.
	Hint string
}

// Group is alike replies.
type Group struct {
	Pattern     string    // masked, with a Wildcard for each word that differs
	Count       int       // of replies
	First, Last time.Time // of those whose time is known
	Examples    []string  // different ones, at most two, masked
	Replies     []string  // the same with invented names in place of the masked ones
	Hint        string    // of the first one

	words []string
}

// Groups collects replies. The zero value is ready to use.
type Groups struct {
	// Dropped counts replies that were forgotten, with their groups, to bound memory.
	Dropped int
	// Wordless counts replies that have codes and nothing to go by beside them.
	Wordless int

	leaves map[key][]*Group
	n      int
}

// key finds the groups that a reply is compared with.
type key struct {
	words  int
	first  string
	second string
}

// Add adds a reply.
func (g *Groups) Add(m Miss) {
	said := mask.Clean(m.Reply, maxReply)
	text := mask.Text(said, m.Known...)
	words := strings.Fields(text)
	if len(words) > maxWords {
		words = words[:maxWords]
	}
	k := keyOf(words)
	if k.first == "" {
		g.Wordless++
		return
	}
	if g.leaves == nil {
		g.leaves = map[key][]*Group{}
	}
	leaf := g.leaves[k]
	var best *Group
	most := 0
	for _, x := range leaf {
		if n := x.equal(words); n > most && 100*n >= alike*len(words) {
			best, most = x, n
		}
	}
	if best == nil {
		if g.n >= maxGroups || len(leaf) >= maxLeaf {
			g.makeRoom(k)
			leaf = g.leaves[k]
		}
		best = &Group{words: words, Hint: m.Hint}
		g.leaves[k] = append(leaf, best)
		g.n++
	}
	best.add(words, text, m, said)
}

// keyOf takes the first two words that say something. Codes come first in most replies, and
// what is masked stands for anything.
func keyOf(words []string) key {
	k := key{words: len(words)}
	for _, w := range words {
		if !telling(w) {
			continue
		}
		if k.first == "" {
			k.first = strings.ToLower(w)
			continue
		}
		k.second = strings.ToLower(w)
		break
	}
	return k
}

// telling reports whether a word is one of a language.
func telling(w string) bool {
	letters := 0
	if strings.ContainsAny(w, "[]") {
		return false
	}
	for _, r := range w {
		if r >= 0x80 || r|0x20 >= 'a' && r|0x20 <= 'z' {
			letters++
		}
	}
	return letters >= 2
}

// equal counts the words of a group's pattern that stand in the same places.
func (x *Group) equal(words []string) int {
	n := 0
	for i, w := range words {
		if x.words[i] == w {
			n++
		}
	}
	return n
}

func (x *Group) add(words []string, text string, m Miss, said string) {
	x.Count++
	for i, w := range words {
		if x.words[i] != w {
			x.words[i] = Wildcard
		}
	}
	if len(x.Examples) < maxExamples && !slices.Contains(x.Examples, text) {
		x.Examples = append(x.Examples, text)
		x.Replies = append(x.Replies, mask.Example(said, m.Known...))
	}
	if m.Time.IsZero() {
		return
	}
	if x.First.IsZero() || m.Time.Before(x.First) {
		x.First = m.Time
	}
	if m.Time.After(x.Last) {
		x.Last = m.Time
	}
}

// makeRoom forgets the rarer half of the groups, or of those of one leaf, if that is what
// is full.
func (g *Groups) makeRoom(k key) {
	if g.n < maxGroups {
		g.leaves[k] = g.halve(g.leaves[k])
		return
	}
	all := make([]*Group, 0, g.n)
	for _, leaf := range g.leaves {
		all = append(all, leaf...)
	}
	rare := map[*Group]bool{}
	kept := g.halve(all)
	for _, x := range kept {
		rare[x] = true
	}
	for k, leaf := range g.leaves {
		leaf = slices.DeleteFunc(leaf, func(x *Group) bool { return !rare[x] })
		if g.leaves[k] = leaf; len(leaf) == 0 {
			delete(g.leaves, k)
		}
	}
}

// halve returns the half of the groups that was met most often.
func (g *Groups) halve(list []*Group) []*Group {
	slices.SortStableFunc(list, func(a, b *Group) int { return b.Count - a.Count })
	keep := (len(list) + 1) / 2
	for _, x := range list[keep:] {
		g.Dropped += x.Count
	}
	g.n -= len(list) - keep
	clear(list[keep:])
	return list[:keep]
}

// List returns the groups, the most frequent first, and among these the latest.
func (g *Groups) List() []*Group {
	var list []*Group
	for _, leaf := range g.leaves {
		list = append(list, leaf...)
	}
	for _, x := range list {
		x.Pattern = pattern(x.words)
	}
	slices.SortFunc(list, func(a, b *Group) int {
		if a.Count != b.Count {
			return b.Count - a.Count
		}
		if c := b.Last.Compare(a.Last); c != 0 {
			return c
		}
		return strings.Compare(a.Pattern, b.Pattern)
	})
	return list
}

// pattern joins words; several wildcards in a row are one.
func pattern(words []string) string {
	var out []string
	for i, w := range words {
		if w == Wildcard && i > 0 && words[i-1] == Wildcard {
			continue
		}
		out = append(out, w)
	}
	return strings.Join(out, " ")
}
