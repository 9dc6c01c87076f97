package milter

import (
	"fmt"
	"strconv"
	"strings"
	"unicode/utf8"

	"github.com/bounce-milter/bounce-milter/classify"
	"github.com/bounce-milter/bounce-milter/classify/dsn"
)

// The names of our header fields, behind the prefix.
const (
	tagCategory = "Category"
	tagType     = "Type"
	tagReason   = "Reason"
	tagAction   = "Action"
	tagResult   = "Result"
	tagKind     = "Kind"
	tagForged   = "Forged" // forged fields that stay: says how many
)

var (
	tagNames = [...]string{tagCategory, tagType, tagReason, tagAction, tagResult, tagKind}
	// ownNames are those of tagNames and tagForged, which is no verdict.
	ownNames = [...]string{tagCategory, tagType, tagReason, tagAction, tagResult, tagKind, tagForged}
)

const (
	// maxResults is how many recipients get a header of their own.
	maxResults = 50
	// maxAddress and maxToken bound one value in octets, escapes included,
	// so that no line gets near the 998 octets of RFC 5322 section 2.1.1:
	// an address is at most 64@255 octets (RFC 5321 section 4.5.3.1).
	maxAddress = 480
	maxToken   = 100
	maxHost    = 255
)

// field is a header field to insert. Its value is folded with LF, as MTAs
// want it.
type field struct{ name, value string }

// tagFields returns the headers of a message with this result, from the top
// down, none for ordinary mail. utf8 says that it may hold raw UTF-8 (RFC 6532).
func tagFields(prefix string, res *classify.Result, utf8 bool) []field {
	switch res.Kind {
	case dsn.KindDSN, dsn.KindText:
	case dsn.KindNone, "":
		return nil
	default:
		return []field{{prefix + tagKind, token(string(res.Kind), false)}}
	}
	p := primary(res.Recipients)
	if p == nil {
		// A report about nobody that could be read: it is still one, and
		// nothing supports a verdict.
		return []field{
			{prefix + tagCategory, string(classify.Unclassified)},
			{prefix + tagType, string(classify.Soft)},
			{prefix + tagReason, "unknown"},
		}
	}
	n := min(len(res.Recipients), maxResults)
	fields := make([]field, 0, 5+n)
	if p.Action.Bounced() {
		fields = append(fields,
			field{prefix + tagCategory, token(string(p.Category), false)},
			field{prefix + tagType, token(string(p.Type), false)},
			field{prefix + tagReason, token(p.Reason, false)})
	}
	fields = append(fields, field{prefix + tagAction, token(string(p.Action), false)})
	for i := range res.Recipients[:n] {
		fields = append(fields, field{prefix + tagResult, resultValue(&res.Recipients[i], utf8)})
	}
	if more := len(res.Recipients) - n + res.Dropped; more > 0 {
		fields = append(fields, field{prefix + tagResult, fmt.Sprintf("%d more", more)})
	}
	return fields
}

// primary returns the recipient that speaks for the message: failed before
// delayed before the rest, then hard before block before soft, then the first
// listed. nil when there is none.
func primary(rcpts []classify.Recipient) *classify.Recipient {
	best, bestRank := (*classify.Recipient)(nil), 0
	for i := range rcpts {
		rank := 1
		switch rcpts[i].Action {
		case dsn.ActionFailed:
			rank += 8
		case dsn.ActionDelayed:
			rank += 4
		}
		switch rcpts[i].Type {
		case classify.Hard:
			rank += 2
		case classify.Block:
			rank++
		}
		if rank > bestRank {
			best, bestRank = &rcpts[i], rank
		}
	}
	return best
}

// resultValue says everything about one recipient. Whatever a stranger wrote
// keeps to its field: separators and controls in it are escaped.
func resultValue(r *classify.Recipient, utf8 bool) string {
	var b strings.Builder
	b.Grow(256)
	addr := r.Recipient
	if addr == "" {
		addr = r.OriginalRecipient
	}
	if addr == "" {
		addr = "unknown"
	}
	b.WriteString(clean(addr, maxAddress, utf8))
	put := func(sep, key, value string) {
		if value != "" {
			b.WriteString(sep)
			b.WriteString(key)
			b.WriteString(value)
		}
	}
	const same, fold = "; ", ";\n\t"
	actionSep := same
	if r.Action.Bounced() {
		put(same, "category=", token(string(r.Category), utf8))
		put(same, "type=", token(string(r.Type), utf8))
		put(same, "reason=", token(r.Reason, utf8))
		actionSep = fold
	}
	put(actionSep, "action=", token(string(r.Action), utf8))
	put(same, "status=", token(r.Status, utf8))
	if r.SMTPCode > 0 {
		put(same, "smtp-code=", strconv.Itoa(r.SMTPCode))
	}
	if r.Action.Bounced() {
		put(same, "provider=", token(r.Provider, utf8))
		put(same, "rule=", token(r.Rule, utf8))
	}
	put(fold, "remote-mta=", clean(r.RemoteMTA, maxHost, utf8))
	return b.String()
}

func token(s string, utf8 bool) string { return clean(s, maxToken, utf8) }

// clean makes s safe within a structured value. Octets that would end the
// value or the line, and characters outside ASCII where the message has none,
// are written as RFC 6533 section 3 writes them in addresses: \x{E9}. A value
// that is too long ends in three dots.
func clean(s string, limit int, raw bool) string {
	safe := len(s) <= limit
	for i := 0; safe && i < len(s); i++ {
		safe = plain(s[i])
	}
	if safe {
		return s
	}
	var b strings.Builder
	for i := 0; i < len(s); {
		r, n := utf8.DecodeRuneInString(s[i:])
		piece := s[i : i+n]
		switch {
		case r == utf8.RuneError && n == 1:
			piece = "?"
		case r < utf8.RuneSelf && plain(s[i]):
		case r == ' ' && i > 0 && i+1 < len(s) && s[i-1] != ' ':
			// A space alone is harmless: "550 5.1.1" names a rule.
		case raw && r > 0x9f && printable(r):
		default:
			piece = fmt.Sprintf(`\x{%X}`, r)
		}
		if b.Len()+len(piece) > limit-3 {
			b.WriteString("...")
			break
		}
		b.WriteString(piece)
		i += n
	}
	return b.String()
}

// plain reports whether an octet means only itself in a value.
func plain(c byte) bool { return c > ' ' && c < 0x7f && c != ';' && c != '\\' }

// printable keeps out what reorders or hides text, and other line ends.
func printable(r rune) bool {
	return strconv.IsPrint(r) && r != '\u2028' && r != '\u2029'
}
