package main

import (
	"errors"
	"fmt"
	"os"
	"runtime/debug"
	"slices"
	"strings"

	"github.com/bounce-milter/bounce-milter/internal/toml"
	"github.com/spf13/pflag"
)

// command is a row of the table that drives parsing, help, completion and the tests
// of the documents.
type command struct {
	name   string   // one word or two: "rules list"
	flags  []string // the flags that it takes, besides --help
	args   string   // its arguments as in a synopsis, "" for none
	does   string   // one line, for lists
	more   string   // paragraphs, for its own page
	offers offer    // what completion offers for args, nil for nothing
	stays  bool     // runs for a long time, beside other programs
	hidden bool     // not in help, completion and documents
	run    func(a *app, args []string) error
}

// synopsis returns the command with its flags and arguments, without the program's
// name.
func (c *command) synopsis(all *pflag.FlagSet) string {
	words := []string{c.name}
	for _, name := range c.flags {
		f := all.Lookup(name)
		value, _ := pflag.UnquoteUsage(f)
		words = append(words, strings.TrimSpace("[--"+f.Name+" "+value)+"]")
	}
	if c.args != "" {
		words = append(words, c.args)
	}
	return strings.Join(words, " ")
}

// flagSet returns those flags in all that the command takes.
func (c *command) flagSet(all *pflag.FlagSet) *pflag.FlagSet {
	f := newFlagSet(c.name)
	for _, name := range c.flags {
		f.AddFlag(all.Lookup(name))
	}
	f.AddFlag(all.Lookup("help"))
	return f
}

// dispatch runs the command that args name.
func (a *app) dispatch(args []string) error {
	all := a.options.flags()
	c, name, rest := pick(all, args)
	if c == nil {
		return a.noCommand(all, name, rest)
	}
	if !c.stays && os.Getenv("GOGC") == "" {
		debug.SetGCPercent(400) // in a short run, speed matters more than memory
	}
	args, err := parse(c.flagSet(all), rest)
	switch {
	case err != nil:
		return err
	case a.options.help:
		a.page(all, c)
		return nil
	case c.args == "" && len(args) > 0:
		return usagef("%s: takes no argument: %s", c.name, args[0])
	}
	return c.run(a, args)
}

// pick finds the command that args name. Flags may stand before and between its words;
// rest is args without those words. If c is nil, name is what was read of a command:
// nothing, the first of two words, or words that begin no command. In the last case
// rest ends there.
func pick(all *pflag.FlagSet, args []string) (c *command, name string, rest []string) {
	for i := 0; i < len(args); i++ {
		arg := args[i]
		if arg == "--" {
			return nil, name, append(rest, args[i:]...)
		}
		if strings.HasPrefix(arg, "-") && arg != "-" {
			rest = append(rest, arg)
			if takesValue(all, arg) && i+1 < len(args) {
				i++
				rest = append(rest, args[i])
			}
			continue
		}
		name = strings.TrimSpace(name + " " + arg)
		found := under(name)
		if len(found) == 1 && found[0].name == name {
			return found[0], name, append(rest, args[i+1:]...)
		}
		if len(found) == 0 {
			return nil, name, rest
		}
	}
	return nil, name, rest
}

// under returns the command of this name, or the commands of which it is the first
// word; "" returns all of them.
func under(name string) []*command {
	var found []*command
	for _, c := range commands() {
		if name == "" || c.name == name || strings.HasPrefix(c.name, name+" ") {
			found = append(found, c)
		}
	}
	return found
}

// nextWords returns the words that may follow those of name in a command.
func nextWords(name string) []string {
	var words []string
	for _, c := range under(name) {
		word, _, _ := strings.Cut(strings.TrimSpace(strings.TrimPrefix(c.name, name)), " ")
		if word != "" && !c.hidden && !slices.Contains(words, word) {
			words = append(words, word)
		}
	}
	return words
}

// noCommand handles arguments that name no command, or only the first word of one.
func (a *app) noCommand(all *pflag.FlagSet, name string, rest []string) error {
	unknown := len(under(name)) == 0
	if !unknown {
		all.Init(name, pflag.ContinueOnError)
	}
	if _, err := parse(all, rest); err != nil {
		return err // report a mistyped flag first: its value looked like a command
	}
	switch {
	case unknown:
		return unknownCommand("", name)
	case a.options.help:
		a.pages(all, name)
		return nil
	case a.options.version && name == "":
		return runVersion(a, nil)
	case name != "":
		return usagef("%s: %s? See bounce-milter help %[1]s", name, orList(nextWords(name)))
	}
	a.complain(errors.New("no command: write one of these"))
	fmt.Fprintln(a.stderr)
	list(a.stderr)
	return errAskedNothing
}

// unknownCommand says what is wrong with a name, which may begin with a valid command.
// what precedes the message if the name was not the user's first word.
func unknownCommand(what, name string) error {
	first, second, _ := strings.Cut(name, " ")
	if second != "" && len(under(first)) > 0 {
		return usagef("%s%s: unknown word %q: write %s", what, first, second, orList(nextWords(first)))
	}
	if near := toml.Nearest(first, nextWords("")); near != "" {
		return usagef("%sunknown command %q: did you mean %q?", what, first, near)
	}
	return usagef("%sunknown command %q: see bounce-milter help", what, first)
}

// parse reads flags, which may stand before and after the other arguments, and returns
// those arguments. After "--" everything is an argument.
func parse(f *pflag.FlagSet, args []string) ([]string, error) {
	err := f.Parse(args)
	if err == nil {
		return f.Args(), nil
	}
	what, see := "", ": see bounce-milter help"
	if f.Name() != "" {
		what, see = f.Name()+": ", see+" "+f.Name()
	}
	var unknown *pflag.NotExistError
	var noValue *pflag.ValueRequiredError
	var badValue *pflag.InvalidValueError
	switch {
	case errors.As(err, &unknown):
		flag := "--" + unknown.GetSpecifiedName()
		if short := unknown.GetSpecifiedShortnames(); short != "" {
			flag = "-" + short
		}
		if near := nearestFlag(f, flag); near != "" {
			see = ": did you mean " + near + "?"
		}
		return nil, usagef("%sunknown flag %s%s", what, flag, see)
	case errors.As(err, &noValue):
		return nil, usagef("%sflag needs an argument: --%s%s", what, noValue.GetSpecifiedName(), see)
	case errors.As(err, &badValue):
		return nil, usagef("%sunknown %s %q: %v", what, badValue.GetFlag().Name, badValue.GetValue(), badValue.Unwrap())
	}
	return nil, usagef("%s%v%s", what, err, see)
}

// nearestFlag returns the flag that was probably meant, "" if none is similar.
func nearestFlag(f *pflag.FlagSet, flag string) string {
	var names []string
	f.VisitAll(func(f *pflag.Flag) {
		if !f.Hidden {
			names = append(names, f.Name)
		}
	})
	if near := toml.Nearest(strings.TrimLeft(flag, "-"), names); near != "" {
		return "--" + near
	}
	return ""
}
