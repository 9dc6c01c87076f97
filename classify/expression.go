package classify

import (
	"regexp"
	"regexp/syntax"
	"sync"
	"unicode/utf8"

	"github.com/bounce-milter/bounce-milter/internal/ascii"
	"github.com/bounce-milter/bounce-milter/internal/fold"
)

// expression is a rule's regular expression. It is compiled when first needed, because
// most never are. It matches replies only after the rule's words did.
type expression struct {
	source string

	once      sync.Once
	whole     *regexp.Regexp
	prefilter *regexp.Regexp // matches wherever whole does, sooner; may be nil
	size      int            // in instructions
}

// newExpression returns nil for no expression. Package rules has checked the syntax.
func newExpression(source string) *expression {
	if source == "" {
		return nil
	}
	return &expression{source: bareExpression(source)}
}

// bareExpression takes the accents off the letters of an expression, for texts have none,
// and lets each of these letters of Latin be lost (see [spellings]).
func bareExpression(source string) string {
	if ascii.Only(source) {
		return source
	}
	b := make([]byte, 0, 2*len(source))
	inClass := false
	for i, r := range source {
		switch first, second := fold.Bare(r); {
		case r < utf8.RuneSelf:
			b = append(b, byte(r))
			if escaped := i > 0 && source[i-1] == '\\'; !escaped && (r == '[' || r == ']') {
				inClass = r == '['
			}
		case second != 0 && inClass:
			b = append(b, byte(first), lost)
		case second != 0:
			b = append(b, "(?:"+string(first)+string(second)+`|\?)`...)
		case first > 0 && first < utf8.RuneSelf && inClass:
			b = append(b, byte(first), lost)
		case first > 0 && first < utf8.RuneSelf:
			b = append(b, '[', byte(first), lost, ']')
		case first > 0:
			b = utf8.AppendRune(b, first)
		}
	}
	return string(b)
}

// compile makes the expression ready.
func (e *expression) compile() {
	e.once.Do(func() {
		e.whole = regexp.MustCompile(e.source)
		e.prefilter, e.size = prefilter(e.source), instructions(e.source)
	})
}

// prefilter returns an expression that matches whatever expr matches, and is much
// faster on texts that expr does not match: package regexp looks for a literal first,
// but only if nothing stands before it, not even a word boundary. It is nil if expr has
// no such form.
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

// instructions returns the length of the program that an expression is compiled to.
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

// units is the work of matching the expression with a text of n octets.
// The longer the expression, the more ways there are to be tried at an octet.
// Package regexp tries one after another, and remembers where it was, while that
// takes no more than a table of 256 K bits; else it follows all at once, which
// takes longer.
func (e *expression) units(n int) int {
	units := (unitsRegex + e.size/5) * n
	if e.size*n > 256<<10 || e.size > 500 {
		units *= 2
	}
	return units
}
