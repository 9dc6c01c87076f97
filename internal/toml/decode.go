package toml

import (
	"fmt"
	"reflect"
	"slices"
	"strings"
	"sync"
)

// Text is a string and its line.
type Text struct {
	S    string
	Line int
}

// Line, as the type of a struct's field, gets the line in which the table begins.
type Line int

// Foreign, as the type of a field, accepts sections [[key]] that another package
// reads. It gets the line in which the first one begins.
type Foreign int

// Short is a table that may also be written as a single string.
type Short interface {
	// FromText takes the string.
	FromText(Text)
	// Form describes both ways to write it, for the error when it is neither.
	Form() string
}

// Decode reads a file into the struct that into points to. A key has the name of
// its field in lower case, or the name in the field's tag `toml`; the keys of an
// embedded struct belong to the struct around it. Fields are strings, [Text],
// integers, booleans, [Value] without what a list or a table holds, [Foreign], structs, maps, and lists of these; a single value
// may stand for a list of one. A list may be empty if its tag says so after the name:
// `toml:"want,empty"`.
//
// It returns all problems: unknown keys, with the one that was probably meant, values
// of the wrong kind, and empty strings and lists. Even then into holds what could be
// read.
func Decode(name string, data []byte, into any) Problems {
	return DecodeWithout(name, data, into)
}

// DecodeWithout does the same, and passes over some keys.
func DecodeWithout(name string, data []byte, into any, keys ...string) Problems {
	in := rooms.Get().(*room)
	defer rooms.Put(in)
	in.empty()
	t, problems := parse(name, data, in)
	if len(problems) > 0 {
		return problems
	}
	return t.decode(name, into, keys)
}

// Decode reads a file's table into the struct that into points to.
func (t *Table) Decode(name string, into any) Problems { return t.decode(name, into, nil) }

func (t *Table) decode(name string, into any, without []string) Problems {
	d := decoder{file: name, without: without}
	if root := reflect.ValueOf(into).Elem(); root.Kind() == reflect.Struct {
		d.root = schemaOf(root.Type())
	}
	d.table(t, "", reflect.ValueOf(into).Elem())
	d.problems.Sort()
	return d.problems
}

type decoder struct {
	file     string
	problems Problems
	root     *schema // of the file itself
	without  []string
}

func (d *decoder) complain(line int, format string, args ...any) {
	d.problems = append(d.problems, Problem{File: d.file, Line: line, Message: fmt.Sprintf(format, args...)})
}

var (
	textType  = reflect.TypeFor[Text]()
	lineType  = reflect.TypeFor[Line]()
	valueType = reflect.TypeFor[Value]()
	foreign   = reflect.TypeFor[Foreign]()
)

// schema describes a table: the keys in order, with their fields.
type schema struct {
	keys  []string
	field map[string]reflect.StructField
	empty map[string]bool // lists that may be empty
	line  []int           // index of the field of type Line, nil if there is none
}

// isKey reports whether a key is a plain key and not a section.
func (s *schema) isKey(key string) bool {
	if s == nil {
		return false
	}
	field, ok := s.field[key]
	if !ok {
		return false
	}
	section, _ := isSection(field.Type)
	return !section
}

// schemas are those that were made so far, by [reflect.Type].
var schemas sync.Map

func schemaOf(t reflect.Type) *schema {
	if s, ok := schemas.Load(t); ok {
		return s.(*schema)
	}
	s := &schema{field: map[string]reflect.StructField{}, empty: map[string]bool{}}
	for _, f := range reflect.VisibleFields(t) {
		if f.Type == lineType {
			s.line = f.Index
		} else if !f.Anonymous && f.IsExported() {
			key, option, _ := strings.Cut(f.Tag.Get("toml"), ",")
			if key == "" {
				key = strings.ToLower(f.Name)
			}
			s.keys = append(s.keys, key)
			s.field[key], s.empty[key] = f, option == "empty"
		}
	}
	schemas.Store(t, s)
	return s
}

// isSection reports whether a field is written below a header: a struct, a map, or a
// list (many) of these.
func isSection(t reflect.Type) (section, many bool) {
	if t == foreign {
		return true, true
	}
	if t.Kind() == reflect.Slice {
		t, many = t.Elem(), true
	}
	return t.Kind() == reflect.Map || t.Kind() == reflect.Struct && t != textType && t != valueType, many
}

func header(key string, many bool) string {
	if many {
		return "[[" + key + "]]"
	}
	return "[" + key + "]"
}

// table reads a table; at is its name, "" for the file's own.
func (d *decoder) table(t *Table, at string, into reflect.Value) {
	if into.Kind() == reflect.Map {
		d.entries(t, at, into)
		return
	}
	s := schemaOf(into.Type())
	if s.line != nil {
		into.FieldByIndex(s.line).SetInt(int64(t.Line))
	}
	for _, f := range t.Fields {
		field, ok := s.field[f.Key]
		if slices.Contains(d.without, f.Key) {
			continue
		}
		if !ok {
			d.unknown(f, at, s)
			continue
		}
		if s.empty[f.Key] && f.Value.Kind == List && len(f.Value.List) == 0 {
			continue
		}
		d.value(f.Key, at, f.Value, into.FieldByIndex(field.Index))
	}
}

// entries reads a table whose keys are data.
func (d *decoder) entries(t *Table, at string, into reflect.Value) {
	if into.IsNil() {
		into.Set(reflect.MakeMap(into.Type()))
	}
	for _, f := range t.Fields {
		v := reflect.New(into.Type().Elem()).Elem()
		d.value(f.Key, at, f.Value, v)
		into.SetMapIndex(reflect.ValueOf(f.Key).Convert(into.Type().Key()), v)
	}
}

// unknown complains about a key that nothing reads.
func (d *decoder) unknown(f Field, at string, s *schema) {
	var sections, keys []string
	for _, k := range s.keys {
		if is, many := isSection(s.field[k].Type); is {
			sections = append(sections, header(k, many))
		} else {
			keys = append(keys, k)
		}
	}
	switch {
	case f.Value.Headed && at == "":
		name := header(f.Key, f.Value.Kind == List)
		d.complain(f.Line, "unknown section %s%s", name, DidYouMean(name, sections))
	case at == "" && len(keys) == 0:
		d.complain(f.Line, "%q stands outside of any section%s", f.Key, thereAre(sections))
	case at == "":
		d.complain(f.Line, "unknown key %q%s", f.Key, DidYouMean(f.Key, append(keys, sections...)))
	case d.root.isKey(f.Key):
		d.complain(f.Line, "%q stands in %s: write it at the top of the file, before all sections", f.Key, at)
	default:
		d.complain(f.Line, "unknown key %q in %s%s", f.Key, at, DidYouMean(f.Key, s.keys))
	}
}

// value reads the value of a key.
func (d *decoder) value(key, at string, v Value, into reflect.Value) {
	t := into.Type()
	section, many := isSection(t)
	name := ""
	if section {
		name = header(strings.TrimPrefix(strings.Trim(at, "[]")+"."+key, "."), many)
	}
	switch {
	case t == valueType:
		v.List, v.Table = nil, nil // whose room is used again
		into.Set(reflect.ValueOf(v))
	case t == foreign:
		into.SetInt(int64(v.Line))
	case many:
		d.list(key, name, v, into)
	case section:
		if v.Kind == Tables {
			d.table(v.Table, name, into)
		} else if v.Headed {
			d.complain(v.Line, "[[%s]] is a single table: write [%[1]s]", key)
		} else {
			d.complain(v.Line, "%s is a table: write its keys below a line %s", key, name)
		}
	default:
		d.scalar(key, v, into)
	}
}

// list reads a list, or a single value that stands for a list of one.
func (d *decoder) list(key, name string, v Value, into reflect.Value) {
	section, _ := isSection(into.Type())
	items := v.List
	switch {
	case v.Kind != List:
		items = []Value{v}
	case len(items) == 0:
		d.complain(v.Line, "%s is an empty list: leave the key out", key)
	}
	if v.Kind == Tables && v.Headed {
		d.complain(v.Line, "[%s] is one of many: write [[%[1]s]]", key)
		return
	}
	if texts, ok := into.Addr().Interface().(*[]Text); ok && v.Kind == List {
		*texts = d.texts(key, items)
		return
	}
	list := reflect.MakeSlice(into.Type(), len(items), len(items))
	n := 0
	for _, item := range items {
		one := list.Index(n)
		var short Short
		isShort := false
		if section {
			short, isShort = one.Addr().Interface().(Short)
		}
		switch {
		case section && item.Kind == Tables:
			d.table(item.Table, name, one)
		case isShort && item.Kind == String:
			short.FromText(Text{item.Text, item.Line})
		case isShort:
			d.complain(item.Line, "%s: write %s", key, short.Form())
			continue
		case section:
			d.complain(item.Line, "%s is a list of tables: write %s", key, name)
			continue
		case v.Kind != List && item.Kind != String:
			d.complain(item.Line, "%s must be a string or a list of strings", key)
			continue
		case !d.isText(key, item):
			continue
		default:
			d.scalar(key, item, one)
		}
		n++
	}
	if n > 0 {
		into.Set(list.Slice(0, n))
	}
}

// texts reads a list of strings: what rules consist of.
func (d *decoder) texts(key string, items []Value) []Text {
	if len(items) == 0 {
		return nil
	}
	list := make([]Text, 0, len(items))
	for _, item := range items {
		if d.isText(key, item) {
			list = append(list, Text{item.Text, item.Line})
		}
	}
	return list
}

// isText complains about what cannot stand in a list of strings.
func (d *decoder) isText(key string, v Value) bool {
	switch {
	case v.Kind != String:
		d.complain(v.Line, "%s must hold strings only", key)
	case v.Text == "":
		d.complain(v.Line, "%s holds an empty string", key)
	default:
		return true
	}
	return false
}

// scalar reads a string, a number or a boolean.
func (d *decoder) scalar(key string, v Value, into reflect.Value) {
	kind, wants := String, "a string in quotes"
	switch into.Kind() {
	case reflect.Bool:
		kind, wants = Bool, "true or false"
	case reflect.Int:
		kind, wants = Integer, "a whole number"
	}
	if v.Kind != kind {
		d.complain(v.Line, "%s must be %s", key, wants)
		return
	}
	switch {
	case kind == Bool:
		into.SetBool(v.Text == "true")
	case kind == Integer:
		into.SetInt(v.Int())
	case v.Text == "":
		d.complain(v.Line, "%s is empty", key)
	case into.Type() == textType:
		*into.Addr().Interface().(*Text) = Text{v.Text, v.Line}
	default:
		into.SetString(v.Text)
	}
}

// Strings returns the strings without their lines.
func Strings(ts []Text) []string {
	if len(ts) == 0 {
		return nil
	}
	list := make([]string, len(ts))
	for i, t := range ts {
		list[i] = t.S
	}
	return list
}
