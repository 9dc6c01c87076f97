package config

import (
	"fmt"
	"slices"
	"strings"

	"github.com/bounce-milter/bounce-milter/internal/toml"
)

// many describes tables [[name]], of which there may be any number, all with the same
// keys. The keys of the second table are named "name[1].key".
type many interface {
	// count returns how many there are in a configuration.
	count(*Config) int
	// grow adds a table with its defaults, and returns its index.
	grow(*Config) int
	// keys returns the keys of the table with this index. They can be bound to any
	// configuration that has such a table.
	keys(item int) []key
	// unfit returns the keys that do not apply to the table with this index, each
	// with the reason for a message.
	unfit(c *Config, item int) map[string]string
	// example is what Show prints, as a comment, if there are no such tables.
	example() string
}

// manyOf is a table [[table]] that fills a list of T.
type manyOf[T any] struct {
	table string
	of    func(*Config) *[]T
	fresh func() T // with its defaults
	own   []keyOf[T]
	// kindKey is the key that says what kind an item is, "" if the keys themselves
	// tell. kindOf returns the kind; it is nil if all items are of one kind.
	kindKey string
	kindOf  func(*T) string
	sample  string
}

// keyOf is one setting of a table [[name]].
type keyOf[T any] struct {
	name string
	only []string // the kinds of item that it applies to, empty for all
	doc  string
	bind func(*T) value
}

// optional is a value that says nothing where it is empty. Show leaves it out.
type optional struct{ value }

func (v optional) isEmpty() bool { return slices.Contains([]string{"[]", `""`, "false"}, v.text()) }

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
		return nil // there is no such kind, which Validate reports
	}
	why := map[string]string{}
	for i, k := range m.keys(item) {
		if only := m.own[i].only; len(only) > 0 && !slices.Contains(only, kind) {
			why[k.name] = fmt.Sprintf("is for %s = %s, and this one's is %q: take it out", m.kindKey, toml.OneOf(only), kind)
			if m.kindKey == "" {
				why[k.name] = fmt.Sprintf("says nothing beside %s: take it out", kind)
			}
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

// items adds the tables [[name]] of the file to the configuration.
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
		if p.partly {
			continue
		}
		for name, why := range t.many.unfit(p.config, item) {
			if line := p.config.lines[name]; line > 0 {
				p.bad(line, name, "%s", why)
			}
		}
	}
}

// everyKey returns all keys of the configuration, including those of each item, but
// without those that do not apply to their item.
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

// itemKeys returns the keys that apply to one of the tables [[name]].
func (c *Config) itemKeys(t table, item int) []key {
	unfit := t.many.unfit(c, item)
	return slices.DeleteFunc(t.many.keys(item), func(k key) bool {
		v, ok := k.bind(c).(optional)
		return unfit[k.name] != "" || ok && v.isEmpty()
	})
}

// heading returns the line that begins a table.
func (t table) heading() string {
	switch {
	case t.inner != "":
		return fmt.Sprintf("[%s.%s]", t.name, t.inner)
	case t.many != nil:
		return fmt.Sprintf("[[%s]]", t.name)
	}
	return fmt.Sprintf("[%s]", t.name)
}

// own returns the keys of a table as the file names them. For a table [[name]] these are
// the keys of any kind, and the names of the tables in it.
func (t table) own() []string {
	var names []string
	list := keys
	if t.many != nil {
		list = t.many.keys(0)
	}
	for _, k := range list {
		if table, _ := k.table(); t.many == nil && table != t.name {
			continue
		}
		name := k.local()
		if t.inner != "" {
			var ok bool
			if name, ok = strings.CutPrefix(name, t.inner+"."); !ok {
				continue
			}
		}
		name, _, _ = strings.Cut(name, ".")
		if !slices.Contains(names, name) {
			names = append(names, name)
		}
	}
	return names
}

// inners returns the tables within a table [[name]].
func (t table) inners() []table {
	var list []table
	if t.many == nil {
		return nil
	}
	for _, k := range t.many.keys(0) {
		inner, _, ok := strings.Cut(k.local(), ".")
		if ok && !slices.ContainsFunc(list, func(u table) bool { return u.inner == inner }) {
			list = append(list, table{name: t.name, many: t.many, inner: inner})
		}
	}
	return list
}
