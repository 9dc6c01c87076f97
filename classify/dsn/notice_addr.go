package dsn

import (
	"bytes"
	"strings"
)

// noticeAddr is an address in the text of a notice.
type noticeAddr struct {
	start, end int // the bare address
	from, to   int // with the brackets or quotation marks around it
	line       int
	angle      bool // in angle brackets
}

// Longest local part and domain that are taken for one (RFC 5321 section
// 4.5.3.1 has 64 and 255; VERP and X.400 addresses are longer in the wild).
const (
	maxLocalPart = 256
	maxDomain    = 255
	maxEscaped   = 4 // quotation marks within a quoted local part
)

func (n *notice) scanAddresses() {
	all := addressesIn(n.orig, n.addrs[:0])
	n.addrs = all[:0]
	line := 0
	for _, a := range all {
		for line+1 < len(n.lines) && n.lines[line+1].start <= a.start {
			line++
		}
		if a.line = line; line >= len(n.lines) || !n.lines[line].ids {
			n.addrs = append(n.addrs, a)
		}
	}
}

// addressesIn appends the addresses in text. Every "@" is looked at once, and
// at no more around it than an address may have.
func addressesIn(text []byte, dst []noticeAddr) []noticeAddr {
	last := 0 // nothing before it belongs to the next address
	for pos := 0; pos < len(text) && len(dst) < 2*maxNoticeLines; {
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
		a := noticeAddr{start: start, end: end, from: start, to: end}
		for a.from > 0 && a.to < len(text) && len(text) > 0 {
			l, r := text[a.from-1], text[a.to]
			if l == '<' && r == '>' {
				a.angle = true
			} else if !(l == '"' && r == '"' || l == '\'' && r == '\'' || l == '(' && r == ')' || l == '[' && r == ']') {
				break
			}
			a.from, a.to = a.from-1, a.to+1
		}
		last, pos = end, end
		dst = append(dst, a)
	}
	return dst
}

// inURL reports whether an address that begins at text[start] would be part of
// a URL: http://host/path?user@example.com. Between the two stand only signs
// that a URL may have and a local part may not.
func inURL(text []byte, from, start int) bool {
	from = max(from, start-maxLocalPart)
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
	from = max(from, at-maxLocalPart)
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
	if i > from && text[i-1] >= 0x80 { // RFC 6531: only where the bracket shows how much belongs to it
		for j := i; j > from; j-- {
			if text[j-1] == '<' {
				return j
			}
			if text[j-1] < 0x80 && !isAtext(text[j-1]) {
				break
			}
		}
	}
	for i < at && (text[i] == '\'' || text[i] == '.' || text[i] == '`' || text[i] == '-' || text[i] == '*' || text[i] == '=' || text[i] == '/' || text[i] == '|') {
		if text[i] == '*' && text[at-1] == '*' { // a masked address
			break
		}
		i++
	}
	// QUIRK: "dda:SMTP=u@example.com": Exchange 5.5, see isHeading.
	if i > from && text[i-1] == ':' && at-i > 5 && equalFold(text[i:i+5], "smtp=") {
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
		t[c] = isAlnum(byte(c)) || c != 0 && strings.IndexByte("!#$%&'*+-/=?^_`{|}~.", byte(c)) >= 0
	}
	return t
}()

// domainEnd returns where the domain that begins at text[at] ends, at if
// there is none.
func domainEnd(text []byte, at int) int {
	limit := min(len(text), at+maxDomain)
	if at < limit && text[at] == '[' { // address literal
		if i := bytes.IndexAny(text[at:limit], "] "); i > 1 && text[at+i] == ']' {
			return at + i + 1
		}
		return at
	}
	i := at
	for i < limit && (isAlnum(text[i]) || text[i] == '-' || text[i] == '.' || text[i] == '_') {
		i++
	}
	if i < limit && text[i] >= 0x80 { // RFC 6531, see localStart
		for j := i; j < limit; j++ {
			if text[j] == '>' {
				return j
			}
			if text[j] < 0x80 && !isAlnum(text[j]) && text[j] != '-' && text[j] != '.' {
				break
			}
		}
	}
	for i > at && !isAlnum(text[i-1]) {
		i--
	}
	return i
}
