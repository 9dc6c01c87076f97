package dsn

import (
	"bytes"

	"github.com/bounce-milter/bounce-milter/internal/ascii"
)

// normalize makes a lone CR a line end like the others, takes what an mbox puts
// before the first field off, and leaves CRLF and LF as they are. Only a
// message with lone CRs is copied.
//
// QUIRK: CR alone, or mixed line ends: old Mac OS gateways, and reports that went
// through a database or a web form.
func normalize(raw []byte) []byte {
	raw = bytes.TrimLeft(raw, "\r\n\uFEFF")
	if loneCR(raw) {
		raw = replaceCR(raw)
	}
	for bytes.HasPrefix(raw, []byte("From ")) || bytes.HasPrefix(raw, []byte(">From ")) {
		_, raw = cutLine(raw)
	}
	return raw
}

// replaceCR returns a copy of b in which every line ends with LF.
//
// QUIRK: "\r\r\n" at every line: text that was translated to CRLF twice, by
// Windows mailers with a spool directory. Elsewhere it is an empty line.
func replaceCR(b []byte) []byte {
	doubled := bytes.Count(b, []byte("\r\r\n")) == bytes.Count(b, []byte("\n"))
	out := make([]byte, 0, len(b))
	for i := 0; i < len(b); i++ {
		switch {
		case b[i] != '\r':
			out = append(out, b[i])
		case i+1 < len(b) && b[i+1] == '\n':
		case doubled && i+2 < len(b) && b[i+1] == '\r' && b[i+2] == '\n':
		default:
			out = append(out, '\n')
		}
	}
	return out
}

// loneCR reports whether b has a CR that no LF follows.
func loneCR(b []byte) bool {
	for {
		i := bytes.IndexByte(b, '\r')
		if i < 0 || i == len(b)-1 {
			return false
		}
		if b[i+1] != '\n' {
			return true
		}
		b = b[i+2:]
	}
}

// mendHeader parts a Content-Type field from the field that it was joined with.
//
// QUIRK: "MIME-Version: 1.0 Content-Type: multipart/report; …" on one line:
// senders that join header lines with a space, and gateways that drop a bare CR.
func mendHeader(h header) header {
	if h.raw("Content-Type") != nil {
		return h
	}
	const name = "content-type:"
	for i := range h {
		v := h[i].value
		for at := 0; at+len(name) < len(v); at++ {
			j := bytes.IndexByte(v[at:], '-')
			if j < 0 {
				break
			}
			at += j
			start := at - len("content")
			if start >= 0 && start+len(name) < len(v) && ascii.EqualFold(v[start:start+len(name)], name) && beginsType(v[start+len(name):]) {
				h[i].value = v[:start]
				return append(h, headerField{name: v[start : start+len(name)-1], value: v[start+len(name):]})
			}
		}
	}
	return h
}

// beginsType reports whether v begins with "type/subtype": the list of fields of
// a DKIM-Signature has "Content-Type:" as well.
func beginsType(v []byte) bool {
	v = bytes.TrimLeft(v, " \t")
	i := 0
	for i < len(v) && ascii.IsAlpha(v[i]) {
		i++
	}
	return i > 0 && i+1 < len(v) && v[i] == '/' && ascii.IsAlpha(v[i+1])
}
