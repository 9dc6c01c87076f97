package classify

import (
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/bounce-milter/bounce-milter/classify/reply"
	"github.com/bounce-milter/bounce-milter/classify/rules"
)

// sweep judges every phrase of a rule with nothing beside it but what else the
// rule asks for. If that ends in the reason of another rule, the phrase is dead, or
// the other rule says too much.
//
// Rules with a regular expression are left out: no text can be made that it matches.
func (c checker) sweep(r *rule) {
	accepted := map[string]rules.Accepted{}
	for _, a := range r.Accepted {
		accepted[a.Phrase] = a
	}
	for _, p := range r.probes() {
		if written(p.phrase) != p.phrase {
			continue // cannot match: said already
		}
		got, words := c.taker(r, p)
		a, isAccepted := accepted[p.phrase]
		delete(accepted, p.phrase)
		switch {
		case isAccepted && c.broken[a.Rule]:
		case isAccepted && (got == nil || got.ID != a.Rule):
			c.complain(r.File, a.Line,
				"rule %q accepts that %q goes to rule %q, but it does not: take that out",
				r.ID, p.phrase, a.Rule)
		case got != nil && !isAccepted:
			alone := "alone"
			if len(p.beside) > 0 {
				alone = fmt.Sprintf("with what must stand beside it (%q)", words)
			}
			c.complain(r.File, r.PhraseLine(p.phrase), "rule %q: the phrase %q %s goes to rule %q (%s:%d) with the reason %s; "+
				"take it out here, exclude it there (none), or accept it and say why: accepted = [{ phrase = %q, rule = %q, why = \"…\" }]",
				r.ID, p.phrase, alone, got.ID, got.File, got.Line, got.Reason, p.phrase, got.ID)
		}
	}
	for _, a := range r.Accepted {
		if _, left := accepted[a.Phrase]; left {
			c.complain(r.File, a.Line,
				"rule %q accepts that %q goes to another rule, but nothing tests that phrase alone: "+
					"only phrases of any, token and near of a rule without regex are tested, or the first of all",
				r.ID, a.Phrase)
		}
	}
}

// taker returns the rule with another reason that takes a probe, in whatever order
// its words stand, and the words; nil if there is none.
func (c checker) taker(r *rule, p probe) (got *rule, words string) {
	for _, reply := range p.replies() {
		ev := r.evidence(reply)
		f, _ := c.e.judgeExample(&ev, exampleProvider(r, rules.Example{RemoteMTA: ev.RemoteMTA}))
		by := f.match.rule
		// Of words that say nothing by themselves a rule may say so.
		if by == nil || by == r || by.Reason == r.Reason || by.Reason == rules.Unknown {
			return nil, ""
		}
		if got == nil {
			got, words = by, reply
		}
	}
	return got, words
}

// probe is a phrase of a rule, and what must stand beside it for the rule to match.
type probe struct {
	phrase string
	beside []string
}

// probes makes a probe of every phrase of any, token and near. Each of any has the
// first of near beside it, and the reverse, for there may be very many pairs. All
// of all stand beside each; if the rule has nothing else, they are one probe.
func (r *rule) probes() []probe {
	if r.Regex != "" {
		return nil
	}
	var subject []string
	if name := partyNames[r.about]; name != "" {
		subject = []string{name}
	}
	any := slices.Concat(r.Any, r.Tokens)
	var out []probe
	for _, p := range any {
		out = append(out, probe{p, slices.Concat(r.Near[:min(1, len(r.Near))], r.All, subject)})
	}
	for _, p := range r.Near {
		out = append(out, probe{p, slices.Concat(any[:1], r.All, subject)})
	}
	if len(any) == 0 && len(r.All) > 0 {
		out = append(out, probe{r.All[0], slices.Concat(r.All[1:], subject)})
	}
	return out
}

// replies has the phrase before what stands beside it, and behind. A comma between
// spaces ends a clause, and keeps words apart that would be a phrase together; what
// is near may stand behind it. Without it, words are read as in a sentence.
func (p probe) replies() []string {
	words := []string{strings.TrimSpace(p.phrase)}
	for _, w := range p.beside {
		words = append(words, strings.TrimSpace(w))
	}
	for i, w := range words {
		if w == rules.NearAddress {
			words[i] = probeRecipient
		}
	}
	replies := []string{strings.Join(words, " , ")}
	if len(words) > 1 {
		replies = append(replies, strings.Join(append(words[1:], words[0]), " "))
	}
	return replies
}

// Whom the evidence of a probe is about.
const (
	probeSender    = "a@example.org"
	probeRecipient = "b@example.com"
	probeHost      = "mx.example.com"
)

// partyNames is what names each party in the reply of a probe.
var partyNames = map[party]string{
	partySender: probeSender, partySenderDomain: "example.org", partyOtherHost: "mx.example.net",
}

// evidence is evidence with a reply, and what else a rule asks for.
func (r *rule) evidence(reported string) Evidence {
	ev := Evidence{Reply: reported}
	if r.about != 0 {
		ev.Sender, ev.Recipient, ev.ReportingMTA = probeSender, probeRecipient, probeHost
	}
	if len(r.RemoteMTAs) > 0 {
		ev.RemoteMTA = r.RemoteMTAs[0]
	}
	if len(r.Codes) > 0 {
		ev.SMTPCode, _ = strconv.Atoi(strings.NewReplacer("xx", "50", "x", "0").Replace(r.Codes[0]))
	}
	if len(r.Statuses) > 0 {
		status, _, _ := strings.Cut(strings.NewReplacer("x", "5", "*", "1").Replace(r.Statuses[0]), "-")
		if ev.SMTPCode/100 == 4 {
			status = strings.Replace(status, "5.", "4.", 1)
		}
		ev.Status = reply.ParseStatus(status)
	}
	return ev
}
