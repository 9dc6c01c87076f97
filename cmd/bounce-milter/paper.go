package main

import (
	"fmt"
	"strings"

	"github.com/bounce-milter/bounce-milter/internal/lines"
)

// paper prints to standard output, wrapped to a width.
type paper struct {
	a       *app
	style   style
	columns int
}

// newPaper is standard output, in lines that are easy to read.
func newPaper(a *app) paper {
	return paper{a: a, style: newStyle(a.stdout), columns: min(100, width(a.stdout))}
}

func (p paper) print(line string) { fmt.Fprintln(p.a.out, strings.TrimRight(line, " ")) }

// quote prints a stranger's words line by line, up to longestReply and mostLines.
func (p paper) quote(s string) {
	if len(s) > longestReply {
		s = lines.Cut(s, longestReply) + " …"
	}
	n := 0
	for text := range strings.Lines(s) {
		for _, line := range wrap(clean(strings.TrimRight(text, "\r\n")), p.columns) {
			if n++; n > mostLines {
				p.print("…")
				return
			}
			p.print(line)
		}
	}
}

func (p paper) head(title string) {
	p.print("")
	p.print(p.style.paint(bold, title))
}

func (p paper) field(name, value string) {
	p.hang("  "+p.style.paint(dim, pad(name, 9))+" ", 12, value)
}

func (p paper) text(s string) { p.hang("  ", 2, s) }

// hang prints text after a lead that is so many columns wide, and indents its further
// lines to the same column.
func (p paper) hang(lead string, columns int, s string) {
	for i, line := range wrap(clean(s), max(20, p.columns-columns)) {
		if i > 0 {
			lead = strings.Repeat(" ", columns)
		}
		p.print(lead + line)
	}
}
