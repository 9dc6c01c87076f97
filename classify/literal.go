package classify

import (
	"regexp"
	"regexp/syntax"
	"slices"
	"strings"
	"unicode"
)

// literals returns strings of which every text that the expression matches
// holds at least one, or nil where there are none such. The automaton looks
// for them, and the expression runs only on texts that hold one.
func literals(expr string) []string {
	re, err := syntax.Parse(expr, syntax.Perl)
	if err != nil {
		return nil
	}
	return shapeOf(re.Simplify()).best()
}

// prefilter returns an expression that matches whatever expr matches and is
// much faster where it does not: regexp looks for a literal first, but only
// where nothing, not even a word boundary, stands before it. It is nil where
// expr has no such form.
func prefilter(expr string) *regexp.Regexp {
	re, err := syntax.Parse(expr, syntax.Perl)
	if err != nil || re.Op != syntax.OpConcat || len(re.Sub) < 2 ||
		re.Sub[0].Op != syntax.OpWordBoundary || re.Sub[1].Op != syntax.OpLiteral {
		return nil
	}
	re.Sub = re.Sub[1:]
	fast, err := regexp.Compile(re.String())
	if err != nil {
		return nil
	}
	return fast
}

// instructions returns how long the program is that an expression becomes.
func instructions(expr string) int {
	re, err := syntax.Parse(expr, syntax.Perl)
	if err != nil {
		return 0
	}
	prog, err := syntax.Compile(re.Simplify())
	if err != nil {
		return 0
	}
	return len(prog.Inst)
}

// units is the work of matching the rule's expression with a text of n octets.
// The longer the expression, the more ways there are to be tried at an octet.
// Package regexp tries one after another, and remembers where it was, while that
// takes no more than a table of 256 K bits; else it follows all at once, which
// takes longer.
func (r *rule) units(n int) int {
	units := (unitsRegex + r.size/6) * n
	if r.size*n > 256<<10 || r.size > 500 {
		units *= 2
	}
	return units
}

// maxLiterals bounds the strings that stand for one expression, and maxClass
// the characters of a class that are told apart.
const (
	maxLiterals = 16
	maxClass    = 4
)

// shape is what is known of the strings that an expression matches.
type shape struct {
	ends  []string // each but the empty one ends with one of these
	exact bool     // the ends are all there is
	empty bool     // the empty one may be among them although it is not in ends
	need  []string // each holds one of these; nil where that is not known
}

// anything is the shape of what nothing is known about.
var anything = shape{ends: []string{""}}

func shapeOf(re *syntax.Regexp) shape {
	switch re.Op {
	case syntax.OpLiteral:
		return shape{ends: []string{strings.Map(unicode.ToLower, string(re.Rune))}, exact: true}
	case syntax.OpCharClass:
		return shapeOfClass(re.Rune)
	case syntax.OpEmptyMatch, syntax.OpBeginLine, syntax.OpEndLine, syntax.OpBeginText, syntax.OpEndText,
		syntax.OpWordBoundary, syntax.OpNoWordBoundary:
		return shape{ends: []string{""}, exact: true}
	case syntax.OpCapture:
		return shapeOf(re.Sub[0])
	case syntax.OpPlus:
		s := shapeOf(re.Sub[0])
		s.need, s.exact = s.best(), false
		return s
	case syntax.OpQuest:
		s := shapeOf(re.Sub[0])
		s.need = nil
		if s.exact {
			s.ends = union(s.ends, []string{""})
		} else {
			s.empty = true
		}
		return s
	case syntax.OpConcat:
		s := shape{ends: []string{""}, exact: true}
		for _, sub := range re.Sub {
			s = s.then(shapeOf(sub))
		}
		return s
	case syntax.OpAlternate:
		return shapeOfAny(re.Sub)
	}
	return anything
}

func shapeOfClass(ranges []rune) shape {
	var ends []string
	for i := 0; i < len(ranges); i += 2 {
		for r := ranges[i]; r <= ranges[i+1]; r++ {
			if len(ends) == maxClass {
				return anything
			}
			ends = append(ends, string(unicode.ToLower(r)))
		}
	}
	return shape{ends: ends, exact: true}
}

func shapeOfAny(subs []*syntax.Regexp) shape {
	all := shape{exact: true}
	known := true
	for _, sub := range subs {
		s := shapeOf(sub)
		all.ends, all.exact, all.empty = union(all.ends, s.ends), all.exact && s.exact, all.empty || s.empty
		need := s.best()
		all.need, known = union(all.need, need), known && need != nil
	}
	if len(all.ends) > maxLiterals {
		all.ends, all.exact = []string{""}, false
	}
	if !known || len(all.need) > maxLiterals {
		all.need = nil
	}
	return all
}

// then is the shape of s with next behind it.
func (s shape) then(next shape) shape {
	out := shape{need: better(s.need, next.need), ends: next.ends}
	switch {
	case !next.exact:
		if next.empty {
			out.ends, out.empty = union(out.ends, s.ends), s.empty
		}
	case len(s.ends)*len(next.ends) <= maxLiterals:
		out.ends, out.exact = nil, s.exact
		for _, head := range s.ends {
			for _, tail := range next.ends {
				out.ends = append(out.ends, head+tail)
			}
		}
		if s.empty {
			out.ends = union(out.ends, next.ends)
		}
		return out
	}
	out.need = better(out.need, s.best()) // what s ends with is forgotten now
	return out
}

// best returns the most telling strings that every match holds one of.
func (s shape) best() []string {
	if s.empty {
		return nil
	}
	return better(s.need, usable(s.ends))
}

// better returns the list whose shortest string is longer.
func better(a, b []string) []string {
	if shortest(b) > shortest(a) {
		return b
	}
	return a
}

// usable returns the part of each string that patterns can find, nil if one has
// no such part. Addresses, hosts and URLs are an "@" in the text that
// expressions see; phrases are never found there.
func usable(list []string) []string {
	var out []string
	for _, s := range list {
		part := ""
		for _, p := range strings.Split(s, "@") {
			if len(p) > len(part) {
				part = p
			}
		}
		if len(part) < 2 || normal(part) != part {
			return nil
		}
		out = union(out, []string{part})
	}
	return out
}

// union adds to a list what it does not hold.
func union(a, b []string) []string {
	out := slices.Clone(a)
	for _, s := range b {
		if !slices.Contains(out, s) {
			out = append(out, s)
		}
	}
	return out
}

// shortest is the length of the shortest string, 0 if there is none.
func shortest(list []string) int {
	n := 0
	for _, s := range list {
		if n == 0 || len(s) < n {
			n = len(s)
		}
	}
	return n
}
