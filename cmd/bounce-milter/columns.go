package main

import (
	"fmt"
	"slices"
	"strings"

	"github.com/rivo/uniseg"
)

// column is a column of a table that fits its window.
type column struct {
	head  string
	width int
	most  int  // it grows to this where there is room, 0 for no bound
	keep  part // what stays of a longer value
	rank  int  // where there is no room for all, those of the highest rank go first; never
}

// never is the rank of a column that is not wanted.
const never = -1

// part says which part of a text matters most.
type part int

const (
	keepBegin part = iota
	keepEnd
)

// layout is the columns that fit a window, in order; nil for those that do not.
type layout []*column

// fit lays columns out in a window of so many columns, 0 for one without bounds. A column
// that may grow shares what is left with the others that may.
func fit(all []column, window int) layout {
	out := make(layout, len(all))
	used := -gap
	byRank := make([]int, 0, len(all))
	for i := range all {
		if all[i].rank != never {
			byRank = append(byRank, i)
		}
	}
	slices.SortStableFunc(byRank, func(a, b int) int { return all[a].rank - all[b].rank })
	for _, i := range byRank {
		c := all[i]
		if window > 0 && used+gap+c.width > window {
			break
		}
		out[i] = &c
		used += gap + c.width
	}
	for grown := true; grown && used < window; {
		grown = false
		for _, c := range out {
			if c != nil && used < window && c.width < c.most {
				c.width++
				used++
				grown = true
			}
		}
	}
	if window <= 0 {
		for _, c := range out {
			if c != nil {
				c.width = max(c.width, min(c.most, 30))
			}
		}
	}
	return out
}

// gap is how many spaces stand between columns.
const gap = 2

// heads returns the headings.
func (l layout) heads() []string {
	heads := make([]string, len(l))
	for i, c := range l {
		if c != nil {
			heads[i] = c.head
		}
	}
	return heads
}

// line writes a row. paint paints a cell, which has its final width then. In a window
// without bounds nothing is shortened, so that programs get values whole.
func (l layout) line(cells []string, whole bool, paint func(i int, cell string) string) string {
	var b strings.Builder
	first := true
	for i, c := range l {
		if c == nil {
			continue
		}
		if !first {
			b.WriteString(strings.Repeat(" ", gap))
		}
		first = false
		cell := cells[i]
		if !whole {
			cell = shorten(cell, c.width, c.keep)
		}
		b.WriteString(paint(i, pad(cell, c.width)))
	}
	return strings.TrimRight(b.String(), " ")
}

// table prints rows in columns that fit the window.
type table struct {
	a     *app
	style style
	whole bool   // nobody sees a window: nothing is shortened
	shape layout // nil until the first row
}

func newTable(a *app) table {
	return table{a: a, style: newStyle(a.stdout), whole: !isTerminal(a.stdout)}
}

// row prints a row, its first two cells in a colour. The first row gets the headings of the
// columns above it.
func (t *table) row(columns func() []column, cells []string, colour string) error {
	if t.shape == nil {
		window := 0
		if !t.whole {
			window = width(t.a.stdout)
		}
		t.shape = fit(columns(), window)
		heads := t.shape.line(t.shape.heads(), true, func(_ int, cell string) string { return t.style.paint(dim, cell) })
		if _, err := fmt.Fprintln(t.a.out, heads); err != nil {
			return err
		}
	}
	_, err := fmt.Fprintln(t.a.out, t.shape.line(cells, t.whole, func(i int, cell string) string {
		if i < 2 {
			return t.style.paint(colour, cell)
		}
		return cell
	}))
	return err
}

// shorten cuts text to n columns, and puts an ellipsis where something is missing. Of an
// address the domain stays, if there is room for a little more than that.
func shorten(text string, n int, keep part) string {
	if uniseg.StringWidth(text) <= n {
		return text
	}
	if keep == keepEnd {
		return "…" + tail(text, n-1)
	}
	if at := strings.LastIndexByte(text, '@'); at > 0 {
		if room := n - 1 - uniseg.StringWidth(text[at:]); room >= 3 {
			return head(text[:at], room) + "…" + text[at:]
		}
	}
	return head(text, n-1) + "…"
}

// head returns what fits into n columns from the beginning of text, tail from its end.
func head(text string, n int) string {
	used, at := 0, 0
	for state, rest := -1, text; rest != ""; {
		var c string
		var w int
		c, rest, w, state = uniseg.FirstGraphemeClusterInString(rest, state)
		if used += w; used > n {
			break
		}
		at += len(c)
	}
	return text[:at]
}

func tail(text string, n int) string {
	used := uniseg.StringWidth(text)
	for state, rest := -1, text; rest != ""; {
		if used <= n {
			return rest
		}
		var w int
		_, rest, w, state = uniseg.FirstGraphemeClusterInString(rest, state)
		used -= w
	}
	return ""
}
