package config

import (
	"fmt"
	"slices"

	"github.com/bounce-milter/bounce-milter/internal/toml"
)

// Parse reads a configuration; path is its name in messages. The error is
// [toml.Problems].
func Parse(path string, data []byte) (*Config, error) {
	doc, problems := toml.Parse(path, data)
	if len(problems) > 0 {
		return nil, problems
	}
	c := Default()
	c.File, c.lines = path, map[string]int{}
	p := parser{config: c}
	p.table("", doc)
	p.validate()
	p.problems.Sort()
	if err := p.problems.Err(); err != nil {
		return nil, err
	}
	return c, nil
}

// parser lays one file over a configuration.
type parser struct {
	config   *Config
	problems toml.Problems
}

// bad reports what is wrong on a line, with a key or, if key is "", with the line itself.
func (p *parser) bad(line int, key, format string, a ...any) {
	p.problems = append(p.problems, toml.Problem{File: p.config.File, Line: line, Key: key, Message: fmt.Sprintf(format, a...)})
}

// table lays one table of the file over the configuration.
func (p *parser) table(table string, t *toml.Table) {
	for _, f := range t.Fields {
		full := f.Key
		if table != "" {
			full = table + "." + f.Key
		}
		if table == "" && isTable(f.Key) {
			switch {
			case f.Value.Kind == toml.Tables:
				p.table(f.Key, f.Value.Table)
			case f.Value.Headed:
				p.bad(f.Line, "", "[[%s]]: is a single table: write [%[1]s]", f.Key)
			default:
				p.bad(f.Line, f.Key, "is a table: write its keys below a line [%s]", f.Key)
			}
			continue
		}
		i := slices.IndexFunc(keys, func(k key) bool { return k.name == full })
		if i < 0 {
			p.unknown(table, f)
			continue
		}
		p.config.lines[full] = f.Line
		for i, item := range f.Value.List {
			p.config.lines[itemKey(full, i)] = item.Line
		}
		keys[i].bind(p.config).set(f.Value, func(item int, format string, a ...any) {
			at := full
			if item != whole {
				at = itemKey(full, item)
			}
			p.problems = append(p.problems, p.config.problem(at, format, a...))
		})
	}
}

func itemKey(name string, i int) string { return fmt.Sprintf("%s[%d]", name, i) }

// validate adds what is wrong with the values themselves, except for values that
// could not be read and are reported already.
func (p *parser) validate() {
	unread := map[string]bool{}
	for _, q := range p.problems {
		unread[q.Key] = true
	}
	c := p.config
	problems := c.Milter.Validate()
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

func isTable(name string) bool {
	return slices.ContainsFunc(tables[1:], func(t table) bool { return t.name == name })
}

// unknown reports a key that does not exist, and the one that was probably meant.
func (p *parser) unknown(table string, f toml.Field) {
	if table == "" && f.Value.Headed {
		header := "[" + f.Key + "]"
		if f.Value.Kind == toml.List {
			header = "[" + header + "]"
		}
		var headers []string
		for _, t := range tables[1:] {
			headers = append(headers, "["+t.name+"]")
		}
		p.bad(f.Line, "", "unknown table %s%s", header, toml.DidYouMean("["+f.Key+"]", headers))
		return
	}
	inTable := ""
	if table != "" {
		inTable = " in [" + table + "]"
	}
	var here []string
	for _, k := range keys {
		switch t, n := k.table(); {
		case t == table:
			here = append(here, n)
		case n == f.Key && t == "":
			p.bad(f.Line, "", "unknown key %q%s: it belongs above the first table", n, inTable)
			return
		case n == f.Key:
			p.bad(f.Line, "", "unknown key %q%s: it belongs in [%s]", n, inTable, t)
			return
		}
	}
	p.bad(f.Line, "", "unknown key %q%s%s", f.Key, inTable, toml.DidYouMean(f.Key, here))
}
