package notice

import (
	"bytes"
	"fmt"
	"unicode/utf8"

	"github.com/bounce-milter/bounce-milter/internal/ascii"
	"github.com/bounce-milter/bounce-milter/internal/fold"
)

// phraseIndex finds many phrases in one pass over a text. Each phrase has a set of bits.
// The zero value is an empty index.
//
// Phrases are indexed by a hash of their first four octets. Most places in a text are
// within a word and cost nothing; most others cost one look at a bit.
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
	phraseMin     = 4 // octets of the shortest phrase
)

// add adds a phrase in its folded form. If it is there already, it gets the bits as well.
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

// find calls f for every phrase in low, which is folded text, in the order of their
// beginnings; f returns false to stop. A phrase that begins with an ASCII letter or digit
// must start at the beginning of a word.
func (x *phraseIndex[T]) find(low []byte, f func(start, end int, bits T) bool) {
	within := false // within a word
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

// has returns the bits of all phrases in low.
func (x *phraseIndex[T]) has(low []byte) (bits T) {
	x.find(low, func(_, _ int, b T) bool {
		bits |= b
		return true
	})
	return bits
}

// foldPhrase returns text in the form in which phrases are compared: that of foldText,
// without a space at the end.
func foldPhrase(s string) string {
	_, low := foldText(nil, nil, s)
	return string(bytes.TrimRight(low, " "))
}

// foldText appends s to orig in its plain form with single spaces (see [fold.Plain]),
// and to low the same in lower case. Both always have the same length, so that an index
// is valid in both. Therefore a letter whose lower case has another length is not changed
// in low.
func foldText(orig, low []byte, s string) (o, l []byte) {
	blank := len(orig) == 0 || orig[len(orig)-1] == ' '
	for i := 0; i < len(s); {
		c := s[i]
		if c < utf8.RuneSelf {
			i++
			folded := foldASCII[c]
			if folded == ' ' {
				if !blank {
					orig, low, blank = append(orig, ' '), append(low, ' '), true
				}
				continue
			}
			orig, low, blank = append(orig, c), append(low, folded), false
			continue
		}
		r, n := utf8.DecodeRuneInString(s[i:])
		switch plain := fold.Plain(r); {
		case plain < 0:
		case plain == ' ':
			if !blank {
				orig, low, blank = append(orig, ' '), append(low, ' '), true
			}
		case r == utf8.RuneError:
			orig, low, blank = append(orig, s[i:i+n]...), append(low, s[i:i+n]...), false
		default:
			orig, blank = utf8.AppendRune(orig, plain), false
			if lower := fold.Lower(plain); utf8.RuneLen(lower) == utf8.RuneLen(plain) {
				plain = lower
			}
			low = utf8.AppendRune(low, plain)
		}
		i += n
	}
	return orig, low
}

// foldASCII is the plain form of each ASCII character in lower case.
var foldASCII = func() (t [utf8.RuneSelf]byte) {
	for c := range t {
		t[c] = byte(fold.Lower(fold.Plain(rune(c))))
	}
	return t
}()
