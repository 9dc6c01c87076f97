package classify

import "testing"

// TestBareExpression: letters lose their accents, and may be lost.
func TestBareExpression(t *testing.T) {
	for source, want := range map[string]string{
		`usu[áa]rio\b`:      `usu[a?a]rio\b`,
		`zu gro(?:ß|ss)`:    `zu gro(?:(?:ss|\?)|ss)`,
		`[ßa]ñ?o`:           `[s?a][n?]?o`,
		`\[é\]`:             `\[[e?]\]`,
		`истёк|[^а-яё]|存在し`: `истек|[^а-яе]|存在し`,
	} {
		if got := bareExpression(source); got != want {
			t.Errorf("%s: %s, want %s", source, got, want)
		}
	}
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
