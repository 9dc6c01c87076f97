package reply

import (
	"unicode"
	"unicode/utf8"

	"github.com/bounce-milter/bounce-milter/internal/ascii"
)

// Plain returns the plain form of a character, the same for the words of rules, of
// notices and of replies: a quote, dash or space of typography as that of ASCII, a
// full-width form as its ordinary one ("５５０：" is "550:"), a control character
// as a space; -1 stands for a character without width, which says nothing.
//
// Letters keep what they are: addresses hold them. See [Lower] for these.
func Plain(r rune) rune {
	switch {
	case r < utf8.RuneSelf:
		if r <= ' ' || r == 0x7f {
			return ' '
		} else if r == '`' {
			return '\''
		}
		return r
	case r < 0xa0:
		return ' '
	case r >= 0x2018 && r <= 0x201b, r == 0x2032, r == 0xb4, r == 0x2bc:
		return '\''
	case r >= 0x201c && r <= 0x201f, r == 0x2033, r == 0xab, r == 0xbb:
		return '"'
	case r >= 0x2010 && r <= 0x2015, r == 0x2212:
		return '-'
	case r == 0xad, r >= 0x200b && r <= 0x200f, r >= 0x202a && r <= 0x202e, r >= 0x2060 && r <= 0x2064, r == 0xfeff:
		return -1
	case r >= 0xff01 && r <= 0xff5e:
		return Plain(r - 0xfee0)
	case unicode.IsSpace(r):
		return ' '
	}
	return r
}

// Lower returns a character as words are compared, whoever wrote them in capitals:
// in lower case, and the dotless i of Turkish, whose capital is that of i, as i.
func Lower(r rune) rune {
	if r == 0x131 {
		return 'i'
	}
	return unicode.ToLower(r)
}

// plain returns s with every character in its plain form, s itself where all are.
// What is no UTF-8 stays.
func plain(s string) string {
	if ascii.Only(s) {
		return s
	}
	for i, r := range s {
		if r >= utf8.RuneSelf && Plain(r) != r {
			return s[:i] + plainly(s[i:])
		}
	}
	return s
}

func plainly(s string) string {
	b := make([]byte, 0, len(s))
	for i := 0; i < len(s); {
		r, n := utf8.DecodeRuneInString(s[i:])
		if p := Plain(r); r < utf8.RuneSelf || p == r {
			b = append(b, s[i:i+n]...)
		} else if p >= 0 {
			b = utf8.AppendRune(b, p)
		}
		i += n
	}
	return string(b)
}
