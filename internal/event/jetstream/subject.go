package jetstream

import (
	"fmt"
	"strings"

	"github.com/bounce-milter/bounce-milter/internal/event"
	"github.com/bounce-milter/bounce-milter/internal/toml"
)

// places are the placeholders of a subject. A value is one of a fixed set of words or made
// by us, and never "": a record without a category or type, such as a complaint, has its
// kind there, and a provider that no rule knows is "other", as in metrics.
var places = []struct {
	name string
	of   func(*event.Record) string
}{
	{"category", func(r *event.Record) string { return or(string(r.Category), string(r.Kind)) }},
	{"type", func(r *event.Record) string { return or(string(r.Type), string(r.Kind)) }},
	{"kind", func(r *event.Record) string { return string(r.Kind) }},
	{"provider", func(r *event.Record) string { return or(r.Provider, "other") }},
	{"source", func(r *event.Record) string { return string(r.Source) }},
	{"host", func(r *event.Record) string { return r.Host }},
}

func or(s, otherwise string) string {
	if s == "" {
		return otherwise
	}
	return s
}

// subject is a template: fixed text with placeholders between.
type subject struct {
	fixed []string // one more than of
	of    []func(*event.Record) string
	text  string
}

// maxSubject is the maximum length of a template, in octets. Servers accept 4 KiB for a
// whole command.
const maxSubject = 256

// parseSubject reads a template. The error says what to write instead.
func parseSubject(text string) (*subject, error) {
	s := &subject{text: text}
	rest := text
	for {
		before, after, ok := strings.Cut(rest, "{")
		if !ok {
			break
		}
		name, after, ok := strings.Cut(after, "}")
		if !ok {
			return nil, fmt.Errorf("%q opens a brace and does not close it: write it as in %q", text, defaultSubject)
		}
		of := place(name)
		if of == nil {
			return nil, fmt.Errorf("%q has {%s}, which is not a placeholder%s", text, name, toml.DidYouMean(name, placeNames()))
		}
		s.fixed, s.of = append(s.fixed, before), append(s.of, of)
		rest = after
	}
	s.fixed = append(s.fixed, rest)
	if len(text) > maxSubject {
		return nil, fmt.Errorf("a subject has at most %d characters, not %d", maxSubject, len(text))
	}
	for _, f := range s.fixed {
		if i := strings.IndexFunc(f, func(r rune) bool { return r != '.' && !isPlain(r) }); i >= 0 {
			return nil, fmt.Errorf("%q has a character that is not allowed in a subject: use letters, digits, - and _, separated by dots", text)
		}
	}
	if dots := "." + text + "."; strings.Contains(dots, "..") {
		return nil, fmt.Errorf("%q has an empty part: write something between dots", text)
	}
	return s, nil
}

func place(name string) func(*event.Record) string {
	for _, p := range places {
		if p.name == name {
			return p.of
		}
	}
	return nil
}

func placeNames() (names []string) {
	for _, p := range places {
		names = append(names, p.name)
	}
	return names
}

// forRecord returns the subject of a record. It always has as many parts as the template,
// whatever the record contains.
func (s *subject) forRecord(r *event.Record) string {
	var b strings.Builder
	for i, of := range s.of {
		b.WriteString(s.fixed[i])
		b.WriteString(word(of(r)))
	}
	b.WriteString(s.fixed[len(s.of)])
	return b.String()
}

// wildcard returns the subject that a stream needs to store every record.
func (s *subject) wildcard() string {
	parts := strings.Split(s.text, ".")
	for i, p := range parts {
		if strings.Contains(p, "{") {
			parts[i] = "*"
		}
	}
	return strings.Join(parts, ".")
}

// maxWord is the maximum length of the value of one placeholder, in octets.
const maxWord = 64

// word turns s into the value of a placeholder: underscores replace the dots of host names
// and whatever else has a meaning in a subject.
func word(s string) string {
	s = strings.Map(func(r rune) rune {
		if isPlain(r) {
			return r
		}
		return '_'
	}, s[:min(len(s), maxWord)])
	return or(s, "none")
}

func isPlain(r rune) bool {
	return r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' || r >= '0' && r <= '9' || r == '-' || r == '_'
}
