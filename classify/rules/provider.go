package rules

import (
	"slices"

	"github.com/bounce-milter/bounce-milter/internal/toml"
)

// writtenProvider is a provider as it is written.
type writtenProvider struct {
	Line                 toml.Line
	Name                 toml.Text
	MX, Reply, Reporting []toml.Text
}

// sign is a host or a word that tells a provider, and where that is written.
type sign struct {
	provider, file string
	line           int
	admin          bool
}

// maxOwnProviders is how many providers an administrator may add: each makes some
// thirty series of metrics.
const maxOwnProviders = 100

// minReplyWord is how short a word of a reply may be that tells a provider.
const minReplyWord = 4

// providers reads a file of built-in providers.
func (b *builder) providers(f File) {
	var data struct{ Provider []writtenProvider }
	b.decode(f, &data)
	b.addProviders(f, data.Provider)
}

// addProviders adds the providers of a file. Those of an administrator may extend one
// that is there; a host or word that tells a built-in one is taken from it.
func (b *builder) addProviders(f File, list []writtenProvider) {
	for _, t := range list {
		i := b.addProvider(f, t)
		if i < 0 {
			continue
		}
		if len(t.MX)+len(t.Reply)+len(t.Reporting) == 0 {
			b.complain(f.Name, int(t.Line), "provider %q has no hosts and no words: give it mx, reply or reporting", t.Name.S)
		}
		for _, h := range t.MX {
			b.tell(f, "mx", h.Line, b.host(f, h), i)
		}
		for _, w := range t.Reply {
			if !b.isPhrase(f.Name, "reply", w) {
				continue
			}
			if len(w.S) < minReplyWord {
				b.complain(f.Name, w.Line, "reply holds %q, which is too short: write %d octets or more", w.S, minReplyWord)
				continue
			}
			b.tell(f, "reply", w.Line, w.S, i)
			if f.Admin {
				b.set.OwnWords = append(b.set.OwnWords, OwnWord{Text: w.S, File: f.Name, Line: w.Line})
			}
		}
		for _, h := range t.Reporting {
			b.tell(f, "reporting", h.Line, b.host(f, h), i)
		}
	}
}

// addProvider returns the number of the provider with a name, and adds it if it is new.
// It returns -1 if the name may not be used.
func (b *builder) addProvider(f File, t writtenProvider) int {
	name, line := t.Name.S, t.Name.Line
	if line == 0 {
		line = int(t.Line)
	}
	i := slices.IndexFunc(b.set.Providers, func(p Provider) bool { return p.Name == name })
	switch {
	case !validID(name):
		b.complain(f.Name, line, "a provider needs a name of lower-case letters, digits and dashes, 64 at most")
	case name == OtherProvider:
		b.complain(f.Name, line, "%q is every provider that is not known: give this one another name", name)
	case i >= 0 && !f.Admin:
		b.complain(f.Name, line, "provider %q is there twice", name)
	case i >= 0:
		return i
	case f.Admin && b.own == maxOwnProviders:
		b.complain(f.Name, line,
			"provider %q is one too many: you can add %d, because each is a label of metrics",
			name, maxOwnProviders)
	default:
		if f.Admin {
			b.own++
		}
		b.set.Providers = append(b.set.Providers, Provider{Name: name})
		return len(b.set.Providers) - 1
	}
	return -1
}

// list is the list of a key.
func (p *Provider) list(key string) *[]string {
	switch key {
	case "mx":
		return &p.MX
	case "reply":
		return &p.Reply
	}
	return &p.Reporting
}

// tell notes that a host or a word tells a provider. Each tells one only.
func (b *builder) tell(f File, key string, line int, s string, i int) {
	p := &b.set.Providers[i]
	switch old, known := b.signs[key][s]; {
	case known && old.admin == f.Admin && (old.provider != p.Name || !f.Admin):
		b.complain(f.Name, line,
			"%q belongs to provider %q already (%s:%d): remove it in one place",
			s, old.provider, old.file, old.line)
		return
	case known && old.provider == p.Name:
		return // it is built in by now
	case known: // the administrator's word goes before the built-in one
		k := slices.IndexFunc(b.set.Providers, func(p Provider) bool { return p.Name == old.provider })
		list := b.set.Providers[k].list(key)
		*list = slices.DeleteFunc(*list, func(t string) bool { return t == s })
	}
	b.signs[key][s] = sign{provider: p.Name, file: f.Name, line: line, admin: f.Admin}
	list := p.list(key)
	*list = append(*list, s)
}

func providerNames(list []Provider) []string {
	names := []string{OtherProvider}
	for _, p := range list {
		names = append(names, p.Name)
	}
	return names
}
