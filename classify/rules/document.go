package rules

import (
	"errors"
	"fmt"
	"strings"

	"github.com/pelletier/go-toml/v2"
	"github.com/pelletier/go-toml/v2/unstable"
)

// document is one TOML file with the line of everything in it, so that every
// complaint about a rule can say where it stands. go-toml's own decoder stops
// at the first type error and keeps no lines of what it accepts.
type document struct {
	file     string
	sections []*section
}

// section is one [name] or [[name]]; the keys above the first of them are a
// section with the name "".
type section struct {
	name   string
	line   int
	array  bool // [[name]]
	fields []field
}

// field is one key with its value.
type field struct {
	key   string
	line  int
	value value
}

// value is a TOML value. Kinds other than String, Bool, Integer, Array and
// InlineTable keep their text only.
type value struct {
	kind  unstable.Kind
	line  int
	text  string
	list  []value
	table []field
}

// parseDocument reads data. Syntax errors and keys written twice come back as
// one problem, for nothing after them can be trusted.
func parseDocument(file string, data []byte) (*document, []Problem) {
	var whole map[string]any
	if err := toml.Unmarshal(data, &whole); err != nil {
		var at *toml.DecodeError
		if errors.As(err, &at) {
			line, _ := at.Position()
			return nil, []Problem{{file, line, strings.TrimPrefix(at.Error(), "toml: ")}}
		}
		return nil, []Problem{{file, 1, err.Error()}}
	}
	d := &document{file: file}
	p := unstable.Parser{}
	p.Reset(data)
	lines := lineIndex(data)
	cur := &section{line: 1}
	d.sections = append(d.sections, cur)
	for p.NextExpression() {
		switch n := p.Expression(); n.Kind {
		case unstable.Table, unstable.ArrayTable:
			name, at := keyOf(n.Key())
			cur = &section{name: name, line: lines.of(at), array: n.Kind == unstable.ArrayTable}
			d.sections = append(d.sections, cur)
		case unstable.KeyValue:
			cur.fields = append(cur.fields, fieldOf(n, lines))
		}
	}
	if err := p.Error(); err != nil { // Unmarshal has accepted it: not expected
		return nil, []Problem{{file, 1, err.Error()}}
	}
	return d, nil
}

func fieldOf(n *unstable.Node, lines lineStarts) field {
	key, at := keyOf(n.Key())
	line := lines.of(at)
	return field{key: key, line: line, value: valueOf(n.Value(), line, lines)}
}

// valueOf copies a node. Only strings and tables know where they stand; the
// line of what contains the value stands in for the rest.
func valueOf(n *unstable.Node, line int, lines lineStarts) value {
	if n.Raw.Length > 0 {
		line = lines.of(int(n.Raw.Offset))
	}
	v := value{kind: n.Kind, line: line, text: string(n.Data)}
	for it := n.Children(); it.Next(); {
		switch n.Kind {
		case unstable.Array:
			v.list = append(v.list, valueOf(it.Node(), line, lines))
		case unstable.InlineTable:
			v.table = append(v.table, fieldOf(it.Node(), lines))
		}
	}
	return v
}

func keyOf(it unstable.Iterator) (name string, at int) {
	var parts []string
	for it.Next() {
		if len(parts) == 0 {
			at = int(it.Node().Raw.Offset)
		}
		parts = append(parts, string(it.Node().Data))
	}
	return strings.Join(parts, "."), at
}

// lineStarts holds the offset of every line.
type lineStarts []int

func lineIndex(data []byte) lineStarts {
	l := lineStarts{0}
	for i, c := range data {
		if c == '\n' {
			l = append(l, i+1)
		}
	}
	return l
}

// of returns the line, from 1, of an offset.
func (l lineStarts) of(offset int) int {
	lo, hi := 0, len(l)
	for hi-lo > 1 {
		if mid := (lo + hi) / 2; l[mid] <= offset {
			lo = mid
		} else {
			hi = mid
		}
	}
	return lo + 1
}

// reader takes the fields of one section or inline table apart and collects
// what is wrong with them.
type reader struct {
	file     string
	what     string // "[[rule]]", for messages
	problems *[]Problem
}

func (r reader) complain(line int, format string, args ...any) {
	*r.problems = append(*r.problems, Problem{r.file, line, fmt.Sprintf(format, args...)})
}

// unknown complains about a key that nothing reads and names the nearest one.
func (r reader) unknown(f field, known ...string) {
	r.complain(f.line, "unknown key %q in %s%s", f.key, r.what, didYouMean(f.key, known))
}

func (r reader) str(f field) string {
	if f.value.kind != unstable.String {
		r.complain(f.line, "%s must be a string in quotes", f.key)
		return ""
	}
	if f.value.text == "" {
		r.complain(f.line, "%s is empty", f.key)
	}
	return f.value.text
}

func (r reader) boolean(f field) bool {
	if f.value.kind != unstable.Bool {
		r.complain(f.line, "%s must be true or false", f.key)
	}
	return f.value.text == "true"
}

// texts reads a list of strings; one string stands for a list of one.
func (r reader) texts(f field) []text {
	vals := f.value.list
	if f.value.kind == unstable.String {
		vals = []value{f.value}
	} else if f.value.kind != unstable.Array {
		r.complain(f.line, "%s must be a string or a list of strings", f.key)
		return nil
	}
	var out []text
	for _, v := range vals {
		switch {
		case v.kind != unstable.String:
			r.complain(v.line, "%s must hold strings only", f.key)
		case v.text == "":
			r.complain(v.line, "%s holds an empty string", f.key)
		default:
			out = append(out, text{v.text, v.line})
		}
	}
	if len(vals) == 0 {
		r.complain(f.line, "%s is an empty list; leave the key out", f.key)
	}
	return out
}

// text is a string and the line it stands in.
type text struct {
	s    string
	line int
}
