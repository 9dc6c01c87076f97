package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"unicode/utf16"
	"unicode/utf8"

	"github.com/bounce-milter/bounce-milter/internal/fold"
)

func newEncoder(a *app) *json.Encoder {
	enc := json.NewEncoder(plainJSON{a.out})
	enc.SetEscapeHTML(false)
	return enc
}

// plainJSON escapes invisible characters in lines of JSON, or of a log in text: DEL, C1
// controls, direction marks, zero-width characters, fillers and tags. Encoders leave them as they are, and a terminal
// or a pager obeys them; one of them is U+0085, which readers such as Python's splitlines
// take for the end of a line. In JSON they can only stand within strings.
type plainJSON struct{ w io.Writer }

func (p plainJSON) Write(line []byte) (int, error) {
	bad := func(r rune) bool { return r >= 0x7f && fold.Invisible(r) }
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
