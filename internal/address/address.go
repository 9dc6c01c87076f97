// Package address reads mail addresses: from the fields of a header, and in running
// text.
package address

import (
	"strings"
	"unicode"
	"unicode/utf8"
)

// Single returns the bare address in a field such as From, "" if the field has none or
// several.
func Single(field string) string {
	a := Bare(field)
	if !IsMailbox(a) {
		return ""
	}
	for other := range In([]byte(field)) {
		if !strings.EqualFold(field[other.Start:other.End], a) {
			return ""
		}
	}
	return a
}

// Bare removes comments, angle brackets, a display name, a source route and quotation
// marks from an address (RFC 5322 section 3.4, RFC 5321 section 4.1.2). If s itself is a
// mailbox and the rest would not be one, s is returned: what looks like an addition may
// be part of the local part.
func Bare(s string) string {
	s = strings.TrimSpace(s)
	if t := trim(s); IsMailbox(t) || !IsMailbox(s) {
		return t
	}
	return s
}

func trim(s string) string {
	if i := strings.LastIndexByte(s, '<'); i >= 0 && (s[0] != '"' || strings.HasSuffix(s, ">")) {
		// QUIRK: "<user@example.com>" in a field that requires the bare form:
		// McAfee, Bigfoot, Sendmail 8.8.
		s = s[i+1:]
		if j := strings.IndexByte(s, '>'); j >= 0 {
			s = s[:j]
		}
	}
	s = strings.TrimSpace(StripComments(s))
	s = strings.TrimSuffix(s, ">")
	// QUIRK: Exchange and web forms write prefixes, "SMTP:u@example.com".
	for _, prefix := range []string{"mailto:", "smtp:"} {
		if len(s) > len(prefix) && strings.EqualFold(s[:len(prefix)], prefix) {
			s = s[len(prefix):]
		}
	}
	if len(s) > 2 && s[0] == '\'' && s[len(s)-1] == '\'' {
		s = s[1 : len(s)-1]
	}
	// A source route, "@relay:user@host" (RFC 5321 appendix C).
	// QUIRK: Sun Java Messaging Server leaves it in Final-Recipient.
	if strings.HasPrefix(s, "@") {
		if i := strings.IndexByte(s, ':'); i >= 0 && strings.IndexByte(s[i+1:], '@') > 0 {
			s = s[i+1:]
		}
	}
	s = strings.TrimRight(s, " ,;")
	if i := strings.IndexAny(s, " \t"); i > 0 && s[0] != '"' && strings.IndexByte(s[:i], '@') > 0 {
		s = s[:i] // "user@example.com (text" or "user@example.com text"
	}
	return s
}

// StripComments removes comments (RFC 5322 section 3.2.2). Parentheses in a
// quoted-string stay; a comment that is not closed ends with the text.
func StripComments(s string) string {
	if strings.IndexByte(s, '(') < 0 {
		return s
	}
	b := make([]byte, 0, len(s))
	depth, quoted := 0, false
	for i := 0; i < len(s); i++ {
		c := s[i]
		switch {
		case c == '\\' && i+1 < len(s):
			if depth == 0 {
				b = append(b, c, s[i+1])
			}
			i++
			continue
		case c == '"' && depth == 0:
			quoted = !quoted
		case c == '(' && !quoted:
			depth++
			continue
		case c == ')' && !quoted && depth > 0:
			depth--
			continue
		}
		if depth == 0 {
			b = append(b, c)
		}
	}
	return string(b)
}

// IsMailbox reports whether s has the form local@domain. The domain need not have a dot:
// mail to hosts without one bounces too.
func IsMailbox(s string) bool {
	at := strings.LastIndexByte(s, '@')
	if at <= 0 || at == len(s)-1 {
		return false
	}
	local, domain := s[:at], s[at+1:]
	inLocal, inDomain := octetsOf(local), octetsOf(domain)
	switch all := inLocal | inDomain; {
	case inDomain&notInDomain != 0, all&control != 0, all&aboveASCII != 0 && strings.ContainsFunc(s, unicode.IsControl):
		return false
	case local[0] == '"':
		return len(local) > 1 && local[len(local)-1] == '"'
	}
	return local[0] != '|' && local[0] != '/' && inLocal&notInLocal == 0
}

// Kinds of octets in an address.
const (
	control    = 1 << iota // of ASCII
	aboveASCII             // may be part of a control character
	notInLocal             // in none but a quoted local part
	notInDomain
)

// kinds tells what each octet is: every address is looked at several times.
var kinds = func() (t [256]uint8) {
	for c := range t {
		switch {
		case c < ' ' || c == 0x7f:
			t[c] = control
		case c >= utf8.RuneSelf:
			t[c] = aboveASCII
		}
	}
	for _, c := range " \t<>(),;\"" {
		t[c] |= notInLocal
	}
	for _, c := range " \t/|<>\"(),;\\" {
		t[c] |= notInDomain
	}
	return t
}()

// octetsOf returns what kinds of octets s has.
func octetsOf(s string) (has uint8) {
	for i := 0; i < len(s); i++ {
		has |= kinds[s[i]]
	}
	return has
}
