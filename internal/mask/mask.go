// Package mask takes out of a reply or a notice whatever could name a person, a machine or a
// message: addresses, host names, IP addresses, links, numbers and identifiers. What remains
// is words that are the same for everybody, and may be shown and passed on.
//
// It needs no rules and no list of names. If in doubt it masks too much. It cannot see a
// person's name among other words; the caller tells [Find] the names that it knows, such as
// the recipient's address. The work is linear in the text for a given number of names.
package mask

import (
	"net/netip"
	"slices"
	"strings"

	"github.com/bounce-milter/bounce-milter/internal/ascii"
)

// Kind says what a masked part of a text is.
type Kind uint8

// The kinds.
const (
	Address Kind = iota // a mail address in any of its spellings
	Host                // a host name or a domain
	IP                  // an address of IPv4 or IPv6, perhaps with a prefix or a port
	Link                // a URL, with or without its scheme
	Number              // digits
	ID                  // a queue id, a ticket, a hash, a user name with digits
	Name                // a word that the caller knows, or that stands alone in angle brackets
	Code                // an SMTP or enhanced code: it is kept, and is no word
)

// String returns what stands for a part of this kind in a masked text, without brackets.
func (k Kind) String() string {
	return [...]string{"address", "host", "ip", "link", "number", "id", "name", "code"}[k]
}

// Span is a part of a text: s[From:To].
type Span struct {
	From, To int
	Kind     Kind
}

// maxKnown bounds how many names of the caller are looked for.
const maxKnown = 12

// Find returns the parts of s that are masked, and its codes, in order. known are addresses
// that the text may quote, also by their local part alone.
func Find(s string, known ...string) []Span {
	f := finder{s: s, taken: make([]bool, len(s))}
	for _, a := range known[:min(len(known), maxKnown)] {
		f.known(a)
	}
	for i := 0; i < len(s); {
		if isDelimiter(s[i]) {
			i++
			continue
		}
		to := i + 1
		for to < len(s) && !isDelimiter(s[to]) {
			to++
		}
		i = max(to, f.word(i, to))
	}
	slices.SortFunc(f.spans, func(a, b Span) int { return a.From - b.From })
	// Words that touch a known name belong to it.
	spans := f.spans[:0]
	for _, p := range f.spans {
		if n := len(spans); n > 0 && spans[n-1].To == p.From && spans[n-1].Kind == p.Kind && p.Kind != Code {
			spans[n-1].To = p.To
			continue
		}
		spans = append(spans, p)
	}
	return spans
}

// Text returns s with each masked part replaced by its kind in brackets: "[address]".
func Text(s string, known ...string) string {
	return Replace(s, Find(s, known...), func(p Span) string { return "[" + p.Kind.String() + "]" })
}

// Example returns s with each masked part replaced by an invented one of the same kind
// (RFC 2606, 3849, 5737), so that it can stand as an example in a rule.
func Example(s string, known ...string) string {
	return Replace(s, Find(s, known...), func(p Span) string {
		switch part := s[p.From:p.To]; p.Kind {
		case Address:
			return "user@example.com"
		case Host:
			return "host.example.com"
		case IP:
			if strings.Count(part, ":") > 1 {
				return "2001:db8::1"
			}
			return "192.0.2.1"
		case Link:
			return "https://example.com/"
		case Number:
			return strings.Repeat("1", len(part))
		case ID:
			return "1A2B3C4D"
		default:
			return "user"
		}
	})
}

// Replace returns s with each span but the codes replaced by what with returns.
func Replace(s string, spans []Span, with func(Span) string) string {
	var b strings.Builder
	at := 0
	for _, p := range spans {
		if p.Kind == Code {
			continue
		}
		b.WriteString(s[at:p.From])
		b.WriteString(with(p))
		at = p.To
	}
	b.WriteString(s[at:])
	return b.String()
}

// finder finds the spans of one text.
type finder struct {
	s     string
	taken []bool // by octet
	spans []Span
}

// mark adds a span, unless a part of it is marked already.
func (f *finder) mark(from, to int, kind Kind) {
	if from >= to || slices.Contains(f.taken[from:to], true) {
		return
	}
	for i := from; i < to; i++ {
		f.taken[i] = true
	}
	f.spans = append(f.spans, Span{from, to, kind})
}

// known marks an address that the caller knows: whole, and its local part alone, with and
// without what follows a "+".
func (f *finder) known(a string) {
	local := a
	if i := strings.LastIndexByte(a, '@'); i >= 0 {
		local = a[:i]
		f.marks(a, Address)
	}
	base, _, _ := strings.Cut(local, "+")
	words := []string{local, strings.Trim(local, `"`), base}
	// A server that knows the mailbox may write it as the name of a user, or of a person.
	if parts := strings.FieldsFunc(base, isSeparator); len(parts) > 1 {
		for _, between := range []string{" ", "", ".", "_", "-"} {
			words = append(words, strings.Join(parts, between))
		}
	}
	for _, word := range words {
		if len(word) > 1 {
			f.marks(word, Name)
		}
	}
}

// marks marks each occurrence of a word that is not part of a longer one, in any case.
func (f *finder) marks(word string, kind Kind) {
	if word == "" {
		return
	}
	text := lower(f.s)
	word = lower(word)
	for at := 0; ; {
		i := strings.Index(text[at:], word)
		if i < 0 {
			return
		}
		from, to := at+i, at+i+len(word)
		at = to
		if (from == 0 || !isLetter(text[from-1])) && (to == len(text) || !isLetter(text[to])) {
			f.mark(from, to, kind)
		}
	}
}

// word marks what is to be masked of the word s[from:to], and returns where to go on.
func (f *finder) word(from, to int) int {
	w := f.s[from:to]
	if at := atSign(w); at >= 0 && (w != "@" || !f.isSpelledAt(from, to)) {
		return f.address(from, from+at, to)
	}
	if f.isSpelledAt(from, to) {
		return f.spelledAt(from, to)
	}
	if i := strings.Index(w, "://"); i >= 0 || len(w) > 4 && strings.EqualFold(w[:4], "www.") {
		end := from
		for end < len(f.s) && strings.IndexByte(" \t\r\n<>\"", f.s[end]) < 0 {
			end++
		}
		next := end
		end = f.trimEnd(from, end)
		if end < next && f.s[end] == ')' && strings.IndexByte(f.s[from:end], '(') >= 0 {
			end++
		}
		for i > 0 && ascii.IsAlpha(w[i-1]) {
			i--
		}
		f.mark(from+max(i, 0), end, Link)
		return next
	}
	start, end := from, f.trimEnd(from, to)
	for start < end && strings.IndexByte("-.:*#=", f.s[start]) >= 0 {
		start++
	}
	for range maxCodes {
		if end-start < 5 || f.s[start+3] != '-' || !isSMTP(f.s[start:start+3]) {
			break
		}
		f.mark(start, start+3, Code) // of a line of several (RFC 5321 section 4.2)
		start += 4
	}
	w = f.s[start:end]
	switch {
	case w == "":
	case isSMTP(w), isEnhanced(w):
		f.mark(start, end, Code)
	case isIP(w):
		f.mark(start, end, IP)
	case from > 0 && f.s[from-1] == '<' && to < len(f.s) && f.s[to] == '>':
		f.mark(from, to, Name)
	case isHost(w):
		f.mark(start, end, Host)
	case isPath(w):
		f.mark(start, end, Link)
	case isVERP(w), isBangPath(w), isXtext(w):
		f.mark(start, end, Address)
	case isAccount(w):
		f.mark(start, end, Name)
	case isNumber(w):
		f.mark(start, end, Number)
	case isID(w) && !strings.ContainsAny(w, "=:/#|&+"):
		f.mark(start, end, ID)
	default:
		f.parts(start, end)
	}
	return to
}

// address marks the address whose "@", in whatever form, stands at i.
func (f *finder) address(from, i, to int) int {
	if i == from && from > 0 && f.s[from-1] == '"' { // a quoted local part (RFC 5321 section 4.1.2)
		if q := strings.LastIndexByte(f.s[max(0, from-66):from-1], '"'); q >= 0 {
			from = max(0, from-66) + q
		}
	}
	if to < len(f.s) && f.s[to] == '[' && f.s[to-1] == '@' { // an address literal
		if q := strings.IndexByte(f.s[to:min(len(f.s), to+64)], ']'); q > 0 {
			to += q + 1
		}
	}
	end := f.trimEnd(from, to)
	for f.taken[from] && from < end-1 { // a name that is known stands before it
		from++
	}
	for j := from; j < end; j++ {
		if f.taken[j] {
			f.mark(from, j, Address)
			from = j + 1
		}
	}
	f.mark(from, end, Address)
	return to
}

// trimEnd returns where a word ends without the punctuation behind it.
func (f *finder) trimEnd(from, to int) int {
	for to > from && strings.IndexByte(".:!?-,;)'=", f.s[to-1]) >= 0 {
		to--
	}
	return to
}

// maxCodes bounds the codes in front of one word.
const maxCodes = 3

// parts marks codes, numbers and identifiers in a word that is made of parts, as
// "id=4711" is.
func (f *finder) parts(from, to int) {
	key := ""
	for i := from; i < to; {
		end := i
		for end < to && strings.IndexByte("=:/#_|&+~*%$!?\\-", f.s[end]) < 0 {
			end++
		}
		if part := f.s[i:end]; part != "" {
			if person[lower(key)] {
				f.mark(i, end, Name)
			}
			f.part(i, end, part)
		}
		key = ""
		if end < to && f.s[end] == '=' {
			key = f.s[i:end]
		}
		i = end + 1
	}
}

// isSpelledAt reports whether a word is an at sign that stands apart or is written out,
// before a host: "jo [at] example.com", "jo @ example.com".
func (f *finder) isSpelledAt(from, to int) bool {
	switch w := f.s[from:to]; {
	case w == "@":
	case len(w) != 2 || lower(w) != "at" || from == 0 || to == len(f.s):
		return false
	case f.s[from-1] == '[' && f.s[to] == ']', f.s[from-1] == '(' && f.s[to] == ')':
	default:
		return false
	}
	next, end := f.next(to)
	return isHost(f.s[next:f.trimEnd(next, end)])
}

// spelledAt marks the address around such an at sign.
func (f *finder) spelledAt(from, to int) int {
	before := from
	for n := 0; before > 0 && n < maxBetween && isDelimiter(f.s[before-1]); n++ {
		before--
	}
	for n := 0; before > 0 && n < maxLocal && !isDelimiter(f.s[before-1]) && !f.taken[before-1]; n++ {
		before--
	}
	next, end := f.next(to)
	f.mark(before, f.trimEnd(next, end), Address)
	return end
}

// Bounds of what is looked at around an at sign, in octets.
const (
	maxBetween = 2
	maxLocal   = 64
	maxHost    = 255
)

// next returns where the next word begins and ends.
func (f *finder) next(at int) (from, to int) {
	for n := 0; at < len(f.s) && n < maxBetween && isDelimiter(f.s[at]); n++ {
		at++
	}
	for to = at; to < len(f.s) && to < at+maxHost && !isDelimiter(f.s[to]); {
		to++
	}
	return at, to
}

func (f *finder) part(from, to int, part string) {
	switch {
	case isSMTP(part), isEnhanced(part):
		f.mark(from, to, Code)
	case isHost(part):
		f.mark(from, to, Host)
	case isNumber(part):
		f.mark(from, to, Number)
	case isID(part):
		f.mark(from, to, ID)
	default: // many digits beside letters
		for i := from; i < to; i++ {
			j := i
			for j < to && ascii.IsDigit(f.s[j]) {
				j++
			}
			if j-i > 4 {
				f.mark(i, j, Number)
			}
			i = j
		}
	}
}

// isSMTP reports whether a word is the code of a refusal or a success (RFC 5321 section 4.2).
func isSMTP(w string) bool {
	return len(w) == 3 && w[0] >= '2' && w[0] <= '5' && ascii.IsDigit(w[1]) && ascii.IsDigit(w[2])
}

// isEnhanced reports whether a word is an enhanced status code (RFC 3463).
func isEnhanced(w string) bool {
	if len(w) < 5 || len(w) > 9 || strings.IndexByte("245", w[0]) < 0 || w[1] != '.' {
		return false
	}
	subject, detail, ok := strings.Cut(w[2:], ".")
	return ok && len(subject) < 4 && len(detail) < 4 && isNumber(subject) && isNumber(detail)
}

// isIP reports whether a word is an IP address, alone, with a prefix or with a port.
func isIP(w string) bool {
	if len(w) > 5 && strings.EqualFold(w[:5], "ipv6:") { // an address literal (RFC 5321 section 4.1.3)
		w = w[5:]
	}
	if len(w) < 3 || len(w) > 80 || strings.IndexByte(w, '.') < 0 && strings.IndexByte(w, ':') < 0 {
		return false
	}
	if _, err := netip.ParseAddr(w); err == nil {
		return true
	}
	if _, err := netip.ParsePrefix(w); err == nil {
		return true
	}
	_, err := netip.ParseAddrPort(w)
	return err == nil
}
