package config

import (
	"errors"
	"fmt"
	"regexp"
	"slices"
	"strings"

	"github.com/pelletier/go-toml/v2"
	"github.com/pelletier/go-toml/v2/unstable"
)

// Parse reads a configuration; path is what messages call it. The error is a
// [Problems].
func Parse(path string, data []byte) (*Config, error) {
	c := Default()
	c.File = path
	p := parser{config: c, file: path}
	var doc map[string]any
	if err := toml.Unmarshal(data, &doc); err != nil {
		return nil, Problems{p.syntax(data, err)}
	}
	p.lines(data)
	c.lines = p.line
	p.table("", doc)
	if len(p.problems) > 0 {
		p.problems.sort()
		return nil, p.problems
	}
	return c, nil
}

// parser lays one file over a configuration.
type parser struct {
	config   *Config
	file     string
	line     map[string]int
	problems Problems
}

func (p *parser) bad(line int, format string, a ...any) {
	p.problems = append(p.problems, Problem{p.file, line, fmt.Errorf(format, a...).Error()})
}

// bareWord is a value that lacks its quotes.
var bareWord = regexp.MustCompile(`^\s*([A-Za-z0-9_.-]+)\s*=\s*([^\s"'\[{#][^"'#]*?)\s*(#.*)?$`)

// syntax says where the file ceases to be TOML. There is one such place: what
// follows it cannot be told.
func (p *parser) syntax(data []byte, err error) Problem {
	line, message := 0, strings.TrimPrefix(err.Error(), "toml: ")
	var de *toml.DecodeError
	if errors.As(err, &de) {
		line, _ = de.Position()
	}
	if lines := strings.Split(string(data), "\n"); line > 0 && line <= len(lines) {
		text := strings.TrimSuffix(lines[line-1], "\r")
		if m := bareWord.FindStringSubmatch(text); m != nil {
			message += fmt.Sprintf(": put quotes around the value, %s = %s", m[1], quote(m[2]))
		}
	}
	return Problem{p.file, line, "not TOML: " + message}
}

// lines notes on which line each key, table and item stands.
func (p *parser) lines(data []byte) {
	p.line = map[string]int{}
	var up unstable.Parser
	up.Reset(data)
	at := func(n *unstable.Node) int { return up.Shape(n.Raw).Start.Line }
	keyOf := func(it unstable.Iterator) (name string, line int) {
		var parts []string
		for it.Next() {
			parts = append(parts, string(it.Node().Data))
			line = at(it.Node())
		}
		return strings.Join(parts, "."), line
	}
	table := ""
	for up.NextExpression() {
		e := up.Expression()
		name, line := "", 0
		switch e.Kind {
		case unstable.Table, unstable.ArrayTable:
			table, line = keyOf(e.Key())
			if _, seen := p.line[table]; !seen {
				p.line[table] = line
			}
			if e.Kind == unstable.ArrayTable {
				p.line["[["+table] = line
			}
			continue
		case unstable.KeyValue:
			name, line = keyOf(e.Key())
		default:
			continue
		}
		if table != "" {
			name = table + "." + name
		}
		p.note(name, line)
		p.values(name, line, e.Value(), keyOf, at)
	}
}

// note sets the line of a dotted name and of the tables that it implies.
func (p *parser) note(name string, line int) {
	p.line[name] = line
	for i := strings.LastIndexByte(name, '.'); i > 0; i = strings.LastIndexByte(name[:i], '.') {
		if _, seen := p.line[name[:i]]; !seen {
			p.line[name[:i]] = line
		}
	}
}

// values notes the lines of what is inside a value.
func (p *parser) values(name string, line int, v *unstable.Node, keyOf func(unstable.Iterator) (string, int), at func(*unstable.Node) int) {
	it := v.Children()
	switch v.Kind {
	case unstable.Array:
		for i := 0; it.Next(); {
			n := it.Node()
			if n.Kind == unstable.Comment {
				continue
			}
			if n.Raw.Length > 0 {
				line = at(n)
			}
			p.line[fmt.Sprintf("%s[%d]", name, i)] = line
			i++
		}
	case unstable.InlineTable:
		for it.Next() {
			if it.Node().Kind == unstable.KeyValue {
				k, l := keyOf(it.Node().Key())
				p.note(name+"."+k, l)
			}
		}
	}
}

// table lays one table of the file over the configuration.
func (p *parser) table(table string, doc map[string]any) {
	for name, v := range doc {
		full := name
		if table != "" {
			full = table + "." + name
		}
		line := p.line[full]
		if table == "" && isTable(name) {
			if sub, ok := v.(map[string]any); ok {
				p.table(name, sub)
			} else if p.line["[["+name] > 0 {
				p.bad(line, "[[%s]]: is one table: write [%s]", name, name)
			} else {
				p.bad(line, "%s: is a table: write its keys below a line [%s]", name, name)
			}
			continue
		}
		i := slices.IndexFunc(keys, func(k key) bool { return k.name == full })
		if i < 0 {
			p.unknown(table, name, line, v)
			continue
		}
		keys[i].bind(p.config).set(v, func(item int, format string, a ...any) {
			l := line
			if n := p.line[fmt.Sprintf("%s[%d]", full, item)]; n > 0 {
				l = n
			}
			p.bad(l, full+": "+format, a...)
		})
	}
}

func isTable(name string) bool {
	for _, t := range tables {
		if t.name == name && name != "" {
			return true
		}
	}
	return false
}

// unknown reports a key that does not exist and the one that was likely meant.
func (p *parser) unknown(table, name string, line int, v any) {
	var here, names []string
	elsewhere := map[string]string{}
	for _, k := range keys {
		t, n := k.table()
		if t == table {
			here = append(here, n)
		} else {
			elsewhere[n] = t
		}
	}
	_, isMap := v.(map[string]any)
	inTable := ""
	if table != "" {
		inTable = " in [" + table + "]"
	}
	if table == "" {
		for _, t := range tables[1:] {
			names = append(names, t.name)
		}
		header := "[" + name + "]"
		if p.line["[["+name] > 0 {
			header, isMap = "[["+name+"]]", true
		}
		if isMap {
			if near := Nearest(name, names); near != "" {
				p.bad(line, "unknown table %s: did you mean [%s]?", header, near)
			} else {
				p.bad(line, "unknown table %s: there are [%s]", header, strings.Join(names, "], ["))
			}
			return
		}
	}
	if t, ok := elsewhere[name]; ok {
		if t == "" {
			p.bad(line, "unknown key %q%s: it belongs above the first table", name, inTable)
		} else {
			p.bad(line, "unknown key %q%s: it belongs in [%s]", name, inTable, t)
		}
		return
	}
	if near := Nearest(name, here); near != "" {
		p.bad(line, "unknown key %q%s: did you mean %q?", name, inTable, near)
		return
	}
	are := "are"
	if len(here) == 1 {
		are = "is only"
	}
	p.bad(line, "unknown key %q%s: there %s %s", name, inTable, are, strings.Join(here, ", "))
}
