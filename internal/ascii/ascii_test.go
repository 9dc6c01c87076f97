package ascii

import (
	"strings"
	"testing"
	"unicode"
)

func TestOctets(t *testing.T) {
	for i := range 256 {
		c, r := byte(i), rune(i)
		letter := i < 0x80 && unicode.IsLetter(r)
		digit := i < 0x80 && unicode.IsDigit(r)
		if IsAlpha(c) != letter || IsDigit(c) != digit || IsAlnum(c) != (letter || digit) {
			t.Errorf("%q is taken for another kind", r)
		}
		if IsBlank(r) != (i == ' ' || i < 0x80 && unicode.IsControl(r)) {
			t.Errorf("%q: blank is %v", r, IsBlank(r))
		}
		if s := string([]byte{'-', c}); HasWords(s) != (letter || digit || i >= 0x80) || Only(s) != (i < 0x80) {
			t.Errorf("%q: words %v, ASCII %v", s, HasWords(s), Only(s))
		}
	}
}

func TestEqualFold(t *testing.T) {
	for _, a := range []string{"", "Final-Recipient", "final-recipient", "FINAL-RECIPIENT", "Final_Recipient", "Final\rRecipient", "x[", "x{", "\u212a"} {
		for _, b := range []string{"", "Final-Recipient", "X[", "K"} {
			if got := EqualFold([]byte(a), b); got != (strings.EqualFold(a, b) && a != "\u212a") {
				t.Errorf("%q, %q: %v", a, b, got)
			}
		}
	}
}
