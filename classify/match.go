package classify

import (
	"bytes"
	"cmp"
	"slices"

	"github.com/bounce-milter/bounce-milter/classify/dsn"
)

// match is a rule that matched, and how strongly.
type match struct {
	rule   *rule
	scope  scope
	tier   tier
	phrase int32 // the longest pattern that matched, -1 where none did
	rank   uint64
}

// look tries the rules that the words of one scope set off: those that are not stock
// phrases (stock is 0), or those that are (1).
func (q *inquest) look(s scope, stock int) {
	if q.looked[s][stock] {
		return
	}
	q.looked[s][stock] = true
	t, from := &q.reply, 0
	switch s {
	case scopeInner:
		from = t.inner
	case scopeReply:
		if t.inner == 0 { // nothing is wrapped: the same as the inner reply
			return
		}
	case scopeNotice:
		if q.ev.Notice == "" {
			return
		}
		t = &q.notice
		if !q.noticeRead || q.noticeOf != q.ev.Notice {
			if !q.work.Take(unitsOctet * min(len(q.ev.Notice), maxText)) {
				return
			}
			q.noticeOf, q.noticeRead = q.ev.Notice, true
			witness := q.witness
			q.find(t, unescaped(bounded(q.ev.Notice)), false)
			q.witness = witness // a notice mentions recipients whatever happened
		}
	}
	q.who[2] = -1
	if s == scopeNotice {
		q.who[2] = q.provider(q.ev.ReportingMTA, &q.e.byReporting)
	}
	q.round++
	q.plainOf, q.pending = nil, q.pending[:0]
	m := q.e.match
	if !q.work.Take(unitsPhrase * len(t.hits)) {
		return
	}
	for _, h := range t.hits {
		if !q.has(t, h, from) {
			continue
		}
		for _, r := range m.setsOff[stock].of(h) {
			if q.asked[r] != q.round {
				q.try(m.rules[r], h, s, t, from)
			}
		}
	}
	if s != scopeNotice { // rules without words are about the reply's codes
		for _, r := range m.always[stock] {
			q.try(m.rules[r], -1, s, t, from)
		}
	}
	// Regular expressions are slow: they run last, and only if their rule could win.
	if len(q.pending) > 1 {
		slices.SortFunc(q.pending, func(a, b match) int { return cmp.Compare(b.rank, a.rank) })
	}
	for _, p := range q.pending {
		if !q.wins(p) {
			continue
		}
		shown := q.regexText(t, from, p.rule.inTail)
		matches, ok := q.expressionFits(p.rule, shown, s)
		if !ok {
			return
		}
		if matches {
			q.keep(p)
		}
	}
}

// seenText is a text that regular expressions saw, and which of them matched. Replies
// for many recipients often differ only in the address, which expressions do not see.
type seenText struct {
	shown []byte
	round uint32
	fits  []uint32 // by rule: twice the round, and one more where it matched
}

// expressionFits reports whether a rule's regular expression matches; ok is false if
// the work is spent.
func (q *inquest) expressionFits(r *rule, shown []byte, s scope) (fits, ok bool) {
	seen := &q.seenTexts[s]
	if r.inTail {
		seen = &q.seenTexts[scopes]
	}
	if seen.round == 0 || !bytes.Equal(seen.shown, shown) {
		if seen.round++; seen.round > 1<<30 || len(seen.fits) == 0 {
			seen.round, seen.fits = 1, make([]uint32, len(q.e.match.rules))
		}
		seen.shown = append(seen.shown[:0], shown...)
	}
	known := &seen.fits[r.index]
	if *known>>1 == seen.round {
		return *known&1 != 0, true
	}
	*known = seen.round << 1
	r.expression.compile()
	if f := r.expression.prefilter; f != nil && !f.Match(shown) {
		return false, true
	}
	if !q.work.Take(r.expression.units(len(shown))) {
		*known = 0
		return false, false
	}
	if fits = r.expression.whole.Match(shown); fits {
		*known |= 1
	}
	return fits, true
}

// try tests a rule that a pattern (-1: none) set off for the first time in this round,
// except for its regular expression.
func (q *inquest) try(r *rule, by int32, s scope, t *text, from int) {
	q.asked[r.index] = q.round
	t0, ok := q.isFrom(r)
	if !ok || q.beaten(r, t0, s) || !q.codesFit(r) ||
		r.givenUp && s == scopeNotice && q.ev.Action == dsn.ActionDelayed ||
		!q.isAbout(r, s) || !q.isAt(r) {
		return
	}
	longest, ok := q.wordsFit(r, by, t, from)
	if !ok {
		return
	}
	m := match{rule: r, scope: s, tier: t0, phrase: longest}
	runes := int32(0)
	if longest >= 0 {
		runes = q.e.match.patterns[longest].runes
	}
	m.rank = rank(t0, r, runes)
	if !q.wins(m) { // then the words around its phrase do not matter
		return
	}
	if len(r.Near) > 0 || r.kind == Hard && !r.Admin && longest >= 0 && t.guarded {
		at, ok := q.placeOf(r, longest, t, from)
		if !ok || r.kind == Hard && !r.Admin && q.elsewhere(t, int(at.from), int(at.to)) {
			return
		}
	}
	if r.expression != nil {
		q.pending = append(q.pending, m)
		return
	}
	q.keep(m)
}

// beaten reports whether a rule was found already that is better than r whatever
// phrase of r matches, and r is not needed to explain.
func (q *inquest) beaten(r *rule, t tier, s scope) bool {
	b := &q.best[s][r.tierGroup()]
	return b.rule != nil && !q.explains && !r.Shadow && b.rank>>rankConds > rank(t, r, 0)>>rankConds
}

// wins reports whether keeping m could change anything.
func (q *inquest) wins(m match) bool {
	b := &q.best[m.scope][m.rule.tierGroup()]
	return q.explains || m.rule.Shadow || b.rule == nil || m.rank > b.rank
}

// keep notes a match if it ranks before what was found.
func (q *inquest) keep(m match) {
	if q.explains {
		q.all = append(q.all, m)
	}
	if m.rule.Shadow && !q.e.testing {
		q.shadows = append(q.shadows, m)
		return
	}
	if b := &q.best[m.scope][m.rule.tierGroup()]; b.rule == nil || m.rank > b.rank {
		*b = m
	}
}

// tierGroup gives one tier to all rules that one rung weighs against each other.
func (r *rule) tierGroup() tier {
	if r.tier == tierProvider || r.tier == tierProviderStock {
		return r.tier + 1
	}
	return r.tier
}

// codesFit reports whether the codes are those that a rule asks for. If no SMTP code is
// known, a pattern that names only a class ("5xx") is compared with the class of the
// enhanced code, or else with the action.
func (q *inquest) codesFit(r *rule) bool {
	if len(r.CodeMatch) > 0 {
		ok := false
		for _, p := range r.CodeMatch {
			if q.code == 0 {
				ok = p.Class() == 5 && q.permanent() || p.Class() == 4 && !q.permanent()
			} else {
				ok = p.Match(q.code)
			}
			if ok {
				break
			}
		}
		if !ok {
			return false
		}
	}
	for _, p := range r.StatusMatch {
		if p.Match(q.status) {
			return true
		}
	}
	return len(r.StatusMatch) == 0
}

// wordsFit reports whether a rule's phrases occur as it asks, and returns the longest
// that does. If a pattern set the rule off, that is the longest of any.
func (q *inquest) wordsFit(r *rule, by int32, t *text, from int) (longest int32, ok bool) {
	longest = -1
	runes := int32(-1)
	better := func(p int32) {
		if n := q.e.match.patterns[p].runes; n > runes {
			longest, runes = p, n
		}
	}
	if len(r.any) > 0 && by >= 0 {
		better(by)
	} else {
		for _, p := range r.any {
			if q.has(t, p, from) {
				better(p)
			}
		}
		if len(r.any) > 0 && longest < 0 {
			return -1, false
		}
	}
	for _, p := range r.all {
		if !q.has(t, p, from) {
			return -1, false
		}
		better(p)
	}
	for _, p := range r.none {
		if q.has(t, p, from) {
			return -1, false
		}
	}
	return longest, true
}

// has reports whether a pattern occurs in a text at or after from. The words of the
// marker before a quoted reply do not count, unless the pattern names that marker.
func (q *inquest) has(t *text, id int32, from int) bool {
	return t.in(id, from) && (t.marks[t.seen[id].last]&markWrap == 0 || q.e.match.names.of(id)&ofWrap != 0)
}

// regexText is the text that regular expressions see: the one that phrases are matched
// on, with a single "@" for every address, host name and URL, and without the notes
// behind the reply unless tail is true.
func (q *inquest) regexText(t *text, from int, tail bool) []byte {
	if q.plainOf == t && q.plainFrom == from && q.plainTail == tail {
		return q.plain
	}
	q.plain, q.plainOf, q.plainFrom, q.plainTail = q.plain[:0], t, from, tail
	at := from
	for _, m := range t.masks {
		if m.from < at { // in what is cut off, or in the mask before
			continue
		}
		q.plain = append(t.withoutTails(q.plain, at, m.from, tail), '@')
		at = m.to
	}
	q.plain = t.withoutTails(q.plain, at, len(t.norm), tail)
	return q.plain
}

// withoutTails appends norm[from:to] to b, without notes behind the reply unless they
// are wanted.
func (t *text) withoutTails(b []byte, from, to int, wanted bool) []byte {
	if wanted || !t.tails {
		return append(b, t.norm[from:to]...)
	}
	for i := from; i < to; i++ {
		if t.marks[i]&markTail == 0 {
			b = append(b, t.norm[i])
		}
	}
	return b
}

// before reports whether m decides before other. Both are of administrator's rules.
func (m match) before(other match) bool {
	if mf, of := m.rule.tier == tierAdminStock, other.rule.tier == tierAdminStock; mf != of {
		return of
	}
	if m.scope != other.scope {
		return m.scope < other.scope
	}
	return m.rank > other.rank
}

// rank orders matches: first stock phrases that are last behind all others, then the
// tier, the conditions, the longest phrase that matched (in characters), file and line.
// The greatest wins.
func rank(t tier, r *rule, runes int32) uint64 {
	first := uint64(1)
	if r.Last {
		first = 0
	}
	return first<<60 | uint64(tierGeneralStock-t)<<56 | uint64(min(r.conds, 255))<<rankConds |
		uint64(runes)<<32 | uint64(^uint32(r.index))
}

const rankConds = 48 // where in a rank the conditions begin

// placeOf returns where a rule's words stand: the longest of them, or the two that are
// near each other if the rule asks for that.
func (q *inquest) placeOf(r *rule, longest int32, t *text, from int) (place, bool) {
	if len(r.Near) > 0 {
		a, b, ok := q.near(r, t, from)
		if b.id < 0 {
			return a, ok
		}
		return place{id: a.id, from: min(a.from, b.from), to: max(a.to, b.to)}, ok
	}
	at := t.seen[longest].last
	return place{id: longest, from: at, to: at + q.e.match.patterns[longest].length}, true
}
