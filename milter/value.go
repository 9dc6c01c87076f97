package milter

import (
	"fmt"
	"net/netip"
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/bounce-milter/bounce-milter/internal/ascii"
	"github.com/bounce-milter/bounce-milter/internal/fold"
	"golang.org/x/text/unicode/norm"
)

// What a stranger wrote is put into an X-Bounce-Result unchanged if RFC 5321 allows it
// unquoted, and as a quoted-string otherwise. The grammar is in bounce-milter(8). It is
// safe for programs that do not know it: in a quoted-string, a stranger's ";" and "="
// never stand unescaped, so a program that splits at these, or searches for
// "type=hard", finds only what we wrote.

const (
	// maxAddress, maxToken and maxHost bound one value in octets, escapes
	// included, so that no line gets near the 998 octets of RFC 5322 section
	// 2.1.1: an address is at most 64@255 octets (RFC 5321 section 4.5.3.1).
	maxAddress = 480
	maxToken   = 100
	maxHost    = 255

	// noAddress stands for a recipient that is not known.
	noAddress = "unknown"
)

// The parameters of a result, in order.
const (
	keyCategory  = "category"
	keyType      = "type"
	keyReason    = "reason"
	keyAction    = "action"
	keyStatus    = "status"
	keySMTPCode  = "smtp-code"
	keyProvider  = "provider"
	keyRule      = "rule"
	keyRemoteMTA = "remote-mta"
	keyFeedback  = "feedback-type"
	keySourceIP  = "source-ip"
	keyVERP      = "verp"
	keyOrigin    = "origin"
	keyProof     = "proof"
	keyBound     = "bound"
	keyWentTo    = "went-to"
)

var resultKeys = []string{keyCategory, keyType, keyReason, keyAction, keyStatus, keySMTPCode, keyProvider, keyRule, keyRemoteMTA,
	keyFeedback, keySourceIP, keyVERP, keyOrigin, keyProof, keyBound, keyWentTo}

// address writes an address. raw allows letters outside ASCII; it does so in the
// functions below as well.
func address(s string, raw bool) string {
	local, domain, hasDomain := cutLast(s, '@')
	if len(s) <= maxAddress && s != noAddress && !misleads(s) &&
		isDotString(local, raw) && (!hasDomain || isHost(domain, raw)) {
		return s
	}
	return quoted(s, maxAddress, raw)
}

// addressValue writes an address as the value of a parameter, where no "=" stands raw.
func addressValue(s string, raw bool) string {
	if strings.Contains(s, "=") {
		return quoted(s, maxAddress, raw)
	}
	return address(s, raw)
}

// host writes the name or the address-literal of a host.
func host(s string, raw bool) string {
	if len(s) <= maxHost && isHost(s, raw) {
		return s
	}
	return quoted(s, maxHost, raw)
}

// token writes a word of ours or of the administrator's, such as a category or the id of
// a rule.
func token(s string, raw bool) string {
	if s == "" || len(s) <= maxToken && isWords(s) {
		return s
	}
	return quoted(s, maxToken, raw)
}

// misleads reports whether an address that is valid unquoted could be mistaken for
// something else by a program that searches for a parameter, or that decodes
// encoded-words (RFC 2047), as Sieve does. Both need "=", which is an ordinary character
// in a local part.
func misleads(s string) bool {
	if !strings.Contains(s, "=") {
		return false
	}
	if strings.Contains(s, "=?") {
		return true
	}
	s = strings.ToLower(s)
	for _, k := range resultKeys {
		if strings.Contains(s, k+"=") {
			return true
		}
	}
	return false
}

// isDotString reports whether s is a Dot-string (RFC 5321 section 4.1.2, RFC
// 6531 section 3.3).
func isDotString(s string, raw bool) bool {
	const atext = "!#$%&'*+-/=?^_`{|}~" // RFC 5322 section 3.2.3
	return isDotted(s, raw, func(c byte) bool { return ascii.IsAlnum(c) || strings.IndexByte(atext, c) >= 0 })
}

// isHost reports whether s is a Domain or an address-literal (RFC 5321 section
// 4.1.2).
func isHost(s string, raw bool) bool {
	if inner, ok := strings.CutPrefix(s, "["); ok {
		inner, ok = strings.CutSuffix(inner, "]")
		v6, is6 := strings.CutPrefix(inner, "IPv6:")
		ip, err := netip.ParseAddr(v6)
		return ok && err == nil && ip.Is6() == is6 && ip.Zone() == ""
	}
	if !isDotted(s, raw, func(c byte) bool { return ascii.IsAlnum(c) || c == '-' }) {
		return false
	}
	for label := range strings.SplitSeq(s, ".") {
		if label[0] == '-' || label[len(label)-1] == '-' {
			return false
		}
	}
	return true
}

// isDotted reports whether s consists of pieces between single dots, made of octets that
// are ok and, if raw is set, of visible characters outside ASCII.
func isDotted(s string, raw bool, ok func(byte) bool) bool {
	before := '.'
	for _, r := range s {
		switch {
		case r == '.':
			if before == '.' {
				return false
			}
		case r < utf8.RuneSelf:
			if !ok(byte(r)) {
				return false
			}
		case !raw || !visible(r, before):
			return false
		}
		before = r
	}
	return before != '.'
}

// isWords reports whether s consists of words separated by single spaces.
func isWords(s string) bool {
	before := byte(' ')
	for i := 0; i < len(s); i++ {
		if c := s[i]; c == ' ' && before == ' ' || c != ' ' && !isWordChar(c) {
			return false
		}
		before = s[i]
	}
	return before != ' '
}

func isWordChar(c byte) bool {
	return c > ' ' && c < 0x7f && c != ';' && c != '=' && c != '"' && c != '\\'
}

// quoted writes s as a quoted-string (RFC 5322 section 3.2.4) of at most limit octets.
// Characters that are not allowed in a header, are invisible, or mean something to a
// program that splits the value are escaped as RFC 6533 section 3 does in addresses:
// \x{E9}. A string that is too long ends in three dots; if a string itself ends that
// way, its last dot is escaped.
func quoted(s string, limit int, raw bool) string {
	var b strings.Builder
	b.WriteByte('"')
	dots := -1 // index of the last of three dots at the end of s
	if strings.HasSuffix(s, "...") {
		dots = len(s) - 1
	}
	before := ' ' // the character before, 0 if it was escaped
	for i, r := range s {
		piece := string(r)
		switch {
		case r == '"', r == '\\', r == '=':
			piece = `\` + piece
		case r == ' ' && before != ' ' && i+1 < len(s), i != dots && r < utf8.RuneSelf && isWordChar(byte(r)), raw && visible(r, before):
		default:
			piece = fmt.Sprintf(`\x{%X}`, r) // U+FFFD for invalid UTF-8
			r = 0
		}
		if b.Len()+len(piece) > limit-len(`..."`) {
			b.WriteString("...")
			break
		}
		b.WriteString(piece)
		before = r
	}
	b.WriteByte('"')
	return b.String()
}

// visible reports whether a character outside ASCII may stand unescaped after the
// character before: a letter, a digit, or a mark on one of these. Anything else could be
// invisible, reorder the text around it, or be taken for ASCII: compatibility forms
// (U+FF1B) become ASCII when text is normalised.
func visible(r, before rune) bool {
	if r < utf8.RuneSelf || r == utf8.RuneError {
		return false
	}
	if unicode.Is(unicode.M, r) {
		if !unicode.In(before, unicode.L, unicode.N, unicode.M) {
			return false
		}
	} else if !unicode.In(r, unicode.L, unicode.N) {
		return false
	}
	return !fold.Invisible(r) && !unicode.Is(unicode.Variation_Selector, r) && norm.NFKC.IsNormalString(string(r))
}

// cutLast splits s at the last c.
func cutLast(s string, c byte) (before, after string, found bool) {
	if i := strings.LastIndexByte(s, c); i >= 0 {
		return s[:i], s[i+1:], true
	}
	return s, "", false
}
