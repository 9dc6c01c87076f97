package toml

import (
	"strings"
	"sync"
	"unicode/utf8"
)

// plain reads the part of TOML that nearly all files keep to, some ten times as fast as
// go-toml, because the rules are a megabyte and read at every start: bare keys, headers
// of bare keys, strings with few escapes, whole numbers, booleans, lists and tables in
// braces. It gives up on everything else, and on every mistake, and go-toml reads the
// file then. Where plain does not give up, both make the same tree; a fuzz test holds
// them to that.
type plain struct {
	s    string
	at   int
	line int
	deep int // lists and tables in braces around this place

	items []Value // of the lists around this place
	room  *room
}

// room is where a tree is put. It can be used again once the tree is not needed any
// more, which spares a program that reads many files most of the memory.
type room struct {
	tables []Table
	fields []Field
	values []Value
}

// rooms are those that [Decode] does not use at present.
var rooms = sync.Pool{New: func() any { return &room{} }}

// empty makes the room ready to be used again.
func (r *room) empty() {
	r.tables, r.fields, r.values = r.tables[:0], r.fields[:0], r.values[:0]
}

// table makes a table with room for some fields.
func (r *room) table(line int) *Table {
	const some = 8
	if len(r.tables) == cap(r.tables) {
		r.tables = make([]Table, 0, max(64, 2*cap(r.tables))) // what is in use stays where it is
	}
	if len(r.fields)+some > cap(r.fields) {
		r.fields = make([]Field, 0, max(64*some, 2*cap(r.fields)))
	}
	from := len(r.fields)
	r.fields = r.fields[:from+some]
	r.tables = append(r.tables, Table{Line: line, Fields: r.fields[from : from : from+some]})
	return &r.tables[len(r.tables)-1]
}

// list copies the items of a list.
func (r *room) list(items []Value) []Value {
	if len(items) == 0 {
		return nil
	}
	if len(r.values)+len(items) > cap(r.values) {
		r.values = make([]Value, 0, max(512, 2*cap(r.values), len(items)))
	}
	from := len(r.values)
	r.values = append(r.values, items...)
	return r.values[from:len(r.values):len(r.values)]
}

// maxDeep bounds the depth to which plain follows lists and tables in braces.
const maxDeep = 16

// parsePlain puts the tree into a room. It returns nil if it gave up.
func parsePlain(data []byte, in *room) *Table {
	if !plainOctets(data) {
		return nil
	}
	p := plain{s: string(data), line: 1, room: in}
	root := in.table(1)
	table := root
	for {
		p.blank(true)
		if p.at == len(p.s) {
			return root
		}
		if p.s[p.at] == '[' {
			table = p.header(root)
		} else if !p.field(table) {
			return nil
		}
		if table == nil || !p.ends() {
			return nil
		}
	}
}

// plainOctets reports whether there is nothing in a file that TOML does not allow, and
// no carriage return.
func plainOctets(data []byte) bool {
	for _, c := range data {
		if c < ' ' || c == 0x7f {
			if c != '\n' && c != '\t' {
				return false
			}
		}
	}
	return utf8.Valid(data)
}

// blank skips spaces and, where lines may end, comments and line ends.
func (p *plain) blank(lines bool) {
	for ; p.at < len(p.s); p.at++ {
		switch c := p.s[p.at]; {
		case c == ' ' || c == '\t':
		case c == '\n' && lines:
			p.line++
		case c == '#' && lines:
			if p.at = p.find("\n"); p.at == len(p.s) {
				return
			}
			p.line++
		default:
			return
		}
	}
}

// find returns where a sign stands next, the end of the file if it does not.
func (p *plain) find(sign string) int {
	if i := strings.Index(p.s[p.at:], sign); i >= 0 {
		return p.at + i
	}
	return len(p.s)
}

// ends reports whether nothing but a comment follows on the line.
func (p *plain) ends() bool {
	p.blank(false)
	return p.at == len(p.s) || p.s[p.at] == '\n' || p.s[p.at] == '#'
}

// take skips a sign if it comes next.
func (p *plain) take(sign string) bool {
	if !strings.HasPrefix(p.s[p.at:], sign) {
		return false
	}
	p.at += len(sign)
	return true
}

// key reads a bare key, "" if there is none.
func (p *plain) key() string {
	from := p.at
	for p.at < len(p.s) && bare(p.s[p.at]) {
		p.at++
	}
	return p.s[from:p.at]
}

func bare(c byte) bool {
	return c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c >= '0' && c <= '9' || c == '_' || c == '-'
}

// header returns the table that a header begins.
func (p *plain) header(root *Table) *Table {
	many := p.take("[[")
	end := "]]"
	if !many {
		p.take("[")
		end = "]"
	}
	t := root
	for {
		key := p.key()
		if key == "" {
			return nil
		}
		f := t.Get(key)
		if p.take(".") {
			switch {
			case f == nil:
				f = t.add(Field{Key: key, Line: p.line,
					Value: Value{Kind: Tables, Line: p.line, Table: p.room.table(p.line), Headed: true}})
			case !f.Value.Headed:
				return nil
			}
			if t = f.Value.Table; t == nil {
				t = f.Value.List[len(f.Value.List)-1].Table
			}
			continue
		}
		if !p.take(end) {
			return nil
		}
		next := p.room.table(p.line)
		one := Value{Kind: Tables, Line: p.line, Table: next, Headed: true}
		switch {
		case f == nil && !many:
			t.add(Field{Key: key, Line: p.line, Value: one})
		case f == nil:
			t.add(Field{Key: key, Line: p.line, Value: Value{Kind: List, Line: p.line, List: []Value{one}, Headed: true}})
		case many && f.Value.Headed && f.Value.Kind == List:
			f.Value.List = append(f.Value.List, one)
		default:
			return nil
		}
		return next
	}
}

// field reads a key and its value into a table, unless it must give up.
func (p *plain) field(t *Table) bool {
	line, key := p.line, p.key()
	p.blank(false)
	if key == "" || !p.take("=") || t.Get(key) != nil {
		return false
	}
	p.blank(false)
	v, ok := p.value(line)
	t.add(Field{Key: key, Line: line, Value: v})
	return ok
}

// value reads a value. Lists get the line that is handed in, as in [parser.value].
func (p *plain) value(line int) (v Value, ok bool) {
	if p.at == len(p.s) {
		return v, false
	}
	switch p.s[p.at] {
	case '"', '\'':
		line = p.line
		text, ok := p.text()
		return Value{Kind: String, Line: line, Text: text}, ok
	case '[':
		return p.list(line)
	case '{':
		return p.braces()
	}
	word := p.key()
	v = Value{Line: p.line, Text: word}
	switch {
	case word == "true" || word == "false":
		v.Kind = Bool
	case whole(word):
		v.Kind = Integer
	default:
		return v, false
	}
	// What follows must end the word: "1.5" and "true+" are for go-toml.
	return v, p.at == len(p.s) || strings.IndexByte(" \t\n#,]}", p.s[p.at]) >= 0
}

// whole reports whether a word is a number that fits in 64 bits, without decoration.
func whole(word string) bool {
	digits := strings.TrimPrefix(word, "-")
	if digits == "" || len(digits) > 18 || digits[0] == '0' && len(digits) > 1 {
		return false
	}
	return strings.Trim(digits, "0123456789") == ""
}

// text reads a string.
func (p *plain) text() (string, bool) {
	quote := p.s[p.at]
	if strings.HasPrefix(p.s[p.at:], `"""`) || strings.HasPrefix(p.s[p.at:], "'''") {
		return p.longText(p.s[p.at : p.at+3])
	}
	from, escapes := p.at+1, false
	for i := from; i < len(p.s); i++ {
		switch c := p.s[i]; {
		case c == quote:
			p.at = i + 1
			if escapes {
				return unescape(p.s[from:i])
			}
			return p.s[from:i], true
		case c == '\n':
			return "", false
		case c == '\\' && quote == '"':
			escapes = true
			i++
		}
	}
	return "", false
}

// longText reads a string between three quotes, which may have many lines and no
// escapes.
func (p *plain) longText(quotes string) (string, bool) {
	p.at += len(quotes)
	if p.take("\n") {
		p.line++
	}
	from := p.at
	p.at = p.find(quotes)
	s := p.s[from:p.at]
	p.line += strings.Count(s, "\n")
	switch {
	case !p.take(quotes), p.take(quotes[:1]): // not ended, or with a quote of its own before the end
		return "", false
	case quotes[0] == '"' && strings.Contains(s, `\`):
		return "", false
	}
	return s, true
}

// unescape gives up on the rarer escapes. No backslash stands at the end of s alone.
func unescape(s string) (string, bool) {
	var b strings.Builder
	for {
		i := strings.IndexByte(s, '\\')
		if i < 0 {
			b.WriteString(s)
			return b.String(), true
		}
		b.WriteString(s[:i])
		switch s[i+1] {
		case '"', '\\':
			b.WriteByte(s[i+1])
		case 'n':
			b.WriteByte('\n')
		case 't':
			b.WriteByte('\t')
		case 'r':
			b.WriteByte('\r')
		default:
			return "", false
		}
		s = s[i+2:]
	}
}

// list reads a list.
func (p *plain) list(line int) (Value, bool) {
	v := Value{Kind: List, Line: line}
	if p.deep++; p.deep > maxDeep {
		return v, false
	}
	p.at++
	from := len(p.items)
	for {
		p.blank(true)
		if p.take("]") {
			p.deep--
			v.List = p.room.list(p.items[from:])
			p.items = p.items[:from]
			return v, true
		}
		item, ok := p.value(line)
		if !ok {
			return v, false
		}
		line = item.Line
		p.items = append(p.items, item)
		p.blank(true)
		if !p.take(",") && !strings.HasPrefix(p.s[p.at:], "]") {
			return v, false
		}
	}
}

// braces reads a table in braces, which must stand on one line.
func (p *plain) braces() (Value, bool) {
	v := Value{Kind: Tables, Line: p.line, Table: p.room.table(p.line)}
	if p.deep++; p.deep > maxDeep {
		return v, false
	}
	p.at++
	for {
		p.blank(false)
		if p.take("}") {
			p.deep--
			return v, true
		}
		if !p.field(v.Table) {
			return v, false
		}
		p.blank(false)
		if !p.take(",") && !strings.HasPrefix(p.s[p.at:], "}") {
			return v, false
		}
	}
}
