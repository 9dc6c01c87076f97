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

// masker takes out of records what a sink may not see of addresses.
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

// hidden stands for a local part alone where no hash may stand.
const hidden = "***"

// record returns a record as the sink may see it, which is r itself where it may
// see all. Nothing of r is changed.
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
	// What follows a domain is no part of it, and may be a name.
	if i := strings.IndexFunc(domain, func(r rune) bool {
		return r < utf8.RuneSelf && !ascii.IsAlnum(byte(r)) && r != '.' && r != '-'
	}); i >= 0 {
		domain = domain[:i]
	}
	return domain
}

// longWord is how long a local part is that nothing else has in it by chance.
const longWord = 5

// messageID masks a Message-ID that names one of the addresses: some programs make one
// for each recipient, as in carla=example.com.4711@news.example.org. Others stay, for
// they are what finds the message in a log.
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

// names reports whether a local part stands in a text, a short one not within a word.
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

// word masks what is no address and says as much.
func (m *masker) word(s string) string {
	if s == "" || m.how == AddressesDomain {
		return ""
	}
	return m.hash(s)
}

// hash is HMAC-SHA-256 (RFC 2104) in hex, of the address in lower case: that local
// parts may differ by case alone (RFC 5321 section 2.4) is nobody's practice.
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

// maxKnown bounds the addresses that are looked for in texts.
const maxKnown = 12

// knownAddresses are the addresses that a record is about, of which a text may quote
// the local part alone: the recipient before others.
func knownAddresses(r *event.Record) []string {
	var list []string
	for _, a := range append([]string{r.Address, r.Original, r.VERP, r.EnvelopeFrom}, r.EnvelopeTo...) {
		if a != "" && len(list) < maxKnown {
			list = append(list, a)
		}
	}
	return list
}

// text masks the addresses in running text, and the local parts of known ones where
// they stand alone. It rather takes too much for an address than too little.
func (m *masker) text(s string, known []string) string {
	if s == "" {
		return s
	}
	lower := lowerASCII(s)
	masks := map[int]span{} // by where they begin
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
		for j := i; j > from; j-- { // up to what is masked already, on either side
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
		bare := strings.Trim(local, `"`) // as people write a quoted one
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

// span is a part of a text that a mask takes the place of.
type span struct {
	to   int
	mask string
}

// atSign returns the octets of the "@" that s begins with, in any of its forms, 0 where
// there is none.
func atSign(s string) int {
	for _, form := range atSigns {
		if strings.HasPrefix(s, form) {
			return len(form)
		}
	}
	return 0
}

// atSigns are an "@" as it is, as a URL writes it, and one within another, as HTML does,
// and the wide one of East Asian keyboards.
var atSigns = [...]string{"@", "%40", "%2540", "&#64;", "\uFF20"}

// around returns where an address around an "@" of n octets at s[i] begins and ends.
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
	for to > i+n && (s[to-1] == '.' || s[to-1] == '?' || s[to-1] == '!') { // the sentence's
		to--
	}
	return from, to
}

// occurrences yields where a word stands alone in a text.
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

// inWord reports whether the octet at i goes on the word beside it, whose end is in
// the other direction: letters and digits do, and signs within a name if it goes on
// behind them.
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

// lowerASCII is s in lower case, octet by octet, so that places stay.
func lowerASCII(s string) string {
	b := []byte(s)
	for i, c := range b {
		if c >= 'A' && c <= 'Z' {
			b[i] = c + 'a' - 'A'
		}
	}
	return string(b)
}
