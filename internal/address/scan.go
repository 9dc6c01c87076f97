package address

import (
	"bytes"
	"iter"
	"strings"

	"github.com/bounce-milter/bounce-milter/internal/ascii"
)

// Place is the place of an address in a text.
type Place struct {
	Start, End int  // of the bare address
	From, To   int  // including the brackets or quotation marks around it
	Angle      bool // it is in angle brackets
}

// The longest local part and domain that are recognised. RFC 5321 section 4.5.3.1 has 64
// and 255; VERP and X.400 addresses in the wild are longer.
const (
	MaxLocalPart = 256
	MaxDomain    = 255
	maxEscaped   = 4 // quotation marks within a quoted local part
)

// In finds the addresses in text, in order. It looks at every "@" once, and around it at
// no more than the length of an address.
func In(text []byte) iter.Seq[Place] {
	return func(yield func(Place) bool) {
		for last := 0; ; { // the end of the last address: the next one begins after it
			p, ok := next(text, last)
			if !ok || !yield(p) {
				return
			}
			last = p.End
		}
	}
}

// next returns the first address in text[last:].
func next(text []byte, last int) (Place, bool) {
	for pos := last; pos < len(text); {
		i := bytes.IndexByte(text[pos:], '@')
		if i < 0 {
			break
		}
		at := pos + i
		pos = at + 1
		start := localStart(text, last, at)
		end := domainEnd(text, at+1)
		if start == at || end == at+1 || inURL(text, last, start) {
			continue
		}
		a := Place{Start: start, End: end, From: start, To: end}
		for a.From > 0 && a.To < len(text) {
			l, r := text[a.From-1], text[a.To]
			if l == '<' && r == '>' {
				a.Angle = true
			} else if !(l == '"' && r == '"' || l == '\'' && r == '\'' || l == '(' && r == ')' || l == '[' && r == ']') {
				break
			}
			a.From, a.To = a.From-1, a.To+1
		}
		return a, true
	}
	return Place{}, false
}

// inURL reports whether an address that begins at text[start] is part of a URL, as in
// http://host/path?user@example.com: no space, angle bracket, quotation mark or
// parenthesis stands between "://" and the address.
func inURL(text []byte, from, start int) bool {
	from = max(from, start-MaxLocalPart)
	for i := start; i > from; i-- {
		switch c := text[i-1]; {
		case c <= ' ' || c == '<' || c == '>' || c == '"' || c == '(' || c == ')':
			return false
		case c == ':' && bytes.HasPrefix(text[i:], []byte("//")):
			return true
		}
	}
	return false
}

// localStart returns where the local part that ends at text[at] begins.
func localStart(text []byte, from, at int) int {
	from = max(from, at-MaxLocalPart)
	i := at
	if at > from && text[at-1] == '"' { // quoted-string of RFC 5321 section 4.1.2
		for j, escaped := at-2, 0; j >= from && escaped < maxEscaped; j-- {
			if text[j] == '"' {
				if j == 0 || text[j-1] != '\\' {
					return j
				}
				escaped++
			}
			if text[j] == '<' || text[j] == '>' {
				break
			}
		}
		return at
	}
	for i > from && isAtext(text[i-1]) {
		i--
	}
	if i > from && text[i-1] >= 0x80 { // RFC 6531: only if a bracket shows where it begins
		for j := i; j > from; j-- {
			if text[j-1] == '<' {
				return j
			}
			if text[j-1] < 0x80 && !isAtext(text[j-1]) {
				break
			}
		}
	}
	for i < at && strings.IndexByte("'.`-*=/|", text[i]) >= 0 {
		if text[i] == '*' && text[at-1] == '*' { // a masked address
			break
		}
		i++
	}
	// QUIRK: "dda:SMTP=u@example.com": Exchange 5.5, see notice.isHeading.
	if i > from && text[i-1] == ':' && at-i > 5 && ascii.EqualFold(text[i:i+5], "smtp=") {
		i += 5
	}
	return i
}

func isAtext(c byte) bool {
	return atext[c]
}

// atext are the octets of RFC 5322 section 3.2.3, with the dot.
var atext = func() (t [256]bool) {
	for c := range t {
		t[c] = ascii.IsAlnum(byte(c)) || c != 0 && strings.IndexByte("!#$%&'*+-/=?^_`{|}~.", byte(c)) >= 0
	}
	return t
}()

// domainEnd returns where the domain that begins at text[at] ends, or at if there is no
// domain.
func domainEnd(text []byte, at int) int {
	limit := min(len(text), at+MaxDomain)
	if at < limit && text[at] == '[' { // address literal
		i := at + 1
		for i < limit && (ascii.IsAlnum(text[i]) || text[i] == '.' || text[i] == ':' || text[i] == '-') {
			i++
		}
		if i < limit && i > at+1 && text[i] == ']' {
			return i + 1
		}
		return at
	}
	i := at
	for i < limit && (ascii.IsAlnum(text[i]) || text[i] == '-' || text[i] == '.' || text[i] == '_') {
		i++
	}
	if i < limit && text[i] >= 0x80 { // RFC 6531, see localStart
		for j := i; j < limit; j++ {
			if text[j] == '>' {
				return j
			}
			if text[j] < 0x80 && !ascii.IsAlnum(text[j]) && text[j] != '-' && text[j] != '.' {
				break
			}
		}
	}
	for i > at && !ascii.IsAlnum(text[i-1]) {
		i--
	}
	return i
}
