// Package fold gives characters the form in which rules, notices and replies are
// compared.
package fold

import (
	"unicode"
	"unicode/utf8"
)

// Plain returns the plain form of a character. Typographic quotes, dashes and spaces
// become those of ASCII, full-width forms become ordinary ones ("５５０：" is "550:"), and
// control characters become spaces. It returns -1 for a zero-width character, which is to
// be dropped.
//
// Letters do not change, because addresses contain them; see [Lower].
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

// Lower returns a character in lower case, for comparing words. The dotless i of Turkish
// becomes i, because both have the same capital letter.
func Lower(r rune) rune {
	if r == 0x131 {
		return 'i'
	}
	return unicode.ToLower(r)
}

// blanks look like a space, or like nothing, although Unicode calls them letters or symbols.
var blanks = &unicode.RangeTable{
	R16: []unicode.Range16{{Lo: 0x2800, Hi: 0x2800, Stride: 1}},
	R32: []unicode.Range32{{Lo: 0x13441, Hi: 0x13442, Stride: 1}, {Lo: 0x16fe4, Hi: 0x16fe4, Stride: 1}},
}

// Invisible reports whether nobody sees a character, and it is no space either: a control or
// format character, a separator of lines, a tag, one of private use, a filler.
func Invisible(r rune) bool {
	return !unicode.IsPrint(r) && !unicode.Is(unicode.Zs, r) || unicode.In(r, unicode.Other_Default_Ignorable_Code_Point, blanks)
}
