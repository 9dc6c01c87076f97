package classify

import (
	"regexp"
	"regexp/syntax"
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
	return required(re.Simplify())
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

// maxLiterals bounds the strings that stand for one expression.
const maxLiterals = 16

func required(re *syntax.Regexp) []string {
	switch re.Op {
	case syntax.OpLiteral:
		// Addresses, hosts and URLs are an "@" in the text that expressions
		// see; phrases are never found there.
		best := ""
		for _, part := range strings.Split(string(re.Rune), "@") {
			if len(part) > len(best) {
				best = part
			}
		}
		if low := strings.Map(unicode.ToLower, best); len(low) > 1 && normal(low) == low {
			return []string{low}
		}
	case syntax.OpCapture, syntax.OpPlus:
		return required(re.Sub[0])
	case syntax.OpRepeat:
		if re.Min > 0 {
			return required(re.Sub[0])
		}
	case syntax.OpConcat:
		var best []string
		for _, sub := range re.Sub {
			if l := required(sub); shortest(l) > shortest(best) {
				best = l
			}
		}
		return best
	case syntax.OpAlternate:
		var all []string
		for _, sub := range re.Sub {
			l := required(sub)
			if l == nil || len(all)+len(l) > maxLiterals {
				return nil
			}
			all = append(all, l...)
		}
		return all
	}
	return nil
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
