package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"unicode"
	"unicode/utf16"
	"unicode/utf8"
)

func newEncoder(a *app) *json.Encoder {
	enc := json.NewEncoder(oneLine{a.out})
	enc.SetEscapeHTML(false)
	return enc
}

// oneLine writes JSON so that every reader sees one line per value. The encoder escapes
// C0 controls, U+2028 and U+2029, but not DEL and the C1 controls. One of these is
// U+0085, which readers such as Python's splitlines take for the end of a line. In JSON
// they can only stand within strings, so they can be escaped.
type oneLine struct{ w io.Writer }

func (o oneLine) Write(p []byte) (int, error) {
	var out []byte
	done := 0
	for i := 0; i < len(p); i++ {
		n, c := 1, p[i]
		if c == 0xC2 && i+1 < len(p) && p[i+1] < 0xA0 {
			n, c = 2, p[i+1] // U+0080 to U+009F in UTF-8
		} else if c != 0x7F {
			continue
		}
		out = fmt.Appendf(append(out, p[done:i]...), "\\u%04x", c)
		i += n - 1
		done = i + 1
	}
	if done > 0 {
		if _, err := o.w.Write(append(out, p[done:]...)); err != nil {
			return 0, err
		}
		return len(p), nil
	}
	return o.w.Write(p)
}

// plainJSON escapes invisible characters in lines of JSON: DEL, C1 controls, direction
// marks, zero-width characters and tags. Encoders leave them as they are, and a terminal
// or a pager obeys them. In JSON they can only stand within strings.
type plainJSON struct{ w io.Writer }

func (p plainJSON) Write(line []byte) (int, error) {
	bad := func(r rune) bool { return r >= 0x7f && !unicode.IsPrint(r) }
	i := bytes.IndexFunc(line, bad)
	if i < 0 {
		return p.w.Write(line)
	}
	out := append(make([]byte, 0, len(line)+16), line[:i]...)
	for rest := line[i:]; len(rest) > 0; {
		r, n := utf8.DecodeRune(rest)
		switch {
		case !bad(r):
			out = append(out, rest[:n]...)
		case r > 0xffff: // RFC 8259 section 7
			high, low := utf16.EncodeRune(r)
			out = fmt.Appendf(out, `\u%04x\u%04x`, high, low)
		default:
			out = fmt.Appendf(out, `\u%04x`, r)
		}
		rest = rest[n:]
	}
	_, err := p.w.Write(out)
	return len(line), err
}
