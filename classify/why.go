package classify

import (
	"cmp"
	"fmt"
	"slices"
	"strings"

	"github.com/bounce-milter/bounce-milter/classify/rules"
)

// sorted lists the rules that matched in the order in which they would decide.
// A rule that matched in several places stands where it decides first.
func (q *inquest) sorted() []match {
	all := slices.Clone(q.all)
	slices.SortStableFunc(all, func(a, b match) int {
		return cmp.Or(cmp.Compare(a.rule.tierGroup(), b.rule.tierGroup()), cmp.Compare(a.scope, b.scope), cmp.Compare(b.rank, a.rank))
	})
	seen := map[*rule]bool{}
	return slices.DeleteFunc(all, func(m match) bool {
		twice := seen[m.rule]
		seen[m.rule] = true
		return twice
	})
}

// ruleMatches says of every rule that matched by what it did, and why it did not
// decide.
func (q *inquest) ruleMatches(won finding) []RuleMatch {
	all := q.sorted()
	out := make([]RuleMatch, 0, len(all))
	for _, m := range all {
		rm := RuleMatch{ID: m.rule.ID, File: m.rule.File, Line: m.rule.Line, Reason: m.rule.Reason, Tier: q.tierName(m),
			Where: m.scope.where(q), By: q.conditionsMet(m), Won: m.rule == won.match.rule}
		if !rm.Won {
			rm.Lost = q.lost(m, won.match)
		}
		out = append(out, rm)
	}
	return out
}

var tierNames = [...]string{"administrator's rule", "provider's rule", "general rule",
	"administrator's stock phrase", "provider's stock phrase", "stock phrase"}

func (q *inquest) tierName(m match) string {
	if m.tier != m.rule.tier {
		return tierNames[m.rule.tier] + ", general here as no provider was recognised"
	}
	return tierNames[m.tier]
}

// conditionsMet puts every condition of a rule that matched into words: those that
// count for its rank, what is near what being two of them.
func (q *inquest) conditionsMet(m match) []string {
	r, by := m.rule, []string{}
	t, from := q.textOf(m.scope)
	if a, b, ok := q.near(r, t, from); ok {
		near := "an address"
		if b.id >= 0 {
			near = q.phrase(b.id)
		}
		by = append(by, q.phrase(a.id)+" near "+near)
	} else if p := q.longest(r.any, t, from); p >= 0 {
		by = append(by, q.phrase(p))
	}
	for _, p := range r.all {
		by = append(by, q.phrase(p))
	}
	if r.Regex != "" {
		by = append(by, "its regex")
	}
	if len(r.Codes) > 0 {
		by = append(by, "code "+strings.Join(r.Codes, "/"))
	}
	if len(r.Statuses) > 0 {
		by = append(by, "status "+strings.Join(r.Statuses, "/"))
	}
	switch r.About {
	case rules.AboutSender:
		by = append(by, "the sender's address named")
	case rules.AboutSenderDomain:
		by = append(by, "the sender's domain named")
	case rules.AboutLocal:
		by = append(by, "a recipient of the reporting host's own domain")
	case rules.AboutOtherHost:
		by = append(by, "a host named that is not the recipient's domain")
	}
	if len(r.RemoteMTAs) > 0 {
		by = append(by, "remote MTA "+strings.Join(r.RemoteMTAs, "/"))
	}
	if r.Admin && len(r.Providers) > 0 {
		by = append(by, "provider "+strings.Join(r.Providers, "/"))
	}
	return by
}

// longest returns the longest of some patterns that occur, -1 where none does.
func (q *inquest) longest(list []int32, t *text, from int) int32 {
	longest := int32(-1)
	for _, p := range list {
		if q.has(t, p, from) && (longest < 0 || q.e.match.patterns[p].runes > q.e.match.patterns[longest].runes) {
			longest = p
		}
	}
	return longest
}

// phrase quotes a pattern, without the space that marks the border of a word.
func (q *inquest) phrase(id int32) string {
	return fmt.Sprintf("%q", strings.TrimSpace(q.e.match.phrases[id]))
}

// textOf is the text of a scope, and where in it the scope begins.
func (q *inquest) textOf(s scope) (t *text, from int) {
	switch s {
	case scopeInner:
		return &q.reply, q.reply.inner
	case scopeNotice:
		return &q.notice, 0
	}
	return &q.reply, 0
}

// lost says why a rule that matched did not decide: what the order of rules
// weighs, from what it weighs first.
func (q *inquest) lost(m, won match) string {
	inWrapper := m.rule.stock() == 1 && m.scope == scopeReply
	switch {
	case m.rule.Shadow && !q.e.testing:
		return "a shadow rule has no effect"
	case inWrapper:
		return "stock phrases around a quoted reply are left out"
	case won.rule == nil && m.rule.Reason == rules.Unknown:
		return "its reason is \"unknown\", so the codes decide"
	case won.rule == nil:
		return "the reason of a rule that ranks before it is \"unknown\""
	case m.rule.Admin != won.rule.Admin:
		return "an administrator's rule comes before it"
	case m.rule.stock() != won.rule.stock():
		return "a stock phrase counts only where no other rule matches"
	case m.scope != won.scope:
		return fmt.Sprintf("the %s comes before the %s", won.scope.where(q), m.scope.where(q))
	case m.rule.Last != won.rule.Last:
		return "it is a stock phrase that stands behind all others"
	case m.tier != won.tier:
		return "a rule for the provider comes before it"
	case m.rule.conds != won.rule.conds:
		_, its := conditions(&m.rule.Rule)
		_, winners := conditions(&won.rule.Rule)
		return fmt.Sprintf("it has %s (%s), the winner %d (%s)", plural(m.rule.conds, "condition"), its, won.rule.conds, winners)
	case q.runes(m) != q.runes(won):
		return fmt.Sprintf("its longest phrase has %s, the winner's %d", plural(int(q.runes(m)), "character"), q.runes(won))
	}
	return "both rank alike, and the winner comes first in the files"
}

// runes is the length of the longest phrase by which a rule matched.
func (q *inquest) runes(m match) int32 {
	if m.phrase < 0 {
		return 0
	}
	return q.e.match.patterns[m.phrase].runes
}

// why is the sentence that says why the winner won.
func (q *inquest) why(f finding, kind Type, safer string) string {
	var s string
	switch f.rung {
	case RungAdmin:
		s = "An administrator's rule decides before everything else: " + q.describe(f)
	case RungText:
		s = "The words decide before any code: " + q.describe(f)
		if n := q.rivals(f); n > 0 {
			s += fmt.Sprintf(", which ranks before %s", plural(n, "other rule"))
		}
		if f.match.rule.StockPhrase {
			s += "; it is a stock phrase, and nothing more telling was said"
		}
	case RungCode, RungSMTP:
		s = q.wordless() + ", so the codes decide: " + q.describe(f) + q.chosen(f)
	case RungStatus:
		s = q.wordless() + " and the code table does not decide, so the registered meaning does: " + q.describe(f)
	default:
		s = "Neither words nor codes say what happened"
	}
	if f.reason == rules.Unknown && f.category != Unclassified {
		s += "; the category is known by that, what happened is not"
	}
	if kind != f.kind && safer != "" {
		s += fmt.Sprintf("; the type is %s instead of %s because %s", kind, f.kind, safer)
	}
	return s + "."
}

// wordless says why the words did not decide.
func (q *inquest) wordless() string {
	for _, m := range q.sorted() {
		if m.rule.Reason == rules.Unknown && !m.rule.Shadow {
			return "The reason of rule " + m.rule.ID + " is \"unknown\""
		}
	}
	switch {
	case q.hasWords:
		return "No rule knows the words"
	case q.hasNotice():
		return "No rule knows the words of the notice"
	}
	return "There are no words"
}

// chosen says why one of the categories that the code table lists for a pair of
// codes was taken.
func (q *inquest) chosen(f finding) string {
	if f.pair == nil || len(f.pair.Choices) < 2 {
		return ""
	}
	switch c := f.pair.Choices; {
	case f.choice != c[0].Category && Category(c[0].Category) == DMARC:
		return ", and nothing names DMARC"
	case f.choice != c[0].Category:
		return ", and the words are about the side (sender or recipient) that " + f.choice + " is about"
	case c[0].Rows > c[1].Rows:
		return ", and the one with more rows wins"
	}
	return ", and the one listed first wins"
}

// rivals counts the other rules that matched and could have decided.
func (q *inquest) rivals(f finding) int {
	n := 0
	for _, m := range q.sorted() {
		if m.rule != f.match.rule && (!m.rule.Shadow || q.e.testing) && !m.rule.Admin {
			n++
		}
	}
	return n
}
