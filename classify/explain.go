package classify

import (
	"fmt"
	"slices"
	"sort"
	"strings"

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
	Inner  bool   `json:"inner"` // the words are those of a reply within the reply

	Providers []string       `json:"providers"` // recognised, the first one is named
	Ladder    []Step         `json:"ladder"`    // every rung, from top to bottom
	Matches   []RuleMatch    `json:"rules"`     // every text rule that matched, best first
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
	Won      bool     `json:"won"`
}

// RuleMatch is one rule that matched.
type RuleMatch struct {
	ID         string `json:"id"`
	File       string `json:"file"`
	Line       int    `json:"line"`
	Reason     string `json:"reason"`
	Tier       string `json:"tier"`
	Where      string `json:"where"`  // inner, reply or notice
	Phrase     string `json:"phrase"` // the longest that matched
	Conditions int    `json:"conditions"`
	Shadow     bool   `json:"shadow"`
	Won        bool   `json:"won"`
}

var tierNames = [...]string{"admin", "provider", "general", "admin frame", "provider frame", "general frame"}

var scopeNames = [scopes]string{"inner", "reply", "notice"}

// Explain judges like Judge and keeps record of everything.
func (e *Engine) Explain(ev *Evidence) *Explanation {
	q := e.begin(ev)
	defer e.end(q)
	q.explains = true
	for s := scope(0); s < scopes; s++ {
		q.look(s, 0)
		q.look(s, 1)
	}
	won := q.climb()
	kind, safer := q.safe(won)
	v := q.verdict(won)
	x := &Explanation{Recipient: q.recipient(v), Code: q.code, Status: q.statusStr,
		Words: strings.TrimSpace(string(q.regexText(&q.reply, q.reply.inner, true))), Inner: q.reply.inner > 0,
		Providers: []string{}, Choices: []rules.Choice{}, Matches: q.ruleMatches(won)}
	for _, p := range q.who {
		if p >= 0 {
			x.Providers = append(x.Providers, e.set.Providers[p].Name)
		}
	}
	if len(x.Providers) == 0 {
		x.Providers = append(x.Providers, rules.OtherProvider)
	}
	for _, r := range rungs {
		f, ok := r.answer(q)
		step := Step{Rung: r.name, Text: "nothing to say"}
		if !ok && f.note != "" {
			step.Text = f.note
		}
		if ok {
			step.Category, step.Reason, step.By, step.Text = f.category, f.reason, f.by, q.describe(f)
			step.Won = r.name == won.rung
		}
		x.Ladder = append(x.Ladder, step)
	}
	// Both candidates of an ambiguous pair, whichever rung decided.
	for _, s := range []rules.Status{q.status, {}} {
		if p := e.set.Codes.Pair(q.code, s); p != nil {
			if len(p.Choices) > 1 {
				x.Choices, x.Pair = slices.Clone(p.Choices), p.Name
			}
			break
		}
	}
	x.Why = q.why(won, kind, safer)
	r := e.reasons[won.reason]
	x.Meaning, x.Advice = r.Meaning, r.Advice
	return x
}

// ruleMatches lists what matched in the order in which it would decide.
func (q *inquest) ruleMatches(won finding) []RuleMatch {
	all := slices.Clone(q.all)
	sort.SliceStable(all, func(i, j int) bool {
		a, b := all[i], all[j]
		if ga, gb := a.rule.tierGroup(), b.rule.tierGroup(); ga != gb {
			return ga < gb
		}
		if a.scope != b.scope {
			return a.scope < b.scope
		}
		return a.rank > b.rank
	})
	out := make([]RuleMatch, 0, len(all))
	for _, m := range all {
		rm := RuleMatch{ID: m.rule.ID, File: m.rule.File, Line: m.rule.Line, Reason: m.rule.Reason,
			Tier: tierNames[m.tier], Where: scopeNames[m.scope], Conditions: m.rule.conds, Shadow: m.rule.Shadow,
			Won: m.rule == won.match.rule && m.scope == won.match.scope}
		if m.phrase >= 0 {
			rm.Phrase = q.e.match.patterns[m.phrase].text
		}
		out = append(out, rm)
	}
	return out
}

// describe says what a rung's evidence is.
func (q *inquest) describe(f finding) string {
	switch {
	case f.match.rule != nil:
		r := f.match.rule
		what := "matches on its codes"
		if f.match.phrase >= 0 {
			what = fmt.Sprintf("matches %q", q.e.match.patterns[f.match.phrase].text)
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
		return fmt.Sprintf("%s is registered as: %s", f.meaning.Name, f.meaning.Meaning)
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
		if f.match.rule.Frame {
			s += "; it is a stock phrase, and nothing more telling was said"
		}
	case RungCode, RungSMTP:
		s = "No rule knows the words, so the codes decide: " + q.describe(f)
		if !q.words {
			s = "There are no words, so the codes decide: " + q.describe(f)
		}
		if f.pair != nil && len(f.pair.Choices) > 1 {
			switch c := f.pair.Choices; {
			case f.choice != c[0].Category && Category(c[0].Category) == DMARC:
				s += ", and dmarc is not named"
			case f.choice != c[0].Category:
				s += ", and the words are about the side that " + f.choice + " is about"
			case c[0].Rows > c[1].Rows:
				s += ", and the one with more rows wins"
			default:
				s += ", and the one listed first wins"
			}
		}
	case RungStatus:
		s = "No rule knows the words and the code table does not decide, so the registered meaning does: " + q.describe(f)
	default:
		s = "Neither words nor codes say what happened"
	}
	if kind != f.kind && safer != "" {
		s += fmt.Sprintf("; the type is %s instead of %s because %s", kind, f.kind, safer)
	}
	return s + "."
}

// rivals counts the other rules that matched.
func (q *inquest) rivals(f finding) int {
	seen := map[*rule]bool{f.match.rule: true}
	for _, m := range q.all {
		seen[m.rule] = true
	}
	return len(seen) - 1
}
