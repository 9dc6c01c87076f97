package propose

import (
	"errors"
	"strings"
	"testing"
)

// Of each group the first phrase counts that no earlier group has and that the test of rules
// accepts.
func TestDrafter(t *testing.T) {
	words := func(reply string) string { return strings.ToLower(reply) }
	group := func(reply string) *Group { return &Group{Replies: []string{reply}} }
	first, same := group("the heron stands in the water"), group("the heron stands in the water")
	other, wordless := group("the owl sits in the old barn"), group("550")
	list := []*Group{first, same, wordless, other}

	accept := Drafter{Words: words, Test: func(string) ([]int, error) { return nil, nil }}
	rules, err := accept.Rules(list)
	if err != nil {
		t.Fatal(err)
	}
	if len(rules) != 2 || !strings.Contains(rules[first], "the heron stands") || !strings.Contains(rules[other], "the owl sits") {
		t.Errorf("got %v", rules)
	}

	// The problem is on the last line of the file, which is in the rule for the other group.
	refuse := Drafter{Words: words, Test: func(file string) ([]int, error) {
		if strings.Contains(file, "owl") {
			return []int{strings.Count(file, "\n")}, nil
		}
		return nil, nil
	}}
	if rules, err = refuse.Rules(list); err != nil || len(rules) != 1 || rules[first] == "" {
		t.Errorf("got %v, %v", rules, err)
	}

	// What the heron does is what another rule is about.
	general := accept
	general.Others = []string{"554 Where  THE HERON stands, no mail goes"}
	if rules, err = general.Rules(list); err != nil || strings.Contains(rules[first], `any = ["the heron stands"`) || rules[other] == "" {
		t.Errorf("got %v, %v", rules, err)
	}

	broken := errors.New("no room")
	fails := Drafter{Words: words, Test: func(string) ([]int, error) { return nil, broken }}
	if _, err := fails.Rules(list); !errors.Is(err, broken) {
		t.Errorf("got %v: rules that were not tested are not proposed", err)
	}
}
