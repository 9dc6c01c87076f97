package config

import (
	"fmt"
	"slices"

	"github.com/bounce-milter/bounce-milter/internal/toml"
)

// many is a table [[name]], of which there may be any number, each with the same keys.
// The keys of the second are named "name[1].key".
type many interface {
	// count returns how many there are in a configuration.
	count(*Config) int
	// grow adds one with its defaults, and returns its place.
	grow(*Config) int
	// keys returns the keys of the one at a place. They are bound to any
	// configuration that has that place.
	keys(item int) []key
	// unfit returns the keys that mean nothing for the one at a place, each with
	// why, as a message says it.
	unfit(c *Config, item int) map[string]string
	// example is what Show prints, as a comment, where there is none.
	example() string
}

// manyOf is a table [[table]] that fills a list of T.
type manyOf[T any] struct {
	table string
	of    func(*Config) *[]T
	fresh func() T // with its defaults
	own   []keyOf[T]
	// kindKey is the key that says the kind of an item, and kindOf the kind;
	// "" and nil where all are of one.
	kindKey string
	kindOf  func(*T) string
	sample  string
}

// keyOf is one thing that may be set in a table [[name]].
type keyOf[T any] struct {
	name string
	only []string // the kinds that it is for, none for all
	doc  string
	bind func(*T) value
}

var _ many = (*manyOf[int])(nil)

func (m *manyOf[T]) count(c *Config) int { return len(*m.of(c)) }
func (m *manyOf[T]) example() string     { return m.sample }

func (m *manyOf[T]) grow(c *Config) int {
	list := m.of(c)
	*list = append(*list, m.fresh())
	return len(*list) - 1
}

func (m *manyOf[T]) unfit(c *Config, item int) map[string]string {
	if m.kindOf == nil {
		return nil
	}
	kind := m.kindOf(&(*m.of(c))[item])
	if !slices.ContainsFunc(m.own, func(k keyOf[T]) bool { return slices.Contains(k.only, kind) }) {
		return nil // no kind at all, which is said elsewhere
	}
	why := map[string]string{}
	for i, k := range m.keys(item) {
		if only := m.own[i].only; len(only) > 0 && !slices.Contains(only, kind) {
			why[k.name] = fmt.Sprintf("is for %s = %s, and this one's is %q: take it out", m.kindKey, toml.OneOf(only), kind)
		}
	}
	return why
}

func (m *manyOf[T]) keys(item int) []key {
	list := make([]key, len(m.own))
	for i, k := range m.own {
		list[i] = key{name: itemKey(m.table, item) + "." + k.name, doc: k.doc,
			bind: func(c *Config) value { return k.bind(&(*m.of(c))[item]) }}
	}
	return list
}

// items lays the tables [[name]] of the file over the configuration.
func (p *parser) items(t table, f toml.Field) {
	list := f.Value.List
	wrong := f.Value.Kind != toml.List
	for _, v := range list {
		wrong = wrong || v.Kind != toml.Tables
	}
	switch {
	case wrong && f.Value.Headed:
		p.bad(f.Line, "", "[%s]: there may be several: write [[%[1]s]]", t.name)
		return
	case wrong:
		p.bad(f.Line, t.name, "is a table of which there may be several: write the keys of each below a line [[%s]]", t.name)
		return
	}
	for _, v := range list {
		item := t.many.grow(p.config)
		keys := t.many.keys(item)
		p.config.lines[itemKey(t.name, item)] = v.Line
		p.fields(t, itemKey(t.name, item), keys, v.Table)
		for name, why := range t.many.unfit(p.config, item) {
			if line := p.config.lines[name]; line > 0 {
				p.bad(line, name, "%s", why)
			}
		}
	}
}

// everyKey returns the keys of the configuration, those of each item included, less
// those that mean nothing for their item.
func (c *Config) everyKey() []key {
	list := keys
	for _, t := range tables {
		if t.many == nil {
			continue
		}
		for i := range t.many.count(c) {
			list = append(list[:len(list):len(list)], c.itemKeys(t, i)...)
		}
	}
	return list
}

// itemKeys returns the keys that mean something for one of the tables [[name]].
func (c *Config) itemKeys(t table, item int) []key {
	unfit := t.many.unfit(c, item)
	return slices.DeleteFunc(t.many.keys(item), func(k key) bool { return unfit[k.name] != "" })
}

// heading is the line that begins a table.
func (t table) heading() string {
	if t.many != nil {
		return fmt.Sprintf("[[%s]]", t.name)
	}
	return fmt.Sprintf("[%s]", t.name)
}

// own returns the keys of a table as the file names them, of a table [[name]] those
// of any.
func (t table) own() []string {
	var names []string
	list := keys
	if t.many != nil {
		list = t.many.keys(0)
	}
	for _, k := range list {
		if table, name := k.table(); t.many != nil || table == t.name {
			names = append(names, name)
		}
	}
	return names
}
