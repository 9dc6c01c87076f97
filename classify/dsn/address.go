package dsn

import (
	"strconv"
	"strings"
	"unicode"
	"unicode/utf8"
)

// readAddress reads the value of a field "type; address" (RFC 3464 section
// 2.1.2): Final-Recipient, Original-Recipient, X-Actual-Recipient. It returns
// the bare address, which need not be a mailbox of the Internet.
func readAddress(value string) string {
	kind, addr := splitType(value)
	switch kind {
	case "utf-8":
		return bareAddress(decodeUTF8Address(addr))
	case "rfc822", "":
		addr = bareAddress(addr)
		if strings.Contains(addr, `\x{`) {
			// QUIRK: Exchange writes utf-8-addr-xtext under the type rfc822.
			addr = decodeUTF8Address(addr)
		}
		return decodeXtextAddress(addr)
	}
	return strings.TrimSpace(addr)
}

// splitType splits "type; value" and returns the type in lower case, "" if
// there is none.
func splitType(s string) (kind, value string) {
	s = strings.TrimSpace(s)
	i := strings.IndexByte(s, ';')
	if i < 0 {
		return "", s
	}
	kind = strings.ToLower(strings.TrimSpace(s[:i]))
	if kind == "rfc/822" || kind == "rfc-822" || kind == "rfc 822" || kind == "rfc2822" || kind == "rfc822 " {
		kind = "rfc822" // QUIRK: "rfc/822;" is Postini's and some PHP mailers'
	}
	if kind == "" {
		return "", strings.TrimSpace(s[i+1:])
	}
	for j := 0; j < len(kind); j++ {
		if c := kind[j]; !isAlnum(c) && c != '-' && c != '_' && c != '/' {
			return "", s // a value that has a semicolon of its own
		}
	}
	if isDigit(kind[0]) {
		return "", s
	}
	value = strings.TrimSpace(s[i+1:])
	// QUIRK: "smtp; smtp; 550 …": relays that copy a field, type and all.
	if again, rest, ok := strings.Cut(value, ";"); ok && strings.EqualFold(strings.TrimSpace(again), kind) {
		value = strings.TrimSpace(rest)
	}
	return kind, value
}

// Address returns the bare address of a field such as From that holds one, ""
// if it holds none or several.
func Address(field string) string {
	a := bareAddress(field)
	if !isMailbox(a) {
		return ""
	}
	for _, other := range addressesIn([]byte(field), nil) {
		if !strings.EqualFold(field[other.start:other.end], a) {
			return ""
		}
	}
	return a
}

// bareAddress takes comments, angle brackets, a display name, a source route
// and quotation marks off an address (RFC 5322 section 3.4, RFC 5321 section
// 4.1.2). What is no mailbox is returned without the trimmings only, and what is
// one stays one: what looks like a trimming may be a part of it.
func bareAddress(s string) string {
	s = strings.TrimSpace(s)
	if t := trimAddress(s); isMailbox(t) || !isMailbox(s) {
		return t
	}
	return s
}

func trimAddress(s string) string {
	if i := strings.LastIndexByte(s, '<'); i >= 0 && (s[0] != '"' || strings.HasSuffix(s, ">")) {
		// QUIRK: "<user@example.com>" in a field that wants the bare form:
		// McAfee, Bigfoot, Sendmail 8.8.
		s = s[i+1:]
		if j := strings.IndexByte(s, '>'); j >= 0 {
			s = s[:j]
		}
	}
	s = strings.TrimSpace(stripComments(s))
	s = strings.TrimSuffix(s, ">")
	// QUIRK: Exchange's and web forms' own prefixes, "SMTP:u@example.com".
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

// stripComments takes comments (RFC 5322 section 3.2.2) out. A quoted string
// keeps its parentheses, an unbalanced comment ends with the text.
func stripComments(s string) string {
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

// isMailbox reports whether s has the form local@domain. The domain need not
// have a dot: hosts without one bounce as well.
func isMailbox(s string) bool {
	at := strings.LastIndexByte(s, '@')
	if at <= 0 || at == len(s)-1 || strings.ContainsFunc(s, unicode.IsControl) {
		return false
	}
	local, domain := s[:at], s[at+1:]
	if strings.ContainsAny(domain, " \t/|<>\"(),;\\") {
		return false
	}
	if local[0] == '"' {
		return len(local) > 1 && local[len(local)-1] == '"'
	}
	return local[0] != '|' && local[0] != '/' && !strings.ContainsAny(local, " \t<>(),;\"")
}

// decodeXtext undoes xtext (RFC 3461 section 4): "+" and two hexadecimal
// digits, upper case, stand for one octet. If any "+" is followed by something
// else, s never was xtext and is returned as it is.
func decodeXtext(s string) string {
	if strings.IndexByte(s, '+') < 0 {
		return s
	}
	b := make([]byte, 0, len(s))
	for i := 0; i < len(s); i++ {
		if s[i] != '+' {
			b = append(b, s[i])
			continue
		}
		if i+2 >= len(s) {
			return s
		}
		hi, lo := hexDigit(s[i+1]), hexDigit(s[i+2])
		if hi < 0 || lo < 0 || hi*16+lo < 0x20 || hi*16+lo == 0x7f {
			return s
		}
		b = append(b, byte(hi*16+lo))
		i += 2
	}
	if !utf8.Valid(b) {
		return s
	}
	return string(b)
}

// decodeXtextAddress undoes the xtext that relays leave in Original-Recipient
// although RFC 3464 section 2.3.1 wants it undone. In an address "+" is usual,
// so only the escapes that xtext needs are: of "+", of "=", and of the "@" of an
// address that has no other.
func decodeXtextAddress(s string) string {
	if strings.IndexByte(s, '+') < 0 {
		return s
	}
	at := strings.LastIndexByte(s, '@')
	if at < 0 {
		if d := decodeXtext(s); isMailbox(d) {
			return d
		}
		return s
	}
	local := s[:at]
	if !strings.Contains(local, "+2B") && !strings.Contains(local, "+3D") {
		return s
	}
	if strings.HasSuffix(local, "+2B") {
		return s // more likely a tag than a local part that ends with "+"
	}
	return strings.NewReplacer("+2B", "+", "+3D", "=").Replace(local) + s[at:]
}

func hexDigit(c byte) int {
	switch {
	case '0' <= c && c <= '9':
		return int(c - '0')
	case 'A' <= c && c <= 'F':
		return int(c-'A') + 10
	}
	return -1
}

// decodeUTF8Address undoes the embedded characters "\x{20AC}" of the forms
// utf-8-addr-xtext and utf-8-addr-unitext (RFC 6533 section 3). The third form,
// raw UTF-8, has none.
func decodeUTF8Address(s string) string {
	if !strings.Contains(s, `\x{`) {
		return s
	}
	var b strings.Builder
	b.Grow(len(s))
	for s != "" {
		i := strings.Index(s, `\x{`)
		if i < 0 {
			break
		}
		b.WriteString(s[:i])
		s = s[i:]
		end := strings.IndexByte(s[:min(len(s), 10)], '}')
		if end > 3 {
			n, err := strconv.ParseUint(s[3:end], 16, 32)
			if r := rune(n); err == nil && n <= utf8.MaxRune && utf8.ValidRune(r) && r >= ' ' && r != 0x7f {
				b.WriteRune(r)
				s = s[end+1:]
				continue
			}
		}
		b.WriteString(s[:3])
		s = s[3:]
	}
	b.WriteString(s)
	return b.String()
}
