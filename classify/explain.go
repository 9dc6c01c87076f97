package classify

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"github.com/bounce-milter/bounce-milter/classify/reply"
	"github.com/bounce-milter/bounce-milter/classify/rules"
)

// Explanation says how a verdict came about. It marshals to JSON, and a text
// of it needs nothing that is not in it.
type Explanation struct {
	Recipient Recipient `json:"recipient"` // the verdict, as `classify` gives it

	// What was judged: the codes, and the words in the form that phrases are
	// matched on, addresses, hosts and URLs as "@".
	Code   int    `json:"smtp_code"`
	Status string `json:"status"`
	Words  string `json:"words"`
	Inner  bool   `json:"inner"`  // the words are those of a reply within the reply
	Notice string `json:"notice"` // what the notice says beside the reply

	Providers []string       `json:"providers"` // recognised, the first one is named
	Ladder    []Step         `json:"ladder"`    // every rung, from top to bottom
	Matches   []RuleMatch    `json:"rules"`     // every text rule that matched, once, best first
	Choices   []rules.Choice `json:"choices"`   // the categories of an ambiguous pair of codes
	Pair      string         `json:"pair"`      // that pair, "" where none is ambiguous
	Why       string         `json:"why"`       // one sentence
	Meaning   string         `json:"meaning"`   // of the reason
	Advice    string         `json:"advice"`    // what the administrator should do
}

// Step is one rung of the ladder.
type Step struct {
	Rung     Rung     `json:"rung"`
	Category Category `json:"category"` // "" where the rung has no answer
	Reason   string   `json:"reason"`
	By       string   `json:"by"`   // the rule's id or the code
	Text     string   `json:"text"` // the evidence in words
	Note     string   `json:"note"` // why it has no answer, where that is worth telling
	Won      bool     `json:"won"`
}

// RuleMatch is one rule that matched.
type RuleMatch struct {
	ID     string   `json:"id"`
	File   string   `json:"file"`
	Line   int      `json:"line"`
	Reason string   `json:"reason"`
	Tier   string   `json:"tier"`
	Where  string   `json:"where"` // "reply", "quoted reply" or "notice"
	By     []string `json:"by"`    // every condition that is met: phrases in quotes, codes
	Won    bool     `json:"won"`
	Lost   string   `json:"lost"` // why it did not decide, "" for the rule that did
}

// Explain judges like [Engine.ClassifyReply] and says how the verdict came about.
func (e *Engine) Explain(ev *Evidence) *Explanation { return e.explain(ev, nil, false) }

// ExplainMessage judges like [Engine.Classify] and says how each verdict came about:
// one explanation for each of Result.Recipients, nil for one whose mail did not bounce.
func (e *Engine) ExplainMessage(ctx context.Context, raw []byte) (Result, []*Explanation) {
	var evidence []Evidence
	var incomplete []bool
	res := e.message(ctx, raw, func(ev Evidence, unread bool) {
		evidence, incomplete = append(evidence, ev), append(incomplete, unread)
	})
	all := make([]*Explanation, len(res.Recipients))
	for i := range res.Recipients {
		if r := &res.Recipients[i]; r.Category != "" {
			all[i] = e.explain(&evidence[i], r, incomplete[i])
		}
	}
	return res, all
}

// explain explains a verdict: that on a recipient of a message, of which perhaps
// not all could be read, or, where told is nil, on a bare reply.
func (e *Engine) explain(ev *Evidence, told *Recipient, incomplete bool) *Explanation {
	q := e.begin(ev)
	defer e.end(q)
	q.incomplete = incomplete
	q.lookEverywhere()
	won := q.climb()
	kind, safer := q.safe(won)
	r := q.recipient(q.verdict(won))
	if told != nil {
		if r = *told; r.Type != kind {
			kind, safer = r.Type, "the report tells of another fate of the same address"
		}
	}
	x := &Explanation{Recipient: r, Code: q.code, Status: q.status.String(),
		Words: strings.TrimSpace(string(q.regexText(&q.reply, q.reply.inner, true))), Inner: q.reply.inner > 0, Notice: ev.Notice,
		Providers: []string{}, Choices: []rules.Choice{}, Matches: q.ruleMatches(won)}
	for _, p := range q.who {
		if p >= 0 && !slices.Contains(x.Providers, e.set.Providers[p].Name) {
			x.Providers = append(x.Providers, e.set.Providers[p].Name)
		}
	}
	if len(x.Providers) == 0 {
		x.Providers = append(x.Providers, rules.OtherProvider)
	}
	for _, r := range rungs {
		f, ok := r.answer(q)
		if r.name == RungNone && won.rung != RungNone {
			ok = false // it is asked last, and nobody had to
		}
		step := Step{Rung: r.name}
		if !ok {
			step.Note = f.note
		} else {
			step.Category, step.Reason, step.By, step.Text = f.category, f.reason, f.by, q.describe(f)
			step.Won = r.name == won.rung
		}
		x.Ladder = append(x.Ladder, step)
	}
	// Both candidates of an ambiguous pair, whichever rung decided. The bare SMTP
	// code is none beside an enhanced code that says more.
	p := e.set.Codes.Pair(q.code, q.status)
	if p == nil && won.rung == RungSMTP {
		p = e.set.Codes.Pair(q.code, reply.Status{})
	}
	if p != nil && len(p.Choices) > 1 {
		x.Choices, x.Pair = slices.Clone(p.Choices), p.Name
	}
	x.Why = q.why(won, kind, safer)
	x.Meaning, x.Advice = e.advise(won.reason, kind, q.grounds(won))
	return x
}

// lookEverywhere finds every rule that matches, not only the one that decides.
func (q *inquest) lookEverywhere() {
	q.explains = true
	for s := range scopes {
		q.look(s, 0)
		q.look(s, 1)
	}
}

// describe says what a rung's evidence is.
func (q *inquest) describe(f finding) string {
	switch {
	case f.match.rule != nil:
		r := f.match.rule
		what := "matches on its codes"
		if f.match.phrase >= 0 {
			what = "matches " + q.phrase(f.match.phrase)
		} else if r.Regex != "" {
			what = "matches by its regular expression"
		}
		return fmt.Sprintf("rule %s (%s:%d) %s in the %s", r.ID, r.File, r.Line, what, f.match.scope.where(q))
	case f.pair != nil:
		parts := make([]string, len(f.pair.Choices))
		for i, c := range f.pair.Choices {
			parts[i] = fmt.Sprintf("%s (%s)", c.Category, plural(c.Rows, "row"))
		}
		return fmt.Sprintf("the code table lists %s as %s", f.pair.Name, strings.Join(parts, " or "))
	case f.meaning != nil:
		return fmt.Sprintf("%s is registered as %q", f.meaning.Name, f.meaning.Meaning)
	}
	return "no evidence supports a verdict"
}

func (s scope) where(q *inquest) string {
	switch {
	case s == scopeNotice:
		return "notice"
	case s == scopeInner && q.reply.inner > 0:
		return "quoted reply"
	}
	return "reply"
}

func plural(n int, what string) string {
	if n == 1 {
		return "1 " + what
	}
	return fmt.Sprintf("%d %ss", n, what)
}
