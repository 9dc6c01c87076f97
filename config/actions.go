package config

import (
	"fmt"
	"strconv"
	"strings"

	"github.com/bounce-milter/bounce-milter/internal/action"
	"github.com/bounce-milter/bounce-milter/internal/toml"
)

// actions are the tables [[action]].
var actions many = &manyOf[action.Options]{
	table:  "action",
	of:     func(c *Config) *[]action.Options { return &c.Milter.Actions },
	fresh:  func() action.Options { return action.Options{} },
	kindOf: func(o *action.Options) string { return string(o.Verb()) },
	own: []keyOf[action.Options]{
		{name: "name", doc: `Its name, in the log.`,
			bind: func(o *action.Options) value { return word{&o.Name, "dead"} }},

		condition("category", `Which messages it is for: each list must contain a value that fits. The recipient
that the headers describe decides.`, "invalid-address", func(m *action.Match) *[]string { return &m.Category }),
		condition("type", `"hard", "soft" or "block".`, "hard", func(m *action.Match) *[]string { return &m.Type }),
		condition("reason", `As bounce-milter rules list shows them.`, "unknown-recipient", func(m *action.Match) *[]string { return &m.Reason }),
		condition("provider", `Who refused; "other" is anybody unknown.`, "google", func(m *action.Match) *[]string { return &m.Provider }),
		condition("action", `What the report says: "failed", "delayed", "delivered", "relayed" or "expanded".`, "failed",
			func(m *action.Match) *[]string { return &m.Action }),
		condition("kind", `"dsn", "text", "feedback", "disposition" or "auto-reply".`, "feedback", func(m *action.Match) *[]string { return &m.Kind }),
		condition("origin", `"ours", "foreign" or "unproven".`, "ours", func(m *action.Match) *[]string { return &m.Origin }),
		condition("recipient", `The address that bounced; "*" stands for any characters.`, "*@example.com",
			func(m *action.Match) *[]string { return &m.Recipient }),
		condition("envelope_recipient", `The address that the message was sent to, likewise.`, "bounces+*@example.org",
			func(m *action.Match) *[]string { return &m.EnvelopeRecipient }),

		{name: "match.bound", doc: `Whether every address in the report must be one that your mail is proved to have gone to.
For actions after which addresses are removed from lists.`,
			bind: func(o *action.Options) value { return optional{boolean{&o.Match.Bound}} }},

		{name: "any_recipient", doc: `Whether one recipient of the report is enough, whichever it is.`,
			bind: func(o *action.Options) value { return optional{boolean{&o.AnyRecipient}} }},
		{name: "dry_run", doc: `Only count and log it: later actions are taken as if this one were not there.`,
			bind: func(o *action.Options) value { return optional{boolean{&o.DryRun}} }},

		does(action.Redirect, `Send the message to these addresses, and not to its recipients.`,
			func(o *action.Options) value { return choices{words{&o.Redirect, "dead-addresses@example.org"}} }),
		does(action.Copy, `Send it to these addresses too.`,
			func(o *action.Options) value { return choices{words{&o.Copy, "archive@example.org"}} }),
		does(action.Quarantine, `Hold it in the mail server's queue, for this reason; true gives a reason of ours.`,
			func(o *action.Options) value {
				return said{&o.Quarantine, action.DefaultReason, "complaints are read first"}
			}),
		does(action.Discard, `Throw it away.`, func(o *action.Options) value { return boolean{&o.Discard} }),
		does(action.Reject, `Refuse it with this enhanced code and text; true gives a text of ours. A bounce that
the mail server made itself is held instead.`,
			func(o *action.Options) value { return said{&o.Reject, action.DefaultReply, action.DefaultReply} }),
		does(action.Header, `Add header fields. Fields of these names are removed from mail from outside, like
those of the daemon itself.`,
			func(o *action.Options) value { return headers{&o.Header} }),
		does(action.None, `Do nothing, and pass over the actions below.`, func(o *action.Options) value { return boolean{&o.None} }),
	},
	sample: `[[action]]
name = "dead"
match = { type = ["hard"] }
redirect = ["dead-addresses@example.org"]

[[action]]
name = "complaints"
match = { kind = ["feedback"] }
copy = ["abuse@example.org"]
`,
}

// condition is a list of a match.
func condition(name, doc, example string, of func(*action.Match) *[]string) keyOf[action.Options] {
	return keyOf[action.Options]{name: "match." + name, doc: doc,
		bind: func(o *action.Options) value { return optional{choices{words{of(&o.Match), example}}} }}
}

// does is what an action can do.
func does(verb action.Verb, doc string, bind func(*action.Options) value) keyOf[action.Options] {
	return keyOf[action.Options]{name: string(verb), only: []string{string(verb)}, doc: doc,
		bind: func(o *action.Options) value { return optional{bind(o)} }}
}

// CheckActions returns what is wrong with the actions as to the words that the rules in
// force can say, and as a list. It passes over those that are wrong in themselves.
func (c *Config) CheckActions(voc action.Vocabulary) toml.Problems {
	ps := action.Check(c.Milter.Actions, voc)
	for i := range ps {
		ps[i].File, ps[i].Line = c.File, c.Line(ps[i].Key)
	}
	ps.Sort()
	return ps
}

// choices is a list of which an empty one differs from none: nothing would fit it.
type choices struct{ words }

func (v choices) set(in toml.Value, bad report) {
	if list, ok := takeList(in, v, bad); ok {
		*v.p = list
	}
}

type boolean struct{ p *bool }

func (v boolean) wants() string { return "true or false, without quotes" }
func (v boolean) text() string  { return strconv.FormatBool(*v.p) }

func (v boolean) set(in toml.Value, bad report) {
	if is(toml.Bool, in, v, bad) {
		*v.p = in.Text == "true"
	}
}

// said is a text, or true for the one that stands in for it.
type said struct {
	p            *string
	ours, sample string
}

func (v said) wants() string { return "true, or a string, as in " + toml.Quote(v.sample) }
func (v said) text() string  { return toml.Quote(*v.p) }

func (v said) set(in toml.Value, bad report) {
	switch {
	case in.Kind == toml.Bool && in.Text == "true":
		*v.p = v.ours
	case in.Kind != toml.String:
		bad(whole, "is %s: write %s", in.Kind, v.wants())
	case in.Text == "":
		bad(whole, "is empty: write %s", v.wants())
	default:
		*v.p = in.Text
	}
}

// headers are one header field or a list of them.
type headers struct{ p *[]action.Field }

func (v headers) wants() string {
	return `{ name = "X-Folder", value = "bounces" }, or a list of these`
}

func (v headers) text() string {
	list := make([]string, len(*v.p))
	for i, f := range *v.p {
		list[i] = fmt.Sprintf("{ name = %s, value = %s }", toml.Quote(f.Name), toml.Quote(f.Value))
	}
	return "[" + strings.Join(list, ", ") + "]"
}

func (v headers) set(in toml.Value, bad report) {
	list := in.List
	if in.Kind != toml.List {
		list = []toml.Value{in}
	}
	*v.p = make([]action.Field, len(list))
	for i, item := range list {
		if item.Kind != toml.Tables {
			bad(i, "is %s: write %s", item.Kind, v.wants())
			continue
		}
		for _, f := range item.Table.Fields {
			to, ok := map[string]*string{"name": &(*v.p)[i].Name, "value": &(*v.p)[i].Value}[f.Key]
			switch {
			case !ok:
				bad(i, "has an unknown key %q: write %s", f.Key, v.wants())
			case f.Value.Kind != toml.String:
				bad(i, "has %s for its %s: write %s", f.Value.Kind, f.Key, v.wants())
			default:
				*to = f.Value.Text
			}
		}
	}
}
