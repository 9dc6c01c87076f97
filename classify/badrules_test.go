package classify

import (
	"flag"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/bounce-milter/bounce-milter/classify/rules"
)

var update = flag.Bool("update", false, "rewrite what testdata expects")

// small is the test's own data, with the given administrator's rule files.
func small(t testing.TB, admin ...rules.File) (*rules.Set, rules.Problems) {
	t.Helper()
	return rules.Build(os.DirFS("testdata/small"), admin)
}

// TestBadRules reads broken rule files. The file beside each contains exactly the lines that must
// be printed for it.
func TestBadRules(t *testing.T) {
	files, err := filepath.Glob("testdata/badrules/*.toml")
	if err != nil || len(files) == 0 {
		t.Fatal(files, err)
	}
	for _, file := range files {
		t.Run(filepath.Base(file), func(t *testing.T) {
			data, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			set, problems := small(t, rules.File{Name: filepath.Base(file), Data: data, Admin: true})
			wrong, warnings := checkSet(set, true)
			problems = append(problems, wrong...)
			problems.Sort()
			got := problems.Error() + "\n"
			for _, p := range append(set.Warnings, warnings...) {
				got += "warning: " + p.String() + "\n"
			}
			for _, r := range set.Broken {
				got += "untested: " + r.ID + "\n"
			}
			expected := strings.TrimSuffix(file, ".toml") + ".want"
			if *update {
				if err := os.WriteFile(expected, []byte(got), 0o644); err != nil {
					t.Fatal(err)
				}
			}
			want, err := os.ReadFile(expected)
			if err != nil {
				t.Fatal(err)
			}
			if got != string(want) {
				t.Errorf("got:\n%swant:\n%s", got, want)
			}
		})
	}
}

// TestSmall checks that the test's own data are valid.
func TestSmall(t *testing.T) {
	set, problems := small(t)
	wrong, warnings := checkSet(set, false)
	for _, p := range slices.Concat(problems, wrong, warnings) {
		t.Error(p)
	}
}

// TestNewListsProblems: an engine is not made of broken rules, and the error
// names every problem.
func TestNewListsProblems(t *testing.T) {
	dir := t.TempDir()
	for name, data := range map[string]string{
		"10-good.toml":  "[[rule]]\nid = \"mine\"\nreason = \"policy\"\nany = [\"only in this test\"]\nexamples = [\"550 only in this test\"]\n",
		"20-bad.toml":   "[[rule]]\nid = \"bad\"\nresaon = \"policy\"\nany = [\"words of the second file\"]\n",
		"30-worse.toml": "[[rule]\n",
		"ignored.txt":   "[[rule]\n",
	} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(data), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	_, err := New(Options{RulesDir: dir})
	if err == nil {
		t.Fatal("an engine was made of broken rules")
	}
	for _, want := range []string{"20-bad.toml:3: unknown key \"resaon\" in [[rule]]: did you mean \"reason\"?",
		"20-bad.toml:1: rule \"bad\" has no example", "30-worse.toml:1: "} {
		if !strings.Contains(err.Error(), want) {
			t.Errorf("%q is missing in:\n%v", want, err)
		}
	}
	if strings.Contains(err.Error(), "10-good") || strings.Contains(err.Error(), "ignored") {
		t.Error(err)
	}
	for _, bad := range []string{"20-bad.toml", "30-worse.toml"} {
		if err := os.Remove(filepath.Join(dir, bad)); err != nil {
			t.Fatal(err)
		}
	}
	e, err := New(Options{RulesDir: dir})
	if err != nil {
		t.Fatal(err)
	}
	if v := e.Judge(&Evidence{Reply: "550 5.1.1 only in this test"}); v.Rule != "mine" || v.Evidence != RungAdmin {
		t.Errorf("%+v", v)
	}
	if !slices.Contains(e.RuleIDs(), "mine") {
		t.Error("the rule is not listed")
	}
	if _, err := New(Options{RulesDir: filepath.Join(dir, "absent")}); err != nil {
		t.Errorf("a folder that is not there: %v", err)
	}
}
