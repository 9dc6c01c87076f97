// Package toml reads TOML files that people write. Every value knows its line, so
// that all problems of a file are reported at once, each with its place and the mend.
// Configuration, rules and the data about reports are read with it. The grammar is
// go-toml's; its own decoder stops at the first mistake and does not keep the lines of
// what it accepts.
package toml

import (
	"sort"
	"strconv"

	"github.com/pelletier/go-toml/v2"
	"github.com/pelletier/go-toml/v2/unstable"
)

// Kind is the type of a value.
type Kind uint8

// The kinds; kindNames are their names in messages.
const (
	String Kind = iota
	Integer
	Float
	Bool
	Date
	List
	Tables // a table, also one below a line [[name]]
)

var kindNames = [...]string{"a string", "a number", "a fraction", "a boolean", "a date", "a list", "a table"}

func (k Kind) String() string { return kindNames[k] }

// Value is a value with its place.
type Value struct {
	Kind   Kind
	Headed bool // written below a line [name], or lines [[name]]
	Line   int
	Text   string // of a scalar: the contents of a string, anything else as written
	List   []Value
	Table  *Table
}

// Int returns an integer.
func (v Value) Int() int64 {
	n, _ := strconv.ParseInt(v.Text, 0, 64) // go-toml accepted it, so it is one of 64 bits
	return n
}

// Table is a table: its keys in the order of the file.
type Table struct {
	Line   int
	Fields []Field

	index map[string]int // into Fields, by key; made when first needed
}

// Field is one key of a table.
type Field struct {
	Key   string
	Line  int
	Value Value
}

// fewFields is how many keys are compared one by one.
const fewFields = 16

// Get returns the field with a key, nil if there is none.
func (t *Table) Get(key string) *Field {
	if len(t.Fields) <= fewFields {
		for i := range t.Fields {
			if t.Fields[i].Key == key {
				return &t.Fields[i]
			}
		}
		return nil
	}
	if t.index == nil {
		t.index = make(map[string]int, len(t.Fields))
		for i, f := range t.Fields {
			t.index[f.Key] = i
		}
	}
	if i, ok := t.index[key]; ok {
		return &t.Fields[i]
	}
	return nil
}

func (t *Table) add(f Field) *Field {
	if t.index != nil {
		t.index[f.Key] = len(t.Fields)
	}
	t.Fields = append(t.Fields, f)
	return &t.Fields[len(t.Fields)-1]
}

// Parse reads a file; name is its name in messages. If it is not TOML, the problems say
// in which lines. If each of these mistakes is within its line, the table holds all the
// rest, and if one may reach further, it is nil, because nothing after it can be trusted.
func Parse(name string, data []byte) (*Table, Problems) {
	return parse(name, data, &room{})
}

func parse(name string, data []byte, in *room) (*Table, Problems) {
	if t := parsePlain(data, in); t != nil {
		return t, nil
	}
	return parseAny(name, data)
}

// parseAny reads all of TOML.
func parseAny(name string, data []byte) (*Table, Problems) {
	// Unmarshal checks what the tree's parser does not: duplicate keys, dates.
	var whole map[string]any
	if err := toml.Unmarshal(data, &whole); err != nil {
		return mistakes(name, data, err)
	}
	return tree(data), nil
}

// tree reads what Unmarshal has accepted.
func tree(data []byte) *Table {
	var p parser
	for i, c := range data {
		if c == '\n' {
			p.lines = append(p.lines, i+1)
		}
	}
	p.Reset(data)
	root := &Table{Line: 1}
	table := root
	for p.NextExpression() {
		switch n := p.Expression(); n.Kind {
		case unstable.Table:
			table = p.header(root, n, false)
		case unstable.ArrayTable:
			table = p.header(root, n, true)
		case unstable.KeyValue:
			p.field(table, n)
		}
	}
	return root
}

// parser builds a tree from what go-toml's parser finds, in a file that its decoder has
// accepted.
type parser struct {
	unstable.Parser
	lines []int // offset of every line but the first
}

func (p *parser) line(n *unstable.Node) int {
	return 1 + sort.SearchInts(p.lines, int(n.Raw.Offset)+1)
}

// path returns the parts of a dotted key, with the line of the last.
func (p *parser) path(n *unstable.Node) (parts []string, line int) {
	for it := n.Key(); it.Next(); {
		parts = append(parts, string(it.Node().Data))
		line = p.line(it.Node())
	}
	return parts, line
}

// header returns the table that a line [a.b] or [[a.b]] begins.
func (p *parser) header(root *Table, n *unstable.Node, many bool) *Table {
	path, line := p.path(n)
	t := root.at(path[:len(path)-1], line, true)
	key := path[len(path)-1]
	if !many {
		return t.at(path[len(path)-1:], line, true)
	}
	f := t.Get(key)
	if f == nil {
		f = t.add(Field{Key: key, Line: line, Value: Value{Kind: List, Line: line, Headed: true}})
	}
	next := &Table{Line: line}
	f.Value.List = append(f.Value.List, Value{Kind: Tables, Line: line, Table: next, Headed: true})
	return next
}

// at returns the table at a path, and makes it if it does not exist. For tables below
// lines [[name]] it is the last one.
func (t *Table) at(path []string, line int, headed bool) *Table {
	for _, key := range path {
		f := t.Get(key)
		if f == nil {
			f = t.add(Field{Key: key, Line: line, Value: Value{Kind: Tables, Line: line, Table: &Table{Line: line}, Headed: headed}})
		}
		v := &f.Value
		if len(v.List) > 0 {
			v = &v.List[len(v.List)-1]
		}
		t = v.Table
	}
	return t
}

// field adds a key and its value to a table.
func (p *parser) field(t *Table, n *unstable.Node) {
	path, line := p.path(n)
	t = t.at(path[:len(path)-1], line, false)
	t.add(Field{Key: path[len(path)-1], Line: line, Value: p.value(n.Value(), line)})
}

var kinds = map[unstable.Kind]Kind{unstable.String: String, unstable.Integer: Integer, unstable.Float: Float,
	unstable.Bool: Bool, unstable.Array: List, unstable.InlineTable: Tables}

// value copies a value. Some nodes do not know their line; they get the line of the
// node before them.
func (p *parser) value(n *unstable.Node, line int) Value {
	if n.Raw.Length > 0 {
		line = p.line(n)
	}
	kind, ok := kinds[n.Kind]
	if !ok {
		kind = Date
	}
	v := Value{Kind: kind, Line: line}
	switch it := n.Children(); kind {
	case List:
		for it.Next() {
			if it.Node().Kind == unstable.Comment {
				continue
			}
			item := p.value(it.Node(), line)
			line = item.Line
			v.List = append(v.List, item)
		}
	case Tables:
		v.Table = &Table{Line: line}
		for it.Next() {
			if it.Node().Kind == unstable.KeyValue {
				p.field(v.Table, it.Node())
			}
		}
	default:
		v.Text = string(n.Data)
	}
	return v
}
