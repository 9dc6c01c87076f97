package classify

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/bounce-milter/bounce-milter/classify/dsn"
	"github.com/bounce-milter/bounce-milter/classify/rules"
)

// Problem is one thing wrong with the rules or with other data. It has the fields
// File, Line and Key (where: "" and 0 where nothing so narrow is to blame) and
// Message (what is wrong and how to mend it), and the method String, which
// writes all of them as "file:line: key: message".
type Problem = rules.Problem

// Problems is every problem found at once, as a slice of [Problem] and an error
// that lists them one a line.
type Problems = rules.Problems

// Check is `rules test`: it reads the embedded rules, those of the folder and
// the files, and returns everything that is wrong with any of them, in the
// order of files and lines. Every rule must be reached by each of its examples
// before any other rule, no rule may be unable to match or say what another
// one says, and no phrase may be one that no text can hold. A notice of the
// administrator's must be read as its examples say, and be one that the gate opens to.
//
// Check returns the problems of an [Examination], which [Examine] makes.
func Check(rulesDir string, files []string) Problems { return Examine(rulesDir, files).Problems }

// Examination is what [Examine] found. Its rules can be used if there are no Problems.
type Examination struct {
	Problems Problems // what is wrong
	Warnings Problems // what works but may not be meant
	// Untested names the rules whose examples were not judged, because something in
	// the rule cannot be read: each as "rule \"id\" (file:line)".
	Untested []string
	Files    []string // the administrator's files that were read
	Rules    int      // in force
	Own      int      // of these, the administrator's
	Examples int      // of all rules in force
	Notices  bool     // a file describes bounces in words
}

// Examine does what [Check] does, and also says what was read, what was left out, and
// what may not be meant.
func Examine(rulesDir string, files []string) Examination {
	set, problems := rules.Load(rulesDir, files...)
	x := Examination{Warnings: set.Warnings, Files: set.Own, Rules: len(set.Rules), Notices: len(set.Notices) > 0}
	var data Problems
	if errors.As(dsn.CheckFiles(noticeFiles(set)...), &data) {
		problems = append(problems, data...)
	}
	for _, r := range set.Rules {
		r.NeedExamples()
		x.Examples += len(r.Examples) + len(r.NotExamples)
		if r.Admin {
			x.Own++
		}
	}
	for _, r := range set.Broken {
		name := "a rule without id"
		if r.ID != "" {
			name = fmt.Sprintf("rule %q", r.ID)
		}
		x.Untested = append(x.Untested, fmt.Sprintf("%s (%s:%d)", name, r.File, r.Line))
	}
	check := func(set *rules.Set, adminOnly bool) {
		wrong, odd := checkSet(set, adminOnly)
		problems, x.Warnings = append(problems, wrong...), append(x.Warnings, odd...)
	}
	// What could be read of a broken file is checked too, so that one run shows
	// as much as it can.
	if len(set.OwnWords) > 0 || x.Own > 0 {
		// Built-in rules must stand on their own; an administrator's rule
		// may well take their examples.
		alone, _ := rules.Load("")
		check(alone, false)
		check(set, true)
	} else {
		check(set, false)
	}
	problems.Sort()
	x.Warnings.Sort()
	x.Problems = problems
	return x
}

// checkSet checks the rules of a set, or the administrator's alone.
//
// A rule in which something could not be read has lost conditions, and would take
// replies that are not its own: it is left out while examples are judged.
func checkSet(set *rules.Set, adminOnly bool) (problems, warnings Problems) {
	c := checker{broken: map[string]bool{}, problems: &problems, warnings: &warnings}
	whole := *set
	whole.Rules = slices.Clone(set.Rules)
	whole.Rules = slices.DeleteFunc(whole.Rules, func(r *rules.Compiled) bool {
		if r.Broken {
			c.broken[r.ID] = true
			if r.Admin || !adminOnly {
				c.phrases(r)
				c.dead(r)
			}
		}
		return r.Broken
	})
	e, err := newEngine(&whole)
	if err != nil {
		return append(problems, Problem{Message: err.Error()}), warnings
	}
	e.testing = true
	c.e = e
	for _, r := range e.match.rules {
		if adminOnly && !r.Admin {
			continue
		}
		c.phrases(r.Compiled)
		c.dead(r.Compiled)
		c.examples(r)
		c.sweep(r)
	}
	c.duplicates(adminOnly)
	for _, w := range set.OwnWords {
		if n := written(w.Text); n != w.Text {
			c.complain(w.File, w.Line,
				"reply holds %q, which never matches: write %q, because texts are compared in lower case with single spaces and plain quotes",
				w.Text, n)
		}
	}
	problems.Sort()
	return problems, warnings
}

type checker struct {
	e                  *Engine
	broken             map[string]bool // ids of rules that are left out
	problems, warnings *Problems
}

func (c checker) complain(file string, line int, format string, args ...any) {
	*c.problems = append(*c.problems, Problem{File: file, Line: line, Message: fmt.Sprintf(format, args...)})
}

// phrases looks for phrases that no text can hold.
func (c checker) phrases(r *rules.Compiled) {
	for _, list := range [][]string{r.Any, r.All, r.None, r.Near, r.Tokens} {
		for _, p := range list {
			if n := written(p); n != p {
				c.complain(r.File, r.PhraseLine(p),
					"rule %q: phrase %q never matches: write %q, because texts are compared in lower case with single spaces and plain quotes",
					r.ID, p, n)
				continue
			}
			if slices.Contains(r.Tokens, p) || p == rules.NearAddress {
				continue
			}
			var t text
			t.set("x " + p + " x")
			t.mask()
			if t.maskedWithin(0, len(t.norm)) {
				c.complain(r.File, r.PhraseLine(p),
					"rule %q: phrase %q never matches, because it holds an address, a host name or a URL: make it a token",
					r.ID, p)
			}
		}
	}
}

// dead looks for conditions that exclude each other.
func (c checker) dead(r *rules.Compiled) {
	excluded := func(p string) string {
		for _, n := range r.None {
			if strings.Contains(p, n) {
				return n
			}
		}
		return ""
	}
	for _, p := range r.All {
		if n := excluded(p); n != "" {
			c.complain(r.File, r.PhraseLine(p),
				"rule %q never matches: \"all\" wants %q, and \"none\" excludes the %q in it",
				r.ID, p, n)
		}
	}
	for _, p := range append(slices.Clone(r.Any), r.Tokens...) {
		if n := excluded(p); n != "" {
			c.complain(r.File, r.PhraseLine(p),
				"rule %q: phrase %q never matches: \"none\" excludes the %q in it",
				r.ID, p, n)
		}
	}
}

// duplicates looks for a phrase that two rules of one tier hold on the same
// conditions: the second can never decide by it.
func (c checker) duplicates(adminOnly bool) {
	type key struct{ phrase, conditions string }
	first := map[key]*rule{}
	for _, r := range c.e.match.rules {
		if adminOnly && !r.Admin {
			continue
		}
		conditions := fmt.Sprint(r.tier, r.Providers, r.Codes, r.Statuses, r.All, r.None, r.Near, r.Regex, r.About, r.RemoteMTAs)
		list := append(slices.Clone(r.Any), r.Tokens...)
		if len(list) == 0 {
			list = []string{""}
		}
		for _, p := range list {
			k := key{p, conditions}
			if other := first[k]; other != nil && other != r {
				what := "has the same conditions as"
				if p != "" {
					what = fmt.Sprintf("repeats the phrase %q of", p)
				}
				line := r.PhraseLine(p)
				if line == 0 {
					line = r.Line
				}
				c.complain(r.File, line, "rule %q %s rule %q (%s:%d)", r.ID, what, other.ID, other.File, other.Line)
				continue
			}
			first[k] = r
		}
	}
}
