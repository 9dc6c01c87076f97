package dsn

import (
	"bytes"
	"strings"

	"github.com/bounce-milter/bounce-milter/internal/ascii"
)

// maxPreamble bounds the octets before the first boundary line of a message whose MIME
// header was lost.
const maxPreamble = 300

// statusInWords reads the fields of a report that stand in a text, because the report
// has lost its MIME structure or never had any.
//
// QUIRK: Amazon WorkMail writes the fields into the text part; reports of Sendmail and
// Postfix lose their MIME header when a mailbox is exported or a help desk forwards them.
func (r *reading) statusInWords(body []byte) bool {
	// The parts may still be there, without the header that announces them.
	if b := r.lostBoundary(body); b != "" {
		inner := tree{lim: r.lim, work: r.work}
		h := header{{name: []byte("Content-Type"), value: []byte(`multipart/mixed; boundary="` + b + `"`)}}
		inner.walk(h, body, 0, false)
		outer := r.tree.parts
		r.tree.parts, r.haveWords = inner.parts, false
		if r.statusParts() {
			return true
		}
		// Far from the beginning it is a boundary of the returned message.
		if indexDelim(body, []byte("--"+b)) > maxPreamble {
			r.tree.parts, r.haveWords = outer, false
		}
	}
	var earlier []*part // words before the fields
	for i := range r.tree.parts {
		p := &r.tree.parts[i]
		if p.kind.returned() || p.side {
			continue
		}
		if !p.kind.isWords() && p.kind.name != "text/html" && !strings.HasPrefix(p.kind.name, "application/") {
			continue
		}
		r.work.Take(len(p.body) / 4)
		if p.identity() && findFields(p.body[:min(len(p.body), maxText)]) < 0 {
			earlier = append(earlier, p)
			continue
		}
		text := p.words()
		start := findFields([]byte(text))
		if start < 0 {
			earlier = append(earlier, p)
			continue
		}
		if !r.machine() {
			return false
		}
		sr := statusReader{lim: r.lim, work: r.work}
		end := start + sr.read([]byte(text[start:]), true)
		if len(sr.groups) == 0 || !sr.groups[0].named() {
			continue
		}
		var words strings.Builder
		for _, p := range earlier {
			if p.kind.isWords() && words.Len() < maxText {
				words.WriteString(p.words() + "\n")
			}
		}
		r.allWords, r.haveWords = words.String()+text[:start], true
		r.returnedAfter([]byte(text[end:]), i)
		r.fill(&sr)
		return true
	}
	return false
}

// lostBoundary returns the boundary of a message whose MIME header was lost, "" if this is
// not such a message.
func (r *reading) lostBoundary(body []byte) string {
	if len(r.tree.parts) != 1 || !r.tree.parts[0].kind.isWords() {
		return ""
	}
	b := sniffBoundary(body)
	if b == "" || !r.machine() {
		return ""
	}
	return b
}

// findFields returns where the fields of a report begin in a text, -1 if there are none.
// They begin with a field that only reports have, followed by a Final-Recipient or by two
// other fields about a recipient.
func findFields(text []byte) int {
	first, others := -1, 0
	for at := 0; at < len(text); {
		line, next := cutLine(text[at:])
		bare := bytes.TrimLeft(line, " \t")
		if n, _ := fieldName(bare); n > 0 {
			id := lookupField(bare[:n])
			switch id {
			case fieldReportingMTA, fieldOriginal, fieldAction, fieldStatus, fieldFinal:
				if first < 0 {
					first = at
				}
			}
			if id.perRecipient() && first >= 0 {
				if others++; id == fieldFinal || others > 2 {
					return first
				}
			}
		} else if len(bare) > 0 && bytes.HasPrefix(bare, []byte("--")) {
			first, others = -1, 0
		}
		at = len(text) - len(next)
	}
	return -1
}

// returnedAfter reads the header of the returned message: from the next part that holds
// one, else from the fields in text, after those of the report.
func (r *reading) returnedAfter(text []byte, i int) {
	for ; i < len(r.tree.parts); i++ {
		if p := &r.tree.parts[i]; p.kind.returned() {
			r.returned(p)
			return
		}
	}
	for tries := 0; tries < 4 && len(text) > 0; tries++ {
		text = bytes.TrimLeft(text, " \t\r\n")
		h, rest := r.header(text)
		if h.raw("Message-Id") != nil || h.raw("From") != nil {
			r.returnedHeader(h)
			if r.source {
				// QUIRK: qmail and its kin quote the whole message in their text.
				if r.rep.Returned.Source = r.headerSource(text, rest); r.rep.Returned.Source != nil {
					r.rep.Returned.Source.Cut = true
				}
			}
			return
		}
		if len(rest) == len(text) { // not a field: skip the line
			_, rest = cutLine(text)
		}
		text = rest
	}
	r.attached()
}

// maxAttached is how many attachments are searched for the returned message.
const maxAttached = 4

// attached reads the header of the returned message from an attachment that does not say
// that it is one.
//
// QUIRK: gateways attach the message as a file: "message.eml" of application/octet-stream,
// or "header.txt" of text/plain.
func (r *reading) attached() {
	tries := 0
	for i := range r.tree.parts {
		p := &r.tree.parts[i]
		if !p.side || p.kind.status() || p.kind.name == "text/html" {
			continue
		}
		if tries++; tries > maxAttached {
			return
		}
		msg := bytes.TrimLeft(p.decoded(maxSource), "\r\n")
		h, rest := r.header(msg)
		if h.raw("Message-Id") == nil || h.raw("From") == nil {
			continue
		}
		r.returnedHeader(h)
		if r.source {
			if r.rep.Returned.Source = r.headerSource(msg, rest); r.rep.Returned.Source != nil {
				r.rep.Returned.Source.Cut = true // it may be anything
			}
		}
		return
	}
}

// nested reads a bounce that is attached as a whole message. It reports whether there is
// one.
//
// QUIRK: Trend Micro's gateways wrap the reports that pass them in a notice of their own
// that names no recipient; Sendmail and Exchange send such copies to the postmaster, and
// filters of mail programs forward them.
func (r *reading) nested() bool {
	if r.tree.reports == "" && !r.machine() {
		return false
	}
	for i := range r.tree.parts {
		p := &r.tree.parts[i]
		if p.kind.name != "message/rfc822" && p.kind.name != "message/global" {
			continue
		}
		inner := reading{notices: r.notices, noted: r.noted, source: r.source, work: r.work, lim: r.lim, rep: &Report{}}
		inner.lim.Depth--
		h, body := r.header(p.decoded(r.lim.Octets))
		inner.top = mendHeader(h)
		inner.tree = tree{lim: inner.lim, work: r.work}
		inner.tree.walk(inner.top, body, 0, false)
		switch {
		case inner.statusParts() || inner.statusInWords(body):
			inner.rep.Kind = KindDSN
		case inner.machine() && inner.listed(inner.words()):
			inner.rep.Kind = KindText
		default:
			continue
		}
		inner.rep.Truncated = r.rep.Truncated || inner.tree.truncated
		inner.rep.Ambiguous = inner.holdsReport()
		r.within = p
		*r.rep = *inner.rep
		return true
	}
	return false
}

// holdsReport reports whether a message among the parts may hold a report, apart from the
// one that was read.
func (r *reading) holdsReport() bool {
	for i := range r.tree.parts {
		p := &r.tree.parts[i]
		if p == r.within || p.kind.status() || !strings.HasPrefix(p.kind.name, "message/") {
			continue
		}
		if !r.work.Take(len(p.body)/8) || namesStatus(p.body) {
			return true
		}
	}
	return false
}

// namesStatus reports whether a text may name a part with the fields of a report
// (RFC 3464 section 2).
func namesStatus(b []byte) bool { return findStatus(b) >= 0 }

// findStatus returns what follows the first place where a text names such a part, -1 if it
// does not.
func findStatus(b []byte) int {
	const before, after = "delivery", "-status"
	for at := len(before); at+len(after) <= len(b); at++ {
		if b[at] != '-' {
			i := bytes.IndexByte(b[at:], '-')
			if i < 0 {
				return -1
			}
			at += i - 1
			continue
		}
		// Bodies may be full of dashes: few are worth a closer look.
		if b[at-1]|0x20 == 'y' && b[at+1]|0x20 == 's' && ascii.EqualFold(b[at-len(before):at+len(after)], before+after) {
			return at + len(after)
		}
	}
	return -1
}
