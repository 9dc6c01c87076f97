package stream

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"strings"
	"unicode/utf8"

	"github.com/bounce-milter/bounce-milter/internal/ascii"
	"github.com/bounce-milter/bounce-milter/internal/event"
)

// masker removes from records what a sink may not see of addresses.
type masker struct {
	how Addresses
	key []byte
}

// newMasker reads the key that hashing needs.
func newMasker(o *SinkOptions) (*masker, error) {
	m := &masker{how: o.Addresses}
	if m.how != AddressesHashed {
		return m, nil
	}
	var err error
	m.key, err = event.ReadSecret(o.AddressKeyFile)
	return m, err
}

// hidden replaces a local part that is quoted without its domain, unless addresses are
// hashed.
const hidden = "***"

// record returns the record as the sink may see it. That is r itself if the sink may see
// whole addresses. It does not change r.
func (m *masker) record(r *event.Record) *event.Record {
	if m.how == AddressesFull {
		return r
	}
	known := knownAddresses(r)
	text := func(s string) string { return m.text(s, known) }
	out := *r
	out.EnvelopeFrom = m.address(r.EnvelopeFrom)
	out.EnvelopeTo = make([]string, len(r.EnvelopeTo))
	for i, a := range r.EnvelopeTo {
		out.EnvelopeTo[i] = m.address(a)
	}
	out.VERP = m.address(r.VERP)
	out.Token = m.word(r.Token)
	out.WentTo = m.address(r.WentTo)
	out.Address = m.address(r.Address)
	out.Original = m.address(r.Original)
	out.RemoteMTA = text(r.RemoteMTA)
	out.Diagnostic = text(r.Diagnostic)
	out.Returned.MessageID = m.messageID(r.Returned.MessageID, r.Address, r.Original, r.VERP)
	out.Returned.From = text(r.Returned.From)
	out.Returned.Date = text(r.Returned.Date)
	out.Returned.Headers = make(map[string]string, len(r.Returned.Headers))
	for name, value := range r.Returned.Headers {
		out.Returned.Headers[name] = text(value)
	}
	if f := r.Feedback; f != nil {
		masked := *f
		masked.ArrivalDate = text(f.ArrivalDate)
		out.Feedback = &masked
	}
	return &out
}

// address masks an address.
func (m *masker) address(a string) string {
	if a == "" {
		return ""
	}
	if m.how == AddressesHashed {
		return m.hash(a)
	}
	_, domain := split(a)
	domain = strings.ToLower(strings.Trim(domain, "<>"))
	if strings.HasPrefix(domain, "[") { // an address literal (RFC 5321 section 4.1.3)
		return domain
	}
	// What follows the domain may be a person's name.
	if i := strings.IndexFunc(domain, func(r rune) bool {
		return r < utf8.RuneSelf && !ascii.IsAlnum(byte(r)) && r != '.' && r != '-'
	}); i >= 0 {
		domain = domain[:i]
	}
	return domain
}

// longWord is the length from which a local part is unlikely to occur in another word by
// chance.
const longWord = 5

// messageID masks a Message-ID that contains one of the addresses, because some programs
// make one for each recipient, as in carla=example.com.4711@news.example.org. Other
// Message-IDs stay, because the message is found in logs by them.
func (m *masker) messageID(id string, addrs ...string) string {
	left, _ := split(lowerASCII(id))
	for _, a := range addrs {
		local, _ := split(lowerASCII(a))
		base, _, _ := strings.Cut(local, "+")
		switch {
		case !names(left, local) && !names(left, base):
		case m.how == AddressesHashed:
			return m.hash(id)
		default:
			return m.address(id)
		}
	}
	return id
}

// names reports whether a text contains a local part. A short one must not be part of a
// longer word.
func names(text, local string) bool {
	if len(local) >= longWord || local == "" {
		return local != "" && strings.Contains(text, local)
	}
	for from := 0; ; {
		i := strings.Index(text[from:], local)
		if i < 0 {
			return false
		}
		at := from + i
		from = at + len(local)
		if (at == 0 || !ascii.IsAlnum(text[at-1])) && (from == len(text) || !ascii.IsAlnum(text[from])) {
			return true
		}
		from = at + 1
	}
}

// word masks a token, which may identify a person as an address does.
func (m *masker) word(s string) string {
	if s == "" || m.how == AddressesDomain {
		return ""
	}
	return m.hash(s)
}

// hash returns the HMAC-SHA-256 (RFC 2104) of the address in lower case, in hex. Local
// parts could differ only in case (RFC 5321 section 2.4), but in practice none do.
func (m *masker) hash(a string) string {
	h := hmac.New(sha256.New, m.key)
	h.Write([]byte(strings.ToLower(a)))
	return hex.EncodeToString(h.Sum(nil))
}

// split cuts an address at its last "@".
func split(a string) (local, domain string) {
	if i := strings.LastIndexByte(a, '@'); i >= 0 {
		return a[:i], a[i+1:]
	}
	return a, ""
}

// maxKnown is how many addresses are looked for in texts.
const maxKnown = 12

// knownAddresses returns the addresses that a record is about, the recipient first. A text
// may quote their local parts without the domain.
func knownAddresses(r *event.Record) []string {
	var list []string
	for _, a := range append([]string{r.Address, r.Original, r.VERP, r.EnvelopeFrom}, r.EnvelopeTo...) {
		if a != "" && len(list) < maxKnown {
			list = append(list, a)
		}
	}
	return list
}

// text masks the addresses in a text, and the local parts of known addresses that are quoted
// without the domain. In case of doubt it masks too much rather than too little.
func (m *masker) text(s string, known []string) string {
	if s == "" {
		return s
	}
	lower := lowerASCII(s)
	masks := map[int]span{} // by their beginning
	taken := make([]bool, len(s))
	mark := func(from, to int, mask string) {
		for i := from; i < to; i++ {
			if taken[i] {
				return
			}
		}
		for i := from; i < to; i++ {
			taken[i] = true
		}
		masks[from] = span{to, mask}
	}
	for _, a := range known {
		for at := range occurrences(lower, lowerASCII(a)) {
			mark(at, at+len(a), m.address(a))
		}
	}
	for i := 0; i < len(s); i++ {
		n := atSign(s[i:])
		if n == 0 || taken[i] {
			continue
		}
		from, to := around(s, i, n)
		for j := i; j > from; j-- { // the address ends where something is masked already, on either side
			if taken[j-1] {
				from = j
			}
		}
		for j := i + n; j < to; j++ {
			if taken[j] {
				to = j
			}
		}
		mark(from, to, m.address(s[from:i]+"@"+s[i+n:to]))
		i = to - 1
	}
	for _, a := range known {
		mask := hidden
		if m.how == AddressesHashed {
			mask = m.hash(a)
		}
		local, _ := split(a)
		base, _, _ := strings.Cut(local, "+")
		bare := strings.Trim(local, `"`) // a quoted local part, as people write it
		for _, word := range []string{local, base, bare} {
			for at := range occurrences(lower, lowerASCII(word)) {
				mark(at, at+len(word), mask)
			}
		}
	}
	if len(masks) == 0 {
		return s
	}
	var b strings.Builder
	for i := 0; i < len(s); {
		if p, ok := masks[i]; ok {
			b.WriteString(p.mask)
			i = p.to
			continue
		}
		b.WriteByte(s[i])
		i++
	}
	return b.String()
}

// span is a part of a text that is replaced by a mask.
type span struct {
	to   int
	mask string
}

// atSign returns how many octets the "@" takes that s begins with, in any of its forms, and
// 0 if s does not begin with one.
func atSign(s string) int {
	for _, form := range atSigns {
		if strings.HasPrefix(s, form) {
			return len(form)
		}
	}
	return 0
}

// atSigns are the forms of an "@": plain, in a URL, in a URL within another URL, in HTML,
// and the full-width one of East Asian keyboards.
var atSigns = [...]string{"@", "%40", "%2540", "&#64;", "\uFF20"}

// around returns where the address begins and ends whose "@" is at s[i] and has n octets.
func around(s string, i, n int) (from, to int) {
	const delimiters = " \t\r\n<>()[],;:\"'`|\\@"
	from, to = i, i+n
	if from > 0 && s[from-1] == '"' { // a quoted local part (RFC 5321 section 4.1.2)
		if q := strings.LastIndexByte(s[:from-1], '"'); q >= 0 {
			from = q
		}
	} else {
		for from > 0 && strings.IndexByte(delimiters, s[from-1]) < 0 {
			from--
		}
	}
	if to < len(s) && s[to] == '[' { // an address literal
		if q := strings.IndexByte(s[to:], ']'); q >= 0 {
			return from, to + q + 1
		}
	}
	for to < len(s) && strings.IndexByte(delimiters, s[to]) < 0 {
		to++
	}
	for to > i+n && (s[to-1] == '.' || s[to-1] == '?' || s[to-1] == '!') { // end of a sentence
		to--
	}
	return from, to
}

// occurrences yields where a text contains a word that is not part of a longer one.
func occurrences(text, word string) func(yield func(int) bool) {
	return func(yield func(int) bool) {
		if word == "" {
			return
		}
		for from := 0; ; {
			i := strings.Index(text[from:], word)
			if i < 0 {
				return
			}
			at := from + i
			from = at + len(word)
			if inWord(text, at-1, -1) || inWord(text, from, 1) {
				from = at + 1
				continue
			}
			if !yield(at) {
				return
			}
		}
	}
}

// inWord reports whether the octet at i, next to a word, makes the word longer. direction
// leads away from the word. Letters and digits do, and so do signs that occur within names
// if a letter or digit follows them.
func inWord(s string, i, direction int) bool {
	letter := func(i int) bool {
		if i < 0 || i >= len(s) {
			return false
		}
		c := s[i]
		return c >= 0x80 || c >= '0' && c <= '9' || c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z'
	}
	if letter(i) {
		return true
	}
	return i >= 0 && i < len(s) && strings.IndexByte(".-_+", s[i]) >= 0 && letter(i+direction)
}

// lowerASCII returns s with ASCII letters in lower case. Offsets stay the same.
func lowerASCII(s string) string {
	b := []byte(s)
	for i, c := range b {
		if c >= 'A' && c <= 'Z' {
			b[i] = c + 'a' - 'A'
		}
	}
	return string(b)
}
