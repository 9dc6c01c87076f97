package main

import (
	"os"
	"strings"
	"unicode/utf8"

	"github.com/rivo/uniseg"
	"golang.org/x/term"
)

// style paints text for a terminal. The zero style paints nothing.
type style struct{ on bool }

// newStyle paints on terminals that can, unless the user does not want colours
// (https://no-color.org).
func newStyle(f *os.File) style {
	return style{isTerminal(f) && os.Getenv("NO_COLOR") == "" && os.Getenv("TERM") != "dumb"}
}

// Colours, as ECMA-48 numbers them.
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

// width returns the columns of a terminal, or those of a sheet of paper.
func width(f *os.File) int {
	if w, _, err := term.GetSize(int(f.Fd())); err == nil && w >= 40 {
		return w
	}
	return 80
}

// pad fills text with spaces up to n columns.
func pad(text string, n int) string {
	return text + strings.Repeat(" ", max(0, n-uniseg.StringWidth(text)))
}

// clean makes a stranger's text harmless on a terminal: control characters,
// which could paint or retitle it, and those that turn the direction of the
// text become "·".
func clean(s string) string {
	return strings.Map(func(r rune) rune {
		switch {
		case r == '\n' || r == '\t':
			return ' '
		case r < ' ', r >= 0x7f && r < 0xa0, r == utf8.RuneError,
			r >= 0x200b && r <= 0x200f, r >= 0x2028 && r <= 0x202e, r >= 0x2066 && r <= 0x2069, r == 0xfeff:
			return '·'
		}
		return r
	}, s)
}

// wrap breaks text into lines of at most n columns: at spaces, and where a
// language that writes without them allows it. An address, a URL or an id that is
// longer than a line stays whole, so that it can be copied.
func wrap(text string, n int) []string {
	var lines []string
	line, used := "", 0
	for _, word := range strings.Fields(text) {
		space := ""
		if line != "" {
			space = " "
		}
		for _, piece := range pieces(word, n) {
			w := uniseg.StringWidth(piece)
			if line != "" && used+len(space)+w > n {
				lines = append(lines, line)
				line, used, space = "", 0, ""
			}
			line += space + piece
			used += len(space) + w
			space = ""
		}
	}
	if line != "" {
		lines = append(lines, line)
	}
	return lines
}

// pieces takes a word apart where a line may be broken within it: beside wide
// characters as Unicode's line breaking allows (UAX 14), and anywhere in what is
// not ASCII and longer than a line all the same, such as Thai.
func pieces(word string, n int) []string {
	if isASCII(word) {
		return []string{word}
	}
	var out []string
	for state, rest := -1, word; rest != ""; {
		var piece string
		piece, rest, _, state = uniseg.FirstLineSegmentInString(rest, state)
		if last := len(out) - 1; last >= 0 && isASCII(out[last]) && isASCII(piece) {
			out[last] += piece // "a-b" and "a/b" are one
			continue
		}
		for uniseg.StringWidth(piece) > n && !isASCII(piece) {
			head := fitting(piece, n)
			out, piece = append(out, head), piece[len(head):]
		}
		out = append(out, piece)
	}
	return out
}

// fitting returns as many characters of text as fit into n columns, one at least.
func fitting(text string, n int) string {
	used, at := 0, 0
	for state, rest := -1, text; rest != ""; {
		var c string
		var w int
		c, rest, w, state = uniseg.FirstGraphemeClusterInString(rest, state)
		if used += w; used > n && at > 0 {
			break
		}
		at += len(c)
	}
	return text[:at]
}

func isASCII(s string) bool {
	for i := 0; i < len(s); i++ {
		if s[i] >= utf8.RuneSelf {
			return false
		}
	}
	return true
}

// bar draws a share of a whole in n columns, in eighths of one.
func bar(share float64, n int) string {
	eighths := int(share*float64(n)*8 + 0.5)
	if eighths == 0 && share > 0 {
		eighths = 1
	}
	eighths = min(max(eighths, 0), n*8)
	text := strings.Repeat("█", eighths/8)
	if rest := eighths % 8; rest > 0 {
		text += string([]rune("▏▎▍▌▋▊▉")[rest-1])
	}
	return text
}
