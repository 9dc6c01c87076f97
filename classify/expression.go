package classify

import (
	"regexp"
	"regexp/syntax"
	"slices"
	"strings"
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
	for i := 0; i < len(source); {
		r, size := utf8.DecodeRuneInString(source[i:])
		switch {
		case r == '[':
			size = classLength(source[i:])
			b = appendClass(b, source[i:i+size])
		case r == '\\' && i+1 < len(source):
			size = 2
			b = append(b, source[i:i+size]...)
		case r < utf8.RuneSelf:
			b = append(b, byte(r))
		default:
			b = appendBare(b, r)
		}
		i += size
	}
	return string(b)
}

// appendBare appends what matches a letter outside of a class.
func appendBare(b []byte, r rune) []byte {
	switch first, second := fold.Bare(fold.Lower(r)); {
	case first < 0:
		return b
	case second != 0:
		return append(b, "(?:"+string(first)+string(second)+`|\?)`...)
	case first < utf8.RuneSelf:
		return append(b, '[', byte(first), lost, ']')
	default:
		return utf8.AppendRune(b, first)
	}
}

// classLength returns the length of the class with which an expression begins.
func classLength(s string) int {
	i := 1
	for _, first := range []string{"^", "]"} { // here "]" is a sign like any other
		if strings.HasPrefix(s[i:], first) {
			i++
		}
	}
	for ; i < len(s) && s[i] != ']'; i++ {
		if s[i] == '\\' {
			i++
		} else if n := strings.Index(s[i:], ":]"); n > 0 && strings.HasPrefix(s[i:], "[:") {
			i += n + 1
		}
	}
	return min(i+1, len(s))
}

// appendClass appends a class as it is and, unless it is one of all characters but some,
// its letters without their accents.
func appendClass(b []byte, class string) []byte {
	end := len(class) - 1
	if ascii.Only(class) || class[1] == '^' || class[end] != ']' {
		return append(b, class...)
	}
	var more []rune
	add := func(r rune) {
		first, second := fold.Bare(fold.Lower(r))
		if first < 0 || first == r && second == 0 || slices.Contains(more, first) {
			return
		}
		if more = append(more, first); first < utf8.RuneSelf && !slices.Contains(more, lost) {
			more = append(more, lost)
		}
	}
	before := rune(-1) // the character from which a range may begin
	for i := 1; i < end; {
		r, size := utf8.DecodeRuneInString(class[i:])
		i += size
		if r == '-' && before >= 0 && i < end && class[i] != '\\' {
			r, size = utf8.DecodeRuneInString(class[i:])
			i += size
			for c := max(before, utf8.RuneSelf); c <= min(r, fold.MaxBare); c++ {
				add(c)
			}
			before = -1
			continue
		}
		if before = r; r == '\\' {
			i, before = i+1, -1
		}
		if r >= utf8.RuneSelf {
			add(r)
		}
	}
	if b = append(b, class[:end]...); before == '-' { // no range to what follows
		b = append(b[:len(b)-1], `\-`...)
	}
	for _, r := range more {
		b = utf8.AppendRune(b, r)
	}
	return append(b, ']')
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
