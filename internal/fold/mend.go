package fold

import (
	"unicode"
	"unicode/utf8"

	"golang.org/x/text/encoding/charmap"

	"github.com/bounce-milter/bounce-milter/internal/ascii"
)

// page is a character set that UTF-8 is often taken for.
type page struct {
	set *charmap.Charmap
	// leads is what the first octet of most letters was taken for.
	leads string
	// pair is true if two characters in a row must be readable as UTF-8, whichever they are.
	// In Cyrillic one may be two letters of a word.
	pair bool
}

// pages are tried in this order. ISO 8859-1 is read as Windows-1252.
var pages = [...]page{
	{charmap.Windows1252, "ÂÃÄÅÈÉÊËÎÏÐÑÒÓ×ØÙàáâãäåæçèéêëìíîï", false},
	{charmap.Windows1251, "РС", true},
	{charmap.Windows1250, "ĂÄĹ", false},
}

// maxRune bounds the characters of the pages, and maxLead those of their leads.
const (
	maxRune = 0x2123
	maxLead = 0x460
)

// octets are those that the pages have for a character, 0 for none and for ASCII.
var octets = func() (t [len(pages)][maxRune]byte) {
	for i := range pages {
		for c := 0xff; c >= 0x80; c-- {
			if r := pages[i].set.DecodeByte(byte(c)); r < maxRune {
				t[i][r] = byte(c)
			}
		}
		for c := 0x80; c < 0xa0; c++ { // ISO 8859-1 has them, Windows-1252 does not
			t[i][c] = byte(c)
		}
	}
	return t
}()

// leadOf is which pages have a character among their leads, a set of bits: most texts are
// looked at no closer.
var leadOf = func() (t [maxLead]byte) {
	for i := range pages {
		for _, r := range pages[i].leads {
			t[r] |= 1 << i
		}
	}
	return t
}()

// Mend returns s with those characters as they were meant that are UTF-8 which was taken
// for another character set and encoded once more: "usuÃ¡rio", "Ð½ÐµÑ‚" or "РЅРµС‚". It
// takes time that is linear in the length of s, and allocates only if something is mended.
func Mend(s string) string {
	if ascii.Only(s) {
		return s
	}
	var b []byte   // what was mended so far, and all before it
	done := 0      // how much of s that is
	var last *page // by which what stands right before was mended
	for i := 0; i < len(s); {
		if s[i] < utf8.RuneSelf {
			i, last = i+1, nil
			continue
		}
		r, size, by := twice(s[i:], last)
		if last = by; r != 0 {
			b = utf8.AppendRune(append(b, s[done:i]...), r)
			done = i + size
		}
		i += size
	}
	if done == 0 {
		return s
	}
	return string(append(b, s[done:]...))
}

// twice returns the character with which s begins, its size in s, and the page that it
// was taken for, if it was encoded twice; else 0 and the size of the first character. What
// stands right before was mended by last, if by any.
func twice(s string, last *page) (r rune, size int, by *page) {
	first, width := utf8.DecodeRuneInString(s)
	if first >= maxLead {
		return 0, width, nil
	}
	for i := range pages {
		p := &pages[i]
		if leadOf[first]&(1<<i) == 0 {
			continue
		}
		r, size := decode(&octets[i], s)
		if r == 0 {
			continue
		}
		if p == last || !p.pair && !byChance(r) {
			return r, size, p
		}
		if next, _ := decode(&octets[i], s[size:]); next != 0 {
			return r, size, p
		}
	}
	return 0, width, nil
}

// decode reads a character that was taken for several, each of which octets has. It
// returns 0 if there is none.
func decode(octets *[maxRune]byte, s string) (r rune, size int) {
	var buf [3]byte
	need := 1
	for n := 0; n < need; n++ {
		c, width := utf8.DecodeRuneInString(s[size:])
		if c >= maxRune {
			return 0, 0
		}
		octet := octets[c]
		if n == 0 {
			switch {
			case octet >= 0xc2 && octet < 0xe0:
				need = 2
			case octet >= 0xe0 && octet < 0xf0:
				need = 3
			default:
				return 0, 0
			}
		} else if octet&0xc0 != 0x80 {
			return 0, 0
		}
		buf[n] = octet
		size += width
	}
	r, n := utf8.DecodeRune(buf[:need])
	if n != need || !common(r) {
		return 0, 0
	}
	return r, size
}

// byChance reports whether a character alone may be a letter and two signs behind it that
// were encoded once: in "refusé »", with the fixed space of French, they read as "頻". The
// dashes and quotation marks of U+2010 and on hardly can, for they begin with "â€", nor the
// letters of Vietnamese, which begin with "áº" or "á»".
func byChance(r rune) bool { return r >= 0x800 && r>>8 != 0x1e && (r < 0x2000 || r > 0x206f) }

// common reports whether a character occurs in mail of many people: it was hardly met
// by chance, as that of a letter before a quotation mark or a fixed space.
func common(r rune) bool {
	switch {
	case r < 0x180, r == 0x1a0, r == 0x1a1, r == 0x1af, r == 0x1b0, r >= 0x218 && r <= 0x21b: // Latin; Vietnamese, Romanian
		return true
	case r >= 0x370 && r < 0x460, r == 0x490, r == 0x491, r >= 0x5d0 && r < 0x660, r >= 0x66a && r < 0x700: // Greek, Cyrillic, Hebrew, Arabic
		return true
	}
	return r >= 0x900 && unicode.IsPrint(r)
}
