package rules

import (
	"fmt"
	"hash"
	"slices"
	"strings"

	"github.com/pelletier/go-toml/v2/unstable"
)

// builder fills a Set and collects what is wrong with the data.
type builder struct {
	set        *Set
	hash       hash.Hash
	problems   Problems
	reasonByID map[string]Reason
	ruleByID   map[string]*Rule
	overrides  []override
}

// override is an administrator's word about a built-in rule.
type override struct {
	id       string
	disabled bool
	file     string
	line     int
}

var types = []string{"hard", "soft", "block"}

// categories are those of package classify, which a test holds this list to.
var categories = []string{"invalid-address", "mailbox", "mailbox-full", "rate-limit", "recipient-error",
	"rejection", "dmarc", "sender-reputation", "blocked", "unclassified"}

func (b *builder) complain(file string, line int, format string, args ...any) {
	b.problems = append(b.problems, Problem{file, line, fmt.Sprintf(format, args...)})
}

// sections parses a file and calls f for every section with the wanted name.
func (b *builder) sections(f File, names []string, do func(*section, reader)) {
	parse := f.parse
	if parse == nil {
		parse = func() (*document, []Problem) { return parseDocument(f.Name, f.Data) }
	}
	doc, problems := parse()
	b.problems = append(b.problems, problems...)
	if doc == nil {
		return
	}
	for _, s := range doc.sections {
		switch {
		case s.name == "" && len(s.fields) == 0:
		case s.name == "":
			b.complain(f.Name, s.fields[0].line, "%q stands outside of any section; sections are %s", s.fields[0].key, strings.Join(names, ", "))
		case slices.Contains(names, s.what()):
			do(s, reader{f.Name, s.what(), (*[]Problem)(&b.problems)})
		default:
			b.complain(f.Name, s.line, "unknown section %s; sections here are %s", s.what(), strings.Join(names, ", "))
		}
	}
}

// what is the section's heading.
func (s *section) what() string {
	if s.array {
		return "[[" + s.name + "]]"
	}
	return "[" + s.name + "]"
}

func (b *builder) providers(f File) {
	seen := map[string]bool{OtherProvider: true}
	mx := map[string]string{}
	b.sections(f, []string{"[[provider]]"}, func(s *section, r reader) {
		var v Provider
		for _, f := range s.fields {
			switch f.key {
			case "name":
				v.Name = r.str(f)
			case "mx", "reporting":
				for _, t := range r.texts(f) {
					host := strings.Trim(strings.ToLower(t.s), ".")
					if host != t.s {
						r.complain(t.line, "write %q as %q: lower case, no dot around it", t.s, host)
					}
					if f.key == "reporting" {
						v.Reporting = append(v.Reporting, host)
						continue
					}
					if other := mx[host]; other != "" {
						r.complain(t.line, "host %q belongs to provider %q already", host, other)
					}
					mx[host] = v.Name
					v.MX = append(v.MX, host)
				}
			case "reply":
				v.Reply = append(v.Reply, plainTexts(r.texts(f))...)
			default:
				r.unknown(f, "name", "mx", "reply", "reporting")
			}
		}
		switch {
		case !validID(v.Name):
			r.complain(s.line, "a provider needs a name of lower-case letters, digits and dashes")
		case seen[v.Name]:
			r.complain(s.line, "provider %q is there twice", v.Name)
		}
		seen[v.Name] = true
		b.set.Providers = append(b.set.Providers, v)
	})
}

func (b *builder) wrappers(f File) {
	b.sections(f, []string{"[[wrapper]]", "[[tail]]", "[words]", "[witness]", "[elsewhere]"}, func(s *section, r reader) {
		switch s.name {
		case "witness":
			b.witness(s, r)
		case "elsewhere":
			b.elsewhere(s, r)
		case "tail":
			b.tail(s, r)
		case "words":
			b.words(s, r)
		default:
			b.wrapper(s, r)
		}
	})
}

func (b *builder) witness(s *section, r reader) {
	w := &b.set.Witness
	for _, f := range s.fields {
		switch f.key {
		case "recipient":
			w.Recipient = append(w.Recipient, plainTexts(r.texts(f))...)
		case "rcpt":
			w.RCPT = append(w.RCPT, plainTexts(r.texts(f))...)
		case "sender":
			w.Sender = append(w.Sender, plainTexts(r.texts(f))...)
		case "before":
			w.Before = append(w.Before, plainTexts(r.texts(f))...)
		default:
			r.unknown(f, "recipient", "rcpt", "sender", "before")
		}
	}
}

func (b *builder) elsewhere(s *section, r reader) {
	w := &b.set.Elsewhere
	for _, f := range s.fields {
		switch f.key {
		case "sender":
			w.Sender = append(w.Sender, plainTexts(r.texts(f))...)
		case "thing":
			w.Thing = append(w.Thing, plainTexts(r.texts(f))...)
		case "unless":
			w.Unless = append(w.Unless, plainTexts(r.texts(f))...)
		case "behind":
			w.Behind = append(w.Behind, plainTexts(r.texts(f))...)
		case "recipient":
			w.Recipient = append(w.Recipient, plainTexts(r.texts(f))...)
		default:
			r.unknown(f, "sender", "thing", "behind", "unless", "recipient")
		}
	}
}

func (b *builder) words(s *section, r reader) {
	for _, f := range s.fields {
		switch f.key {
		case "light":
			b.set.Light = append(b.set.Light, plainTexts(r.texts(f))...)
			continue
		case "naming":
			b.set.Naming = append(b.set.Naming, plainTexts(r.texts(f))...)
			continue
		case "mute":
			b.set.Mute = append(b.set.Mute, plainTexts(r.texts(f))...)
			continue
		case "greeting":
			b.set.Greetings = append(b.set.Greetings, plainTexts(r.texts(f))...)
			continue
		case "compounds":
		default:
			r.unknown(f, "compounds", "greeting", "light", "mute", "naming")
			continue
		}
		for _, t := range r.texts(f) {
			head, tail, ok := strings.Cut(t.s, "-")
			if !ok || head == "" || tail == "" {
				r.complain(t.line, "write %q with a hyphen between its parts", t.s)
			}
			b.set.Compounds = append(b.set.Compounds, Compound{head, tail})
		}
	}
}

func (b *builder) tail(s *section, r reader) {
	var v Tail
	for _, f := range s.fields {
		switch f.key {
		case "marker":
			v.Marker = plainTexts(r.texts(f))
		case "end":
			v.End = r.str(f)
		case "words":
			v.Words = plainTexts(r.texts(f))
		default:
			r.unknown(f, "marker", "end", "words")
		}
	}
	if len(v.Marker) == 0 {
		r.complain(s.line, "a tail needs a marker")
	}
	b.set.Tails = append(b.set.Tails, v)
}

func (b *builder) wrapper(s *section, r reader) {
	var v Wrapper
	for _, f := range s.fields {
		switch f.key {
		case "marker":
			v.Marker = plainTexts(r.texts(f))
		case "code":
			v.Code = r.boolean(f)
		case "skip":
			v.Skip = r.str(f)
		default:
			r.unknown(f, "marker", "code", "skip")
		}
	}
	if len(v.Marker) == 0 {
		r.complain(s.line, "a wrapper needs a marker")
	}
	b.set.Wrappers = append(b.set.Wrappers, v)
}

func (b *builder) providerNames() []string {
	names := []string{OtherProvider}
	for _, p := range b.set.Providers {
		names = append(names, p.Name)
	}
	return names
}

func reasonIDs(m map[string]Reason) []string {
	ids := make([]string, 0, len(m))
	for id := range m {
		ids = append(ids, id)
	}
	slices.Sort(ids)
	return ids
}

func plainTexts(ts []text) []string {
	var out []string
	for _, t := range ts {
		out = append(out, t.s)
	}
	return out
}

// integer reads a whole number.
func (r reader) integer(f field) int {
	n := 0
	if f.value.kind != unstable.Integer {
		r.complain(f.line, "%s must be a number", f.key)
	} else if _, err := fmt.Sscan(f.value.text, &n); err != nil {
		r.complain(f.line, "%s must be a number", f.key)
	}
	return n
}
