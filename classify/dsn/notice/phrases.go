package notice

import (
	"fmt"
	"unicode"
	"unicode/utf8"

	"github.com/bounce-milter/bounce-milter/internal/ascii"
)

// phraseIndex finds many phrases in one pass over a text. Each phrase carries
// a set of bits. The zero value is an empty index.
//
// Phrases are filed by a hash of their first four octets. Most places in a text
// are within a word and cost nothing, most others one look at a bit.
type phraseIndex[T ~uint32] struct {
	phrases []phrase[T]
	place   map[string]int
	filled  [phraseBuckets / 64]uint64 // which buckets have phrases
	table   [phraseBuckets][]int32
}

type phrase[T ~uint32] struct {
	text string
	bits T
}

const (
	phraseBits    = 13
	phraseBuckets = 1 << phraseBits
	phraseMin     = 4 // octets that a phrase has at least
)

// add files a phrase under its folded form. A phrase that is there already
// gets the bits in addition.
func (x *phraseIndex[T]) add(text string, bits T) error {
	p := foldPhrase(text)
	if len(p) < phraseMin {
		return fmt.Errorf("%q is shorter than %d octets: write more of it", text, phraseMin)
	}
	if i, ok := x.place[p]; ok {
		x.phrases[i].bits |= bits
		return nil
	}
	if x.place == nil {
		x.place = map[string]int{}
	}
	x.place[p] = len(x.phrases)
	k := phraseKey(p[0], p[1], p[2], p[3])
	x.filled[k/64] |= 1 << (k % 64)
	x.table[k] = append(x.table[k], int32(len(x.phrases)))
	x.phrases = append(x.phrases, phrase[T]{p, bits})
	return nil
}

func phraseKey(a, b, c, d byte) uint32 {
	k := uint32(a) | uint32(b)<<8 | uint32(c)<<16 | uint32(d)<<24
	return k * 2654435761 >> (32 - phraseBits)
}

// find calls f for every phrase that stands in low, which is folded text, in
// the order of where they begin; f returns false to stop. A phrase that begins
// with a letter or digit of ASCII begins a word.
func (x *phraseIndex[T]) find(low []byte, f func(start, end int, bits T) bool) {
	within := false // a word goes on
	for i := 0; i+phraseMin <= len(low); i++ {
		word := ascii.IsAlnum(low[i])
		if word && within {
			continue
		}
		within = word
		k := phraseKey(low[i], low[i+1], low[i+2], low[i+3])
		if x.filled[k/64]&(1<<(k%64)) == 0 {
			continue
		}
		for _, n := range x.table[k] {
			p := &x.phrases[n]
			if end := i + len(p.text); end <= len(low) && low[end-1] == p.text[len(p.text)-1] && string(low[i:end]) == p.text {
				if !f(i, end, p.bits) {
					return
				}
			}
		}
	}
}

// has reports whether a phrase stands in low.
func (x *phraseIndex[T]) has(low []byte) (bits T) {
	x.find(low, func(_, _ int, b T) bool {
		bits |= b
		return true
	})
	return bits
}

// foldPhrase brings text into the form in which phrases are compared: lower
// case, white space folded to one space and cut at both ends, typographic
// quotation marks plain.
func foldPhrase(s string) string {
	_, low := foldText(nil, nil, s)
	for len(low) > 0 && low[len(low)-1] == ' ' {
		low = low[:len(low)-1]
	}
	return string(low)
}

// foldText appends s to orig with its white space folded, and to low the same
// in lower case. Both grow alike: a place in one is the same place in the other.
func foldText(orig, low []byte, s string) (o, l []byte) {
	blank := len(orig) == 0 || orig[len(orig)-1] == ' '
	for i := 0; i < len(s); {
		c := s[i]
		if c < utf8.RuneSelf {
			i++
			if ascii.IsBlank(rune(c)) {
				if !blank {
					orig, low, blank = append(orig, ' '), append(low, ' '), true
				}
				continue
			}
			blank = false
			orig = append(orig, c)
			if 'A' <= c && c <= 'Z' {
				c |= 0x20
			}
			low = append(low, c)
			continue
		}
		r, n := utf8.DecodeRuneInString(s[i:])
		switch r {
		case '\u2018', '\u2019', '\u02bc':
			orig, low, blank = append(orig, '\''), append(low, '\''), false
		case '\u201c', '\u201d':
			orig, low, blank = append(orig, '"'), append(low, '"'), false
		case '\u00a0', '\u3000', '\u2002', '\u2003', '\u2009':
			if !blank {
				orig, low, blank = append(orig, ' '), append(low, ' '), true
			}
		case '\u200b', '\u200c', '\u200d', '\ufeff', '\u2060': // of no width
		default:
			orig, blank = append(orig, s[i:i+n]...), false
			if lr := unicode.ToLower(r); utf8.RuneLen(lr) == n && r != utf8.RuneError {
				low = utf8.AppendRune(low, lr)
			} else {
				low = append(low, s[i:i+n]...)
			}
		}
		i += n
	}
	return orig, low
}
