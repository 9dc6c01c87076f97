package main

import (
	"regexp"
	"strconv"
	"strings"
	"testing"

	"github.com/bounce-milter/bounce-milter/classify"
)

// The figures in the README are true.
func TestReadmeFigures(t *testing.T) {
	engine, err := classify.New(classify.Options{})
	if err != nil {
		t.Fatal(err)
	}
	text := strings.Join(strings.Fields(read(t, "README.md")), " ")
	number := func(re string) int {
		t.Helper()
		m := regexp.MustCompile(re).FindStringSubmatch(text)
		if m == nil {
			t.Fatalf("the README does not say %s", re)
		}
		if n, ok := map[string]int{"Ten": 10, "seven": 7, "three": 3}[m[1]]; ok {
			return n
		}
		n, err := strconv.Atoi(strings.ReplaceAll(m[1], ",", ""))
		if err != nil {
			t.Fatal(err)
		}
		return n
	}
	if said, is := number(`over ([\d,]+) tested rules`), len(engine.RuleIDs()); said > is || is > said+200 {
		t.Errorf("it says that there are over %d rules, and there are %d", said, is)
	}
	if said, is := number(`(\w+) categories and \d+ reasons`), len(classify.Categories()); said != is {
		t.Errorf("it says that there are %d categories, and there are %d", said, is)
	}
	if said, is := number(`\w+ categories and (\d+) reasons`), len(engine.Reasons()); said != is {
		t.Errorf("it says that there are %d reasons, and there are %d", said, is)
	}
	if said, is := number(`one of (\w+) types`), len(classify.Types()); said != is {
		t.Errorf("it says that there are %d types, and there are %d", said, is)
	}
	// What the rules of several categories have as examples.
	categories := map[classify.Category]bool{}
	for _, r := range engine.Rules() {
		for _, ex := range r.Examples {
			if strings.HasPrefix(ex.Reply, "550 5.7.1 ") {
				rcpt := engine.ClassifyReply(&classify.Evidence{Reply: ex.Reply})
				categories[rcpt.Category] = true
			}
		}
	}
	if said, is := number("`550 5.7.1` for (\\w+) different"), len(categories); said > is {
		t.Errorf("it says that 550 5.7.1 means %d things, and the rules have %d", said, is)
	}
}
