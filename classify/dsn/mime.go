package dsn

import (
	"bytes"
	"strings"

	"github.com/bounce-milter/bounce-milter/internal/ascii"
	"github.com/bounce-milter/bounce-milter/internal/work"
)

// mediaType is what a Content-Type field (RFC 2045 section 5) says, as far as reading
// reports needs it.
type mediaType struct {
	name       string // "multipart/report", lower case; "" if there is no field
	boundary   string
	charset    string
	reportType string // RFC 6522
	holds      content
}

// content is what a part of a report holds. data/report.toml says which media types hold
// what.
type content uint8

const (
	otherContent    content = iota
	reportFields            // the fields of a report, RFC 3464
	returnedMessage         // the message that did not arrive, or its header
)

func (t mediaType) multipart() bool { return strings.HasPrefix(t.name, "multipart/") }

// isWords reports whether a part of this type is plain text: text/plain, or a part
// without a type (RFC 2045 section 5.2).
func (t mediaType) isWords() bool { return t.name == "" || t.name == "text/plain" || t.name == "text" }

// status reports whether a part of this type holds the fields of a report.
func (t mediaType) status() bool { return t.holds == reportFields }

// returned reports whether a part of this type holds the message that did not
// arrive, or its header.
func (t mediaType) returned() bool { return t.holds == returnedMessage }

// parseMediaType reads a Content-Type field. It is lenient, and leaves out what it cannot
// read.
func parseMediaType(raw []byte) mediaType {
	if raw == nil {
		return mediaType{}
	}
	name, params, _ := strings.Cut(unfold(raw), ";")
	name = strings.TrimSpace(name)
	if i := strings.IndexAny(name, " \t("); i >= 0 {
		// QUIRK: "multipart/report boundary=…" without a semicolon, from
		// home-made senders.
		name, params = name[:i], name[i:]+";"+params
	}
	t := mediaType{name: strings.ToLower(name)}
	t.holds = tables().types[t.name]
	for params != "" {
		var key, value string
		key, value, params = nextParam(params)
		switch strings.ToLower(key) {
		case "boundary":
			t.boundary = strings.TrimRight(value, " ")
		case "charset":
			t.charset = strings.ToLower(value)
		case "report-type":
			t.reportType = strings.ToLower(value)
		}
	}
	return t
}

// nextParam returns the first parameter of a list, and the rest of the list.
func nextParam(s string) (key, value, rest string) {
	s = strings.TrimLeft(s, " \t;")
	eq := strings.IndexAny(s, "=;")
	if eq < 0 {
		return "", "", ""
	}
	if s[eq] == ';' {
		return "", "", s[eq+1:]
	}
	key, s = strings.TrimSpace(s[:eq]), strings.TrimLeft(s[eq+1:], " \t")
	if i := strings.LastIndexAny(key, " \t)"); i >= 0 { // a comment stands before it
		key = key[i+1:]
	}
	if s == "" || s[0] != '"' {
		end := strings.IndexAny(s, "; \t")
		if end < 0 {
			return key, s, ""
		}
		return key, s[:end], s[end:]
	}
	var b []byte
	for i := 1; i < len(s); i++ {
		switch {
		case s[i] == '"':
			if b == nil {
				return key, s[1:i], s[i+1:]
			}
			return key, string(b), s[i+1:]
		case s[i] == '\\' && i+1 < len(s):
			if b == nil {
				b = append(make([]byte, 0, len(s)), s[1:i]...)
			}
			i++
			b = append(b, s[i])
		case b != nil:
			b = append(b, s[i])
		}
	}
	// QUIRK: the closing quotation mark is missing; MailEnable and scripts.
	return key, s[1:], ""
}

// part is one leaf of a message's MIME tree, in the order of the message.
type part struct {
	header header
	kind   mediaType
	body   []byte
	work   *work.Budget
	// side is true for an attachment, and in a multipart/alternative for every
	// alternative after the first, which is the simplest.
	side bool
}

// tree splits a message into its leaves (RFC 2046 section 5.1).
type tree struct {
	lim       Limits
	work      *work.Budget
	parts     []part
	reports   string // report-type of the first multipart/report
	truncated bool
	open      bool // a multipart has no final boundary

	// For plain.
	strict bool
	odd    bool // programs may disagree about where parts begin, or what they are
	named  int  // how often the headers of multiparts and reports name the type of a report
}

// walk reads the part with this header and body.
func (w *tree) walk(h header, body []byte, depth int, side bool) {
	t := parseMediaType(h.raw("Content-Type"))
	if !t.multipart() || depth >= w.lim.Depth {
		w.truncated = w.truncated || t.multipart()
		w.leaf(part{header: h, kind: t, body: body, side: side || isAttachment(h)})
		return
	}
	if t.name == "multipart/report" && w.reports == "" {
		w.reports = t.reportType
		if w.reports == "" {
			w.reports = "?"
		}
	}
	delim, rest, ok := firstPart(t.boundary, body)
	if !ok {
		// QUIRK: no boundary line, or no boundary parameter: gateways that
		// unpack the message and keep its header. The body is then plain text.
		w.odd = true
		w.leaf(part{header: h, kind: mediaType{charset: t.charset}, body: body, side: side})
		return
	}
	w.odd = w.odd || string(delim) != "--"+t.boundary
	alternative := t.name == "multipart/alternative"
	for n := 0; ok; n++ {
		var this []byte
		before := len(rest)
		this, rest, ok = cutPart(rest, delim)
		w.open = w.open || !ok && len(this) == before
		if len(w.parts) >= w.lim.Parts || !w.work.Take(len(this)/8+32) {
			w.truncated = true
			return
		}
		ph, pbody := readHeader(nil, this, w.lim, false)
		w.work.Take((len(this) - len(pbody)) / 2)
		w.note(ph, this[:len(this)-len(pbody)])
		w.walk(ph, pbody, depth+1, side || alternative && n > 0)
	}
}

func (w *tree) leaf(p part) {
	if len(w.parts) < w.lim.Parts {
		p.work = w.work
		w.parts = append(w.parts, p)
	}
}

// isAttachment reports whether a part says that it is an attachment.
func isAttachment(h header) bool {
	d := bytes.TrimSpace(h.raw("Content-Disposition"))
	return len(d) >= 10 && ascii.EqualFold(d[:10], "attachment")
}

// firstPart finds the first boundary line of a multipart body. It returns what boundary
// lines begin with, and what follows the first.
//
// QUIRK: Postfix reports that were edited on their way (list exploders, abuse desks that
// blank host names) name one boundary in the header and use another. Then the first line
// that looks like a boundary is taken.
func firstPart(boundary string, body []byte) (delim, rest []byte, ok bool) {
	if boundary != "" {
		delim = []byte("--" + boundary)
		if _, rest, ok := findBoundary(body, delim); ok {
			return delim, rest, true
		}
	}
	if boundary = sniffBoundary(body); boundary == "" {
		return nil, nil, false
	}
	delim = []byte("--" + boundary)
	_, rest, ok = findBoundary(body, delim)
	return delim, rest, ok
}

// cutPart returns the octets up to the next boundary line, and the rest. more is false if
// this was the last part: "--boundary--" or the end follows.
//
// QUIRK: no final boundary: reports of Yahoo and Sendmail if the returned message is cut,
// and anything that a size limit cut on its way.
func cutPart(b, delim []byte) (this, rest []byte, more bool) {
	this, rest, ok := findBoundary(b, delim)
	if !ok {
		return b, nil, false
	}
	return this, rest, rest != nil
}

// findBoundary finds the first boundary line in b and returns what is before and after
// it; rest is nil if it is the final boundary.
func findBoundary(b, delim []byte) (before, rest []byte, ok bool) {
	for at := 0; at < len(b); {
		i := indexDelim(b[at:], delim)
		if i < 0 {
			return nil, nil, false
		}
		at += i
		line, next := cutLine(b[at+len(delim):])
		final := len(line) >= 2 && line[0] == '-' && line[1] == '-'
		if final {
			line = line[2:]
		}
		if len(bytes.TrimLeft(line, " \t")) == 0 {
			before = b[:at]
			before = bytes.TrimSuffix(before, []byte("\n"))
			before = bytes.TrimSuffix(before, []byte("\r"))
			if final {
				return before, nil, true
			}
			if next == nil {
				next = b[len(b):]
			}
			return before, next, true
		}
		if next == nil {
			break
		}
		at = len(b) - len(next)
	}
	return nil, nil, false
}

// indexDelim returns the index of the first line that begins with delim, -1 if there is
// none. If a line contains delim elsewhere, the rest of that line is skipped, because a
// text may consist of nothing but hyphens.
func indexDelim(b, delim []byte) int {
	for at := 0; ; {
		i := bytes.Index(b[at:], delim)
		if i < 0 {
			return -1
		}
		at += i
		if at == 0 || b[at-1] == '\n' {
			return at
		}
		end := bytes.IndexByte(b[at:], '\n')
		if end < 0 {
			return -1
		}
		at += end
	}
}

// sniffBoundary returns the boundary that a body seems to use: the first line "--…" that
// a "Content-…:" field follows; "" if there is none.
func sniffBoundary(body []byte) string {
	for at, tries := 0, 0; tries < 100; tries++ {
		i := indexDelim(body[at:], []byte("--"))
		if i < 0 {
			return ""
		}
		at += i
		line, next := cutLine(body[at:])
		at = len(body) - len(next)
		if len(line) < 4 || len(line) > 200 || bytes.IndexByte(line, ' ') >= 0 {
			continue
		}
		if len(next) > 8 && ascii.EqualFold(next[:8], "content-") {
			return string(line[2:])
		}
	}
	return ""
}
