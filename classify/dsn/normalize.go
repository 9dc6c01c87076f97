package dsn

import (
	"bytes"

	"github.com/bounce-milter/bounce-milter/internal/ascii"
)

// normalize turns lone CRs into line ends and removes what an mbox puts before the first
// field. If there are no lone CRs, CRLF and LF stay as they are and nothing is copied.
//
// QUIRK: lone CRs, or mixed line ends: old Mac OS gateways, and reports that went
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
// QUIRK: every line ends with "\r\r\n": Windows mailers with a spool directory convert
// text to CRLF twice. If only some lines end so, each of these is two line ends.
func replaceCR(b []byte) []byte {
	doubled := bytes.Count(b, []byte("\r\r\n")) == bytes.Count(b, []byte("\n"))
	out := make([]byte, 0, len(b))
	for i := range b {
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

// loneCR reports whether b has a CR without an LF after it.
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

// mendHeader separates a Content-Type field from the field that it was joined with.
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

// beginsType reports whether v begins with "type/subtype". The list of fields in a
// DKIM-Signature also has "Content-Type:", but no type after it.
func beginsType(v []byte) bool {
	v = bytes.TrimLeft(v, " \t")
	i := 0
	for i < len(v) && ascii.IsAlpha(v[i]) {
		i++
	}
	return i > 0 && i+1 < len(v) && v[i] == '/' && ascii.IsAlpha(v[i+1])
}
