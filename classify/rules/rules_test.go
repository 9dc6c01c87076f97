package rules

import (
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"

	"github.com/bounce-milter/bounce-milter/classify/reply"
)

func TestStatusPattern(t *testing.T) {
	for _, c := range []struct {
		pattern   string
		yes, no   string
		malformed bool
	}{
		{pattern: "5.2.2", yes: "5.2.2", no: "4.2.2 5.2.20 5.2.1"},
		{pattern: "x.2.2", yes: "5.2.2 4.2.2", no: "5.2.3"},
		{pattern: "5.2.*", yes: "5.2.0 5.2.999", no: "5.3.0 4.2.0"},
		{pattern: "5.7.606-649", yes: "5.7.606 5.7.649 5.7.620", no: "5.7.605 5.7.650 4.7.620"},
		{pattern: "x.x.x", yes: "5.1.1 2.0.0"},
		{pattern: "5.7.*", yes: "5.7.1", no: ""},
		{pattern: "5.7", malformed: true},
		{pattern: "6.1.1", malformed: true},
		{pattern: "5.1.1000", malformed: true},
		{pattern: "5.1.9-3", malformed: true},
		{pattern: "5.1.a", malformed: true},
		{pattern: "5..1", malformed: true},
		{pattern: "3.1.1", malformed: true},
		{pattern: "5.01.1", malformed: true},
		{pattern: "5.7.00-9", malformed: true},
	} {
		p, err := parseStatusPattern(c.pattern)
		if c.malformed != (err != nil) {
			t.Errorf("%s: %v", c.pattern, err)
			continue
		}
		for s := range strings.FieldsSeq(c.yes) {
			if !p.Match(reply.ParseStatus(s)) {
				t.Errorf("%s does not match %s", c.pattern, s)
			}
		}
		for s := range strings.FieldsSeq(c.no) {
			if p.Match(reply.ParseStatus(s)) {
				t.Errorf("%s matches %s", c.pattern, s)
			}
		}
		if err == nil && p.Match(reply.Status{}) {
			t.Errorf("%s matches no status at all", c.pattern)
		}
	}
}

func TestCodePattern(t *testing.T) {
	for _, c := range []struct {
		pattern string
		yes, no []int
		class   int
	}{
		{"550", []int{550}, []int{551, 450, 0}, 0},
		{"45x", []int{450, 459}, []int{421, 550}, 0},
		{"4xx", []int{421, 499}, []int{550, 0}, 4},
		{"5XX", []int{550}, []int{450}, 5},
	} {
		p, err := parseCode(c.pattern)
		if err != nil || p.Class() != c.class {
			t.Errorf("%s: %v, class %d", c.pattern, err, p.Class())
		}
		for _, n := range c.yes {
			if !p.Match(n) {
				t.Errorf("%s does not match %d", c.pattern, n)
			}
		}
		for _, n := range c.no {
			if p.Match(n) {
				t.Errorf("%s matches %d", c.pattern, n)
			}
		}
	}
	for _, bad := range []string{"", "55", "5500", "xxx", "15x", "a50"} {
		if _, err := parseCode(bad); err == nil {
			t.Errorf("%q is taken for a code", bad)
		}
	}
}

// TestAdminFiles: what cannot be read is a problem, what is too much as well.
func TestAdminFiles(t *testing.T) {
	dir := t.TempDir()
	big := filepath.Join(dir, "big.toml")
	if err := os.WriteFile(big, make([]byte, maxRuleFile+1), 0o644); err != nil {
		t.Fatal(err)
	}
	if err := os.Mkdir(filepath.Join(dir, "folder.toml"), 0o755); err != nil {
		t.Fatal(err)
	}
	files, problems := AdminFiles(dir)
	if len(files) != 0 || len(problems) != 2 ||
		problems[0].String() != big+": 4194305 octets, at most 4194304 are read" ||
		!strings.HasSuffix(problems[1].String(), "folder.toml: not a regular file") {
		t.Errorf("%v %v", files, problems)
	}
	if _, problems := AdminFiles(big); len(problems) != 1 {
		t.Errorf("a file in place of the folder: %v", problems)
	}
	if files, problems := AdminFiles(filepath.Join(dir, "absent")); files != nil || problems != nil {
		t.Errorf("a folder that is not there: %v %v", files, problems)
	}
	odd := filepath.Join(dir, "odd [x]*")
	if err := os.Mkdir(odd, 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(odd, "a.toml"), []byte("x = 1"), 0o644); err != nil {
		t.Fatal(err)
	}
	if files, problems := AdminFiles(odd); len(files) != 1 || len(problems) > 0 {
		t.Errorf("a folder with signs of a pattern in its name: %v %v", files, problems)
	}
}

// FuzzBuild: no rule file makes the loader panic, and a file without problems
// has rules that are whole.
func FuzzBuild(f *testing.F) {
	f.Add("[[rule]]\nid = \"a\"\nreason = \"policy\"\nany = [\"some words\"]\nexamples = [\"550 some words\"]\n")
	f.Add("[[override]]\nid = \"a\"\ndisabled = true\n")
	f.Add("[[rule]]\nexamples = [{ reply = 1 }, { code = \"x\" }]\nstatus = [[1]]\n")
	f.Fuzz(func(t *testing.T, data string) {
		b := &builder{set: &Set{}, reasonByID: map[string]Reason{"policy": {ID: "policy"}}, seen: map[string]seenPhrase{}}
		f := File{Name: "x.toml", Data: []byte(data), Admin: true}
		parsed, problems := f.parse()
		b.rules(f, parsed, problems)
		b.applyOverrides()
		if len(b.problems) > 0 {
			return
		}
		for _, r := range b.set.Rules {
			if r.ID == "" || r.Reason != "policy" || len(r.Examples) == 0 || r.Line == 0 {
				t.Fatalf("%+v", r)
			}
		}
	})
}

func TestAnyCode(t *testing.T) {
	for s, want := range map[string]int{
		"550": 550, "250": 250, "260": 260, "354": 354, "701": 701, "999": 999,
		"": 0, "55": 0, "5500": 0, "0550": 0, "+55": 0, "550 ": 0, "-55": 0, "5x0": 0, "100": 0, "099": 0,
	} {
		if got := AnyCode(s); got != want {
			t.Errorf("%q: %d, want %d", s, got, want)
		}
	}
}

// TestTested: what is not looked for in the embedded data when a program starts, twins
// among phrases and expressions that do not compile, is not in it.
func TestTested(t *testing.T) {
	strict, problems := Build(os.DirFS("."), nil)
	if len(problems) > 0 {
		t.Fatal(problems)
	}
	quick, problems := Load("")
	if len(problems) > 0 {
		t.Fatal(problems)
	}
	for _, r := range quick.Rules {
		r.NeedExamples()
		r.later = nil
	}
	if !reflect.DeepEqual(strict, quick) {
		t.Error("the embedded data and the files of this folder make different sets")
	}
	if v := Version(); v != strict.Version {
		t.Errorf("the version is %s, but %s without parsing", strict.Version, v)
	}
}
