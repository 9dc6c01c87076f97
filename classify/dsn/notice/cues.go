package notice

import (
	"bytes"
	"slices"
	"strings"
	"unicode/utf8"

	"github.com/bounce-milter/bounce-milter/classify/reply"
	"github.com/bounce-milter/bounce-milter/internal/ascii"
)

// Score is what the header says about whether a message is a bounce.
type Score struct {
	Machine bool // a mail system wrote it
	Robot   bool // some program wrote it
	Daemon  bool // the mail system wrote it under its own name, such as MAILER-DAEMON

	// Returned is for the caller to set: the returned message is attached.
	Returned bool

	score   int
	person  bool // people send messages with such a header too
	spared  int  // the part of score that does not count if the text shows a bounce
	delayed bool // the Subject says that the program will try again
}

// Header is the header of a message. Names are compared ignoring case; values are
// unfolded, and their encoded-words (RFC 2047) decoded.
type Header interface {
	Get(name string) string      // of the first field of that name, "" if there is none
	Values(name string) []string // of all fields of that name
}

// Score adds up the cues of the header.
func (d *Data) Score(h Header) Score {
	var s Score
	daemon, null := false, false
	d.cues.each(h, func(c *cue) {
		daemon, null = daemon || c.Daemon, null || c.Null
		s.score += c.Weight
		if c.Spares {
			s.spared += c.Weight
		}
		s.Machine = s.Machine || c.Machine
		s.Robot = s.Robot || c.Robot
		s.person = s.person || c.Person
		s.delayed = s.delayed || c.Delayed
	})
	s.Daemon = daemon
	if !daemon {
		s.spared = 0
	} else if null {
		s.score, s.spared, s.person = s.score-s.spared, 0, false
	}
	if s.score-s.spared <= d.weights.Refuses {
		s.Machine, s.Robot = false, false
	}
	return s
}

// cueSet is a set of cues, indexed by the fields that they look at, so that every field is
// read and folded once.
type cueSet struct {
	fields []*fieldCues
	count  int
}

func (s *cueSet) add(c *cue) {
	c.fold()
	c.number = s.count
	s.count++
	for _, name := range c.Header {
		i := slices.IndexFunc(s.fields, func(f *fieldCues) bool { return f.name == name })
		if i < 0 {
			i = len(s.fields)
			s.fields = append(s.fields, &fieldCues{name: name})
		}
		s.fields[i].add(c)
	}
}

// each calls f once for every cue that matches a header.
func (s *cueSet) each(h Header, f func(*cue)) {
	var room foldRoom
	var seen numberSet
	for _, field := range s.fields {
		v := h.Get(field.name)
		if v == "" && len(h.Values(field.name)) == 0 {
			continue
		}
		field.match(room.decoded(v), func(c *cue) {
			if seen.add(c.number) {
				f(c)
			}
		})
	}
}

// numberSet is a set of small numbers. Numbers below 256 cost no allocation.
type numberSet struct {
	low  [4]uint64
	high []uint64
}

// add adds n and reports whether it is new.
func (s *numberSet) add(n int) bool {
	word, i := s.low[:], n/64
	if i >= len(word) {
		i -= len(word)
		for len(s.high) <= i {
			s.high = append(s.high, 0)
		}
		word = s.high
	}
	bit := uint64(1) << (n % 64)
	added := word[i]&bit == 0
	word[i] |= bit
	return added
}

// fieldCues are the cues that look at one field. Their phrases are indexed by their first
// octet; few octets of a Subject begin any of them.
type fieldCues struct {
	name string
	cues []*cue
	// by first octet; nil if no cue has such phrases
	begin, any *phrasesByOctet
}

type phrasesByOctet [256][]cuePhrase

type cuePhrase struct {
	text string
	cue  *cue
}

func (f *fieldCues) add(c *cue) {
	f.cues = append(f.cues, c)
	f.begin = f.begin.add(c, c.Begin)
	f.any = f.any.add(c, c.Any)
}

// match calls found for every cue that matches the field's folded value, for some cues
// more than once.
func (f *fieldCues) match(v []byte, found func(*cue)) {
	for _, c := range f.cues {
		if c.matches(v) {
			found(c)
		}
	}
	f.begin.match(v, found)
	for i := range v {
		if f.any == nil {
			return
		}
		f.any.match(v[i:], found)
	}
}

func (x *phrasesByOctet) add(c *cue, phrases []string) *phrasesByOctet {
	if x == nil && len(phrases) > 0 {
		x = new(phrasesByOctet)
	}
	for _, p := range phrases {
		x[p[0]] = append(x[p[0]], cuePhrase{p, c})
	}
	return x
}

// match calls found for the cue of every phrase that v begins with.
func (x *phrasesByOctet) match(v []byte, found func(*cue)) {
	if x == nil || len(v) == 0 {
		return
	}
	for _, p := range x[v[0]] {
		if len(v) >= len(p.text) && string(v[:len(p.text)]) == p.text {
			found(p.cue)
		}
	}
}

// foldRoom is scratch space in which a field's value is folded for comparison with cues:
// as [foldPhrase] does, cut to maxSentence. An empty value becomes "<>".
type foldRoom [2][maxSentence]byte

// decoded folds a decoded value.
func (r *foldRoom) decoded(v string) []byte {
	if v == "" {
		return append(r[1][:0], "<>"...)
	}
	_, low := foldText(r[0][:0], r[1][:0], cut(v, maxSentence))
	return bytes.TrimSuffix(low, []byte(" "))
}

// raw folds an undecoded value; it calls decode if there are encoded-words. Most values
// are ASCII without encoded-words and cost no allocation.
func (r *foldRoom) raw(v []byte, decode func([]byte) string) []byte {
	v = bytes.TrimSpace(v[:min(len(v), 4*maxSentence)]) // encoded-words are longer than their text
	low := r[1][:0]
	for i, c := range v {
		switch {
		case c >= utf8.RuneSelf || c == '=' && i+1 < len(v) && v[i+1] == '?':
			return r.decoded(decode(v))
		case len(low) == maxSentence:
			return low
		case ascii.IsBlank(rune(c)):
			if len(low) > 0 && low[len(low)-1] != ' ' {
				low = append(low, ' ')
			}
		case c < ' ' || c == 0x7f: // drop control characters
		case 'A' <= c && c <= 'Z':
			low = append(low, c|0x20)
		default:
			low = append(low, c)
		}
	}
	if len(low) == 0 {
		return r.decoded("")
	}
	return bytes.TrimSuffix(low, []byte(" "))
}

// fold folds the cue's phrases for comparison.
func (c *cue) fold() {
	for _, list := range [][]string{c.Local, c.Begin, c.Any} {
		for i, p := range list {
			list[i] = foldPhrase(p)
		}
	}
}

// matches reports whether a cue matches a field's folded value by present, empty or local.
// fieldCues.match compares the phrases of begin and any.
func (c *cue) matches(v []byte) bool {
	switch {
	case c.Present:
		return true
	// QUIRK: Courier's sender is "<@>".
	case c.Empty && (string(v) == "<>" || bytes.HasSuffix(v, []byte(" <>")) || bytes.HasSuffix(v, []byte("<@>"))):
		return true
	}
	if len(c.Local) > 0 {
		local := localPart(v)
		if slices.Contains(c.Local, string(local)) {
			return true
		}
	}
	return false
}

// localPart returns the local part of the address in a folded field, or its
// first word.
func localPart(v []byte) []byte {
	local := v
	if i := bytes.LastIndexByte(local, '<'); i >= 0 {
		local = local[i+1:]
	} else if i := bytes.IndexByte(local, ' '); i >= 0 && bytes.IndexByte(local, '@') > i {
		local = local[bytes.LastIndexByte(local[:bytes.IndexByte(local, '@')], ' ')+1:]
	}
	if i := bytes.IndexAny(local, "@> ("); i >= 0 {
		local = local[:i]
	}
	// QUIRK: "Postmaster\@example.com@example.net", written by a script.
	return bytes.TrimSuffix(local, []byte(`\`))
}

// isBounce decides by the weights of header and text together.
func (n *Notice) isBounce(head Score) bool {
	if (!head.Machine || head.person) && !n.opened {
		return false
	}
	if n.opened {
		head.score -= head.spared
	}
	w := &n.d.weights
	body := w.Says * min(n.says, w.MostSays)
	if n.opened {
		body += w.Opens
	}
	if body > 0 && head.score+body+w.Against*n.against >= w.Threshold {
		return true
	}
	if len(n.lines) > 0 && (n.findCode(0, n.end, false) >= 0 || reply.Parse(n.quote(0, n.end)).Status.Class != 0) {
		body += w.Reply
	}
	if body == 0 && (head.score < w.Suffices || len(n.addrs) == 0) {
		return false
	}
	if n.cut || head.Returned {
		body += w.Returned
	}
	return head.score+body+w.Against*n.against >= w.Threshold
}

// addressedTo reports whether the message was sent to addr itself.
func (n *Notice) addressedTo(addr string) bool {
	return addr != "" && strings.Contains(n.addressee, strings.ToLower(addr))
}

func cut(s string, n int) string {
	if len(s) > n {
		return s[:n]
	}
	return s
}

func cutBytes(b []byte, n int) []byte { return b[:min(len(b), n)] }
