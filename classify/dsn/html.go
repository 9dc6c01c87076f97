package dsn

import (
	"strings"
	"unicode/utf8"

	"golang.org/x/net/html"
)

// startsAsHTML reports whether a text that is labelled as plain is HTML.
//
// QUIRK: ticket systems and panels of web hosters label it so.
func startsAsHTML(s string) bool {
	s = strings.TrimLeft(s[:min(len(s), 512)], " \t\n\uFEFF")
	if len(s) < 6 || s[0] != '<' {
		return false
	}
	s = strings.ToLower(s[:min(len(s), 16)])
	return strings.HasPrefix(s, "<html") || strings.HasPrefix(s, "<!doctype html")
}

// htmlText returns the words of HTML, with a line for every block.
func htmlText(s string) string {
	z := html.NewTokenizer(strings.NewReader(s))
	z.SetMaxBuf(maxText)
	b := make([]byte, 0, len(s)/2)
	hidden := 0
	for {
		switch z.Next() {
		case html.ErrorToken:
			return string(b)
		case html.TextToken:
			if hidden == 0 {
				b = appendWords(b, string(z.Text()))
			}
		case html.StartTagToken, html.SelfClosingTagToken:
			name, _ := z.TagName()
			switch string(name) {
			case "script", "style", "title", "head":
				hidden++
			case "body":
				hidden = 0
			default:
				b = appendBreak(b, string(name))
			}
		case html.EndTagToken:
			name, _ := z.TagName()
			switch string(name) {
			case "script", "style", "title", "head":
				hidden = max(0, hidden-1)
			default:
				b = appendBreak(b, string(name))
			}
		}
	}
}

// appendWords appends a piece of running text, with white space folded.
func appendWords(b []byte, s string) []byte {
	for _, r := range s {
		if r == ' ' || r == '\t' || r == '\n' || r == '\r' || r == '\u00a0' {
			if len(b) > 0 && b[len(b)-1] != ' ' && b[len(b)-1] != '\n' {
				b = append(b, ' ')
			}
			continue
		}
		b = utf8.AppendRune(b, r)
	}
	return b
}

// appendBreak ends the line if a tag of that name does; paragraphs and tables get an
// empty line as well.
func appendBreak(b []byte, tag string) []byte {
	lines := 0
	switch tag {
	case "br": // two of them are an empty line
		if lines = 1; len(b) > 0 && b[len(b)-1] == '\n' {
			lines = 2
		}
	case "tr", "li", "div", "dt", "dd", "pre", "blockquote", "hr":
		lines = 1
	case "p", "table", "ul", "ol", "h1", "h2", "h3", "h4", "h5", "h6":
		lines = 2
	case "td", "th":
		return appendWords(b, " ")
	}
	if lines == 0 || len(b) == 0 {
		return b
	}
	for len(b) > 0 && b[len(b)-1] == ' ' {
		b = b[:len(b)-1]
	}
	have := 0
	for have < len(b) && b[len(b)-1-have] == '\n' {
		have++
	}
	for ; have < lines; have++ {
		b = append(b, '\n')
	}
	return b
}
