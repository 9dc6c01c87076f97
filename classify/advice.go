package classify

import (
	"strings"

	"github.com/bounce-milter/bounce-milter/classify/rules"
)

// grounds is what a verdict rests on. Its reason and its advice depend on it, so that they
// claim nothing that was not read.
type grounds uint8

const (
	onWords  grounds = iota // a rule that knows the words; or nothing at all
	onBare                  // codes, and there were no words
	onUnread                // codes, beside words that no rule knows
)

// grounds tells what a finding rests on.
func (q *inquest) grounds(f finding) grounds {
	switch f.rung {
	case RungCode, RungStatus, RungSMTP:
		if q.hasWords || q.hasNotice() {
			return onUnread
		}
		return onBare
	}
	return onWords
}

// hasNotice reports whether a notice says anything beside the reply.
func (q *inquest) hasNotice() bool { return strings.TrimSpace(q.ev.Notice) != "" }

// advise says what a reason means, and what to do: about the address, as the
// type of the verdict has it, then about the cause.
func (e *Engine) advise(reason string, kind Type, g grounds) (meaning, advice string) {
	r := e.reasons[reason]
	meaning, advice = r.Meaning, r.Address.Of(string(kind))+" "+r.Advice
	var c rules.Caution
	switch g {
	case onBare:
		c = e.set.Bare
	case onUnread:
		c = e.set.Unread
	default:
		return meaning, advice
	}
	if reason != rules.Unknown { // what it means says already that nothing was read
		meaning = c.Meaning + " " + meaning
	}
	return meaning, c.Advice + " " + advice
}
