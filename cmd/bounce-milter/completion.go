package main

import (
	"embed"
	"fmt"
	"slices"
	"strings"

	"github.com/spf13/pflag"
)

// The scripts contain no commands and flags: the shell asks the program what may come
// next.
//
//go:embed completion/*
var completionScripts embed.FS

// shells are the shells with a completion script, and its file. The file has the name
// that the shell looks for.
var shells = []struct{ name, file string }{
	{"bash", "bounce-milter"}, {"zsh", "_bounce-milter"}, {"fish", "bounce-milter.fish"},
}

func runCompletion(a *app, args []string) error {
	for _, sh := range shells {
		if len(args) == 1 && args[0] == sh.name {
			script, err := completionScripts.ReadFile("completion/" + sh.file)
			if err != nil {
				return fmt.Errorf("completion: reading the script: %w", err)
			}
			a.out.Write(script)
			return nil
		}
	}
	return usagef("completion: for which shell? Write bash, zsh or fish")
}

// candidate is a word that may come next, with its meaning if that helps.
type candidate struct{ word, does string }

// filesToo, in place of a word, tells the shell to offer file names.
const filesToo = ":files"

// offer returns what may come next after the arguments that a command has already.
type offer func(a *app, args []string) []candidate

func offerFiles(*app, []string) []candidate { return []candidate{{word: filesToo}} }

func offerShells(_ *app, args []string) (offered []candidate) {
	for _, sh := range shells {
		if len(args) == 0 {
			offered = append(offered, candidate{word: sh.name})
		}
	}
	return offered
}

// offerCommands offers the next words of commands that begin with those in name.
func offerCommands(_ *app, name []string) (offered []candidate) {
	before := strings.Join(name, " ")
	for _, word := range nextWords(before) {
		c := candidate{word: word}
		if found := under(strings.TrimSpace(before + " " + word)); len(found) == 1 {
			c.does = found[0].does
		} else {
			c.does = orList(nextWords(word))
		}
		offered = append(offered, c)
	}
	return offered
}

// offerRules offers the ids of rules and reasons.
func offerRules(a *app, args []string) (offered []candidate) {
	if len(args) > 0 {
		return nil
	}
	_, engine, err := loadEngine(a.options.config)
	if err != nil {
		return nil
	}
	for _, r := range engine.Reasons() {
		offered = append(offered, candidate{r.ID, "a reason"})
	}
	for _, r := range engine.Rules() {
		if _, named := engine.Reason(r.ID); !named { // rule and reason are shown together
			offered = append(offered, candidate{r.ID, r.Reason})
		}
	}
	return offered
}

// candidatesName is the command with which a shell asks for candidates.
const candidatesName = "__complete"

// runCandidates prints candidates for the last of words; words are those from the
// program's name to the cursor. Each line has a candidate, a tab and its meaning.
func runCandidates(a *app, words []string) error {
	if len(words) == 0 {
		return nil
	}
	cur := words[len(words)-1]
	for _, c := range a.candidates(words[:len(words)-1], cur) {
		if c.word == filesToo || strings.HasPrefix(c.word, cur) {
			fmt.Fprintln(a.out, strings.TrimSuffix(clean(c.word)+"\t"+clean(c.does), "\t"))
		}
	}
	return nil
}

// candidates returns what may stand at cur after the words before it.
func (a *app) candidates(before []string, cur string) []candidate {
	all := a.options.flags()
	c, name, rest := pick(all, before)
	known := all
	if c != nil {
		known = c.flagSet(all)
	}
	if !slices.Contains(before, "--") {
		if n := len(before); n > 0 && takesValue(known, before[n-1]) {
			return valuesOf(known.Lookup(before[n-1][2:]), "")
		}
		if flag, _, ok := strings.Cut(cur, "="); ok && takesValue(known, flag) {
			return valuesOf(known.Lookup(flag[2:]), flag+"=")
		}
		if strings.HasPrefix(cur, "-") {
			if c == nil {
				known = newFlagSet("")
				known.AddFlag(all.Lookup("help"))
				known.AddFlag(all.Lookup("version"))
			}
			return offerFlags(known)
		}
	}
	if c == nil {
		return offerCommands(a, strings.Fields(name))
	}
	if c.offers == nil {
		return nil
	}
	// An unknown flag is reported when the command runs.
	known.ParseErrorsAllowlist.UnknownFlags = true
	if err := known.Parse(rest); err != nil {
		return nil
	}
	return c.offers(a, known.Args())
}

func offerFlags(known *pflag.FlagSet) (offered []candidate) {
	known.VisitAll(func(f *pflag.Flag) {
		if _, usage := pflag.UnquoteUsage(f); !f.Hidden {
			offered = append(offered, candidate{"--" + f.Name, usage})
		}
	})
	return offered
}

// valuesOf returns the values that a flag may get. lead, such as "--format=", is what
// precedes the value in the same word.
func valuesOf(f *pflag.Flag, lead string) (offered []candidate) {
	switch v := f.Value.(type) {
	case *choice:
		for _, w := range v.words {
			offered = append(offered, candidate{word: lead + w})
		}
	case *fileName:
		offered = offerFiles(nil, nil)
	}
	return offered
}
