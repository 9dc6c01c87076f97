package toml

import (
	"math/rand/v2"
	"reflect"
	"strconv"
	"strings"
	"testing"
	"testing/fstest"
	"time"
)

// TestLines: every value knows its line, however the file is laid out.
func TestLines(t *testing.T) {
	doc, problems := Parse("x.toml", []byte("# first\n\n[[rule]]\r\nid = \"a\"\nany = [\n  \"one\", # two\n\n  '''three''',\n]\n  [rule.sub]\nk = { a = 1,\n b = [ true ] }\nx.y.z = 1\n"))
	if len(problems) > 0 {
		t.Fatal(problems)
	}
	list := doc.Get("rule").Value
	if list.Kind != List || !list.Headed || len(list.List) != 1 {
		t.Fatalf("%+v", list)
	}
	rule := list.List[0].Table
	if rule.Line != 3 || rule.Get("id").Line != 4 || rule.Get("any").Line != 5 || rule.Get("none") != nil {
		t.Errorf("%+v", rule)
	}
	items := rule.Get("any").Value.List
	if len(items) != 2 || items[0].Line != 6 || items[1].Line != 8 || items[1].Text != "three" {
		t.Errorf("%+v", items)
	}
	sub := rule.Get("sub")
	if k := sub.Value.Table.Get("k").Value; sub.Line != 10 || k.Headed || k.Table.Get("b").Line != 12 {
		t.Errorf("%+v", sub)
	}
	if z := sub.Value.Table.Get("x").Value.Table.Get("y").Value.Table.Get("z"); z.Line != 13 || z.Value.Int() != 1 {
		t.Errorf("%+v", z)
	}
}

func TestSyntax(t *testing.T) {
	long := strings.Repeat("é", 90)
	for data, want := range map[string]string{
		"a = 1\nb = two words # really\n": `x:2: not TOML: expected keyword "true": put quotes around the value, b = "two words"`,
		"a = 1\n\na = 2\n":                "x:3: not TOML: key a is already defined, in: a = 2",
		"[a]\n[b\n" + long:                "x:2: not TOML: expected ']' to close table name, in: [b",
		"'" + long:                        "x:1: not TOML: unterminated literal string, in: '" + strings.Repeat("é", 79) + "…",
	} {
		_, problems := Parse("x", []byte(data))
		if len(problems) != 1 || problems[0].String() != want {
			t.Errorf("%q:\ngot  %v\nwant %s", data, problems, want)
		}
	}
}

// Mistakes that are within their lines are all found at once, and the rest is read. After
// one that may reach further, nothing is.
func TestSeveralMistakes(t *testing.T) {
	for _, tt := range []struct {
		name, data, wrong string // lines with mistakes
		keys              string // what is read of the rest, "-" for nothing
	}{
		{"values", "a = x y\nb = 1\nc = 'z\nd = [1, 2\n", "1 3 4", "b"},
		{"a key without a value", "a\nb = 1\nc = x\n", "1", "-"},
		{"a header, whose keys are not the file's", "a = 1\n[b\nc = 1\nd = x\n[e]\nf = 1\n", "2 4", "a e"},
		{"a key of a broken header twice", "a = 1\n[b\na = 2\n", "2", "a"},
		{"an item of a list of tables", "[[a]]\nb = x\nc = 1\n[[a]\nb = 2\n[[a]]\nb = 3\n", "2 4", "a"},
		{"a list that does not end", "a = [1, 2\nb = 1\nc = x\n", "2", "-"},
		{"a wrong item of a list of many lines", "a = [\n  'x,\n  'y',\n]\nb = x\n", "2", "-"},
		{"a list of many lines that begins with a mistake", "z = x\na = [b,\n  'y',\n]\n", "1 2", "-"},
		{"a long string that does not end", "z = x\na = \"\"\"b\nc = 1\n", "1", "-"},
		{"a long string with what looks like a mistake", "z = x\na = \"\"\"\nb = x y\n[c\n\"\"\"\n", "1", "a"},
		{"a key twice, after a mistake", "a = x\nb = 1\nb = 2\nc = x\n", "1", "-"},
		{"too many", strings.Repeat("a = x\n", 40), "1 2 3 4 5 6 7 8 9 10", "-"},
	} {
		table, problems := Parse("x", []byte(tt.data))
		var lines, keys []string
		for _, p := range problems {
			lines = append(lines, strconv.Itoa(p.Line))
		}
		if table == nil {
			keys = []string{"-"}
		} else {
			for _, f := range table.Fields {
				keys = append(keys, f.Key)
			}
		}
		if got, read := strings.Join(lines, " "), strings.Join(keys, " "); got != tt.wrong || read != tt.keys {
			t.Errorf("%s: mistakes in lines %s, want %s; read %q, want %q\n%v", tt.name, got, tt.wrong, read, tt.keys, problems)
		}
	}
}

type sample struct {
	Top string
	May []string `toml:",empty"`
	One struct {
		Line  Line
		Flag  bool
		Count int
		Raw   Value
		Other map[string]string
		Lists map[kindOfWord][]string
	}
	Many []struct {
		common
		Line     Line
		Words    []Text
		Examples []example `toml:"example_list"`
	}
}

type kindOfWord string

type common struct{ Name Text }

type example struct {
	Line Line
	Text string
}

func (e *example) FromText(t Text) { *e = example{Line(t.Line), t.S} }
func (e *example) Form() string    { return `"…" or { text = "…" }` }

func TestDecode(t *testing.T) {
	var got sample
	problems := Decode("x", []byte(`top = "a"
[one]
flag = true
count = 0x10
raw = 1.5
other = { "a.b" = "c" }
[one.lists]
odd = ["x", "y"]
even = "z"
[[many]]
name = "n"
words = "w"
example_list = ["p", { text = "q" }]
[[many]]
`), &got)
	if len(problems) > 0 {
		t.Fatal(problems)
	}
	var want sample
	want.Top = "a"
	want.One.Line, want.One.Flag, want.One.Count = 2, true, 16
	want.One.Raw = Value{Kind: Float, Line: 5, Text: "1.5"}
	want.One.Other = map[string]string{"a.b": "c"}
	want.One.Lists = map[kindOfWord][]string{"odd": {"x", "y"}, "even": {"z"}}
	want.Many = append(want.Many, want.Many...)
	want.Many = make([]struct {
		common
		Line     Line
		Words    []Text
		Examples []example `toml:"example_list"`
	}, 2)
	want.Many[0].Line, want.Many[0].Name, want.Many[0].Words = 10, Text{"n", 11}, []Text{{"w", 12}}
	want.Many[0].Examples = []example{{13, "p"}, {13, "q"}}
	want.Many[1].Line = 14
	if !reflect.DeepEqual(got, want) {
		t.Errorf("got  %+v\nwant %+v", got, want)
	}
}

func TestDecodeProblems(t *testing.T) {
	const data = `tip = "a"
Top = ""
[one]
flog = true
flag = "yes"
count = 1.0
other = "x"
lists.odd = [1]
[[many]]
nam = "n"
words = [true, ""]
example_list = [5, { txt = "q" }]
[[many]]
name = 1
words = []
[[few]]
[many_more]
`
	const want = `x:1: unknown key "tip": did you mean "top"?
x:2: unknown key "Top": did you mean "top"?
x:4: unknown key "flog" in [one]: did you mean "flag"?
x:5: flag must be true or false
x:6: count must be a whole number
x:7: other is a table: write its keys below a line [one.other]
x:8: odd must hold strings only
x:10: unknown key "nam" in [[many]]: did you mean "name"?
x:11: words must hold strings only
x:11: words holds an empty string
x:12: example_list: write "…" or { text = "…" }
x:12: unknown key "txt" in [[many.example_list]]: did you mean "text"?
x:14: name must be a string in quotes
x:15: words is an empty list: leave the key out
x:16: unknown section [[few]]: there are [one], [[many]]
x:17: unknown section [many_more]: there are [one], [[many]]`
	var s sample
	if got := Decode("x", []byte(data), &s).Error(); got != want {
		t.Errorf("got\n%s\nwant\n%s", got, want)
	}
	for data, want := range map[string]string{
		"[[one]]":                      "x:1: [[one]] is a single table: write [one]",
		"[many]":                       "x:1: [many] is one of many: write [[many]]",
		"many = [1]":                   "x:1: many is a list of tables: write [[many]]",
		"top = ''":                     "x:1: top is empty",
		"[[many]]\nwords=1":            "x:2: words must be a string or a list of strings",
		"may = []\n[one]\nflag = true": "",
	} {
		if got := Decode("x", []byte(data), &s).Error(); got != want {
			t.Errorf("%q: got %s, want %s", data, got, want)
		}
	}
	var only struct{ Many []example }
	if got := Decode("x", []byte("stray = 1"), &only).Error(); got != `x:1: "stray" stands outside of any section: there is only [[many]]` {
		t.Error(got)
	}
}

func TestProblem(t *testing.T) {
	for want, p := range map[string]Problem{
		"m":           {Message: "m"},
		"k: m":        {Key: "k", Message: "m"},
		"f: k: m":     {File: "f", Key: "k[1]", Message: "m"},
		"f:2: k.l: m": {File: "f", Line: 2, Key: "k.l", Message: "m"},
	} {
		if got := p.String(); got != want {
			t.Errorf("got %q, want %q", got, want)
		}
	}
	ps := Problems{{File: "b", Line: 1}, {File: "a", Line: 2}, {File: "a", Line: 1}}
	ps.Sort()
	if ps.Error() != "a:1: \na:2: \nb:1: " || ps.Err() == nil || Problems(nil).Err() != nil {
		t.Errorf("%v", ps)
	}
}

func TestNearest(t *testing.T) {
	words := []string{"listen", "mode", "log", "limits", "header_prefix"}
	for in, want := range map[string]string{
		"lisen": "listen", "lsiten": "listen", "Listen": "listen", "listens": "listen", "mod": "mode",
		"header-prefix": "header_prefix", "headerprefix": "header_prefix", "limit": "limits", "action": "", "x": "",
		strings.Repeat("x", 1<<20): "",
	} {
		if got := Nearest(in, words); got != want {
			t.Errorf("nearest to %q is %q, want %q", in, got, want)
		}
	}
	for in, want := range map[string]string{"moed": `: did you mean "mode"?`, "xyz": ": there are listen, mode, log, limits, header_prefix"} {
		if got := DidYouMean(in, words); got != want {
			t.Errorf("%s: %s, want %s", in, got, want)
		}
	}
	if got := DidYouMean("x", make([]string, maxListed+1)); got != "" {
		t.Errorf("too many are listed: %s", got)
	}
}

func TestWrite(t *testing.T) {
	for got, want := range map[string]string{
		Quote("a\"\\\n\x7f"): `"a\"\\\u000A\u007F"`, Duration(2 * time.Hour): `"2h"`, Duration(90 * time.Minute): `"1h30m"`,
		Duration(time.Millisecond): `"1ms"`, Duration(0): `"0s"`, Size(1 << 20): `"1MiB"`, Size(1000): "1000", Size(0): "0",
		OneOf([]string{"a"}): `"a"`, OneOf([]string{"a", "b", "c"}): `"a", "b" or "c"`,
	} {
		if got != want {
			t.Errorf("got %s, want %s", got, want)
		}
	}
	for in, want := range map[string]int64{"1": 1, "1K": 1024, "2 KB": 2048, "3KiB": 3072, "1G": 1 << 30} {
		if n, ok := ParseSize(in); !ok || n != want {
			t.Errorf("%q is read as %d", in, n)
		}
	}
	for _, in := range []string{"", "-1", "x", "1T", "K", "9223372036854775807K"} {
		if n, ok := ParseSize(in); ok {
			t.Errorf("%q is read as %d", in, n)
		}
	}
}

// What several loaders find comes out as one list.
func TestLoader(t *testing.T) {
	a, b := Loader{FS: fstest.MapFS{"d/a.toml": {Data: []byte("tip = 1")}}}, Loader{FS: fstest.MapFS{}}
	var s sample
	a.Read("d/a.toml", &s)
	b.Read("d/b.toml", &s)
	b.Complain(0, "more")
	b.Join(a.Err())
	b.Join(nil)
	want := "a.toml:1: unknown key \"tip\": did you mean \"top\"?\nb.toml: open d/b.toml: file does not exist\nb.toml: more"
	if err := b.Err(); err == nil || err.Error() != want {
		t.Errorf("got %v", err)
	}
}

// FuzzDecode: nothing makes the reader panic, and every problem has its place.
func FuzzDecode(f *testing.F) {
	f.Add([]byte("top = 'a'\n[one]\nflag = true\n[[many]]\nexample_list = ['x', {}]\n[many.sub]\n"))
	f.Add([]byte("a.b.c = { d = [[1, {}], 2026-01-01] }\n[one.lists]\n'' = []\n"))
	f.Fuzz(func(t *testing.T, data []byte) {
		var s sample
		for _, p := range Decode("x", data, &s) {
			if p.File != "x" || p.Line < 1 || p.Message == "" {
				t.Errorf("%+v", p)
			}
		}
	})
}

// FuzzPlain: what the fast reader accepts is TOML, and go-toml makes the same of it.
func FuzzPlain(f *testing.F) {
	for _, s := range []string{
		"# c\n[a.b]\nk = \"v\" # c\nn = -12\n[[a.c]]\nl = [1, 'x', \"\"\"\ny\nz\"\"\",\n# c\n true,]\n[[a.c]]\nt = { u = 1, v = [] }\n",
		"k = [\n [\n 1,\n {a = [\n2]}]\n,\n'x']\n", "[a]\n[a.b]\n[a]\n", "[a.b]\n[a]\nb = 1", "[[a]]\n[a.b]\n[[a]]\n[a.b]\n", "a = 1\na = 2", "a = {b=1, b=2}",
		`k = "a\"b\\\n"`, `k = """a\"""b"""`, `k = '''a''''`, "k = 00", "k = 1.5", "k = 1_0", "k = +1", "k = 2026-01-01", "a.b = 1", "k = true1",
		"k = []\n[[k]]", "k = {}\n[k.a]", "[a] [b]", "[[a]", "k = 1 2", "k = [1 2]", "k = {a = 1,}", "k = [,]", "k = \"\n\"", "k = [\"\"\"\n\n\"\"\", 1]",
	} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, data []byte) { same(t, data) })
}

// same reports whether the fast reader accepts a file, and complains if go-toml makes
// something else of it.
func same(t *testing.T, data []byte) bool {
	got := parsePlain(data, &room{})
	if got == nil {
		return false
	}
	want, problems := parseAny("x", data)
	if len(problems) > 0 {
		t.Fatalf("%q: %v", data, problems)
	}
	forget(got)
	forget(want)
	if !reflect.DeepEqual(got, want) {
		t.Fatalf("%q:\ngot  %+v\nwant %+v", data, got, want)
	}
	return true
}

// forget drops what is made when first needed.
func forget(t *Table) {
	t.index = nil
	if len(t.Fields) == 0 {
		t.Fields = nil
	}
	var value func(v *Value)
	value = func(v *Value) {
		if v.Table != nil {
			forget(v.Table)
		}
		for i := range v.List {
			value(&v.List[i])
		}
	}
	for i := range t.Fields {
		value(&t.Fields[i].Value)
	}
}

// TestPlainWords puts files together from words at random, for the fuzz test's random
// octets are seldom TOML.
func TestPlainWords(t *testing.T) {
	words := []string{"a", "b", "c-1", " = ", " = ", "= ", "\n", "\n", "\n", "[a]\n", "[[b]]\n", "[a.b]\n", "[[a.c]]\n", "[b.c]\n", "a = ", "b = ", "c = ",
		"[", "]", "{", "}", ",", ", ", "{ a = 1, b = ", "[ 'x',\n", "]\n", " }\n", "1", "-12", "true", "\"v\"", "'w'", "\"\"\"\nx\n\"\"\"", "\"", "'", "\\", "\\n", "\\u0041",
		" # c\n", "é", "\t", "."}
	random := rand.New(rand.NewPCG(1, 2))
	accepted := 0
	for range 30000 {
		var b []byte
		for range random.IntN(24) {
			b = append(b, words[random.IntN(len(words))]...)
		}
		if same(t, b) {
			accepted++
		}
	}
	if accepted < 200 {
		t.Errorf("only %d files were accepted", accepted)
	}
}
