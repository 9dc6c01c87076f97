package main

import (
	"fmt"
	"strings"

	"github.com/bounce-milter/bounce-milter/classify"
	"github.com/bounce-milter/bounce-milter/classify/dsn"
	"github.com/bounce-milter/bounce-milter/config"
	"github.com/bounce-milter/bounce-milter/internal/action"
	"github.com/bounce-milter/bounce-milter/internal/proof"
	"github.com/bounce-milter/bounce-milter/milter"
)

// plans says what the daemon would do with messages beside tagging them; nil if no action
// is configured.
type plans struct {
	cfg  *config.Config
	list *action.List
}

func newPlans(cfg *config.Config) *plans {
	if len(cfg.Milter.Actions) == 0 {
		return nil
	}
	return &plans{cfg, action.New(cfg.Milter.Actions)}
}

// plan is what would be done with one message.
type plan struct {
	first   *action.Action // nil if no action is for it
	dry     []*action.Action
	passes  string // why nothing would be done all the same
	unknown bool   // an action goes by the recipients of the envelope, which are not known
}

// of finds the action for a message. whose says whose mail it returns, and recipients are those of its envelope, as far as the
// message itself says.
func (p *plans) of(res *classify.Result, whose *proof.Report, recipients []string) *plan {
	if p == nil {
		return nil
	}
	var out plan
	msg := whose.Action(res)
	msg.Recipients = recipients
	out.first, out.dry = p.list.First(msg)
	for _, o := range p.cfg.Milter.Actions {
		out.unknown = out.unknown || len(o.Match.EnvelopeRecipient) > 0 && len(recipients) == 0
	}
	switch {
	case p.cfg.Milter.Mode == milter.ModeObserve:
		out.passes = `mode = "observe" only counts it`
	case res.Truncated:
		out.passes = "only a part of the message was read, so it passes with headers alone"
	}
	return &out
}

// ofReply takes a reply as a report about one recipient.
func (p *plans) ofReply(r classify.Recipient) *plan {
	return p.of(&classify.Result{Kind: dsn.KindDSN, Recipients: []classify.Recipient{r}}, nil, nil)
}

// taken is the field action_taken of JSON: nil if no action is configured, "" if none
// would be taken.
func (p *plan) taken() *string {
	if p == nil {
		return nil
	}
	verb := ""
	if p.first != nil && p.first.Verb != action.None && p.passes == "" {
		verb = string(p.first.Verb)
	}
	return &verb
}

// short is the plan in a column: the name of the action and what it does.
func (p *plan) short() string {
	if p == nil || p.first == nil {
		return ""
	}
	return p.first.Name + ": " + string(p.first.Verb)
}

// text prints the plan below an explanation.
func (p *plan) text(out *paper, cfg *config.Config) {
	if p == nil {
		return
	}
	out.head("Action")
	for _, a := range p.dry {
		out.text(fmt.Sprintf("On trial, so only counted: %s: %s.", describe(cfg, a), does(a)))
	}
	if p.first == nil {
		out.text("No action of the configuration is for it.")
	} else {
		out.text(fmt.Sprintf("%s: %s.", describe(cfg, p.first), does(p.first)))
		if p.passes != "" {
			out.text("But " + p.passes + ".")
		}
	}
	if p.unknown {
		out.text("Actions that go by envelope_recipient were passed over: to whom the message was sent is not known here.")
	}
}

// describe names an action and its place.
func describe(cfg *config.Config, a *action.Action) string {
	for i := range cfg.Milter.Actions {
		if cfg.Milter.Actions[i].Name == a.Name {
			return fmt.Sprintf("%s (%s:%d)", a.Name, clean(cfg.File), cfg.Line(fmt.Sprintf("action[%d]", i)))
		}
	}
	return a.Name
}

// does says what an action does.
func does(a *action.Action) string {
	switch a.Verb {
	case action.Redirect:
		return "the message goes to " + strings.Join(a.Redirect, ", ") + " instead of its recipients"
	case action.Copy:
		return "the message goes to " + strings.Join(a.Copy, ", ") + " as well"
	case action.Quarantine:
		return fmt.Sprintf("the message is held in the queue, as %q", a.Quarantine)
	case action.Discard:
		return "the message is thrown away"
	case action.Reject:
		return fmt.Sprintf("the message is refused with %q, or held if the mail server made it itself", a.Reject)
	case action.Header:
		var list []string
		for _, f := range a.Header {
			list = append(list, f.Name+": "+f.Value)
		}
		return "the message gets " + strings.Join(list, ", ")
	}
	return "nothing is done"
}
