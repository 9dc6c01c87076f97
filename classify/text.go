package classify

import (
	"sync"
	"unicode"
	"unicode/utf8"

	"github.com/bounce-milter/bounce-milter/internal/ascii"
	"github.com/bounce-milter/bounce-milter/internal/fold"
)

// maxText bounds the octets of one text that are judged. Of a longer one the
// head and the tail count: replies open with the code and often end with the
// only line that says something.
const (
	maxText = 8 << 10
	maxTail = 2 << 10
)

// text is a text in the form in which phrases are matched: lower case without accents,
// single spaces, plain quotes, with a space before and after. Its buffers are reused.
type text struct {
	norm        []byte
	marks       []byte  // beside norm: markUpper, markMasked
	hits        []int32 // patterns that occur and set a rule off, the longest first
	signs       []int32 // where in norm ".", "@" and ":" stand
	seen        []span  // by pattern: where it occurs, valid if epoch is current
	epoch       uint32
	lastLetters int    // see hasLetters
	inner       int    // where in norm the innermost reply begins, 0 where none is wrapped
	hosts       []host // host names that are masked, in order
	masks       []host // all that is masked, in order
	borders     borders
	tails       bool // something is marked with markTail
	// places are where patterns occur whose neighbours matter; guarded is true
	// where one of them may turn a clause away from the recipient.
	places  []place
	guarded bool
	// from is the provider whose words occur last, -1 where none do, and
	// which they are.
	from      int16
	fromWords int32
	// shifted is true when an octet of the source became more or fewer, so
	// that offsets in norm are not those of the source plus one.
	shifted bool
	accents bool // are kept: the text is a phrase as people write it
}

const (
	markUpper  = 1  // was a capital letter
	markMasked = 2  // part of an address, a host name or a URL
	markTail   = 4  // part of a note behind the reply
	markWrap   = 8  // part of a marker before a quoted reply
	markGreet  = 16 // part of words that address the reader
)

// span says where a pattern occurs: its last occurrence, of which alone
// matters whether it lies within the innermost reply.
type span struct {
	epoch uint32
	last  int32 // where the last occurrence begins
}

// host is a stretch of norm: a host name, or whatever is masked.
type host struct{ from, to int }

// bounded returns s, or the head and the tail of it if it is too long.
func bounded(s string) string {
	if len(s) <= maxText {
		return s
	}
	return s[:maxText-maxTail] + " " + s[len(s)-maxTail:]
}

// folded is the plain form of ASCII in lower case, see [fold.Plain]. The upper half
// of an entry holds flags, of which markUpper goes to the marks.
var folded = func() (t [128]uint16) {
	for c := range t {
		plain := fold.Plain(rune(c))
		t[c] = uint16(fold.Lower(plain))
		switch {
		case 'A' <= c && c <= 'Z':
			t[c] |= foldUpper
		case plain == ' ':
			t[c] |= foldSpace
		case c == '.' || c == '@' || c == ':':
			t[c] |= foldSign
		case c == lost:
			t[c] |= foldLost
		}
	}
	return t
}()

const (
	foldUpper = markUpper << 8
	foldSpace = foldUpper << 1
	foldSign  = foldUpper << 2 // what no address, host name or URL is without
	foldLost  = foldUpper << 3
)

// lost is what programs write that expect ASCII: for each other letter, or for each octet
// of it.
const lost = '?'

// isLost reports whether another "?" behind norm[:n] is part of the letter that was lost
// there.
func isLost(norm []byte, n int) bool { return norm[n-1] == lost && n > 1 && isLetter(norm[n-2]) }

// set fills norm from s and forgets what was found before.
func (t *text) set(s string) {
	t.hits, t.hosts, t.signs, t.masks, t.tails = t.hits[:0], t.hosts[:0], t.signs[:0], t.masks[:0], false
	t.inner, t.shifted = 0, false
	t.places, t.guarded = t.places[:0], false
	t.from, t.fromWords = -1, 0
	// A broken octet becomes two at most, a letter in lower case half as
	// long again: no bounds to check beside the text itself.
	if need := 2*len(s) + 2*utf8.UTFMax; cap(t.norm) < need {
		t.norm, t.marks = make([]byte, need), make([]byte, need)
	}
	norm, marks := t.norm[:cap(t.norm)], t.marks[:cap(t.norm)]
	norm[0], marks[0] = ' ', 0
	n := 1
	for i := 0; i < len(s); {
		k := t.plain(norm, marks, n, s[i:])
		i, n = i+k, n+k
		switch {
		case i == len(s):
		case s[i] < utf8.RuneSelf: // one more space, or octet of a lost letter
			t.shifted = true
			i++
		default:
			_, size := utf8.DecodeRuneInString(s[i:])
			width := t.rune(norm, marks, n, firstRune(s[i:]))
			i += size
			t.shifted = t.shifted || width != size
			n += width
		}
	}
	if norm[n-1] != ' ' {
		norm[n], marks[n] = ' ', 0
		n++
	}
	t.norm, t.marks = norm[:n], marks[:n]
}

// plain writes the ASCII that s begins with to norm[n:], up to a space behind a space or
// what [isLost], and returns how much that is. Each octet becomes one, so that no bound but the end
// of s is looked at.
func (t *text) plain(all, marks []byte, n int, s string) int {
	before := all[n-1]
	norm := all[n:][:len(s)]
	marks = marks[n:][:len(s)]
	for i := 0; i < len(s); i++ {
		c := s[i]
		if c >= utf8.RuneSelf {
			return i
		}
		// What is rare branches, what is common does not.
		l := folded[c]
		if l >= foldSpace {
			switch {
			case l < foldSign:
				if before == ' ' {
					return i
				}
			case l&foldSign != 0:
				t.signs = append(t.signs, int32(n+i))
			case isLost(all, n+i):
				return i
			}
		}
		before = byte(l)
		norm[i], marks[i] = before, byte(l>>8)&markUpper
	}
	return len(s)
}

// rune writes a character beyond ASCII to norm[n:] and returns its width there.
func (t *text) rune(norm, marks []byte, n int, r rune) int {
	plain := fold.Plain(r)
	if plain == utf8.RuneError {
		plain = lost
	}
	switch {
	case plain < 0:
		return 0
	case plain < utf8.RuneSelf:
		l := folded[plain]
		if l&foldSpace != 0 && norm[n-1] == ' ' || l&foldLost != 0 && isLost(norm, n) {
			return 0
		}
		if l&foldSign != 0 {
			t.signs = append(t.signs, int32(n))
		}
		norm[n], marks[n] = byte(l), byte(l>>8)&markUpper
		return 1
	}
	low := fold.Lower(plain)
	bare, second := low, rune(0)
	if !t.accents {
		bare, second = fold.Bare(low)
	}
	if bare < 0 {
		return 0
	}
	width := utf8.EncodeRune(norm[n:n+utf8.UTFMax], bare)
	if second != 0 { // both are ASCII
		norm[n+1] = byte(second)
		width = 2
	}
	mark := byte(0)
	if low != plain && !unicode.IsLower(plain) {
		mark = markUpper
	}
	for i := range width {
		marks[n+i] = mark
	}
	return width
}

// normal returns s as a text holds it; a space at either end is kept, for it
// may mean the border of a word.
func normal(s string) string { return normalized(s, false) }

// written returns what [normal] does, with accents: the form in which phrases are written.
func written(s string) string { return normalized(s, true) }

// normalizers are texts to use again: a set of rules has thousands of phrases.
var normalizers = sync.Pool{New: func() any { return new(text) }}

func normalized(s string, accents bool) string {
	t := normalizers.Get().(*text)
	defer normalizers.Put(t)
	t.accents = accents
	return t.normal(s)
}

// bare returns a phrase without its accents, as a text holds it.
func bare(phrase string) string {
	if ascii.Only(phrase) {
		return phrase
	}
	return normal(phrase)
}

func (t *text) normal(s string) string {
	t.set(s)
	from, to := 1, len(t.norm)
	if s != "" && isSpace(s[0]) {
		from--
	}
	if s != "" && !isSpace(s[len(s)-1]) {
		to--
	}
	norm := t.norm[min(from, to):to]
	if string(norm) == s {
		return s
	}
	return string(norm)
}

func isSpace(c byte) bool { return c < utf8.RuneSelf && folded[c]&foldSpace != 0 }

// sourceOffset returns where in s, from which the text was set, norm[at]
// comes from.
func (t *text) sourceOffset(s string, at int) int {
	if !t.shifted {
		return min(at-1, len(s))
	}
	// Go through s once more, as set does: room ends with what was written last.
	var room, marks [2 + utf8.UTFMax]byte
	one := text{}
	room[1] = ' '
	for n, i := 1, 0; i < len(s); {
		size, width := 1, 1
		if c := s[i]; c >= utf8.RuneSelf {
			_, size = utf8.DecodeRuneInString(s[i:])
			one.signs = one.signs[:0]
			width = one.rune(room[:], marks[:], 2, firstRune(s[i:]))
		} else if folded[c]&foldSpace != 0 && room[1] == ' ' || c == lost && isLost(room[:], 2) {
			width = 0
		} else {
			room[2] = byte(folded[c])
		}
		if width > 0 {
			if n >= at {
				return i
			}
			n += width
			copy(room[:2], room[width:])
		}
		i += size
	}
	return len(s)
}

// firstRune is the first character of s. Broken UTF-8 is mostly Latin-1 that
// nobody declared.
func firstRune(s string) rune {
	r, size := utf8.DecodeRuneInString(s)
	if r == utf8.RuneError && size == 1 {
		return rune(s[0])
	}
	return r
}

// in reports whether the pattern occurs at or after from.
func (t *text) in(id int32, from int) bool {
	s := t.seen[id]
	return s.epoch == t.epoch && int(s.last) >= from
}
