package main

import (
	"fmt"
	"strings"

	"github.com/bounce-milter/bounce-milter/classify"
	"github.com/bounce-milter/bounce-milter/classify/rules"
)

func (a *app) showWhole(r *rules.Rule, reason rules.Reason) {
	p := newPaper(a)
	p.print(p.style.paint(bold, r.ID) + fmt.Sprintf("  %s:%d", r.File, r.Line))
	typ, note := reason.Type, ""
	if r.Type != "" && r.Type != reason.Type {
		typ, note = r.Type, fmt.Sprintf(" (the reason's own: %s)", reason.Type)
	}
	p.field("reason", r.Reason+": "+reason.Meaning)
	p.field("category", reason.Category)
	p.field("type", typ+note)
	for _, f := range []struct {
		name string
		list []string
	}{{"provider", r.Providers}, {"code", r.Codes}, {"status", r.Statuses}, {"remote-mta", r.RemoteMTAs}} {
		if len(f.list) > 0 {
			p.field(f.name, strings.Join(f.list, ", "))
		}
	}
	for _, f := range []struct {
		name string
		list []string
	}{{"any", r.Any}, {"all", r.All}, {"none", r.None}, {"near", r.Near}, {"token", r.Tokens}} {
		for i, phrase := range f.list {
			if i > 0 {
				f.name = ""
			}
			p.field(f.name, fmt.Sprintf("%q", phrase))
		}
	}
	if r.Regex != "" {
		p.field("regex", r.Regex)
	}
	if r.About != "" {
		p.field("about", r.About)
	}
	if r.StockPhrase {
		p.field("stock phrase", "looked at only when no other rule matches")
	}
	if r.Last {
		p.field("last", "after all other stock phrases")
	}
	if r.Replaces {
		p.field("replaces", "the built-in rule with this id")
	}
	if r.Shadow {
		p.field("shadow", "counted and logged, without effect")
	}
	for _, ex := range r.Examples {
		p.field("example", exampleText(ex))
	}
	for _, ex := range r.NotExamples {
		p.field("not", exampleText(ex))
	}
	for _, ac := range r.Accepted {
		p.field("accepted", fmt.Sprintf("%q alone goes to %s: %s", ac.Phrase, ac.Rule, ac.Why))
	}
	p.field("advice", reason.Address.Of(typ)+" "+reason.Advice)
}

func exampleText(ex rules.Example) string {
	s := ex.Reply
	if ex.Notice != "" {
		s += " notice: " + ex.Notice
	}
	for _, more := range [][2]string{{"provider", ex.Provider}, {"remote-mta", ex.RemoteMTA}, {"reporting-mta", ex.ReportingMTA},
		{"status", ex.Status}, {"action", ex.Action}} {
		if more[1] != "" {
			s += fmt.Sprintf(" [%s %s]", more[0], more[1])
		}
	}
	return s
}

func (a *app) showReason(engine *classify.Engine, reason rules.Reason) {
	p := newPaper(a)
	p.print(p.style.paint(bold, reason.ID) + "  a reason")
	p.field("category", reason.Category)
	p.field("type", reason.Type)
	p.field("meaning", reason.Meaning)
	p.field("advice", reason.Address.Of(reason.Type)+" "+reason.Advice)
	for _, typ := range classify.Types() {
		if string(typ) != reason.Type {
			p.field("if "+string(typ), reason.Address.Of(string(typ)))
		}
	}
	name := "rules"
	for _, r := range engine.Rules() {
		if r.Reason == reason.ID {
			p.field(name, fmt.Sprintf("%s (%s:%d)", r.ID, r.File, r.Line))
			name = ""
		}
	}
}
