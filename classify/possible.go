package classify

import (
	"cmp"
	"slices"

	"github.com/bounce-milter/bounce-milter/classify/reply"
	"github.com/bounce-milter/bounce-milter/classify/rules"
)

// Verdicts lists every combination of category, type and reason that a verdict of this
// engine can have, each once; the other fields are empty. What is configured for any
// other combination never happens.
func (e *Engine) Verdicts() []Verdict {
	seen := map[Verdict]bool{}
	// add adds what a finding may become: safe never makes a type harder.
	add := func(category Category, kind Type, reason string) {
		types := []Type{kind, Soft}
		if kind == Hard {
			types = append(types, Block)
		}
		for _, t := range types {
			seen[Verdict{Category: category, Type: t, Reason: reason}] = true
		}
	}
	// placed adds a finding by codes, whose reason is lost beside words that no rule knows.
	placed := func(category Category, reason string) {
		add(category, e.reasonType(reason), reason)
		add(category, Block, rules.Unknown)
	}
	for _, r := range e.match.rules {
		add(r.category, r.kind, r.Reason)
	}
	e.set.Codes.Pairs(func(_ int, _ reply.Status, p *rules.Pair) {
		for _, c := range p.Choices {
			placed(Category(c.Category), c.Reason)
		}
	})
	for _, r := range e.set.Reasons { // by the registered codes
		if r.ID != rules.Unknown {
			placed(Category(r.Category), r.ID)
		}
	}
	add(Unclassified, Soft, rules.Unknown)
	list := make([]Verdict, 0, len(seen))
	for v := range seen {
		list = append(list, v)
	}
	slices.SortFunc(list, func(a, b Verdict) int {
		return cmp.Or(cmp.Compare(a.Category, b.Category), cmp.Compare(a.Type, b.Type), cmp.Compare(a.Reason, b.Reason))
	})
	return list
}
