package classify

import (
	"strconv"

	"github.com/bounce-milter/bounce-milter/classify/dsn"
	"github.com/bounce-milter/bounce-milter/classify/reply"
	"github.com/bounce-milter/bounce-milter/classify/rules"
)

// rungs is the evidence ladder from top to bottom: the first rung that has an
// answer decides. Judging stops there; explaining asks them all.
var rungs = []struct {
	name   Rung
	answer func(*inquest) (finding, bool)
}{
	{RungAdmin, (*inquest).admin},
	{RungText, (*inquest).builtin},
	{RungCode, (*inquest).codePair},
	{RungStatus, (*inquest).registeredStatus},
	{RungSMTP, (*inquest).bareSMTP},
	{RungNone, (*inquest).nothing},
}

// finding is a rung's answer or, if it has none, perhaps why.
type finding struct {
	note     string
	category Category
	reason   string
	kind     Type // by default, before the type is made safe
	by       string
	rung     Rung
	match    match       // of the rungs admin and text
	pair     *rules.Pair // of the rungs code and smtp, where the seed table decided
	choice   string      // the category taken of that pair
	meaning  *rules.Meaning
}

// findingFrom is what a rule's match says.
func (m match) finding(rung Rung) finding {
	r := m.rule
	return finding{category: r.category, reason: r.Reason, kind: r.kind, by: r.ID, rung: rung, match: m}
}

// admin asks the administrator's rules: first those that are not stock phrases, in all
// scopes, then those that are.
func (q *inquest) admin() (finding, bool) {
	if q.e.hasAdmin {
		for _, group := range []tier{tierAdmin, tierAdminStock} {
			if m, ok := q.first(group); ok {
				return m.finding(RungAdmin), true
			}
		}
	}
	return finding{}, false
}

// builtin asks the built-in rules, stock phrases last. If the matching rule's reason is
// unknown, an enhanced code that says something is preferred; a bare SMTP code or a code
// of policy is not, for it says no more than those words.
func (q *inquest) builtin() (finding, bool) {
	for _, group := range []tier{tierGeneral, tierGeneralStock} {
		m, ok := q.first(group)
		if !ok {
			continue
		}
		if m.rule.Reason == rules.Unknown && !q.status.Generic() && q.status.Subject != 7 {
			if _, ok := q.registeredStatus(); ok {
				return finding{}, false
			}
		}
		return m.finding(RungText), true
	}
	return finding{}, false
}

// first returns the best match of a group in the first scope that has one.
func (q *inquest) first(group tier) (match, bool) {
	stock := 0
	if group >= tierAdminStock {
		stock = 1
	}
	for s := range scopes {
		if s == scopeReply && stock == 1 {
			continue // the stock phrases of a wrapper say nothing about the reply in it
		}
		q.look(s, stock)
		if m := q.best[s][group]; m.rule != nil {
			return m, true
		}
	}
	return match{}, false
}

// codePair asks the seed table for the exact pair of codes.
//
// The table calls some pairs of policy (x.7.x) an unknown address. If words stand
// beside such a pair that no rule knows, it more often refuses the sender, so the
// registered meaning of the enhanced code decides, and never calls an address dead.
// Without any words the table decides.
func (q *inquest) codePair() (finding, bool) {
	if q.status.Class == 0 {
		return finding{}, false
	}
	f, ok := q.pair(q.e.set.Codes.Pair(q.code, q.status), RungCode)
	if ok && f.kind == Hard && q.hasWords && q.status.Subject == 7 && !q.deadByRegistry() {
		if _, known := q.registeredStatus(); known {
			return finding{note: "the code table lists " + f.pair.Name + " as " + string(f.category) +
				", but a code of policy beside words does not show that an address is dead"}, false
		}
	}
	return f.placedBy(q), ok
}

func (q *inquest) pair(p *rules.Pair, rung Rung) (finding, bool) {
	if p == nil {
		return finding{}, false
	}
	i := q.choose(p, rung)
	if i < 0 {
		return finding{note: "the code table lists " + p.Name + " as dmarc, which is not named"}, false
	}
	c := p.Choices[i]
	return finding{category: Category(c.Category), reason: c.Reason, kind: q.e.reasonType(c.Reason),
		by: p.Name, rung: rung, pair: p, choice: c.Category}, true
}

// placedBy is what codes say beside words that no rule knows: the codes give the
// category and no reason. Codes without any words keep the reason of the table.
func (f finding) placedBy(q *inquest) finding {
	if !q.hasWords || f.category == "" {
		return f
	}
	f.reason, f.kind = rules.Unknown, Block
	if !q.permanent() {
		f.kind = Soft
	}
	return f
}

// choose picks one of a pair's categories. If the words are about the sender alone or
// the recipient alone, it is the first category about the same one, else that with more
// rows or listed first. It is -1 if none is left.
//
// DMARC is not guessed from codes that say nothing (x.0.0, or the 553 of a reply whose
// enhanced code nobody knows) beside words that do not name it: if they did, a rule
// would match.
func (q *inquest) choose(p *rules.Pair, rung Rung) int {
	unnamed := q.hasWords && (rung == RungSMTP || q.status.Generic())
	who := q.witness & (aboutRecipient | aboutSender)
	first := -1
	for i, c := range p.Choices {
		if Category(c.Category) == DMARC && unnamed {
			continue
		}
		if first < 0 {
			first = i
		}
		about := uint8(aboutRecipient)
		if q.e.reasonType(c.Reason) == Block {
			about = aboutSender
		}
		if who == about {
			return i
		}
	}
	return first
}

// registeredStatus asks what the enhanced code was registered for.
func (q *inquest) registeredStatus() (finding, bool) {
	if q.status.Class == 0 {
		return finding{}, false
	}
	f, ok := q.meaning(q.e.set.Codes.Status(q.status), RungStatus)
	f.by = q.status.String()
	return f.placedBy(q), ok
}

func (q *inquest) meaning(m *rules.Meaning, rung Rung) (finding, bool) {
	if m == nil || m.Reason == rules.Unknown {
		return finding{}, false
	}
	r := q.e.reasons[m.Reason]
	return finding{category: Category(r.Category), reason: r.ID, kind: Type(r.Type), by: m.Name, rung: rung, meaning: m}, true
}

// bareSMTP asks the seed table for the bare SMTP code, then what that code was
// registered for.
func (q *inquest) bareSMTP() (finding, bool) {
	if f, ok := q.pair(q.e.set.Codes.Pair(q.code, reply.Status{}), RungSMTP); ok {
		return f.placedBy(q), true
	}
	f, ok := q.meaning(q.e.set.Codes.SMTP(q.code), RungSMTP)
	return f.placedBy(q), ok
}

// nothing is the honest answer if no evidence supports another.
func (q *inquest) nothing() (finding, bool) {
	return finding{category: Unclassified, reason: rules.Unknown, kind: Soft, rung: RungNone}, true
}

// climb asks the rungs until one answers.
func (q *inquest) climb() finding {
	for _, r := range rungs {
		if f, ok := r.answer(q); ok {
			return f
		}
	}
	f, _ := q.nothing()
	return f
}

// safe corrects a finding's type, and says why if it does.
//
// A delay is never hard. A hard reason is soft while the server only asks to try again
// and nobody has given up. A reply that was given before any recipient was named, or
// that names only the sender, is never hard; bare codes of policy are only if they are
// registered for a dead address. A refusal of the sender must never take an address off
// a list.
func (q *inquest) safe(f finding) (kind Type, why string) {
	if q.ev.Action == dsn.ActionDelayed {
		return Soft, "the message is only delayed"
	}
	if f.kind != Hard {
		return f.kind, ""
	}
	if q.incomplete || q.unread || q.work.Spent() {
		return Soft, "reading the whole message would have cost too much work"
	}
	if !q.permanent() && q.ev.Action != dsn.ActionFailed {
		return Soft, "the reply is transient"
	}
	if f.rung == RungAdmin {
		return Hard, ""
	}
	// A host may well say at once that it has no mailboxes (RFC 7504 section 3).
	if q.witness&beforeRCPT != 0 && f.category != Mailbox {
		return Block, "it was said before any recipient was named"
	}
	if q.speaksOf(partySender) {
		return Block, "the reply names the sender's address and not the recipient's"
	}
	if f.rung != RungText && q.status.Subject == 7 && !q.deadByRegistry() {
		return Block, "a code of policy does not show that the address is dead"
	}
	return Hard, ""
}

// deadByRegistry reports whether the enhanced code itself is registered for an
// address that will not work.
func (q *inquest) deadByRegistry() bool {
	m := q.e.set.Codes.Status(q.status)
	return m != nil && q.e.reasonType(m.Reason) == Hard
}

// codeText writes codes as people do: "550 5.1.1".
func codeText(code int, status string) string {
	switch {
	case code == 0:
		return status
	case status == "":
		return strconv.Itoa(code)
	}
	return strconv.Itoa(code) + " " + status
}
