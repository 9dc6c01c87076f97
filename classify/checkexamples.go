package classify

import (
	"fmt"
	"slices"
	"strings"
	"unicode"

	"github.com/bounce-milter/bounce-milter/classify/dsn"
	"github.com/bounce-milter/bounce-milter/classify/reply"
	"github.com/bounce-milter/bounce-milter/classify/rules"
)

// examples sends every example through the engine.
func (c checker) examples(r *rule) {
	r.NeedExamples()
	for _, ex := range r.Examples {
		ev, f, provider := c.judge(r, ex)
		won := f.match.rule
		if won == r {
			continue
		}
		switch lost, matches := c.lost(r, &ev, exampleProvider(r, ex)); {
		case matches && won != nil:
			c.complain(r.File, ex.Line, "rule %q matches its example %s, but loses it to rule %q (%s:%d): %s",
				r.ID, quoteExample(ex), won.ID, won.File, won.Line, lost)
		case matches:
			c.complain(r.File, ex.Line, "rule %q matches its example %s, but does not decide it: %s", r.ID, quoteExample(ex), lost)
		default:
			decides := ""
			if won != nil {
				decides = fmt.Sprintf(". What matches is rule %q (%s:%d)", won.ID, won.File, won.Line)
			}
			c.complain(r.File, ex.Line, "rule %q does not match its example %s: %s%s",
				r.ID, quoteExample(ex), c.missed(r, &ev, exampleProvider(r, ex), provider), decides)
		}
	}
	for _, ex := range r.NotExamples {
		_, f, _ := c.judge(r, ex)
		switch {
		case f.match.rule == r:
			by := "its conditions without words"
			if f.match.phrase >= 0 {
				by = fmt.Sprintf("%q", c.e.match.phrases[f.match.phrase])
			}
			c.complain(r.File, ex.Line, "rule %q matches its not_example %s, by %s", r.ID, quoteExample(ex), by)
		case !resembles(r, ex):
			*c.warnings = append(*c.warnings, Problem{File: r.File, Line: ex.Line, Message: fmt.Sprintf(
				"rule %q: its not_example %s shares no word with the phrases of the rule, and so tests nothing: "+
					"write a reply that the rule could match by mistake", r.ID, quoteExample(ex))})
		}
	}
}

// lost reports whether a rule matches evidence, and if so, why it does not decide.
func (c checker) lost(r *rule, ev *Evidence, provider string) (why string, matches bool) {
	q := c.e.begin(ev)
	defer c.e.end(q)
	if provider != "" {
		q.assume(provider)
	}
	q.lookEverywhere()
	won := q.climb()
	for _, m := range q.sorted() {
		if m.rule == r {
			return q.lost(m, won.match), true
		}
	}
	return "", false
}

// resembles reports whether a reply that must not match a rule holds a word of its
// phrases, of three characters or more. Of a rule without words any reply does.
func resembles(r *rule, ex rules.Example) bool {
	text := written(ex.Reply + " " + ex.Notice)
	isSign := func(c rune) bool { return !unicode.IsLetter(c) && !unicode.IsDigit(c) }
	words := slices.Concat(r.Any, r.Tokens, r.All, r.Near)
	for _, phrase := range words {
		for _, w := range strings.FieldsFunc(phrase, isSign) {
			if len(w) > 2 && strings.Contains(text, w) {
				return true
			}
		}
	}
	return len(words) == 0
}

// judge judges an example of a rule. The provider is the one that was recognised.
func (c checker) judge(r *rule, ex rules.Example) (ev Evidence, f finding, provider string) {
	ev = Evidence{Reply: ex.Reply, Notice: ex.Notice, Status: reply.ParseStatus(ex.Status), SMTPCode: ex.Code,
		Action: dsn.Action(ex.Action), RemoteMTA: ex.RemoteMTA, ReportingMTA: ex.ReportingMTA,
		Recipient: ex.Recipient, Sender: ex.Sender}
	f, provider = c.e.judgeExample(&ev, exampleProvider(r, ex))
	return ev, f, provider
}

// exampleProvider is the provider that an example is taken to come from: the
// one it names, or that of the rule where it names neither provider nor host.
func exampleProvider(r *rule, ex rules.Example) string {
	if ex.Provider == "" && len(r.Providers) > 0 && ex.RemoteMTA == "" && ex.ReportingMTA == "" {
		return r.Providers[0]
	}
	return ex.Provider
}

// judgeExample judges with a provider taken as recognised.
func (e *Engine) judgeExample(ev *Evidence, provider string) (finding, string) {
	q := e.begin(ev)
	defer e.end(q)
	if provider != "" {
		q.assume(provider)
	}
	return q.climb(), q.providerName()
}

// assume takes a provider as recognised.
func (q *inquest) assume(provider string) {
	q.who = [3]int16{-1, -1, -1}
	for i, p := range q.e.set.Providers {
		if p.Name == provider {
			q.who[0] = int16(i)
		}
	}
}

// missed says which condition of a rule its example does not fulfil.
func (c checker) missed(r *rule, ev *Evidence, provider, recognised string) string {
	q := c.e.begin(ev)
	defer c.e.end(q)
	if provider != "" {
		q.assume(provider)
	}
	q.look(scopeInner, r.stock())
	q.look(scopeNotice, r.stock())
	q.plainOf = nil
	notice := ev.Notice != "" && ev.Reply == ""
	t, from := &q.reply, q.reply.inner
	if notice {
		t, from = &q.notice, 0
	}
	words := strings.TrimSpace(string(q.regexText(t, from, true)))
	_, isFrom := q.isFrom(r)
	switch {
	case !isFrom:
		return fmt.Sprintf("its provider is recognised as %q, and the rule is for %s", recognised, strings.Join(r.Providers, " or "))
	case !q.codesFit(r):
		return fmt.Sprintf("its codes are read as %q, and the rule asks for %s", codeText(q.code, q.status.String()), codesAsked(r))
	case r.givenUp && notice && ev.Action == dsn.ActionDelayed:
		return "a notice of a delay never means " + r.Reason
	case !q.isAt(r):
		return fmt.Sprintf("it names no host of remote_mta; "+
			"an example says which one refused: { reply = \"…\", remote_mta = %q }", r.RemoteMTAs[0])
	case !q.isAbout(r, scopeReply):
		return "it does not name the " + r.About + ", or the recipient too; " +
			"an example says who they are: { reply = \"…\", sender = \"…\", recipient = \"…\" }"
	}
	if lacks := q.lacks(r, t, from); lacks != "" {
		return fmt.Sprintf("its words, read as %q, %s", words, lacks)
	}
	if longest, ok := q.wordsFit(r, -1, t, from); ok && (len(r.Near) > 0 || longest >= 0) {
		switch at, ok := q.placeOf(r, longest, t, from); {
		case !ok:
			return fmt.Sprintf("of its words, read as %q, none of near stands near one of any", words)
		case r.kind == Hard && !r.Admin && q.elsewhere(t, int(at.from), int(at.to)):
			return fmt.Sprintf("its words, read as %q, speak of the sender or of some thing ([elsewhere] of wrappers.toml)", words)
		}
	}
	return fmt.Sprintf("the regex does not match its words, read as %q", words)
}

// lacks says which phrases of a rule a text lacks, or holds against it; "" if the words
// are as the rule asks.
func (q *inquest) lacks(r *rule, t *text, from int) string {
	if len(r.any) > 0 && q.longest(r.any, t, from) < 0 {
		switch {
		case len(r.Tokens) == 0:
			return "hold no phrase of any"
		case len(r.Any) == 0:
			return "hold no token"
		}
		return "hold no phrase of any and no token"
	}
	for _, p := range r.all {
		if !q.has(t, p, from) {
			return "lack " + q.phrase(p) + ", which all asks for"
		}
	}
	for _, p := range r.none {
		if q.has(t, p, from) {
			return "hold " + q.phrase(p) + ", which none excludes"
		}
	}
	return ""
}

// codesAsked names the codes that a rule asks for.
func codesAsked(r *rule) string {
	var asked []string
	if len(r.Codes) > 0 {
		asked = append(asked, "code "+strings.Join(r.Codes, " or "))
	}
	if len(r.Statuses) > 0 {
		asked = append(asked, "status "+strings.Join(r.Statuses, " or "))
	}
	return strings.Join(asked, " and ")
}

func quoteExample(ex rules.Example) string {
	s := ex.Reply
	if s == "" {
		s = ex.Notice
	}
	if r := []rune(s); len(r) > 100 {
		s = string(r[:100]) + "…"
	}
	return fmt.Sprintf("%q", s)
}
