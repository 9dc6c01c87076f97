package page

import (
	"github.com/bounce-milter/bounce-milter/internal/mask"
	"github.com/bounce-milter/bounce-milter/internal/propose"
)

// wordTable finds Words.
type wordTable struct {
	Words
	reasons map[string]*Reason
}

func newWordTable(w Words) *wordTable {
	t := &wordTable{w, map[string]*Reason{}}
	for i := range w.Reasons {
		t.reasons[w.Reasons[i].ID] = &w.Reasons[i]
	}
	return t
}

// reason returns what is known about a reason.
func (t *wordTable) reason(id string) Reason {
	if r := t.reasons[id]; r != nil {
		return *r
	}
	return Reason{ID: id}
}

// phrase returns the longest stretch of words in a reply that a rule can go by, "" if there
// is none. known are the names in it, see [mask.Find].
func (t *wordTable) phrase(said string, known ...string) string {
	if t.Understand == nil {
		return ""
	}
	// No phrase can run over an address.
	words := t.Understand(mask.Replace(said, mask.Find(said, known...), func(mask.Span) string { return " x@example.com " }))
	for _, p := range propose.Phrases([]string{words}) {
		return p
	}
	return ""
}

// rule proposes a rule, without its reason, for a reply that no rule understood; "" if it
// has no words to go by. It goes into a file of rules.d, where `rules test` accepts it once
// its reason is chosen.
func (r *reply) rule() string {
	if r.Phrase == "" {
		return ""
	}
	return propose.Rule(r.Phrase, propose.Choose, "", []string{r.Example})
}
