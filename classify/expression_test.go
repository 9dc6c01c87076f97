package classify

import (
	"regexp"
	"strings"
	"testing"
)

// TestBareExpression: letters lose their accents, and may be lost.
func TestBareExpression(t *testing.T) {
	tests := []struct{ source, is, isNot string }{
		{`^usu[áa]rio\b`, "usuario, usu?rio", "usuxrio"},
		{`^zu gro(?:ß|ss)$`, "zu gross, zu gro?", "zu gro, zu grob"},
		{`^[ßa]ñ?o$`, "so, ano, ?o, a?o, ao", "xo, ammo"},
		{`^\[é\]$`, "[e], [?]", "e, [x]"},
		{`^\\[é]$`, `\e, \?`, `\x`},
		{`^истёк$|^[^а-яё]$|^存在し`, "истек, x, 存在し", "истёк, а, я"},
		{`^[z-é]$`, "z, e, a, ?", "x, b"},
		{`^[\x80-ÿ]$`, "y, ?", "k, 0"},
		{`^[Ā-ž]$`, "a, z", "q"},
		{`^[ё-ѓ]$`, "е, г", "а"},
		{`^[^éx]$`, "e, y", "x"},
		{`^[]é[:digit:]\]ñ-]$`, "], e, 7, n, -, ?", "[, :, x"},
		{`^[à-ü]$`, "a, n, u, ?", "b, @, x"},
		{`^\[[^é]\]é$`, "[x]e, [e]?", "[x]x"},
		{`^(?i)É$`, "e", "a"},
		{`^(?i:Größe)$`, "grosse, gr?sse, gro?e", "grase"},
	}
	for _, tt := range tests {
		e := newExpression(tt.source)
		e.compile()
		for _, s := range strings.Split(tt.is, ", ") {
			if !e.whole.MatchString(s) {
				t.Errorf("%s, as %s, does not match %q", tt.source, e.whole, s)
			}
		}
		for _, s := range strings.Split(tt.isNot, ", ") {
			if e.whole.MatchString(s) {
				t.Errorf("%s, as %s, matches %q", tt.source, e.whole, s)
			}
		}
	}
}

// FuzzBareExpression: an expression that is right stays right, for it is compiled when mail
// comes.
func FuzzBareExpression(f *testing.F) {
	for _, source := range []string{`usu[áa]rio\b`, `[]é[:digit:]\]ñ-]`, `[z-é]`, `[^é]`, `[\x80-ÿ]`, `[é-]`, `[-é]`, `\Q[é\E`, `[\d-é]`, `(?i)É{2}`, `é*?ß+`} {
		f.Add(source)
	}
	f.Fuzz(func(t *testing.T, source string) {
		if _, err := regexp.Compile(source); err != nil || len(source) > 100 {
			return
		}
		if bare := bareExpression(source); bare != source {
			if _, err := regexp.Compile(bare); err != nil {
				t.Errorf("%q as %q: %v", source, bare, err)
			}
		}
	})
}

// TestPrefilter: expressions whose start regexp cannot search for get a form
// that it can.
func TestPrefilter(t *testing.T) {
	if f := prefilter(`\b550 : ?user`); f == nil || !f.MatchString("x550 : user") {
		t.Error("no prefilter")
	}
	if f := prefilter(`spam.*score`); f != nil {
		t.Error("a prefilter where none is needed")
	}
}
