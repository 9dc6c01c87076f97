package main

import (
	"fmt"
	"io"
	"strings"

	"github.com/spf13/pflag"
)

func runHelp(a *app, args []string) error {
	name := strings.Join(args, " ")
	switch found := under(name); {
	case name == "":
		a.overview()
	case len(found) > 0:
		a.pages(a.options.flags(), name)
	default:
		return unknownCommand("help: ", name)
	}
	return nil
}

// overview says what the program is for, and lists its commands.
func (a *app) overview() {
	fmt.Fprint(a.out, "bounce-milter recognises bounces, tags them for sorting, and counts them.\n\n")
	list(a.out)
}

// list prints a line for each command.
func list(w io.Writer) {
	for _, c := range commands() {
		if !c.hidden {
			fmt.Fprintf(w, "  bounce-milter %-13s  %s\n", c.name, c.does)
		}
	}
	fmt.Fprint(w, "\nMore: bounce-milter help COMMAND, bounce-milter(8), bounce-milter.toml(5)\n")
}

// pages prints the page of the command of this name, or of each command that it is the
// first word of; "" prints the overview.
func (a *app) pages(all *pflag.FlagSet, name string) {
	if name == "" {
		a.overview()
		return
	}
	for i, c := range under(name) {
		if i > 0 {
			fmt.Fprintln(a.out)
		}
		a.page(all, c)
	}
}

// page prints usage, description and flags of a command.
func (a *app) page(all *pflag.FlagSet, c *command) {
	fmt.Fprintf(a.out, "usage: bounce-milter %s\n\n%s.\n\n", c.synopsis(all), strings.ToUpper(c.does[:1])+c.does[1:])
	if c.more != "" {
		fmt.Fprintf(a.out, "%s\n\n", c.more)
	}
	c.flagSet(all).VisitAll(func(f *pflag.Flag) {
		value, usage := pflag.UnquoteUsage(f)
		name := "    --" + f.Name
		if f.Shorthand != "" {
			name = "-" + f.Shorthand + ", --" + f.Name
		}
		fmt.Fprintf(a.out, "  %s  %s\n", pad(name+" "+value, 22), usage)
	})
}
