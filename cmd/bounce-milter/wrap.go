package main

import (
	"strings"

	"github.com/bounce-milter/bounce-milter/internal/ascii"
	"github.com/rivo/uniseg"
)

// pad fills text with spaces up to n columns.
func pad(text string, n int) string {
	return text + strings.Repeat(" ", max(0, n-uniseg.StringWidth(text)))
}

// wrap breaks text into lines of at most n columns: at spaces, and in languages written
// without spaces where those allow it. An address, a URL or an id that is longer than a
// line stays whole, so that it can be copied.
func wrap(text string, n int) []string {
	var lines []string
	line, used := "", 0
	for word := range strings.FieldsSeq(text) {
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

// pieces splits a word where a line may break within it: between characters outside of
// ASCII as Unicode's line breaking allows (UAX 14), and anywhere in a piece that is not
// ASCII but still longer than a line, such as Thai.
func pieces(word string, n int) []string {
	if ascii.Only(word) {
		return []string{word}
	}
	var out []string
	for state, rest := -1, word; rest != ""; {
		var piece string
		piece, rest, _, state = uniseg.FirstLineSegmentInString(rest, state)
		if last := len(out) - 1; last >= 0 && ascii.Only(out[last]) && ascii.Only(piece) {
			out[last] += piece // "a-b" and "a/b" are one
			continue
		}
		for uniseg.StringWidth(piece) > n && !ascii.Only(piece) {
			head := fitting(piece, n)
			out, piece = append(out, head), piece[len(head):]
		}
		out = append(out, piece)
	}
	return out
}

// fitting returns as many characters of text as fit into n columns, at least one.
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
