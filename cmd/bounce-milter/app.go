package main

import (
	"bufio"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"runtime/debug"
	"strings"

	"github.com/bounce-milter/bounce-milter/config"
)

// Exit codes.
const (
	exitGood  = 0
	exitBad   = 1 // the answer is bad news
	exitUsage = 2 // the question was wrong
)

// app is one run of the program.
type app struct {
	stdin          io.Reader
	stdout, stderr *os.File
	out            *bufio.Writer // standard output
}

// command is a subcommand.
type command struct {
	name string
	args string // what stands behind the name in a synopsis
	does string // one line
	more string // printed by help
	run  func(a *app, fs *flag.FlagSet, args []string) error
}

// commands are all subcommands in the order of the help page. It is a function
// for help is one of them.
func commands() []command {
	return []command{serveCommand, classifyCommand, explainCommand, rulesCommand, configCommand, versionCommand, helpCommand}
}

// errSaid ends the program with exitBad when all there was to say has been said.
var errSaid = errors.New("said already")

// usageError is a question put wrongly.
type usageError struct{ message string }

func (e usageError) Error() string { return e.message }

func usagef(format string, a ...any) error { return usageError{fmt.Sprintf(format, a...)} }

// run does what the arguments ask and returns the exit code.
func run(args []string, stdin io.Reader, stdout, stderr *os.File) int {
	a := &app{stdin: stdin, stdout: stdout, stderr: stderr, out: bufio.NewWriter(stdout)}
	code := a.exitCode(a.dispatch(args))
	if err := a.out.Flush(); err != nil && code == exitGood {
		a.complain(fmt.Errorf("writing standard output: %w", err))
		return exitBad
	}
	return code
}

func (a *app) dispatch(args []string) error {
	if len(args) == 0 {
		return usagef("no command: see bounce-milter help")
	}
	name := args[0]
	switch name {
	case "-h", "-help", "--help":
		name = helpCommand.name
	case "-version", "--version", "-V":
		name = versionCommand.name
	}
	var names []string
	for _, c := range commands() {
		if c.name != name {
			names = append(names, c.name)
			continue
		}
		if c.name != serveCommand.name && os.Getenv("GOGC") == "" {
			debug.SetGCPercent(400) // short runs: rather quick than small
		}
		fs := flag.NewFlagSet(c.name, flag.ContinueOnError)
		fs.SetOutput(io.Discard)
		err := c.run(a, fs, args[1:])
		if errors.Is(err, flag.ErrHelp) {
			a.help(c)
			return nil
		}
		return err
	}
	if near := config.Nearest(name, names); near != "" {
		return usagef("unknown command %q: did you mean %q?", name, near)
	}
	return usagef("unknown command %q: see bounce-milter help", name)
}

// exitCode tells the user about an error, and the code it stands for.
func (a *app) exitCode(err error) int {
	var usage usageError
	switch {
	case err == nil:
		return exitGood
	case errors.Is(err, errSaid):
		return exitBad
	case errors.As(err, &usage):
		a.complain(err)
		return exitUsage
	}
	a.complain(err)
	return exitBad
}

// complain prints an error, several problems one a line, in the one form that
// errors have here: "bounce-milter: what: why".
func (a *app) complain(err error) {
	a.out.Flush() // what was said before comes first on a terminal
	for line := range strings.Lines(err.Error()) {
		fmt.Fprintf(a.stderr, "bounce-milter: %s\n", strings.TrimSuffix(line, "\n"))
	}
}

// parse reads flags, which may stand before and behind the other arguments, and
// returns those. Behind "--" all are arguments.
func parse(fs *flag.FlagSet, args []string) (rest []string, err error) {
	for {
		if err := fs.Parse(args); err != nil {
			if errors.Is(err, flag.ErrHelp) {
				return nil, err
			}
			return nil, usagef("%s: %s: see bounce-milter help %[1]s", fs.Name(), flagMessage(err))
		}
		left := fs.Args()
		if n := len(args) - len(left); n > 0 && args[n-1] == "--" || len(left) == 0 {
			return append(rest, left...), nil
		}
		rest = append(rest, left[0])
		args = left[1:]
	}
}

// flagMessage spells the flag package's errors with two dashes, as help does.
func flagMessage(err error) string {
	return strings.NewReplacer("flag provided but not defined: -", "unknown flag --", "flag needs an argument: -", "flag needs an argument: --",
		"for flag -", "for flag --", "for -", "for --").Replace(err.Error())
}

// formatFlag adds --format. The returned function checks what was given.
func formatFlag(fs *flag.FlagSet) (format *string, check func() error) {
	format = fs.String("format", "text", "")
	return format, func() error {
		if *format != "text" && *format != "json" {
			return usagef("%s: unknown format %q: write text or json", fs.Name(), *format)
		}
		return nil
	}
}

// hint tells who runs a command that reads standard input without giving it any
// that the program waits for them.
func (a *app) hint(what string) {
	if f, ok := a.stdin.(*os.File); ok && isTerminal(f) && isTerminal(a.stderr) {
		fmt.Fprintf(a.stderr, "Reading %s from the terminal; end with Ctrl-D.\n", what)
	}
}

// configFlag adds --config.
func configFlag(fs *flag.FlagSet) *string { return fs.String("config", "", "") }
