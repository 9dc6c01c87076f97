package dsn

import (
	"bytes"
	"strings"
)

// Read reads one message. It never fails: what cannot be read is left out, and
// a message that is no report of any kind is of [KindNone]. The report holds
// copies only, so the caller may use raw for something else afterwards.
func Read(raw []byte, lim Limits) *Report {
	r := reader{lim: lim.WithDefaults(), rep: &Report{Kind: KindNone}}
	if len(raw) > r.lim.Octets {
		raw = raw[:r.lim.Octets]
		r.rep.Truncated = true
	}
	r.read(normalize(raw))
	return r.rep
}

// reader is the reading of one message.
type reader struct {
	lim Limits
	rep *Report

	top    header
	walker walker // the leaves of the message
	words  string // see notice
	known  bool   // words was read

	said  map[string]*Recipient // what the notice says, by address; see evidence
	asked int                   // searches of the notice for one address
}

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

// read finds out what the message is and fills the report.
func (r *reader) read(msg []byte) {
	top, body := readHeader(make(header, 0, 32), msg, r.lim, false)
	r.top = mendHeader(top)
	r.walker = walker{lim: r.lim, parts: make([]part, 0, 4)}
	r.walker.walk(r.top, body, 0, false)
	r.rep.Truncated = r.rep.Truncated || r.walker.truncated

	if k := r.otherReport(); k != "" {
		r.rep.Kind = k
		return
	}
	switch {
	case r.walker.reports == "" && r.forwarded():
		if isAutoReply(r.top, r.notice()) {
			r.rep.Kind = KindAutoReply
		}
	case r.statusParts() || r.statusInWords(body):
		r.rep.Kind = KindDSN
	default:
		r.inWords()
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
			if start >= 0 && start+len(name) < len(v) && equalFold(v[start:start+len(name)], name) {
				h[i].value = v[:start]
				return append(h, headerField{name: v[start : start+len(name)-1], value: v[start+len(name):]})
			}
		}
	}
	return h
}

// otherReport returns the kind of a report that is no delivery report, "" if
// the message is none.
func (r *reader) otherReport() Kind {
	status := false
	for i := range r.walker.parts {
		p := &r.walker.parts[i]
		switch p.kind.name {
		case "message/feedback-report": // RFC 5965 section 3
			return KindFeedback
		case "message/disposition-notification", "message/global-disposition-notification": // RFC 8098 section 3
			if !status {
				return KindDisposition
			}
		}
		status = status || p.kind.status()
	}
	if status {
		return ""
	}
	switch r.walker.reports {
	case "feedback-report":
		return KindFeedback
	case "disposition-notification":
		return KindDisposition
	}
	for i := range r.walker.parts {
		p := &r.walker.parts[i]
		if !p.kind.returned() {
			continue
		}
		h, _ := readHeader(nil, p.body, r.lim, false)
		for _, name := range tables().feedback {
			if h.raw(name) != nil {
				return KindFeedback
			}
		}
	}
	return ""
}

// statusParts reads the delivery-status parts of the message itself.
func (r *reader) statusParts() bool {
	sr := statusReader{lim: r.lim}
	found := false
	var returned *part
	for i := range r.walker.parts {
		p := &r.walker.parts[i]
		switch {
		case p.kind.status():
			found = true
			// QUIRK: base64 or quoted-printable, which RFC 6522 section 3
			// forbids: Exchange Online, Lotus Domino, Amazon WorkMail.
			sr.read(p.decoded(r.lim.Octets), false)
		case p.kind.returned() && returned == nil:
			returned = p
		}
	}
	if !found {
		return false
	}
	if returned != nil {
		r.returned(returned.decoded(r.lim.Octets))
	}
	if len(sr.groups) == 0 && r.walker.reports == "" {
		return false
	}
	r.fill(&sr)
	return true
}

// statusInWords reads the fields of a report that lie in the midst of words:
// its MIME form was lost, or never was.
//
// QUIRK: Amazon WorkMail writes the fields into the text part; Sendmail's and
// Postfix's reports lose their MIME header when a mailbox is exported or a
// help desk passes them on.
func (r *reader) statusInWords(body []byte) bool {
	if r.walker.reports != "delivery-status" && !r.machine() {
		return false
	}
	// A MIME tree without the header that announces it.
	if b := sniffBoundary(body); b != "" && len(r.walker.parts) == 1 && r.walker.parts[0].kind.text() {
		inner := walker{lim: r.lim}
		h := header{{name: []byte("Content-Type"), value: []byte(`multipart/mixed; boundary="` + b + `"`)}}
		inner.walk(h, body, 0, false)
		r.walker.parts, r.known = inner.parts, false
		if r.statusParts() {
			return true
		}
	}
	before := ""
	for i := range r.walker.parts {
		p := &r.walker.parts[i]
		if p.kind.returned() || p.side {
			continue
		}
		if !p.kind.text() && p.kind.name != "text/html" && !strings.HasPrefix(p.kind.name, "application/") {
			continue
		}
		text := p.text()
		start := findFields([]byte(text))
		if start < 0 {
			if p.kind.text() {
				before += text + "\n"
			}
			continue
		}
		sr := statusReader{lim: r.lim}
		end := start + sr.read([]byte(text[start:]), true)
		if len(sr.groups) == 0 || !sr.groups[0].named() {
			continue
		}
		r.words, r.known = before+text[:start], true
		r.returnedAfter([]byte(text[end:]), i)
		r.fill(&sr)
		return true
	}
	return false
}

// findFields returns where the fields of a report begin in a text, -1 if there
// are none: a line that only a report has, and a Final-Recipient below it.
func findFields(text []byte) int {
	first := -1
	for at := 0; at < len(text); {
		line, next := cutLine(text[at:])
		bare := bytes.TrimLeft(line, " \t")
		if n, _ := fieldName(bare); n > 0 {
			switch lookupField(bare[:n]) {
			case fieldReportingMTA, fieldOriginal, fieldAction, fieldStatus:
				if first < 0 {
					first = at
				}
			case fieldFinal:
				if first < 0 {
					first = at
				}
				return first
			}
		} else if len(bare) > 0 && bytes.HasPrefix(bare, []byte("--")) {
			first = -1
		}
		at = len(text) - len(next)
	}
	return -1
}

// returnedAfter reads the header of the returned message: that of the next part
// which is one, else the fields that follow those of the report.
func (r *reader) returnedAfter(text []byte, i int) {
	for ; i < len(r.walker.parts); i++ {
		if p := &r.walker.parts[i]; p.kind.returned() {
			r.returned(p.decoded(r.lim.Octets))
			return
		}
	}
	for tries := 0; tries < 4 && len(text) > 0; tries++ {
		text = bytes.TrimLeft(text, " \t\r\n")
		h, rest := readHeader(nil, text, r.lim, false)
		if h.raw("Message-Id") != nil || h.raw("From") != nil {
			r.returnedHeader(h)
			return
		}
		if len(rest) == len(text) { // no field: pass the line over
			_, rest = cutLine(text)
		}
		text = rest
	}
}

// nested reads a bounce that is attached as a whole: a forward by a program, or
// a notice to the postmaster. It reports whether there is one.
func (r *reader) nested() bool {
	if r.walker.reports == "" && !r.machine() {
		return false
	}
	for i := range r.walker.parts {
		p := &r.walker.parts[i]
		if p.kind.name != "message/rfc822" && p.kind.name != "message/global" {
			continue
		}
		inner := reader{lim: r.lim, rep: &Report{}}
		inner.lim.Depth--
		h, body := readHeader(nil, p.decoded(r.lim.Octets), r.lim, false)
		inner.top = mendHeader(h)
		inner.walker = walker{lim: inner.lim}
		inner.walker.walk(inner.top, body, 0, false)
		switch {
		case inner.statusParts() || inner.statusInWords(body):
			inner.rep.Kind = KindDSN
		case inner.machine() && inner.listed(inner.notice()):
			inner.rep.Kind = KindText
		default:
			continue
		}
		inner.rep.Truncated = r.rep.Truncated || inner.walker.truncated
		*r.rep = *inner.rep
		return true
	}
	return false
}

// inWords reads a bounce without the fields of a report, or finds that the
// message is none.
func (r *reader) inWords() {
	text := r.notice()
	kind, isSNS := r.notification(text)
	switch {
	case isSNS:
		r.rep.Kind = kind
	case r.listed(text):
		r.rep.Kind = KindText
	case isAutoReply(r.top, text):
		r.rep.Kind, r.rep.Recipients = KindAutoReply, nil
	case r.nested():
	case len(r.rep.Recipients) > 0: // a bounce that names no one
		r.rep.Kind = KindText
	case r.walker.reports == "delivery-status":
		r.rep.Kind = KindDSN
	}
}

// listed reads the recipients of a bounce in words and reports whether it names
// any. If it is a bounce all the same, the report has one without an address.
func (r *reader) listed(text string) bool {
	r.rep.Recipients = noticeRecipients(r.top, text, r.lim)
	if len(r.rep.Recipients) == 0 {
		return false
	}
	r.returnedAfter([]byte(text), 0)
	for i := range r.rep.Recipients {
		if r.rep.Recipients[i].Address != "" {
			return true
		}
	}
	return false
}

// notice returns the words of the message, without the returned message and
// attachments: the plain text, of HTML only when there is no other.
func (r *reader) notice() string {
	if r.known {
		return r.words
	}
	r.known = true
	var b strings.Builder
	for _, wantHTML := range []bool{false, true} {
		for i := range r.walker.parts {
			p := &r.walker.parts[i]
			if p.kind.returned() {
				break
			}
			if p.side && !wantHTML || p.kind.text() == wantHTML || wantHTML && p.kind.name != "text/html" {
				continue
			}
			if b.Len() > 0 {
				b.WriteByte('\n')
			}
			b.WriteString(p.text())
			if b.Len() > maxText {
				break
			}
		}
		if len(strings.TrimSpace(b.String())) > 0 {
			break
		}
		b.Reset()
	}
	r.words = b.String()
	return r.words
}

// returned notes what the returned message is, from its header alone.
func (r *reader) returned(msg []byte) {
	h, _ := readHeader(nil, bytes.TrimLeft(msg, "\r\n"), r.lim, false)
	r.returnedHeader(h)
}

func (r *reader) returnedHeader(h header) {
	r.rep.Returned = Returned{
		MessageID: strings.Trim(h.get("Message-Id"), " <>"),
		From:      h.get("From"),
		To:        h.get("To"),
		Date:      h.get("Date"),
	}
}

// machine reports whether a program sent the message, by its header.
func (r *reader) machine() bool {
	return r.walker.reports == "delivery-status" || notices().headerScore(r.top).machine
}

// forwarded reports whether a person passes something on: what is attached is
// the subject of a talk, no report to this recipient.
func (r *reader) forwarded() bool {
	if r.machine() {
		return false
	}
	for _, name := range []string{"In-Reply-To", "References", "User-Agent", "X-Mailer", "Thread-Index", "X-Forwarded-Message-Id", "Resent-From"} {
		if r.top.raw(name) != nil {
			return true
		}
	}
	return false
}
