package classify

import (
	"bytes"
	"strings"
	"unicode/utf8"

	"golang.org/x/net/publicsuffix"
)

// mask marks addresses, host names and URLs. Their letters are not words: a sender
// called blocked@spam.example says nothing. It takes linear time: each dotted word, each
// "@" and each "://" is looked at once, and how far back each may begin is bounded.
func (t *text) mask() {
	t.borders = borders{}
	next := 1
	for _, at := range t.signs {
		i := int(at)
		if i < next || i >= len(t.norm)-1 {
			continue
		}
		switch t.norm[i] {
		case '.':
			next = t.maskHost(i)
		case '@':
			next = t.maskAddress(i)
		case ':':
			next = t.maskURL(i)
		}
	}
}

// hideTails marks the notes that stand behind a reply.
func (t *text) hideTails(tails []tail) {
	for i := range tails {
		w := &tails[i]
		from := 0
		for {
			at := w.index(t.norm[from:])
			if at < 0 {
				break
			}
			from += at
			to := len(t.norm)
			if w.end != nil {
				if n := bytes.Index(t.norm[from:], w.end); n >= 0 {
					to = from + n + len(w.end)
				}
			}
			t.tails = true
			for ; from < to; from++ {
				t.marks[from] |= markTail
			}
		}
	}
}

// index returns where in b the marker stands, -1 if nowhere. It searches for the
// marker's rarest octet, which most texts do not contain.
func (w *tail) index(b []byte) int {
	for from := w.rare; from < len(b); from++ {
		i := bytes.IndexByte(b[from:], w.marker[w.rare])
		if i < 0 {
			break
		}
		if from += i; bytes.HasPrefix(b[from-w.rare:], w.marker) {
			return from - w.rare
		}
	}
	return -1
}

// mark masks norm[from:to].
func (t *text) mark(from, to int) {
	t.masks = append(t.masks, host{from, to})
	marks := t.marks[from:to]
	for i := range marks {
		marks[i] |= markMasked
	}
}

// reach bounds how far back an address or a scheme may begin.
const reach = 320 // RFC 5321 section 4.5.3.1: 64 octets, "@", 255 octets

// maskAddress masks the address around the "@" at i, and returns where to go on.
func (t *text) maskAddress(i int) int {
	b := t.norm
	// "<…@…>": all between the brackets.
	if open := t.borders.before(b, i); b[open] == '<' && i-open <= reach {
		if end := t.borders.after(b, i); b[end] == '>' {
			t.mark(open+1, end)
			return end
		}
	}
	from, to := i, i+1
	if b[i-1] == '"' {
		if n := bytes.LastIndexByte(b[max(0, i-1-reach):i-1], '"'); n >= 0 {
			from = max(0, i-1-reach) + n
		}
	}
	for from > 0 && i-from < reach && octets[b[from-1]]&octetLocal != 0 {
		from--
	}
	if b[to] == '[' {
		if n := bytes.IndexByte(b[to:min(len(b), to+64)], ']'); n > 0 {
			to += n + 1
		}
	}
	to = t.hostEnd(to)
	for to > i+1 && (b[to-1] == '.' || b[to-1] == '-') {
		to--
	}
	if from == i || to == i+1 {
		return i + 1
	}
	t.mark(from, to)
	return to
}

// borders remembers where the borders around the last "@" are, so that a text with many
// of them is looked at only once.
type borders struct {
	last    int // before seen
	seen    int
	without int // no border stands between the last "@" and here
}

// before returns where the last border before i stands, or some place beyond reach of
// it.
func (s *borders) before(b []byte, i int) int {
	for j := max(s.seen, i-reach); j < i; j++ {
		if octets[b[j]]&octetBorder != 0 {
			s.last = j
		}
	}
	s.seen = i
	return s.last
}

// after returns where the first border after i stands, or the last place within
// reach of it.
func (s *borders) after(b []byte, i int) int {
	end := max(i+1, s.without)
	for end < len(b)-1 && end-i < reach-1 && octets[b[end]]&octetBorder == 0 {
		end++
	}
	s.without = end
	return end
}

// hostEnd returns where a host name that has begun before i ends. No label of one
// is empty: "u@example.com...User unknown".
func (t *text) hostEnd(i int) int {
	b := t.norm
	for i < len(b) && octets[b[i]]&octetHost != 0 && (b[i] != '.' || b[i-1] != '.') {
		i++
	}
	return i
}

// maskURL masks the URL whose scheme ends with the ":" at i.
func (t *text) maskURL(i int) int {
	b := t.norm
	if i+3 >= len(b) || b[i+1] != '/' || b[i+2] != '/' {
		return i + 1
	}
	from := i
	for from > 0 && i-from < 16 && octets[b[from-1]]&octetAlpha != 0 {
		from--
	}
	to := t.urlEnd(i + 3)
	if from < i && to > i+3 {
		t.mark(from, to)
	}
	return max(to, i+3)
}

// urlEnd returns where a URL that has begun before i ends.
func (t *text) urlEnd(i int) int {
	b, from := t.norm, i
	for i < len(b) && octets[b[i]]&octetURL != 0 {
		i++
	}
	for i > from && octets[b[i-1]]&octetTrail != 0 {
		i--
	}
	return i
}

// maskHost masks the host name around the "." at i if it is one, with the path
// of a URL that lacks its scheme.
func (t *text) maskHost(i int) int {
	b := t.norm
	from, to := i, i
	for from > 0 && octets[b[from-1]]&octetHost != 0 && i-from < 255 && t.marks[from-1]&markMasked == 0 &&
		(b[from-1] != '.' || b[from] != '.') {
		from--
	}
	to = t.hostEnd(to)
	next := max(to, i+1)
	if to < len(b) && b[to] == '@' { // the local part of an address
		return to
	}
	for to > from && (b[to-1] == '.' || b[to-1] == '-') {
		to--
	}
	for from < to && (b[from] == '.' || b[from] == '-') {
		from++
	}
	dot := bytes.LastIndexByte(b[from:to], '.')
	if dot <= 0 || to-from > 255 {
		return next
	}
	last := from + dot + 1
	// "The mailbox is full.It will …": a new sentence without a space.
	if bytes.IndexByte(b[from:last-1], '.') < 0 && t.marks[last]&markUpper != 0 &&
		t.marks[last-2]&markUpper == 0 && octets[b[last-2]]&octetAlpha != 0 {
		return next
	}
	if !isTLD(b[last:to]) {
		return next
	}
	t.hosts = append(t.hosts, host{from, to})
	if to+1 < len(b) && b[to] == '/' && b[to+1] != ' ' {
		to = t.urlEnd(to)
	}
	t.mark(from, to)
	return max(to, next)
}

// isTLD reports whether a label is a top-level domain, or one of those that
// are set aside for examples and for use at home (RFC 2606, 6761, 6762, 8375).
func isTLD(label []byte) bool {
	switch string(label) {
	case "com", "net", "org", "example", "test", "invalid", "localhost", "local", "localdomain", "internal",
		"intranet", "lan", "corp", "home", "arpa", "onion", "alt":
		return true
	}
	if len(label) < 2 || len(label) > 24 {
		return false
	}
	for _, c := range label {
		if octets[c]&octetAlpha == 0 && !(c == '-' || c >= '0' && c <= '9') {
			return false
		}
	}
	if len(label) == 2 {
		i, j := label[0]-'a', label[1]-'a'
		return i < 26 && j < 26 && countryTLD[i][j]
	}
	_, icann := publicsuffix.PublicSuffix(string(label))
	return icann
}

var countryTLD = func() (t [26][26]bool) {
	for i := range t {
		for j := range t[i] {
			_, t[i][j] = publicsuffix.PublicSuffix(string([]byte{'a' + byte(i), 'a' + byte(j)}))
		}
	}
	return t
}()

// Classes of octets.
const (
	octetAlpha  = 1 << iota
	octetHost   // part of a host name, dots included
	octetLocal  // part of the local part of an address, dots included (RFC 5322 section 3.2.3)
	octetURL    // part of a URL
	octetTrail  // at the end of a URL more likely the end of the sentence
	octetBorder // around an address
	octetClause // may end a clause, see endsClause
)

var octets = func() (t [256]byte) {
	for c := 'a'; c <= 'z'; c++ {
		t[c] = octetAlpha | octetHost | octetLocal
	}
	for c := '0'; c <= '9'; c++ {
		t[c] = octetHost | octetLocal
	}
	for _, c := range ".-_" {
		t[c] |= octetHost | octetLocal
	}
	for _, c := range "!#$%&*+/=?^{|}~" {
		t[c] |= octetLocal
	}
	for c := ' ' + 1; c < utf8.RuneSelf; c++ {
		if !strings.ContainsRune("<>\"'()[]{}|\\^`", c) {
			t[c] |= octetURL
		}
	}
	for _, c := range ".,;:!?-" {
		t[c] |= octetTrail
	}
	for _, c := range "<> " {
		t[c] |= octetBorder
	}
	for _, c := range []byte(";!?()|.,-\x81\x82") {
		t[c] |= octetClause
	}
	return t
}()

// maskedAt reports whether any octet of norm[from:end], where p occurs, is
// masked. What is masked holds a sign (".", "@" or ":"), so if p holds none, nothing
// is masked between its ends that is not masked at one of them.
func (t *text) maskedAt(p *pattern, from, end int) bool {
	if !p.signs {
		return (t.marks[from]|t.marks[end-1])&markMasked != 0
	}
	return t.maskedWithin(from, end)
}

// maskedWithin reports whether any octet of norm[from:to] is masked.
func (t *text) maskedWithin(from, to int) bool {
	for _, m := range t.marks[from:to] {
		if m&markMasked != 0 {
			return true
		}
	}
	return false
}
