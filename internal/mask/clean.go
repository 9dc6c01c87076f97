package mask

import (
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/bounce-milter/bounce-milter/internal/fold"
	"github.com/bounce-milter/bounce-milter/internal/lines"
)

// Clean returns what a stranger wrote as one line that can be shown anywhere: at most max
// octets of UTF-8 with single spaces, and nothing that moves the cursor, changes the direction
// of writing or cannot be seen. A text that is too long ends in "…".
func Clean(s string, max int) string {
	cut := len(s) > 4*max // what is dropped is bounded too
	if cut {
		s = lines.Cut(s, 4*max)
	}
	var b strings.Builder
	for i := 0; i < len(s); {
		r, size := utf8.DecodeRuneInString(s[i:])
		if r == utf8.RuneError && size == 1 {
			r = rune(s[i]) // broken UTF-8 is mostly Latin-1 that nobody declared
		}
		i += size
		switch r = shown(r); {
		case r < 0 || r == ' ' && (b.Len() == 0 || strings.HasSuffix(b.String(), " ")):
			continue
		case b.Len()+utf8.RuneLen(r) > max-len("…"):
			return strings.TrimRight(b.String(), " ") + "…"
		}
		b.WriteRune(r)
	}
	out := strings.TrimRight(b.String(), " ")
	if cut {
		out += "…"
	}
	return out
}

// shown returns the character to show for r, -1 for none.
func shown(r rune) rune {
	switch plain := fold.Plain(r); {
	case plain < 0:
		return -1
	case plain == ' ':
		return ' '
	case r == utf8.RuneError, unicode.Is(unicode.Co, r), unicode.Is(unicode.Cs, r):
		return '?'
	case fold.Invisible(r):
		return -1 // directions, joiners, tags, and what is not assigned
	}
	return r
}
