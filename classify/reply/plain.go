package reply

import (
	"unicode/utf8"

	"github.com/bounce-milter/bounce-milter/internal/ascii"
	"github.com/bounce-milter/bounce-milter/internal/fold"
)

// plain returns s with every character in its plain form; s itself if nothing changes.
// Octets that are not UTF-8 stay.
func plain(s string) string {
	if ascii.Only(s) {
		return s
	}
	for i, r := range s {
		if r >= utf8.RuneSelf && fold.Plain(r) != r {
			return s[:i] + plainly(s[i:])
		}
	}
	return s
}

func plainly(s string) string {
	b := make([]byte, 0, len(s))
	for i := 0; i < len(s); {
		r, n := utf8.DecodeRuneInString(s[i:])
		if p := fold.Plain(r); r < utf8.RuneSelf || p == r {
			b = append(b, s[i:i+n]...)
		} else if p >= 0 {
			b = utf8.AppendRune(b, p)
		}
		i += n
	}
	return string(b)
}
