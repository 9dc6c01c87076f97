package config

import (
	"fmt"
	"slices"
	"strings"

	"github.com/bounce-milter/bounce-milter/internal/toml"
)

// Parse reads a configuration; path is its name in messages. The error is
// [toml.Problems].
func Parse(path string, data []byte) (*Config, error) {
	c, problems := examine(path, data)
	if err := problems.Err(); err != nil {
		return nil, err
	}
	return c, nil
}

// examine reads a configuration and returns what could be read of it, nil if it is not
// TOML, and everything that is wrong.
func examine(path string, data []byte) (*Config, toml.Problems) {
	doc, problems := toml.Parse(path, data)
	if doc == nil {
		return nil, problems
	}
	c := Default()
	c.File, c.lines = path, map[string]int{}
	p := parser{config: c, problems: problems, partly: len(problems) > 0}
	p.table(tables[0], doc)
	if p.partly { // what is missing is not a mistake of its own
		p.problems.Sort()
		return nil, p.problems
	}
	c.Milter.Events = len(c.Events.Sinks) > 0
	p.validate()
	p.problems.Sort()
	return c, p.problems
}

// parser lays one file over a configuration.
type parser struct {
	config   *Config
	problems toml.Problems
	partly   bool // some lines could not be read
}

// bad reports what is wrong on a line, with a key or, if key is "", with the line itself.
func (p *parser) bad(line int, key, format string, a ...any) {
	p.problems = append(p.problems, toml.Problem{File: p.config.File, Line: line, Key: key, Message: fmt.Sprintf(format, a...)})
}

// table lays a [table] of the file over the configuration.
func (p *parser) table(t table, in *toml.Table) { p.fields(t, t.name, keys, in) }

// fields lays the fields of a table over those of the known keys that begin with
// prefix.
func (p *parser) fields(t table, prefix string, known []key, in *toml.Table) {
	for _, f := range in.Fields {
		full := f.Key
		if prefix != "" {
			full = prefix + "." + f.Key
		}
		if i := slices.IndexFunc(tables[1:], func(t table) bool { return t.name == full }); i >= 0 {
			p.below(tables[1+i], f)
			continue
		}
		i := slices.IndexFunc(known, func(k key) bool { return k.name == full })
		if within := full + "."; i < 0 && slices.ContainsFunc(known, func(k key) bool { return strings.HasPrefix(k.name, within) }) {
			p.inner(t, full, known, f)
			continue
		}
		if i < 0 {
			p.unknown(t, f)
			continue
		}
		p.config.lines[full] = f.Line
		for i, item := range f.Value.List {
			p.config.lines[itemKey(full, i)] = item.Line
		}
		known[i].bind(p.config).set(f.Value, func(item int, format string, a ...any) {
			at := full
			if item != whole {
				at = itemKey(full, item)
			}
			p.problems = append(p.problems, p.config.problem(at, format, a...))
		})
	}
}

// below lays a field over the configuration that is a table of its own.
func (p *parser) below(t table, f toml.Field) {
	switch {
	case t.many != nil:
		p.items(t, f)
	case f.Value.Kind == toml.Tables:
		p.table(t, f.Value.Table)
	case f.Value.Headed:
		p.bad(f.Line, "", "[[%s]]: is a single table: write [%[1]s]", t.name)
	default:
		p.bad(f.Line, t.name, "is a table: write its keys below a line [%s]", t.name)
	}
}

// inner adds a table that stands within a table [[name]].
func (p *parser) inner(t table, full string, known []key, f toml.Field) {
	t.inner = f.Key
	p.config.lines[full] = f.Line
	switch {
	case f.Value.Kind == toml.Tables:
		p.fields(t, full, known, f.Value.Table)
	case f.Value.Headed:
		p.bad(f.Line, "", "[%s]: is a single table: write %s", t.heading(), t.heading())
	default:
		p.bad(f.Line, full, "is a table: write its keys in braces, or below a line %s", t.heading())
	}
}

func itemKey(name string, i int) string { return fmt.Sprintf("%s[%d]", name, i) }

// validate adds what is wrong with the values themselves, except for values that
// could not be read and are reported already.
func (p *parser) validate() {
	unread := map[string]bool{}
	for _, q := range p.problems {
		for key := q.Key; key != ""; key, _ = cutLast(key) {
			unread[key] = true // what it belongs to is not whole either
		}
	}
	c := p.config
	problems := append(c.Milter.Validate(), c.Events.Validate()...)
	if !slices.Contains(logFormats, c.Log.Format) {
		problems.Add("log.format", "%q is not a format: write %s", c.Log.Format, toml.OneOf(logFormats))
	}
	for _, q := range problems {
		if !unread[q.Key] {
			q.File, q.Line = c.File, c.Line(q.Key)
			p.problems = append(p.problems, q)
		}
	}
}

// unknown reports a key that does not exist, and the one that was probably meant.
func (p *parser) unknown(t table, f toml.Field) {
	if headings := t.headings(); f.Value.Headed && len(headings) > 0 {
		name := f.Key
		if t.name != "" {
			name = t.name + "." + f.Key
		}
		heading := "[" + name + "]"
		if f.Value.Kind == toml.List {
			heading = "[" + heading + "]"
		}
		p.bad(f.Line, "", "unknown table %s%s", heading, toml.DidYouMean("["+name+"]", headings))
		return
	}
	in := ""
	if t.name != "" {
		in = " in " + t.heading()
	}
	var others []table
	for _, other := range tables {
		others = append(append(others, other), other.inners()...)
	}
	for _, other := range others {
		if other.name == t.name && other.inner == t.inner || !slices.Contains(other.own(), f.Key) {
			continue
		}
		where := "in " + other.heading()
		if other.name == "" {
			where = "above the first table"
		}
		p.bad(f.Line, "", "unknown key %q%s: it belongs %s", f.Key, in, where)
		return
	}
	p.bad(f.Line, "", "unknown key %q%s%s", f.Key, in, toml.DidYouMean(f.Key, t.own()))
}

// headings are the lines that may begin a table below this one.
func (t table) headings() []string {
	var list []string
	for _, other := range tables[1:] {
		if parent, _ := cutLast(other.name); parent == t.name {
			list = append(list, other.heading())
		}
	}
	return list
}
