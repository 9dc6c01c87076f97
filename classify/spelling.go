package classify

import (
	"strings"

	"github.com/bounce-milter/bounce-milter/internal/ascii"
	"github.com/bounce-milter/bounce-milter/internal/fold"
)

// minSpelled is how many letters of a phrase must be left beside the lost ones.
const minSpelled = 4

// transcribed are letters with an accent as they are written where there is none.
var transcribed = strings.NewReplacer("ä", "ae", "ö", "oe", "ü", "ue", "ø", "oe", "å", "aa")

// spellings lists other ways in which a phrase with Latin letters beyond ASCII is
// written; without its accents it is the same phrase anyway, see [fold.Bare].
//
// QUIRK: programs that expect ASCII write "?" for each other letter, or for each octet
// of it; see isLost.
func spellings(phrase string) []string {
	if ascii.Only(phrase) {
		return nil
	}
	one, left := make([]byte, 0, len(phrase)), 0
	for _, r := range phrase {
		first, second := fold.Bare(r)
		switch {
		case r < 0x80:
			one = append(one, byte(r))
			if isLetter(byte(r)) {
				left++
			}
		case first >= 0x80 || first == r && second == 0:
			return nil // not Latin: all of it was lost
		case len(one) == 0 || one[len(one)-1] != '?':
			one = append(one, '?')
		}
	}
	var others []string
	if s := transcribed.Replace(phrase); s != phrase {
		others = append(others, bare(s))
	}
	if left < minSpelled {
		return others
	}
	return append(others, string(one))
}
