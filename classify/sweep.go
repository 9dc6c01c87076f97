package classify

import (
	"slices"
	"strconv"
	"strings"

	"github.com/bounce-milter/bounce-milter/classify/reply"
	"github.com/bounce-milter/bounce-milter/classify/rules"
)

// sweep judges every phrase of a rule by itself, with nothing beside it but what
// of codes, providers and hosts the rule asks for. A phrase whose words end in the reason of another rule
// is dead, or the other rule says too much.
func (c checker) sweep(r *rule) {
	if r.Regex != "" || r.about != 0 || len(r.Near)+len(r.All) > 0 {
		if len(r.Accepted) > 0 {
			c.complain(r.File, r.Accepted[0].Line, "rule %q accepts something, but its phrases are not judged alone: they need more words beside them", r.ID)
		}
		return
	}
	accepted := map[string]rules.Accepted{}
	for _, a := range r.Accepted {
		accepted[a.Phrase] = a
	}
	for _, p := range slices.Concat(r.Any, r.Tokens) {
		if normal(p) != p {
			continue // cannot match: said already
		}
		ev := r.alone(p)
		f, _ := c.e.judgeExample(&ev, exampleProvider(r, rules.Example{RemoteMTA: ev.RemoteMTA}))
		got, line := f.match.rule, r.PhraseLines[p]
		a, isAccepted := accepted[p]
		delete(accepted, p)
		// Of words that say nothing by themselves a rule may say so.
		lost := got != nil && got != r && got.Reason != r.Reason && got.Reason != rules.Unknown
		switch {
		case isAccepted && (!lost || got.ID != a.Rule):
			c.complain(r.File, a.Line, "rule %q accepts that %q goes to rule %q, but it does not: take that out", r.ID, p, a.Rule)
		case lost && !isAccepted:
			c.complain(r.File, line, "rule %q: the phrase %q alone goes to rule %q (%s:%d) with the reason %s; take it out here, exclude it there (none), or accept it with a word why: accepted = [{ phrase = %q, rule = %q, why = \"…\" }]",
				r.ID, p, got.ID, got.File, got.Line, got.Reason, p, got.ID)
		}
	}
	for _, a := range r.Accepted {
		if _, left := accepted[a.Phrase]; left {
			c.complain(r.File, a.Line, "rule %q accepts something of %q, which is no phrase of any or token", r.ID, a.Phrase)
		}
	}
}

// alone is evidence that fulfils a rule's conditions with one of its phrases.
func (r *rule) alone(phrase string) Evidence {
	ev := Evidence{Reply: strings.TrimSpace(phrase)}
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
