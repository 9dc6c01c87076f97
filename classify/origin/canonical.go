package origin

import (
	"strings"
	"unicode/utf8"

	"github.com/bounce-milter/bounce-milter/internal/address"
	"github.com/bounce-milter/bounce-milter/internal/ascii"
	"golang.org/x/net/idna"
)

// Bounds on what is compared, in octets.
const (
	maxAddress   = 512
	maxMessageID = 998
	maxFrom      = 8 << 10
	maxEncoded   = 512 // of an encoded word; RFC 2047 section 2 has 75
)

// canonical writes an address in the form in which addresses are compared: bare, in lower
// case, the domain in ASCII. Of what is too long to be an address it returns "".
//
// QUIRK: the local part too, though RFC 5321 section 2.4 says to leave it alone: servers
// report addresses in another case, and nobody has two mailboxes that differ only in case.
func canonical(addr string) string {
	if addr = address.Bare(addr); len(addr) > maxAddress {
		return ""
	}
	at := strings.LastIndexByte(addr, '@')
	if at < 0 || at == len(addr)-1 {
		return lower(addr)
	}
	local, domain := addr[:at], addr[at+1:]
	// "jo" and jo are the same (RFC 5321 section 4.1.2).
	if n := len(local); n > 2 && local[0] == '"' && local[n-1] == '"' && !strings.ContainsAny(local[1:n-1], "\" \t\\()<>[]:;@,") {
		local = local[1 : n-1]
	}
	return lower(local) + "@" + canonicalDomain(domain)
}

// exact is canonical for an address that stands in an envelope, or is all of an entry in a
// field such as To. It returns "" for one that canonical might take for another: as a
// display name is no part of an address, neither is a."<u@example.com>" of
// a."<u@example.com>"@example.net, which is a mailbox at example.net (RFC 5322 section 4.4).
func exact(addr string) string {
	addr = strings.TrimSpace(addr)
	if n := len(addr); n > 2 && addr[0] == '<' && addr[n-1] == '>' {
		addr = addr[1 : n-1]
	}
	at := strings.LastIndexByte(addr, '@')
	if at > 0 && addr[0] != '"' && (strings.ContainsAny(addr, "<>()\"\\ \t,;") || addr[0] != '@' && strings.IndexByte(addr[:at], ':') >= 0) {
		return ""
	}
	a := canonical(addr)
	if domainOf(a) != canonicalDomain(addr[at+1:]) && at > 0 {
		return ""
	}
	return a
}

// lower makes letters small. What is not UTF-8 stays as it is.
func lower(s string) string {
	if !utf8.ValidString(s) {
		return lowerASCII(s)
	}
	return strings.ToLower(s)
}

// canonicalDomain writes a domain in lower case and ASCII (RFC 5890), if it has such a
// form.
func canonicalDomain(domain string) string {
	domain = strings.TrimRight(domain, ".")
	if !ascii.Only(domain) {
		if a, err := idna.Lookup.ToASCII(domain); err == nil {
			domain = a
		}
	}
	return lower(domain)
}

// domainOf returns the domain of an address, "" if it has none.
func domainOf(addr string) string {
	at := strings.LastIndexByte(addr, '@')
	if at < 0 {
		return ""
	}
	return addr[at+1:]
}

// canonicalID returns a Message-ID without brackets and white space, "" if there is none.
func canonicalID(field string) string {
	if i := strings.IndexByte(field, '<'); i >= 0 {
		field = field[i+1:]
		if j := strings.IndexByte(field, '>'); j >= 0 {
			field = field[:j]
		}
	}
	return withoutSpace(field[:min(len(field), maxMessageID)])
}

// withoutSpace drops white space and control characters.
func withoutSpace(s string) string {
	return strings.Map(func(r rune) rune {
		if r <= ' ' || r == 0x7f {
			return -1
		}
		return r
	}, s)
}

// firstAuthor returns the address of the first author in a From field. Display names do
// not matter: gateways encode, decode and cut them.
func firstAuthor(field string) string {
	for a := range authors(field) {
		return a
	}
	return ""
}

// authors finds the addresses in a field such as From or To (RFC 5322 section 3.4), see
// entries.
func authors(field string) func(yield func(string) bool) {
	return func(yield func(string) bool) {
		for a := range entries(field) {
			if a != "" && !yield(a) {
				return
			}
		}
	}
}

// entries finds the entries of a field such as From or To that have an "@": their addresses,
// "" for one that cannot be read. Quoted display names, encoded words (RFC 2047) and comments
// are skipped: whoever signs up with a name chooses what stands in them. A name without
// quotation marks that has a comma in it, as gateways write that decode it, counts as an
// entry without an address.
func entries(field string) func(yield func(string) bool) {
	field = field[:min(len(field), maxFrom)]
	return func(yield func(string) bool) {
		start, open, shut := 0, -1, -1 // of the entry, and of the angle brackets in it
		emit := func(end int) bool {
			s := field[start:end]
			if open >= 0 {
				s = field[open:max(open, shut)]
				if shut < open {
					s = field[open:end]
				}
			} else {
				s = address.StripComments(s)
			}
			open, shut = -1, -1
			if strings.IndexByte(s, '@') < 0 {
				return true
			}
			a := exact(s)
			if !address.IsMailbox(a) {
				a = ""
			}
			return yield(a)
		}
		quoted, depth, angle := false, 0, false
		for i := 0; i < len(field); i++ {
			switch c := field[i]; {
			case c == '\\':
				i++
			case depth > 0:
				if c == '(' {
					depth++
				} else if c == ')' {
					depth--
				}
			case quoted:
				quoted = c != '"'
			case c == '"':
				quoted = true
			case c == '(':
				depth++
			case c == '<':
				angle, open, shut = true, i+1, -1
			case c == '>':
				if angle {
					shut = i
				}
				angle = false
			case angle:
			case c == '=' && strings.HasPrefix(field[i:], "=?"):
				i += max(0, len(encodedWord(field[i:]))-1)
			case c == ':': // of a group
				start = i + 1
			case c == ',' || c == ';':
				if !emit(i) {
					return
				}
				start = i + 1
			}
		}
		if start < len(field) {
			emit(len(field))
		}
	}
}

// encodedWord returns the encoded word at the beginning of a text that begins with "=?"
// (RFC 2047 section 2), "" if none is there. White space ends it.
func encodedWord(s string) string {
	s = s[:min(len(s), maxEncoded)]
	end := strings.IndexAny(s, " \t")
	if end < 0 {
		end = len(s)
	}
	at := len("=?")
	for range 2 { // charset and encoding
		i := strings.IndexByte(s[at:end], '?')
		if i < 0 {
			return ""
		}
		at += i + 1
	}
	i := strings.Index(s[at:end], "?=")
	if i < 0 {
		return ""
	}
	return s[:at+i+len("?=")]
}
