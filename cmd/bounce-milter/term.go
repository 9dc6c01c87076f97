package main

import (
	"os"
	"strings"
	"unicode/utf8"

	"github.com/bounce-milter/bounce-milter/internal/fold"
	"golang.org/x/term"
)

// style paints text for a terminal. The zero style paints nothing.
type style struct{ on bool }

// newStyle paints on terminals that can show colours, unless the user turned them off
// (https://no-color.org).
func newStyle(f *os.File) style {
	return style{isTerminal(f) && os.Getenv("NO_COLOR") == "" && os.Getenv("TERM") != "dumb"}
}

// Colours, by their numbers in ECMA-48.
const (
	bold    = "1"
	dim     = "2"
	red     = "31"
	green   = "32"
	yellow  = "33"
	magenta = "35"
	cyan    = "36"
)

func (s style) paint(colour, text string) string {
	if !s.on || colour == "" || text == "" {
		return text
	}
	return "\x1b[" + colour + "m" + text + "\x1b[0m"
}

func isTerminal(f *os.File) bool { return term.IsTerminal(int(f.Fd())) }

// width returns the columns of a terminal, 80 for anything else.
func width(f *os.File) int {
	if w, _, err := term.GetSize(int(f.Fd())); err == nil && w >= 40 {
		return w
	}
	return 80
}

// clean makes a stranger's text harmless on a terminal. Control characters, which could
// colour or retitle it, characters that change the direction of text, and others that
// cannot be seen become "·".
func clean(s string) string {
	return strings.Map(func(r rune) rune {
		switch {
		case r == '\n' || r == '\t':
			return ' '
		case r == utf8.RuneError, fold.Invisible(r):
			return '·'
		}
		return r
	}, s)
}
