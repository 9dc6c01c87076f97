package action

import (
	"fmt"
	"regexp"
	"slices"
	"strings"

	"github.com/bounce-milter/bounce-milter/classify"
	"github.com/bounce-milter/bounce-milter/classify/origin"
	"github.com/bounce-milter/bounce-milter/internal/address"
	"github.com/bounce-milter/bounce-milter/internal/ascii"
	"github.com/bounce-milter/bounce-milter/internal/toml"
)

// Bounds on what may be written. With them a message costs microseconds at most.
const (
	maxActions = 100
	maxAction  = 32  // octets of a name
	maxGlobs   = 100 // of one list
	maxTargets = 20
	maxText    = 200 // octets of a reason or a reply
	maxFields  = 8
	maxName    = 64  // octets of a field's name
	maxValue   = 900 // of its value: a line has 998 (RFC 5322 section 2.1.1)
)

var (
	actionName = regexp.MustCompile(`^[a-z0-9][a-z0-9_-]*$`)
	fieldName  = regexp.MustCompile(`^[Xx]-[!-9;-~]+$`) // RFC 5322 section 2.2
	enhanced   = regexp.MustCompile(`^([45])\.[0-9]{1,3}\.[0-9]{1,3} `)
)

// Validate returns everything that is wrong with each action, apart from the names of
// reasons and providers, which Check knows. prefix is that of our own header fields. The
// keys are those of the configuration file.
func Validate(list []Options, prefix string) toml.Problems {
	var ps toml.Problems
	if len(list) > maxActions {
		ps.Add(fmt.Sprintf("action[%d]", maxActions), "is one of %d: write at most %d", len(list), maxActions)
	}
	names := map[string]bool{}
	for i := range list {
		o := &list[i]
		v := validation{&ps, fmt.Sprintf("action[%d]", i)}
		switch {
		case o.Name == "":
			v.bad("name", `is missing: write a name for the log, as in name = "dead"`)
		case len(o.Name) > maxAction || !actionName.MatchString(o.Name):
			v.bad("name", `%q is not a valid name: write at most 32 small letters, digits, "-" and "_", the first a letter or a digit`, o.Name)
		case names[o.Name]:
			v.bad("name", "another action has the name %q: give each its own", o.Name)
		}
		names[o.Name] = true
		v.match(o)
		v.verb(o)
		v.targets("redirect", o.Redirect, o)
		v.targets("copy", o.Copy, o)
		v.quarantine(o.Quarantine)
		v.reply(o.Reject)
		v.fields(o.Header, prefix)
	}
	return ps
}

// validation collects what is wrong with one action.
type validation struct {
	ps *toml.Problems
	at string
}

func (v *validation) bad(key, format string, args ...any) {
	if key != "" {
		key = "." + key
	}
	v.ps.Add(v.at+key, format, args...)
}

// verb checks that the action does one thing, and may do it.
func (v *validation) verb(o *Options) {
	switch list := o.verbs(); {
	case len(list) == 0:
		v.bad("", "does nothing: write one of redirect, copy, quarantine, discard, reject, header or none = true")
	case len(list) > 1:
		v.bad(string(list[1]), "stands beside %s: an action does one thing; make two of it, or take one out", list[0])
	case list[0] == Reject || list[0] == Discard:
		m := &o.Match
		if len(m.Category)+len(m.Type)+len(m.Reason)+len(m.Origin) == 0 && !m.Bound && !m.empty() {
			v.bad(string(list[0]), "needs category, type, reason or origin in its match, or it takes bounces that nobody has judged: add one")
		}
	}
}

// lists returns the lists of a match with their keys, in the order of the manual.
func (m *Match) lists() []matchList {
	return []matchList{{"category", m.Category}, {"type", m.Type}, {"reason", m.Reason}, {"provider", m.Provider}, {"action", m.Action},
		{"kind", m.Kind}, {"origin", m.Origin}, {"recipient", m.Recipient}, {"envelope_recipient", m.EnvelopeRecipient}}
}

type matchList struct {
	key    string
	values []string
}

// empty reports whether a match says nothing.
func (m *Match) empty() bool {
	return !m.Bound && !slices.ContainsFunc(m.lists(), func(l matchList) bool { return l.values != nil })
}

func (v *validation) match(o *Options) {
	m := &o.Match
	if m.empty() {
		v.bad("match", `is missing: write which messages it is for, as in match = { type = ["hard"] }`)
	}
	if m.Bound && m.Origin != nil && !slices.Contains(m.Origin, string(origin.Ours)) {
		v.bad("match.bound", `holds for mail that is ours alone, which match.origin lacks: write origin = ["ours"], or take one of them out`)
	}
	known := map[string][]string{"category": words(classify.Categories()), "type": words(classify.Types()), "action": words(reported),
		"kind": words(Kinds()), "origin": words(allOrigins)}
	for _, l := range m.lists() {
		key := "match." + l.key
		if l.values != nil && len(l.values) == 0 {
			v.bad(key, "is an empty list, which nothing fits: name a value, or take it out")
		}
		isGlob := l.key == "recipient" || l.key == "envelope_recipient"
		if isGlob && len(l.values) > maxGlobs {
			v.bad(fmt.Sprintf("%s[%d]", key, maxGlobs), "is one of %d: write at most %d", len(l.values), maxGlobs)
		}
		for i, w := range l.values {
			at := fmt.Sprintf("%s[%d]", key, i)
			list, closed := known[l.key]
			switch {
			case slices.Contains(l.values[:i], w):
				v.bad(at, "%q is listed twice: take one out", w)
			case l.key == "kind" && w == "none":
				v.bad(at, `"none" is ordinary mail, to which nothing is done: write %s`, toml.OneOf(Kinds()))
			case closed && !slices.Contains(list, w):
				v.bad(at, "%q is no %s%s", w, l.key, toml.DidYouMean(w, list))
			case isGlob:
				if err := checkGlob(w); err != nil {
					v.bad(at, "%q %v", w, err)
				}
			}
		}
	}
}

func words[T ~string](list []T) []string {
	out := make([]string, len(list))
	for i, w := range list {
		out[i] = string(w)
	}
	return out
}

// targets checks the addresses that the action sends to.
func (v *validation) targets(key string, list []string, o *Options) {
	if list != nil && len(list) == 0 {
		v.bad(key, `is an empty list: write whom to send to, as in ["postmaster@example.org"]`)
	}
	if len(list) > maxTargets {
		v.bad(fmt.Sprintf("%s[%d]", key, maxTargets), "is one of %d: write at most %d", len(list), maxTargets)
	}
	from := newGlobs(o.Match.EnvelopeRecipient)
	for i, a := range list {
		at := fmt.Sprintf("%s[%d]", key, i)
		switch {
		case !isAddress(a):
			v.bad(at, `%q is no address: write a whole one in ASCII, as in "postmaster@example.org"`, a)
		case slices.ContainsFunc(list[:i], func(other string) bool { return SameAddress(a, other) }):
			v.bad(at, "%q is listed twice: take one out", a)
		case from != nil && from.match(strings.ToLower(a)):
			v.bad(at, "%q fits match.envelope_recipient, so mail would go back to where it came from: name another address", a)
		}
	}
}

// isAddress reports whether s is an address that every mail server takes.
func isAddress(s string) bool {
	return len(s) <= 254 && ascii.Only(s) && !strings.ContainsFunc(s, ascii.IsBlank) && address.IsMailbox(s) && s[0] != '"' &&
		strings.Count(s, "@") == 1 && !strings.ContainsAny(s, "*%!:[]") && !strings.Contains(s, "..") && s[0] != '.' &&
		!strings.Contains(s, ".@") && !strings.HasSuffix(s, ".") && !strings.Contains(s, "@.") && !strings.Contains(s, "@-")
}

// SameAddress reports whether two addresses mean the same mailbox as far as anybody can tell
// from outside. Hardly any server tells upper from lower case in a local part.
func SameAddress(a, b string) bool { return strings.EqualFold(a, b) }

// quarantine checks the reason that the mail server notes.
func (v *validation) quarantine(reason string) {
	if reason == "" {
		return
	}
	if err := checkLine(reason, maxText); err != nil {
		v.bad("quarantine", "%q %v", reason, err)
	}
}

// reply checks the reply that a client gets.
func (v *validation) reply(text string) {
	if text == "" {
		return
	}
	switch err := checkLine(text, maxText); {
	case err != nil:
		v.bad("reject", "%q %v", text, err)
	case !enhanced.MatchString(text):
		v.bad("reject", `%q does not begin with an enhanced code of a refusal and a space: write one in front, as in "%s"`, text, DefaultReply)
	case strings.Contains(text, "%"):
		v.bad("reject", `%q has a "%%", which mail servers read in different ways: take it out`, text)
	}
}

// checkLine says why s cannot stand in one line of SMTP (RFC 5321 section 4.2).
func checkLine(s string, limit int) error {
	bad := func(r rune) bool { return r < ' ' || r >= 0x7f }
	switch i := strings.IndexFunc(s, bad); {
	case strings.ContainsAny(s, "\r\n"):
		return fmt.Errorf("has a line end: write one line")
	case i >= 0:
		return fmt.Errorf("has the character %q: write printable ASCII", []rune(s[i:])[0])
	case len(s) > limit:
		return fmt.Errorf("is %d octets long: write at most %d", len(s), limit)
	case strings.TrimSpace(s) != s:
		return fmt.Errorf("has a space at its beginning or end: take it out")
	}
	return nil
}

// fields checks the header fields that the action adds. Fields with their names are taken
// off all mail from outside, so the names must not be ones that mail has.
func (v *validation) fields(list []Field, prefix string) {
	if list != nil && len(list) == 0 {
		v.bad("header", `is an empty list: write a field, as in { name = "X-Folder", value = "bounces" }`)
	}
	if len(list) > maxFields {
		v.bad(fmt.Sprintf("header[%d]", maxFields), "is one of %d fields: write at most %d", len(list), maxFields)
	}
	for i, f := range list {
		at := fmt.Sprintf("header[%d]", i)
		switch {
		case f.Name == "":
			v.bad(at, `has no name: write one, as in { name = "X-Folder", value = "bounces" }`)
		case len(f.Name) > maxName:
			v.bad(at, "the name is %d octets long: write at most %d", len(f.Name), maxName)
		case strings.ContainsFunc(f.Name, func(r rune) bool { return r <= ' ' || r >= 0x7f || r == ':' }):
			v.bad(at, `%q has a character that a name of a header field cannot have: write letters, digits and "-"`, f.Name)
		case !fieldName.MatchString(f.Name):
			v.bad(at, `%q could be a field of the mail's own, and fields of this name are removed from all other mail: begin it with "X-"`, f.Name)
		case len(f.Name) >= len(prefix) && strings.EqualFold(f.Name[:len(prefix)], prefix):
			v.bad(at, "%q begins with %q, as the daemon's own fields do: write another name", f.Name, prefix)
		case f.Value == "":
			v.bad(at, "%s has no value: write one", f.Name)
		default:
			if err := checkLine(f.Value, maxValue); err != nil {
				v.bad(at, "the value of %s %v", f.Name, err)
			}
		}
	}
}
