package reply

import (
	"strings"
	"unicode/utf8"

	"github.com/bounce-milter/bounce-milter/internal/ascii"
)

// scan is one pass over a reply.
type scan struct {
	s string

	first  int // first code found; one of 400 or above is preferred
	paired int // code beside the chosen status, 0 if there is none
	status Status

	prev     int  // the code just before the current number, 0 if there is none
	prevEnd  int  // index of its end
	prevWeak bool // its place alone does not make it a code, see codePlace

	multi int  // index of the first line of a multiline reply, -1 if there is none
	blank bool // there are control characters or two spaces in a row, so text must be folded
	wide  bool // there are characters outside of ASCII
}

// code returns the reply code that was found.
func (sc *scan) code() int {
	if sc.paired != 0 {
		return sc.paired
	}
	return sc.first
}

// Kinds of octets in a reply, 0 for most.
const (
	digit = 1 + iota
	blank
	wide
)

var octets = func() (t [256]uint8) {
	for c := range t {
		if ascii.IsDigit(byte(c)) {
			t[c] = digit
		} else if ascii.IsBlank(rune(c)) {
			t[c] = blank
		} else if c >= utf8.RuneSelf {
			t[c] = wide
		}
	}
	return t
}()

// run visits every number of the text.
func (sc *scan) run() {
	s := sc.s
	for i := 0; i < len(s); {
		switch octets[s[i]] {
		case 0:
			i++
			continue
		case blank:
			if s[i] != ' ' || i+1 < len(s) && s[i+1] == ' ' {
				sc.blank = true
			}
			i++
			continue
		case wide:
			sc.wide = true
			i++
			continue
		}
		end := i + 1
		for end < len(s) && (ascii.IsDigit(s[end]) || s[end] == '.') {
			end++
		}
		tok := s[i:end]
		for tok[len(tok)-1] == '.' { // a full stop
			tok = tok[:len(tok)-1]
		}
		switch after := i + len(tok); {
		case len(tok) == 3 && isCode(tok) && endsCode(s, after):
			sc.number(tok, i, after)
		default:
			if st := ParseStatus(tok); st.Class != 0 && endsStatus(s, after) {
				sc.enhanced(st, i)
			}
		}
		i = end
	}
}

// number considers a number that has the form of a reply code.
func (sc *scan) number(tok string, at, after int) {
	n := number(tok)
	strong, ok := codePlace(sc.s, at, n)
	if !ok {
		return
	}
	sc.prev, sc.prevEnd, sc.prevWeak = n, after, !strong
	if strong {
		sc.accept(n, at, after)
	}
}

func (sc *scan) accept(n, at, after int) {
	if sc.first == 0 || sc.first < 400 && n >= 400 {
		sc.first = n
	}
	if sc.multi < 0 && after < len(sc.s) && sc.s[after] == '-' {
		sc.multi = at
	}
}

// enhanced considers a number that has the form of an enhanced status code.
func (sc *scan) enhanced(st Status, at int) {
	beside := sc.prev != 0 && onlyGlue(sc.s[sc.prevEnd:at])
	if beside && sc.prevWeak {
		// Words, a code, an enhanced code: being a pair makes the first a code.
		if st.Class != 2 && sc.prev >= 400 {
			sc.accept(sc.prev, sc.prevEnd-3, sc.prevEnd)
		} else {
			beside = false
		}
	}
	sc.prevWeak = false
	if !beside && !sc.standsAlone(st, at) {
		sc.prev = 0
		return
	}
	pair := 0
	if beside {
		pair = sc.prev
	}
	sc.prev = 0
	if !st.TellsMore(sc.status) {
		return
	}
	sc.status = st
	if sc.first < 400 || pair >= 400 && st.Telling() {
		sc.paired = pair
	}
}

// standsAlone reports whether an enhanced code may stand at s[at] without a reply code
// before it.
func (sc *scan) standsAlone(st Status, at int) bool {
	if st.Subject > 7 { // RFC 3463 section 3 defines no higher subject
		return false
	}
	i := at
	for i > 0 && (sc.s[i-1] == ' ' || sc.s[i-1] == '\t') {
		i--
	}
	if i == 0 {
		return true
	}
	switch c := sc.s[i-1]; {
	case strings.IndexByte("#([{:;=\"'<>|\n\r,", c) >= 0:
		return st.Class != 2 || i == at || sc.first == 0
	case i == at: // part of another word
		return false
	case st.Class == 2:
		return false
	case sc.first != 0 && sc.first/100 != int(st.Class):
		return false
	}
	// The version of a program ("version 5.1.1", "v 4.7.0").
	switch strings.ToLower(lastWord(sc.s[:i])) {
	case "version", "ver", "v", "release", "build", "section", "rfc":
		return false
	}
	return true
}

// onlyGlue reports whether s, which stands between a reply code and an enhanced code, is
// only spaces and punctuation: "550-5.7.1", "550 #5.1.0", `421, "4.7.0"`.
func onlyGlue(s string) bool {
	if len(s) == 0 || len(s) > 6 {
		return false
	}
	for i := 0; i < len(s); i++ {
		if strings.IndexByte(" \t-,\"'#([<:_", s[i]) < 0 {
			return false
		}
	}
	return true
}

// lastWord returns the letters that s ends with.
func lastWord(s string) string {
	i := len(s)
	for i > 0 && ascii.IsAlpha(s[i-1]) && len(s)-i < 16 {
		i--
	}
	return s[i:]
}
