package rules

import (
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strings"
	"sync"

	"github.com/bounce-milter/bounce-milter/classify/reply"
	"github.com/bounce-milter/bounce-milter/internal/toml"
)

// ruleFile is the form of a file of rules.
type ruleFile struct {
	List     []writtenList
	Rule     []writtenRule
	Provider []writtenProvider
	Override []struct {
		Line     toml.Line
		ID       toml.Text
		Disabled bool
	}
	// WithinWords lets the phrases of all rules of the file begin within a word, for
	// languages that write many words as one.
	WithinWords bool `toml:"within_words"`

	// What an administrator teaches about notices in words, see package notice.
	Format, Cue toml.Foreign
}

// writtenRule is a rule as it is written.
type writtenRule struct {
	Line                        toml.Line
	ID, Reason, Type            toml.Text
	Provider, Code, Status      []toml.Text
	RemoteMTA                   []toml.Text `toml:"remote_mta"`
	Any, All, None, Near, Token []toml.Text
	Regex, About                toml.Text
	StockPhrase                 bool `toml:"stock_phrase"`
	Last, Shadow, Replaces      bool
	Examples                    []writtenExample
	NotExamples                 []writtenExample `toml:"not_examples"`
	Accepted                    []struct {
		Line              toml.Line
		Phrase, Rule, Why string
	}
}

// writtenExample is an example as it is written: as a table, or as its reply alone.
type writtenExample struct {
	Line                             toml.Line
	Reply, Notice, Sender, Recipient string
	RemoteMTA                        string `toml:"remote_mta"`
	ReportingMTA                     string `toml:"reporting_mta"`
	Provider, Status, Action         toml.Text
	Code                             toml.Value // a number, or a string
}

// FromText implements [toml.Short].
func (e *writtenExample) FromText(t toml.Text) {
	*e = writtenExample{Line: toml.Line(t.Line), Reply: t.S}
}

// Form implements [toml.Short].
func (e *writtenExample) Form() string {
	return "a reply in quotes, or a table { reply = \"…\", … }"
}

var abouts = []string{AboutSender, AboutSenderDomain, AboutLocal, AboutOtherHost}

var actions = []string{"failed", "delayed"}

// rules reads the rules of one file, which was parsed with these problems.
func (b *builder) rules(f File, data *ruleFile, problems Problems) {
	if b.ruleByID == nil {
		b.ruleByID = map[string]*Compiled{}
	}
	b.reasonNames, b.providerNames = reasonIDs(b.reasonByID), providerNames(b.set.Providers)
	b.problems = append(b.problems, problems...)
	b.lists = maps.Clone(b.shared)
	b.addLists(f, data.List)
	b.ownOnly(f, data)
	for i, t := range data.Rule {
		// What is wrong from here to the next rule makes this one broken.
		end := 1 << 62
		if i+1 < len(data.Rule) {
			end = int(data.Rule[i+1].Line)
		}
		before := len(b.problems)
		v := b.rule(f, t)
		v.Within = data.WithinWords
		v.Broken = len(b.problems) > before ||
			slices.ContainsFunc(problems, func(p Problem) bool { return p.Line >= v.Line && p.Line < end })
		if v.Broken {
			b.set.Broken = append(b.set.Broken, v)
		}
	}
	b.unusedLists(f.Name)
	for _, o := range data.Override {
		if !f.Admin {
			b.complain(f.Name, int(o.Line), "[[override]] is for administrator's rules only")
			continue
		}
		b.override(f, override{id: o.ID.S, disabled: o.Disabled, file: f.Name, line: int(o.Line)})
	}
}

// ownOnly complains about sections that only an administrator's file may have, and
// notes the file where it teaches notices in words.
func (b *builder) ownOnly(f File, data *ruleFile) {
	switch teaches := max(data.Format, data.Cue); {
	case f.Admin && teaches > 0:
		b.set.Notices = append(b.set.Notices, File{Name: f.Name, Data: f.Data, Admin: true})
	case f.Admin:
	case teaches > 0:
		b.complain(f.Name, int(teaches), "built-in formats and cues stand in classify/dsn/notice/data")
	case len(data.Provider) > 0:
		b.complain(f.Name, int(data.Provider[0].Line), "built-in providers belong in the folder providers")
	}
}

// rule reads a rule, checks it as a whole, and adds it to the set.
func (b *builder) rule(f File, t writtenRule) *Compiled {
	v := &Compiled{Rule: Rule{File: f.Name, Line: int(t.Line), Admin: f.Admin,
		ID: t.ID.S, Reason: t.Reason.S, Type: t.Type.S, Providers: toml.Strings(t.Provider),
		Regex: t.Regex.S, About: t.About.S, StockPhrase: t.StockPhrase, Last: t.Last,
		Shadow: t.Shadow, Replaces: t.Replaces}}
	if t.ID.Line > 0 && !validID(v.ID) {
		b.complain(f.Name, t.ID.Line, "id %q must be of lower-case letters, digits and dashes, 64 at most", v.ID)
	}
	b.oneOf(f, "reason", t.Reason, b.reasonNames)
	b.oneOf(f, "type", t.Type, types)
	b.oneOf(f, "about", t.About, abouts)
	for _, p := range t.Provider {
		b.provider(f, p)
	}
	for _, c := range t.Code {
		p, err := parseCode(c.S)
		if err != nil {
			b.complain(f.Name, c.Line, "%v", err)
			continue
		}
		v.Codes, v.CodeMatch = append(v.Codes, c.S), append(v.CodeMatch, p)
	}
	for _, c := range t.Status {
		p, err := parseStatusPattern(c.S)
		if err != nil {
			b.complain(f.Name, c.Line, "%v", err)
			continue
		}
		v.Statuses, v.StatusMatch = append(v.Statuses, c.S), append(v.StatusMatch, p)
	}
	for _, h := range t.RemoteMTA {
		v.RemoteMTAs = append(v.RemoteMTAs, b.host(f, h))
	}
	v.Any = b.phrases(v, "any", t.Any)
	v.All = b.phrases(v, "all", t.All)
	v.None = b.phrases(v, "none", t.None)
	v.Near = b.phrases(v, "near", t.Near)
	v.Tokens = b.phrases(v, "token", t.Token)
	if v.Regex != "" && !b.tested {
		if _, err := regexp.Compile(v.Regex); err != nil {
			b.complain(f.Name, t.Regex.Line, "regex: %s", strings.TrimPrefix(err.Error(), "error parsing regexp: "))
		}
	}
	for _, e := range t.Examples {
		v.Examples = append(v.Examples, b.example(f, e))
	}
	for _, e := range t.NotExamples {
		v.NotExamples = append(v.NotExamples, b.example(f, e))
	}
	for _, a := range t.Accepted {
		if a.Phrase == "" || a.Rule == "" || a.Why == "" {
			b.complain(f.Name, int(a.Line), "what is accepted needs a phrase, the rule that gets it, and why")
		}
		v.Accepted = append(v.Accepted, Accepted{Phrase: a.Phrase, Rule: a.Rule, Why: a.Why, Line: int(a.Line)})
	}
	b.checkRule(v)
	return v
}

// checkRule checks a rule as a whole, and adds it to the set.
func (b *builder) checkRule(v *Compiled) {
	bad := func(format string, args ...any) { b.complain(v.File, v.Line, format, args...) }
	if v.ID == "" {
		bad("a rule needs an id")
		return
	}
	if v.Reason == "" {
		bad("rule %q needs a reason", v.ID)
	}
	if len(v.Any)+len(v.All)+len(v.Tokens) == 0 && v.Regex == "" && len(v.Statuses)+len(v.Codes)+len(v.RemoteMTAs) == 0 {
		bad("rule %q has no condition: give it any, all or token", v.ID)
	} else if !v.Admin && len(v.Any)+len(v.All)+len(v.Tokens) == 0 && v.Regex == "" && len(v.Providers) == 0 {
		bad("rule %q has no words: codes alone belong in the code tables unless a provider is named", v.ID)
	}
	if v.Regex != "" && len(v.Any)+len(v.All)+len(v.Tokens) == 0 {
		bad("rule %q has a regex and no words: give it the phrases (any, all or token) without which the regex cannot match", v.ID)
	}
	if len(v.Near) > 0 && len(v.Any) == 0 {
		bad("rule %q has near and no any: give it the phrases (any) that near stands beside", v.ID)
	}
	if v.Last && !v.StockPhrase {
		bad("rule %q is last, but no stock phrase: only stock phrases can be last", v.ID)
	}
	if v.Shadow && !v.Admin {
		bad("rule %q: shadow is for administrator's rules only", v.ID)
	}
	if v.Replaces && !v.Admin {
		bad("rule %q: replaces is for administrator's rules only", v.ID)
	}
	if len(v.Examples) == 0 && !b.tested {
		bad("rule %q has no example", v.ID)
	}
	old := b.ruleByID[v.ID]
	switch {
	case old == nil && v.Replaces && v.Admin:
		b.warn(v, "rule %q says replaces = true, but no built-in rule has this id: see bounce-milter rules list", v.ID)
	case old == nil:
	case v.Admin && !old.Admin:
		b.overrides = append(b.overrides, override{id: v.ID, disabled: true, by: v})
		if v.Shadow {
			bad("rule %q has the id of a built-in rule (%s:%d), which it would switch off: give a shadow rule an id of its own",
				v.ID, old.File, old.Line)
		} else if !v.Replaces {
			b.replaced[v] = old
		}
	default:
		bad("rule %q is there twice, first at %s:%d", v.ID, old.File, old.Line)
		return
	}
	b.ruleByID[v.ID] = v
	b.set.Rules = append(b.set.Rules, v)
}

func (b *builder) example(f File, t writtenExample) Example {
	e := t.example()
	b.provider(f, t.Provider)
	b.oneOf(f, "action", t.Action, actions)
	if e.Status != "" && reply.ParseStatus(e.Status) == (reply.Status{}) {
		b.complain(f.Name, t.Status.Line, "status %q is no enhanced code", e.Status)
	}
	if c := t.Code; c.Line > 0 && e.Code == 0 {
		b.complain(f.Name, c.Line, "code is not an SMTP code: write three digits")
	}
	if e.Reply == "" && e.Notice == "" {
		b.complain(f.Name, e.Line, "an example needs a reply")
	}
	return e
}

func (t *writtenExample) example() Example {
	return Example{Line: int(t.Line), Reply: t.Reply, Notice: t.Notice, Sender: t.Sender, Recipient: t.Recipient,
		RemoteMTA: t.RemoteMTA, ReportingMTA: t.ReportingMTA, Provider: t.Provider.S, Status: t.Status.S, Action: t.Action.S,
		Code: AnyCode(t.Code.Text)}
}

// laterExamples are the examples of an embedded file, which are read when they are
// needed: judging does not need them.
type laterExamples struct {
	once  sync.Once
	file  string
	rules []*Compiled
}

// NeedExamples reads the examples of the rule, and of the others in its file, if they
// were not read yet. It may be called by several goroutines at once.
func (c *Compiled) NeedExamples() {
	if c.later != nil {
		c.later.once.Do(c.later.read)
	}
}

func (l *laterExamples) read() {
	data, err := embedded.ReadFile("text/" + l.file)
	if err != nil {
		return // it was read before
	}
	f := File{Name: l.file, Data: data}
	whole, _ := f.parse() // a test knows that there is no problem
	byLine := map[int]writtenRule{}
	for _, t := range whole.Rule {
		byLine[int(t.Line)] = t
	}
	for _, r := range l.rules {
		for _, e := range byLine[r.Line].Examples {
			r.Examples = append(r.Examples, e.example())
		}
		for _, e := range byLine[r.Line].NotExamples {
			r.NotExamples = append(r.NotExamples, e.example())
		}
	}
}

// override reads an administrator's word about a built-in rule.
func (b *builder) override(f File, o override) {
	old := b.ruleByID[o.id]
	switch {
	case o.id == "":
		b.complain(f.Name, o.line, "an override needs the id of a built-in rule")
	case old == nil:
		b.complain(f.Name, o.line,
			"override of %q: there is no such rule%s",
			o.id, toml.DidYouMean(o.id, slices.Sorted(maps.Keys(b.ruleByID))))
	case !o.disabled:
		b.complain(f.Name, o.line,
			"override of %q does nothing: say disabled = true, or write a [[rule]] with this id and replaces = true",
			o.id)
	default:
		b.overrides = append(b.overrides, o)
	}
}

// warn says what works but may not be meant.
func (b *builder) warn(v *Compiled, format string, args ...any) {
	b.set.Warnings = append(b.set.Warnings, Problem{File: v.File, Line: v.Line, Message: fmt.Sprintf(format, args...)})
}

// applyOverrides takes out the rules that an administrator disabled or replaced. A rule
// that replaces another without saying so may have got its id by chance; it is a warning
// only, because the next release may have a rule with that id, and the daemon must start.
func (b *builder) applyOverrides() {
	off := map[string]bool{}
	for _, o := range b.overrides {
		off[o.id] = off[o.id] || o.by == nil
	}
	for _, o := range b.overrides {
		if old := b.replaced[o.by]; old != nil && !off[o.id] {
			b.warn(o.by, "rule %q replaces the built-in rule with the same id (%s:%d): "+
				"write replaces = true if that is meant, or give it another id", o.id, old.File, old.Line)
		}
		b.set.Rules = slices.DeleteFunc(b.set.Rules, func(v *Compiled) bool { return v.ID == o.id && !v.Admin })
	}
}
