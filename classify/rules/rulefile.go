package rules

import (
	"regexp"
	"slices"
	"strings"

	"github.com/bounce-milter/bounce-milter/classify/reply"
	"github.com/pelletier/go-toml/v2/unstable"
)

var ruleKeys = []string{"id", "reason", "type", "provider", "code", "status", "any", "all", "none", "near", "token",
	"regex", "about", "frame", "last", "shadow", "examples"}

var exampleKeys = []string{"reply", "notice", "sender", "recipient", "remote_mta", "reporting_mta", "provider", "status", "code", "action"}

var abouts = []string{AboutSender, AboutSenderDomain, AboutLocal, AboutOtherHost}

var actions = []string{"failed", "delayed"}

// rules reads one rule file.
func (b *builder) rules(f File) {
	if b.ruleByID == nil {
		b.ruleByID = map[string]*Rule{}
	}
	names := []string{"[[rule]]"}
	if f.Admin {
		names = append(names, "[[override]]")
	}
	names = append(names, "[language]")
	within := false
	b.sections(f, names, func(s *section, r reader) {
		switch s.name {
		case "override":
			b.override(s, r)
			return
		case "language":
			within = language(s, r)
			return
		}
		before := len(b.problems)
		v := &Rule{File: f.Name, Line: s.line, Admin: f.Admin, Within: within, PhraseLines: map[string]int{}}
		for _, f := range s.fields {
			b.ruleField(v, f, r)
		}
		b.checkRule(v, s, r)
		v.Broken = len(b.problems) > before
	})
}

// language reads what is said of the language of all rules that follow in a
// file: whether it makes one word of many, so that a phrase may begin within
// one.
func language(s *section, r reader) (compounds bool) {
	for _, f := range s.fields {
		if f.key != "compounds" {
			r.unknown(f, "compounds")
			continue
		}
		compounds = r.boolean(f)
	}
	return compounds
}

// ruleField reads one key of a rule.
func (b *builder) ruleField(v *Rule, f field, r reader) {
	switch f.key {
	case "id":
		if v.ID = r.str(f); !validID(v.ID) {
			r.complain(f.line, "id %q must be of lower-case letters, digits and dashes, 64 at most", v.ID)
		}
	case "reason":
		v.Reason = r.str(f)
		if _, ok := b.reasonByID[v.Reason]; !ok {
			r.complain(f.line, "unknown reason %q%s", v.Reason, didYouMean(v.Reason, reasonIDs(b.reasonByID)))
		}
	case "type":
		if v.Type = r.str(f); !slices.Contains(types, v.Type) {
			r.complain(f.line, "unknown type %q%s", v.Type, didYouMean(v.Type, types))
		}
	case "provider":
		v.Providers = plainTexts(r.texts(f))
		names := b.providerNames()
		for _, p := range v.Providers {
			if !slices.Contains(names, p) {
				r.complain(f.line, "unknown provider %q%s", p, didYouMean(p, names))
			}
		}
	case "code":
		for _, t := range r.texts(f) {
			p, err := parseCode(t.s)
			if err != nil {
				r.complain(t.line, "%v", err)
				continue
			}
			v.Codes, v.CodeMatch = append(v.Codes, t.s), append(v.CodeMatch, p)
		}
	case "status":
		for _, t := range r.texts(f) {
			p, err := parseStatusPattern(t.s)
			if err != nil {
				r.complain(t.line, "%v", err)
				continue
			}
			v.Statuses, v.StatusMatch = append(v.Statuses, t.s), append(v.StatusMatch, p)
		}
	case "any":
		v.Any = v.phrases(f, r)
	case "all":
		v.All = v.phrases(f, r)
	case "none":
		v.None = v.phrases(f, r)
	case "near":
		v.Near = v.nearWords(f, r)
	case "token":
		v.Tokens = v.phrases(f, r)
	case "regex":
		v.Regex = r.str(f)
		p, err := regexp.Compile(v.Regex)
		if err != nil {
			r.complain(f.line, "regex: %s", strings.TrimPrefix(err.Error(), "error parsing regexp: "))
		}
		v.Pattern = p
	case "about":
		if v.About = r.str(f); !slices.Contains(abouts, v.About) {
			r.complain(f.line, "unknown about %q%s", v.About, didYouMean(v.About, abouts))
		}
	case "frame":
		v.Frame = r.boolean(f)
	case "last":
		v.Last = r.boolean(f)
	case "shadow":
		v.Shadow = r.boolean(f)
		if !v.Admin {
			r.complain(f.line, "shadow is for administrator's rules only")
		}
	case "examples":
		v.Examples = b.examples(f, r)
	default:
		r.unknown(f, ruleKeys...)
	}
}

// phrases reads a list of phrases or tokens.
func (v *Rule) phrases(f field, r reader) []string {
	var out []string
	for _, t := range r.texts(f) {
		switch {
		case len(t.s) > maxPhrase:
			r.complain(t.line, "%s holds a phrase of %d octets, %d are the most", f.key, len(t.s), maxPhrase)
			continue
		case len(strings.TrimSpace(t.s)) < 2:
			r.complain(t.line, "%s holds %q, which is too short to say anything", f.key, t.s)
			continue
		case slices.Contains(out, t.s):
			r.complain(t.line, "%s holds %q twice", f.key, t.s)
			continue
		}
		out = append(out, t.s)
		v.PhraseLines[t.s] = t.line
	}
	return out
}

// nearWords reads a list of phrases of which one must be near; "@" stands for an
// address.
func (v *Rule) nearWords(f field, r reader) []string {
	address := false
	vals := f.value.list
	f.value.list = slices.DeleteFunc(slices.Clone(vals), func(t value) bool {
		is := t.text == NearAddress
		address = address || is
		return is
	})
	if f.value.kind == unstable.Array && address && len(f.value.list) == 0 {
		return []string{NearAddress}
	}
	out := v.phrases(f, r)
	if address {
		out = append(out, NearAddress)
	}
	return out
}

// checkRule checks what only the whole rule shows, and files it.
func (b *builder) checkRule(v *Rule, s *section, r reader) {
	if v.ID == "" {
		r.complain(s.line, "a rule needs an id")
		return
	}
	if v.Reason == "" {
		r.complain(s.line, "rule %q needs a reason", v.ID)
	}
	if len(v.Any)+len(v.All)+len(v.Tokens) == 0 && v.Regex == "" && len(v.Statuses) == 0 && len(v.Codes) == 0 {
		r.complain(s.line, "rule %q has no condition: give it any, all, token or regex", v.ID)
	} else if !v.Admin && len(v.Any)+len(v.All)+len(v.Tokens) == 0 && v.Regex == "" && len(v.Providers) == 0 {
		r.complain(s.line, "rule %q has no words: codes alone belong into the code tables unless a provider is named", v.ID)
	}
	if len(v.Near) > 0 && len(v.Any) == 0 {
		r.complain(s.line, "rule %q has near and no any: what shall be near?", v.ID)
	}
	if v.Last && !v.Frame {
		r.complain(s.line, "rule %q is last, but no frame: only frames can be last", v.ID)
	}
	if len(v.Examples) == 0 {
		r.complain(s.line, "rule %q has no example", v.ID)
	}
	old := b.ruleByID[v.ID]
	switch {
	case old == nil:
	case v.Admin && !old.Admin:
		b.overrides = append(b.overrides, override{id: v.ID, disabled: true, file: v.File, line: v.Line})
	default:
		r.complain(s.line, "rule %q is there twice, first at %s:%d", v.ID, old.File, old.Line)
		return
	}
	b.ruleByID[v.ID] = v
	b.set.Rules = append(b.set.Rules, v)
}

// examples reads the example replies, strings or tables.
func (b *builder) examples(f field, r reader) []Example {
	vals := f.value.list
	if f.value.kind != unstable.Array {
		vals = []value{f.value}
	}
	var out []Example
	for _, v := range vals {
		switch v.kind {
		case unstable.String:
			out = append(out, Example{Reply: v.text, Line: v.line})
		case unstable.InlineTable:
			out = append(out, b.example(v, r))
		default:
			r.complain(v.line, "an example is a reply in quotes or a table { reply = \"…\", … }")
			continue
		}
		if e := out[len(out)-1]; e.Reply == "" && e.Notice == "" {
			r.complain(v.line, "an example needs a reply")
		}
	}
	return out
}

func (b *builder) example(v value, r reader) Example {
	e := Example{Line: v.line}
	r.what = "an example"
	for _, f := range v.table {
		switch f.key {
		case "reply":
			e.Reply = r.str(f)
		case "notice":
			e.Notice = r.str(f)
		case "sender":
			e.Sender = r.str(f)
		case "recipient":
			e.Recipient = r.str(f)
		case "remote_mta":
			e.RemoteMTA = r.str(f)
		case "reporting_mta":
			e.ReportingMTA = r.str(f)
		case "provider":
			e.Provider = r.str(f)
			if names := b.providerNames(); !slices.Contains(names, e.Provider) {
				r.complain(f.line, "unknown provider %q%s", e.Provider, didYouMean(e.Provider, names))
			}
		case "status":
			if e.Status = r.str(f); reply.ParseStatus(e.Status) == (reply.Status{}) {
				r.complain(f.line, "status %q is no enhanced code", e.Status)
			}
		case "code":
			if f.value.kind == unstable.String {
				e.Code = reply.AnyCode(f.value.text)
			} else {
				e.Code = r.integer(f)
			}
		case "action":
			if e.Action = r.str(f); !slices.Contains(actions, e.Action) {
				r.complain(f.line, "unknown action %q%s", e.Action, didYouMean(e.Action, actions))
			}
		default:
			r.unknown(f, exampleKeys...)
		}
	}
	return e
}

// override reads an administrator's word about a built-in rule.
func (b *builder) override(s *section, r reader) {
	o := override{file: r.file, line: s.line}
	for _, f := range s.fields {
		switch f.key {
		case "id":
			o.id = r.str(f)
		case "disabled":
			o.disabled = r.boolean(f)
		default:
			r.unknown(f, "id", "disabled")
		}
	}
	old := b.ruleByID[o.id]
	switch {
	case o.id == "":
		r.complain(s.line, "an override needs the id of a built-in rule")
	case old == nil:
		ids := make([]string, 0, len(b.ruleByID))
		for id := range b.ruleByID {
			ids = append(ids, id)
		}
		slices.Sort(ids)
		r.complain(s.line, "override of %q: there is no such rule%s", o.id, didYouMean(o.id, ids))
	case !o.disabled:
		r.complain(s.line, "override of %q does nothing: say disabled = true, or write a [[rule]] with this id", o.id)
	default:
		b.overrides = append(b.overrides, o)
	}
}

// applyOverrides takes out the rules that an administrator disabled or replaced.
func (b *builder) applyOverrides() {
	for _, o := range b.overrides {
		b.set.Rules = slices.DeleteFunc(b.set.Rules, func(v *Rule) bool { return v.ID == o.id && !v.Admin })
	}
}
