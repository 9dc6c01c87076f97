package propose

import (
	"slices"
	"strings"
)

// Drafter writes rules for groups. Each passes the test of rules once its reason is chosen.
type Drafter struct {
	// Words returns a reply in the form that phrases are matched on.
	Words func(reply string) string
	// Test returns the lines of a file of rules on which it finds problems.
	Test func(file string) ([]int, error)
	// Others are replies that other rules are about. A phrase that stands in one of them is
	// too general.
	Others []string
}

const (
	// rounds is how often drafts are tested at most.
	rounds = 4
	// someReason stands in the place of the reason while a draft is tested.
	someReason = "content-policy"
)

// Rules returns a rule for each group, none for a group that has no words to go by. A phrase
// by which another rule decides, or that another group has, gives way to the next one. A few
// rounds do; what has problems then gets no rule.
func (d *Drafter) Rules(list []*Group) (map[*Group]string, error) {
	others := make([]string, len(d.Others))
	for i, o := range d.Others {
		others[i] = strings.ToLower(strings.Join(strings.Fields(o), " "))
	}
	phrases := map[*Group][]string{} // that are left to try
	for _, g := range list {
		var words []string
		for _, r := range g.Replies {
			words = append(words, d.Words(r))
		}
		phrases[g] = slices.DeleteFunc(Phrases(words), func(p string) bool {
			return slices.ContainsFunc(others, func(o string) bool { return strings.Contains(o, p) })
		})
	}
	for round := 1; ; round++ {
		f := draft(list, phrases)
		lines, err := d.Test(f.text.String())
		if err != nil {
			return nil, err
		}
		bad := f.groupsAt(lines)
		if len(bad) > 0 && round < rounds {
			for _, g := range bad {
				phrases[g] = phrases[g][1:]
			}
			continue
		}
		rules := map[*Group]string{}
		for _, g := range f.groups {
			if !slices.Contains(bad, g) {
				rules[g] = Rule(phrases[g][0], Choose, g.Hint, g.Replies)
			}
		}
		return rules, nil
	}
}

// drafts is a file of rules, and the group that each rule is for.
type drafts struct {
	text   strings.Builder
	groups []*Group
	begins []int // the line on which the rule of each group begins
}

// draft writes a rule by the first phrase of each group that has one, and drops phrases that
// an earlier group has.
func draft(list []*Group, phrases map[*Group][]string) *drafts {
	f := &drafts{}
	taken := map[string]bool{}
	line := 1
	for _, g := range list {
		for len(phrases[g]) > 0 && taken[ID(phrases[g][0])] {
			phrases[g] = phrases[g][1:]
		}
		if len(phrases[g]) == 0 {
			continue
		}
		taken[ID(phrases[g][0])] = true
		rule := Rule(phrases[g][0], someReason, "", g.Replies)
		f.text.WriteString(rule)
		f.groups, f.begins = append(f.groups, g), append(f.begins, line)
		line += strings.Count(rule, "\n")
	}
	return f
}

// groupsAt returns the groups whose rules the lines are in, each once.
func (f *drafts) groupsAt(lines []int) []*Group {
	var list []*Group
	for _, line := range lines {
		i, found := slices.BinarySearch(f.begins, line)
		if !found {
			i--
		}
		if i >= 0 && !slices.Contains(list, f.groups[i]) {
			list = append(list, f.groups[i])
		}
	}
	return list
}
