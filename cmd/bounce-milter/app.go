package main

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
)

// Exit codes.
const (
	exitGood  = 0
	exitBad   = 1 // a check failed, or something could not be read or served
	exitUsage = 2 // the command line is wrong
)

// app is one run of the program.
type app struct {
	stdin          io.Reader
	stdout, stderr *os.File
	out            *bufio.Writer // standard output
	options        options
}

// errSaid ends the program with exitBad; the user has been told why.
var errSaid = errors.New("said already")

// errAskedNothing ends the program with exitUsage; the user has been told why.
var errAskedNothing = errors.New("no command")

// usageError is a mistake on the command line.
type usageError struct{ message string }

func (e usageError) Error() string { return e.message }

func usagef(format string, a ...any) error { return usageError{fmt.Sprintf(format, a...)} }

// run runs the command that the arguments name and returns the exit code.
func run(args []string, stdin io.Reader, stdout, stderr *os.File) int {
	a := &app{stdin: stdin, stdout: stdout, stderr: stderr, out: bufio.NewWriter(stdout)}
	code := a.exitCode(a.dispatch(args))
	if err := a.out.Flush(); err != nil && code == exitGood {
		a.complain(fmt.Errorf("writing standard output: %w", err))
		return exitBad
	}
	return code
}

// exitCode tells the user about an error and returns the exit code for it.
func (a *app) exitCode(err error) int {
	var usage usageError
	switch {
	case err == nil:
		return exitGood
	case errors.Is(err, errSaid):
		return exitBad
	case errors.Is(err, errAskedNothing):
		return exitUsage
	case errors.As(err, &usage):
		a.complain(err)
		return exitUsage
	}
	a.complain(err)
	return exitBad
}

// complain prints an error as "bounce-milter: what: why", one line for each problem.
func (a *app) complain(err error) {
	a.out.Flush() // so that earlier output comes first on a terminal
	for line := range strings.Lines(err.Error()) {
		fmt.Fprintf(a.stderr, "bounce-milter: %s\n", strings.TrimSuffix(line, "\n"))
	}
}

// hint tells users on a terminal that the program waits for their input.
func (a *app) hint(what string) {
	if f, ok := a.stdin.(*os.File); ok && isTerminal(f) && isTerminal(a.stderr) {
		fmt.Fprintf(a.stderr, "Reading %s from the terminal; end with Ctrl-D.\n", what)
	}
}
