package classify

import (
	"bytes"
	"slices"
	"sort"
)

// place is where a pattern occurs whose neighbours matter.
type place struct {
	id       int32
	from, to int32
	apart    bool // lies within words that mean something else: "dear sender"
}

// Bounds on what is looked at around a phrase. In a text with more places than these,
// no rule that asks for neighbours matches, and no verdict depends on them.
const (
	maxPlaces = 96  // of a text
	maxClause = 240 // octets to either side of a phrase
	maxGap    = 160 // octets between two phrases that stand near each other
)

// What a pattern says about a clause, apart from the rules that it is in.
const (
	ofSender    = 1 << iota // the sender is what the clause is about
	ofThing                 // some thing is, if it stands before the phrase
	ofBehind                // some thing is, if it stands right behind the phrase
	ofSubject               // some thing is, if it stands right before the phrase
	notMeant                // holds one of these words, but means something else
	ofRecipient             // between ofSender and the phrase: it is about the recipient after all

	turnsAway = ofSender | ofThing | ofBehind | ofSubject
)

// elsewhere reports whether a phrase that calls an address dead, at
// norm[from:to], stands in a clause about something else: "the sender has no
// mailbox here", "the certificate of the domain is not valid".
func (q *inquest) elsewhere(t *text, from, to int) bool {
	if !t.guarded {
		return false
	}
	if n := len(t.places); n == maxPlaces && to > int(t.places[n-1].to) {
		return true // what stands there was not noted
	}
	lo, thingLo, hi := -1, 0, 0 // looked for only where something may turn away
	for _, g := range t.places {
		what := q.e.match.patterns[g.id].clause
		gFrom, gTo := int(g.from), int(g.to)
		if what&turnsAway == 0 || gFrom >= from && gTo <= to || g.apart || gTo < from-maxClause || gFrom > to+maxClause {
			continue
		}
		if lo < 0 {
			lo, thingLo, hi = t.clause(from, to)
		}
		switch {
		case what&ofSender != 0 && gFrom >= lo && gTo <= hi && !q.recipientBetween(t, g, from),
			what&ofThing != 0 && gFrom >= thingLo && gFrom < from,
			what&ofBehind != 0 && gFrom == to+1 && t.norm[to] == ' ',
			what&ofSubject != 0 && gTo == from-1 && t.norm[gTo] == ' ':
			return true
		}
	}
	return false
}

// settlePlaces finds the places that lie within words that mean something else.
func (q *inquest) settlePlaces(t *text) {
	if !t.guarded {
		return
	}
	for _, o := range t.places {
		if q.e.match.patterns[o.id].clause&notMeant == 0 {
			continue
		}
		for i := range t.places {
			g := &t.places[i]
			g.apart = g.apart || o.from <= g.from && g.to <= o.to
		}
	}
}

// recipientBetween reports whether the recipient is named between g and the
// phrase behind it: "MAIL FROM <…> RCPT TO <…> user unknown".
func (q *inquest) recipientBetween(t *text, g place, from int) bool {
	return slices.ContainsFunc(t.places, func(o place) bool {
		return q.e.match.patterns[o.id].clause&ofRecipient != 0 && g.to <= o.from && int(o.to) <= from
	})
}

// clause returns where the clause around norm[from:to] begins and ends, and
// where it begins if a colon opens it.
func (t *text) clause(from, to int) (lo, colon, hi int) {
	lo, colon = from, -1
	for lo > 0 && from-lo < maxClause && (octets[t.norm[lo-1]]&octetClause == 0 || !t.endsClause(lo-1)) {
		lo--
		if colon < 0 && t.norm[lo] == ':' && t.marks[lo]&markMasked == 0 {
			colon = lo
		}
	}
	for hi = to; hi < len(t.norm) && hi-to < maxClause && (octets[t.norm[hi]]&octetClause == 0 || !t.endsClause(hi)); {
		hi++
	}
	return lo, max(lo, colon), hi
}

// endsClause reports whether the sign at norm[i] ends a clause.
func (t *text) endsClause(i int) bool {
	if octets[t.norm[i]]&octetClause == 0 || t.marks[i]&markMasked != 0 {
		return false
	}
	switch t.norm[i] {
	case ';', '!', '?', '(', ')', '|':
		return true
	case '.', ',':
		return i+1 == len(t.norm) || t.norm[i+1] == ' '
	case '-':
		return i > 0 && i+1 < len(t.norm) && t.norm[i-1] == ' ' && t.norm[i+1] == ' '
	case 0x81, 0x82: // the comma and the full stop of Chinese and Japanese
		return i > 1 && t.norm[i-1] == 0x80 && t.norm[i-2] == 0xe3
	}
	return false
}

// near returns where a phrase of a rule's any stands, and where near it a phrase of
// the rule's near or an address (id -1) does: in the same sentence, with nothing but
// light words, addresses and numbers between the two.
func (q *inquest) near(r *rule, t *text, from int) (a, b place, ok bool) {
	for _, a := range t.places {
		if int(a.from) < from || !slices.Contains(r.any, a.id) {
			continue
		}
		for _, b := range t.places {
			if b.from-a.to <= maxGap && a.from-b.to <= maxGap && int(b.from) >= from &&
				slices.Contains(r.near, b.id) && q.lightBetween(t, a, b) {
				return a, b, true
			}
		}
		if !r.nearAddress {
			continue
		}
		first := sort.Search(len(t.masks), func(i int) bool { return t.masks[i].to >= int(a.from)-maxGap })
		for _, m := range t.masks[first:] {
			if m.from > int(a.to)+maxGap {
				break
			}
			b := place{id: -1, from: int32(m.from), to: int32(m.to)}
			if m.from >= from && slices.Contains(t.norm[m.from:m.to], '@') && q.lightBetween(t, a, b) {
				return a, b, true
			}
		}
	}
	return place{}, place{}, false
}

// lightBetween reports whether only light words stand between two places. One name
// may stand there too: "mailbox for joe is unknown".
func (q *inquest) lightBetween(t *text, a, b place) bool {
	lo, hi := int(min(a.to, b.to)), int(max(a.from, b.from))
	if hi-lo > maxGap {
		return false
	}
	m, named := q.e.match, false
	before := t.norm[max(0, min(a.from, b.from)):lo] // the phrase that comes first
	before = before[bytes.LastIndexByte(bytes.TrimSpace(before), ' ')+1:]
	naming := m.naming[string(bytes.TrimSpace(before))]
	for i := lo; i < hi; {
		c := t.norm[i]
		switch {
		case t.marks[i]&markMasked != 0:
			i++
		case isAlnum(c) || c >= 0x80:
			word := i
			for i < hi && t.marks[i]&markMasked == 0 && (isAlnum(t.norm[i]) || t.norm[i] == '\'' || t.norm[i] >= 0x80) {
				i++
			}
			w := t.norm[word:i]
			switch {
			case m.light[string(w)] || isNumber(w):
				naming = m.naming[string(w)]
				continue
			case named || m.things[string(w)] || !naming && t.norm[word-1] != '\'' && t.norm[word-1] != '"' && t.norm[word-1] != '<':
				return false
			}
			named, naming = true, false
		case c == '.' && t.norm[i+1] == ' ' && (i < 2 || t.norm[i-1] != '.'), c == ';', c == '!', c == '?':
			return false
		default:
			i++
		}
	}
	return true
}

func isNumber(word []byte) bool {
	return !slices.ContainsFunc(word, func(c byte) bool { return c < '0' || c > '9' })
}
