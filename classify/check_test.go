package classify

import (
	"os"
	"regexp"
	"slices"
	"testing"

	"github.com/bounce-milter/bounce-milter/classify/rules"
)

// TestRules is `rules test` on what is embedded.
func TestRules(t *testing.T) {
	x := Examine("", nil)
	for _, p := range append(x.Problems, x.Warnings...) {
		t.Error(p)
	}
}

// TestRulesPage holds the rules, providers and formats that docs/rules.md shows to what
// it says of them.
func TestRulesPage(t *testing.T) {
	page, err := os.ReadFile("../docs/rules.md")
	if err != nil {
		t.Fatal(err)
	}
	var shown []byte
	for _, block := range regexp.MustCompile("(?s)```toml\n(.*?)```").FindAllSubmatch(page, -1) {
		if regexp.MustCompile(`(?m)^\[\[(rule|provider|format)\]\]$`).Match(block[1]) {
			shown = append(shown, block[1]...)
		}
	}
	if len(shown) == 0 {
		t.Fatal("no rule is shown")
	}
	name := t.TempDir() + "/page.toml"
	if err := os.WriteFile(name, shown, 0o644); err != nil {
		t.Fatal(err)
	}
	for _, p := range Check("", []string{name}) {
		t.Error(p)
	}
	set, problems := rules.Load("", name)
	if len(problems) > 0 {
		t.Fatal(problems)
	}
	if r := set.Rules[len(set.Rules)-1]; !r.Admin {
		t.Error("the rules of the page were not read")
	}
	if len(set.Notices) == 0 || !slices.ContainsFunc(set.Providers, func(p rules.Provider) bool { return p.Name == "kestrel" }) {
		t.Error("the provider or the format of the page was not read")
	}
}
