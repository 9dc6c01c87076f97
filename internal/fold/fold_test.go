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

func TestInvisible(t *testing.T) {
	for r, want := range map[rune]bool{'a': false, ' ': false, '\u00a0': false, '漢': false, '\u0301': false, '⚠': false, '\ufe0f': false, '\u200d': true,
		'\n': true, 0x1b: true, 0x85: true, '\u202e': true, '\u3164': true, '\u034f': true, '\u115f': true, '\u17b4': true, '\u2800': true, '\uffa0': true,
		0xe0041: true, 0xf0000: true, 0x16fe4: true} {
		if got := Invisible(r); got != want {
			t.Errorf("%U: %v, want %v", r, got, want)
		}
	}
}
