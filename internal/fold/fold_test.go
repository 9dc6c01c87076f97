package fold

import "testing"

func TestPlain(t *testing.T) {
	for r, want := range map[rune]rune{'`': '\'', '\t': ' ', 0x7f: ' ', 0x9f: ' ', 'A': 'A', '｀': '\''} {
		if got := Plain(r); got != want {
			t.Errorf("%q: %q, want %q", r, got, want)
		}
	}
	for r := range rune(0x110000) {
		if p := Plain(r); p >= 0 && Plain(p) != p {
			t.Errorf("%q: %q, then %q", r, p, Plain(p))
		}
	}
}

func TestLower(t *testing.T) {
	for r, want := range map[rune]rune{'A': 'a', 'a': 'a', 'Ä': 'ä', 'И': 'и', 'I': 'i', 'İ': 'i', 'ı': 'i', '\u212a': 'k', '件': '件'} {
		if got := Lower(r); got != want {
			t.Errorf("%q: %q, want %q", r, got, want)
		}
	}
}
