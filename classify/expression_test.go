package classify

import "testing"

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
