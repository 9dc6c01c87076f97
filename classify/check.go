package classify

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/bounce-milter/bounce-milter/classify/dsn"
	"github.com/bounce-milter/bounce-milter/classify/reply"
	"github.com/bounce-milter/bounce-milter/classify/rules"
)

// Problem is one thing wrong with the rules or with other data. It has the fields
// File, Line and Key (where: "" and 0 where nothing so narrow is to blame) and
// Message (what is wrong and how to mend it), and the method String, which
// writes all of them as "file:line: key: message".
type Problem = rules.Problem

// Problems is every problem found at once, as a slice of [Problem] and an error
// that lists them one a line.
type Problems = rules.Problems

// Check is `rules test`: it reads the embedded rules, those of the folder and
// the files, and returns everything that is wrong with any of them, in the
// order of files and lines. Every rule must be reached by each of its examples
// before any other rule, no rule may be unable to match or say what another
// one says, and no phrase may be one that no text can hold. A notice of the
// administrator's must be read as its examples say, and be one that the gate opens to.
func Check(rulesDir string, files []string) Problems {
	set, problems := rules.Load(rulesDir, files...)
	var data Problems
	if errors.As(dsn.CheckFiles(noticeFiles(set)...), &data) {
		problems = append(problems, data...)
	}
	// What could be read of a broken file is checked too, so that one run shows
	// everything.
	if len(set.OwnWords) > 0 || slices.ContainsFunc(set.Rules, func(r *rules.Compiled) bool { return r.Admin }) {
		// Built-in rules must stand on their own; an administrator's rule
		// may well take their examples.
		alone, _ := rules.Load("")
		problems = append(problems, checkSet(alone, false)...)
		problems = append(problems, checkSet(set, true)...)
	} else {
		problems = append(problems, checkSet(set, false)...)
	}
	problems.Sort()
	return problems
}

// checkSet checks the rules of a set, or the administrator's alone.
func checkSet(set *rules.Set, adminOnly bool) Problems {
	e, err := newEngine(set)
	if err != nil {
		return Problems{{Message: err.Error()}}
	}
	e.testing = true
	var problems Problems
	c := checker{e: e, problems: &problems}
	for _, r := range e.match.rules {
		if adminOnly && !r.Admin {
			continue
		}
		c.phrases(r)
		c.dead(r)
		if !r.Broken { // else its examples would only repeat what is wrong
			c.examples(r)
			c.sweep(r)
		}
	}
	c.duplicates(adminOnly)
	for _, w := range set.OwnWords {
		if n := normal(w.Text); n != w.Text {
			c.complain(w.File, w.Line,
				"reply holds %q, which never matches: write %q, because texts are compared in lower case with single spaces and plain quotes",
				w.Text, n)
		}
	}
	problems.Sort()
	return problems
}

type checker struct {
	e        *Engine
	problems *Problems
}

func (c checker) complain(file string, line int, format string, args ...any) {
	*c.problems = append(*c.problems, Problem{File: file, Line: line, Message: fmt.Sprintf(format, args...)})
}

// phrases looks for phrases that no text can hold.
func (c checker) phrases(r *rule) {
	for _, list := range [][]string{r.Any, r.All, r.None, r.Near, r.Tokens} {
		for _, p := range list {
			line := r.PhraseLines[p]
			if n := normal(p); n != p {
				c.complain(r.File, line,
					"rule %q: phrase %q never matches: write %q, because texts are compared in lower case with single spaces and plain quotes",
					r.ID, p, n)
				continue
			}
			if slices.Contains(r.Tokens, p) || p == rules.NearAddress {
				continue
			}
			var t text
			t.set("x " + p + " x")
			t.mask()
			if t.maskedWithin(0, len(t.norm)) {
				c.complain(r.File, line,
					"rule %q: phrase %q never matches, because it holds an address, a host name or a URL: make it a token",
					r.ID, p)
			}
		}
	}
}

// dead looks for conditions that exclude each other.
func (c checker) dead(r *rule) {
	excluded := func(p string) string {
		for _, n := range r.None {
			if strings.Contains(p, n) {
				return n
			}
		}
		return ""
	}
	for _, p := range r.All {
		if n := excluded(p); n != "" {
			c.complain(r.File, r.PhraseLines[p],
				"rule %q never matches: \"all\" wants %q, and \"none\" excludes the %q in it",
				r.ID, p, n)
		}
	}
	for _, p := range append(slices.Clone(r.Any), r.Tokens...) {
		if n := excluded(p); n != "" {
			c.complain(r.File, r.PhraseLines[p],
				"rule %q: phrase %q never matches: \"none\" excludes the %q in it",
				r.ID, p, n)
		}
	}
}

// examples sends every example through the engine.
func (c checker) examples(r *rule) {
	for _, ex := range r.Examples {
		ev, f, provider := c.judge(r, ex)
		switch got := f.match.rule; {
		case got == r:
		case got == nil:
			c.complain(r.File, ex.Line,
				"rule %q is not reached by its example %s: %s",
				r.ID, quoteExample(ex), c.missed(r, &ev, exampleProvider(r, ex), provider))
		default:
			c.complain(r.File, ex.Line, "rule %q does not get its example %s: rule %q (%s:%d) comes first, with %s",
				r.ID, quoteExample(ex), got.ID, got.File, got.Line, c.ranks(got, f.match, r))
		}
	}
	for _, ex := range r.NotExamples {
		_, f, _ := c.judge(r, ex)
		if f.match.rule != r {
			continue
		}
		by := "its conditions without words"
		if f.match.phrase >= 0 {
			by = fmt.Sprintf("%q", c.e.match.phrases[f.match.phrase])
		}
		c.complain(r.File, ex.Line, "rule %q matches its not_example %s, by %s", r.ID, quoteExample(ex), by)
	}
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
	t, from := &q.reply, q.reply.inner
	if ev.Notice != "" && ev.Reply == "" {
		t, from = &q.notice, 0
	}
	words := strings.TrimSpace(string(q.regexText(t, from, true)))
	_, isFrom := q.isFrom(r)
	switch {
	case !isFrom:
		return fmt.Sprintf("its provider is recognised as %q", recognised)
	case !q.codesFit(r):
		return fmt.Sprintf("its codes are read as %q", codeText(q.code, q.status.String()))
	case !q.isAt(r):
		return fmt.Sprintf("it names no host of remote_mta; "+
			"an example says which one refused: { reply = \"…\", remote_mta = %q }", r.RemoteMTAs[0])
	case !q.isAbout(r, scopeReply):
		return "it does not name the " + r.About + ", or the recipient too; " +
			"an example says who they are: { reply = \"…\", sender = \"…\", recipient = \"…\" }"
	}
	if _, ok := q.wordsFit(r, -1, t, from); !ok {
		return fmt.Sprintf("its words, read as %q, lack a phrase of any or all, or hold one of none", words)
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

// ranks says why one match ranks before the rule.
func (c checker) ranks(got *rule, m match, r *rule) string {
	phrase := ""
	if m.phrase >= 0 {
		phrase = fmt.Sprintf(" and %q", c.e.match.phrases[m.phrase])
	}
	if m.tier < r.tier {
		return fmt.Sprintf("tier %s before %s%s", tierNames[m.tier], tierNames[r.tier], phrase)
	}
	return fmt.Sprintf("%s against %d%s", plural(got.conds, "condition"), r.conds, phrase)
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

// duplicates looks for a phrase that two rules of one tier hold on the same
// conditions: the second can never decide by it.
func (c checker) duplicates(adminOnly bool) {
	type key struct{ phrase, conditions string }
	first := map[key]*rule{}
	for _, r := range c.e.match.rules {
		if adminOnly && !r.Admin {
			continue
		}
		conditions := fmt.Sprint(r.tier, r.Providers, r.Codes, r.Statuses, r.All, r.None, r.Near, r.Regex, r.About, r.RemoteMTAs)
		list := append(slices.Clone(r.Any), r.Tokens...)
		if len(list) == 0 {
			list = []string{""}
		}
		for _, p := range list {
			k := key{p, conditions}
			if other := first[k]; other != nil && other != r {
				what := "has the same conditions as"
				if p != "" {
					what = fmt.Sprintf("repeats the phrase %q of", p)
				}
				line := r.PhraseLines[p]
				if line == 0 {
					line = r.Line
				}
				c.complain(r.File, line, "rule %q %s rule %q (%s:%d)", r.ID, what, other.ID, other.File, other.Line)
				continue
			}
			first[k] = r
		}
	}
}
