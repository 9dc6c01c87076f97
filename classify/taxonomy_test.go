package classify

import (
	"fmt"
	"os"
	"slices"
	"strings"
	"testing"

	"github.com/bounce-milter/bounce-milter/classify/reply"
	"github.com/bounce-milter/bounce-milter/classify/rules"
)

// TestTaxonomy holds the data to the words that filters and dashboards are
// written against (testdata/taxonomy.tsv): every reason with its category and
// type, no more and no less.
func TestTaxonomy(t *testing.T) {
	data, err := os.ReadFile("testdata/taxonomy.tsv")
	if err != nil {
		t.Fatal(err)
	}
	want := strings.Split(strings.TrimSpace(string(data)), "\n")[1:]
	var got []string
	for _, r := range builtIn(t).Reasons() {
		got = append(got, r.ID+"\t"+r.Category+"\t"+r.Type)
		if !slices.Contains(Categories(), Category(r.Category)) || !slices.Contains(Types(), Type(r.Type)) {
			t.Errorf("reason %s: %s, %s", r.ID, r.Category, r.Type)
		}
	}
	slices.Sort(want)
	slices.Sort(got)
	if !slices.Equal(got, want) {
		t.Errorf("reasons are\n%s\nwant\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
	}
}

// TestCategoriesKnown: a reason may have every category there is, and no other.
func TestCategoriesKnown(t *testing.T) {
	for _, c := range append(Categories(), "no-such-category") {
		reasons := fmt.Sprintf("[[reason]]\nid = \"unknown\"\ncategory = %q\ntype = \"soft\"\nmeaning = \"m\"\nadvice = \"a\"\n", c)
		_, problems := rules.Build(overlay(t, "reasons.toml", reasons), nil)
		bad := strings.Contains(problems.Error(), "unknown category")
		if bad != (c == "no-such-category") {
			t.Errorf("%s: %v", c, problems)
		}
	}
}

// TestTablesConsistent: a row of the seed table and the reason of its gist
// name the same category.
func TestTablesConsistent(t *testing.T) {
	e := builtIn(t)
	e.set.Codes.Pairs(func(_ int, _ reply.Status, p *rules.Pair) {
		for _, c := range p.Choices {
			if r, _ := e.Reason(c.Reason); r.Category != c.Category {
				t.Errorf("%s is %s, its reason %s is %s", p.Name, c.Category, c.Reason, r.Category)
			}
		}
	})
}

// TestRegistry asks for every registered enhanced code in the classes 4 and 5.
func TestRegistry(t *testing.T) {
	codes := builtIn(t).set.Codes
	for subject, last := range map[int16]int16{0: 0, 1: 10, 2: 4, 3: 6, 4: 7, 5: 6, 6: 10, 7: 30} {
		for detail := int16(0); detail <= last; detail++ {
			for _, class := range []int16{4, 5} {
				s := reply.Status{Class: class, Subject: subject, Detail: detail}
				m := codes.Status(s)
				if m == nil || m.Name != s.String() || m.Meaning == "" {
					t.Errorf("%s: %+v", s.String(), m)
				}
			}
		}
	}
	if m := codes.Status(reply.Status{Class: 5, Subject: 2, Detail: 77}); m == nil || m.Name != "5.2.0" {
		t.Errorf("a detail that nobody registered: %+v", m)
	}
	if m := codes.Status(reply.Status{Class: 5, Subject: 9, Detail: 1}); m != nil {
		t.Errorf("a subject that nobody registered: %+v", m)
	}
}
