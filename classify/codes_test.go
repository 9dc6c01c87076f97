package classify

import (
	"testing"

	"github.com/bounce-milter/bounce-milter/classify/reply"
	"github.com/bounce-milter/bounce-milter/classify/rules"
)

// TestBareCodes asks for every pair of the published table: an ambiguous one
// must give one of its categories, all others exactly theirs.
func TestBareCodes(t *testing.T) {
	e := builtIn(t)
	pairs, ambiguous := 0, 0
	e.set.Codes.Pairs(func(code int, s reply.Status, p *rules.Pair) {
		pairs++
		if len(p.Choices) > 1 {
			ambiguous++
		}
		for _, reply := range []string{p.Name, p.Name + " ", "smtp; " + p.Name} {
			v := e.Judge(&Evidence{Reply: reply})
			if code >= 600 && reply != p.Name {
				continue // no server's reply; only the bare number is read
			}
			if string(v.Category) != p.Choices[0].Category {
				t.Errorf("%q: %s, want %s", reply, v.Category, p.Choices[0].Category)
			}
		}
		v := e.Judge(&Evidence{SMTPCode: code, Status: s})
		if string(v.Category) != p.Choices[0].Category {
			t.Errorf("codes %d %s: %s, want %s", code, s, v.Category, p.Choices[0].Category)
		}
	})
	if pairs != 187 || ambiguous != 22 {
		t.Errorf("%d pairs, %d of them ambiguous; want 187 and 22", pairs, ambiguous)
	}
}

// builtIn is an engine of the embedded rules alone.
func builtIn(t testing.TB) *Engine {
	t.Helper()
	set, problems := rules.Load("")
	if len(problems) > 0 {
		t.Fatal(problems)
	}
	return engineOf(t, set)
}

// engineOf is an engine of a set without problems.
func engineOf(t testing.TB, set *rules.Set) *Engine {
	t.Helper()
	e, err := newEngine(set)
	if err != nil {
		t.Fatal(err)
	}
	return e
}
