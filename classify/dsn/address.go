package dsn

import (
	"strconv"
	"strings"
	"unicode/utf8"

	"github.com/bounce-milter/bounce-milter/internal/address"
	"github.com/bounce-milter/bounce-milter/internal/ascii"
)

// readAddress reads the value of a field "type; address" (RFC 3464 section 2.1.2), such
// as Final-Recipient, Original-Recipient or X-Actual-Recipient. It returns the bare
// address, which need not be an Internet mailbox.
func readAddress(value string) string {
	kind, addr := splitType(value)
	switch kind {
	case "utf-8":
		return address.Bare(decodeUTF8Address(addr))
	case "rfc822", "":
		addr = address.Bare(addr)
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
	if name, ok := tables().typeNames[kind]; ok {
		kind = name
	}
	if kind == "" {
		return "", strings.TrimSpace(s[i+1:])
	}
	for j := 0; j < len(kind); j++ {
		if c := kind[j]; !ascii.IsAlnum(c) && c != '-' && c != '_' && c != '/' {
			return "", s // not a type: the value itself has a semicolon
		}
	}
	if ascii.IsDigit(kind[0]) {
		return "", s
	}
	value = strings.TrimSpace(s[i+1:])
	// QUIRK: "smtp; smtp; 550 …": relays that copy a field with its type.
	if again, rest, ok := strings.Cut(value, ";"); ok && strings.EqualFold(strings.TrimSpace(again), kind) {
		value = strings.TrimSpace(rest)
	}
	return kind, value
}

// Address returns the bare address in a field such as From, "" if the field has none or
// several.
func Address(field string) string { return address.Single(field) }

// decodeXtext decodes xtext (RFC 3461 section 4), in which "+" and two upper-case
// hexadecimal digits stand for one octet. If anything else follows a "+", s is not xtext
// and is returned as it is.
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

// decodeXtextAddress decodes the xtext that relays leave in Original-Recipient although
// RFC 3464 section 2.3.1 requires it to be decoded. Since "+" is common in addresses, it
// decodes only the escapes of "+" and "=", and, if s has no "@", that of "@".
func decodeXtextAddress(s string) string {
	if strings.IndexByte(s, '+') < 0 {
		return s
	}
	at := strings.LastIndexByte(s, '@')
	if at < 0 {
		if d := decodeXtext(s); address.IsMailbox(d) {
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

// decodeUTF8Address decodes the embedded characters "\x{20AC}" in the forms
// utf-8-addr-xtext and utf-8-addr-unitext (RFC 6533 section 3). The third form is raw
// UTF-8 and has none.
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
