package main

import (
	"flag"
	"fmt"
	"strings"
)

var helpCommand = command{
	name: "help", args: "[COMMAND]", does: "say more about a command",
}

// init breaks the circle of a help page that lists itself.
func init() { helpCommand.run = runHelp }

func runHelp(a *app, fs *flag.FlagSet, args []string) error {
	args, err := parse(fs, args)
	if err != nil {
		return err
	}
	if len(args) == 0 {
		a.overview()
		return nil
	}
	for _, c := range commands() {
		if c.name == args[0] {
			a.help(c)
			return nil
		}
	}
	return usagef("help: unknown command %q: see bounce-milter help", args[0])
}

func (a *app) overview() {
	a.out.WriteString("bounce-milter names bounces: it tags them for sorting, and counts them.\n\n")
	for _, c := range commands() {
		fmt.Fprintf(a.out, "  bounce-milter %-9s %s\n", c.name, c.does)
	}
	a.out.WriteString("\nMore: bounce-milter help COMMAND, bounce-milter(8), bounce-milter.toml(5)\n")
}

func (a *app) help(c command) {
	fmt.Fprintf(a.out, "usage: %s\n\n", strings.TrimSpace("bounce-milter "+c.name+" "+c.args))
	fmt.Fprintf(a.out, "%s.\n", strings.ToUpper(c.does[:1])+c.does[1:])
	if c.more != "" {
		fmt.Fprintf(a.out, "\n%s\n", c.more)
	}
}
