package classify

import "testing"

// TestRules is `rules test` on what is embedded.
func TestRules(t *testing.T) {
	for _, p := range Check("", nil) {
		t.Error(p)
	}
}
