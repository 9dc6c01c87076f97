package dsn

import (
	"bytes"
	"context"
	"slices"
	"strings"

	"github.com/bounce-milter/bounce-milter/classify/dsn/notice"
	"github.com/bounce-milter/bounce-milter/internal/ascii"
	"github.com/bounce-milter/bounce-milter/internal/work"
)

// Read reads one message. It never fails: what cannot be read is left out, and
// a message that is no report of any kind is of [KindNone]. The report holds
// copies only, so the caller may use raw for something else afterwards. When ctx
// ends, the reading does soon, with what was read so far.
func Read(ctx context.Context, raw []byte, lim Limits) *Report {
	r := reader{lim: lim.WithDefaults(), rep: &Report{Kind: KindNone}}
	r.work = work.New(ctx, r.lim.Work)
	if len(raw) > r.lim.Octets {
		raw = Excerpt(raw, r.lim.Octets)
		r.rep.Truncated = true
	}
	r.work.Take(len(raw) / 4)
	r.read(normalize(raw))
	if len(r.rep.Recipients) > 0 {
		r.rep.Sender = Address(r.fields().Get("To"))
		if from := Address(r.fields().Get("From")); r.rep.ReportingMTA == "" && r.sender().Machine {
			r.rep.Reporter = from[strings.LastIndexByte(from, '@')+1:]
		}
	}
	r.rep.Spent = r.work.Spent()
	r.rep.Truncated = r.rep.Truncated || r.rep.Spent
	r.rep.Work = r.work.Used()
	return r.rep
}

// reader is the reading of one message.
type reader struct {
	work *work.Budget
	lim  Limits
	rep  *Report

	top    header
	walker walker // the leaves of the message
	words  string // see notice
	known  bool   // words was read
	head   notice.Score
	scored bool // head was computed, see sender

	text *notice.Notice // see folded

	said  map[string]*notice.Recipient // what the notice says, by address; see evidence
	asked int                          // searches of the notice for one address
}

// read finds out what the message is and fills the report.
func (r *reader) read(msg []byte) {
	top, body := readHeader(make(header, 0, 32), msg, r.lim, false)
	r.work.Take((len(msg) - len(body)) / 2)
	r.top = mendHeader(top)
	if !r.top.worthReading() {
		return
	}
	r.walker = walker{lim: r.lim, work: r.work, parts: make([]part, 0, 4)}
	r.walker.walk(r.top, body, 0, false)
	r.rep.Truncated = r.rep.Truncated || r.walker.truncated

	if k := r.otherReport(); k != "" {
		r.rep.Kind = k
		return
	}
	switch {
	case r.walker.reports != "delivery-status" && r.forwarded():
		if notices().IsAutoReply(r.fields(), r.notice()) {
			r.rep.Kind = KindAutoReply
		}
	case r.statusParts() || r.statusInWords(body):
		r.rep.Kind = KindDSN
	default:
		r.inWords()
	}
}

// worthReading asks the gate about a header.
func (h header) worthReading() bool {
	var g Gate
	for i := range h {
		g.Field(h[i].name, h[i].value)
	}
	return g.Open()
}

// statusParts reads the delivery-status parts of the message itself, in whatever
// container they are.
//
// QUIRK: multipart/mixed instead of multipart/report (RFC 6522): OpenSMTPD,
// McAfee, Zoho, amavis.
func (r *reader) statusParts() bool {
	sr := statusReader{lim: r.lim, work: r.work}
	found, place := false, 0
	var returned *part
	var words []part // that stand before the fields, in one part with them
	for i := range r.walker.parts {
		p := &r.walker.parts[i]
		switch {
		case p.kind.status():
			b := p.decoded(r.lim.Octets)
			at := firstField(b)
			if at < 0 {
				// QUIRK: the words in a part of this type, the fields in a second
				// one: Netscape Messaging Server, and gateways that copy a type.
				p.kind = mediaType{name: "text/plain", charset: p.kind.charset}
				continue
			}
			if n, _ := fieldName(bytes.TrimLeft(b, "\r\n")); n == 0 && ascii.HasWords(b[:at]) {
				words, place = append(words, part{kind: mediaType{name: "text/plain", charset: p.kind.charset}, body: b[:at]}), i
			}
			found = true
			// QUIRK: base64 or quoted-printable, which RFC 6522 section 3
			// forbids: Exchange Online, Lotus Domino, Amazon WorkMail.
			sr.read(b, false)
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
	if len(sr.groups) == 0 && !r.machine() {
		return false
	}
	if len(words) > 0 {
		r.walker.parts = slices.Insert(r.walker.parts, place, words...)
		r.known = false
	}
	r.fill(&sr)
	return true
}

// firstField returns where the first field of RFC 3464 begins, -1 if there is none.
func firstField(b []byte) int {
	for at := 0; at < len(b); {
		line, next := cutLine(b[at:])
		line = bytes.TrimLeft(line, " \t")
		if n, _ := fieldName(line); n > 0 && lookupField(line[:n]) != fieldUnknown {
			return at
		}
		at = len(b) - len(next)
	}
	if len(bytes.TrimSpace(b)) == 0 {
		return 0
	}
	return -1
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
	case len(r.rep.Recipients) > 0 && r.sender().Machine && !notices().Answers(r.fields()):
		// It names no one, but only a mail system writes so.
		if !r.nested() {
			r.rep.Kind = KindText
		}
	case r.rejectedInWords():
	case notices().IsAutoReply(r.fields(), text):
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
	rs, returned := r.bounceInWords(text)
	r.rep.Recipients = noticed(rs)
	if len(rs) == 0 {
		return false
	}
	r.returnedAfter([]byte(returned), 0)
	for i := range r.rep.Recipients {
		if r.rep.Recipients[i].Address != "" {
			return true
		}
	}
	return false
}

// bounceInWords reads the recipients of a bounce in words, see [notice.Notice.Bounce].
func (r *reader) bounceInWords(text string) (rs []notice.Recipient, returned string) {
	head := r.sender()
	if !head.Machine && !head.Robot {
		return nil, ""
	}
	return r.folded(text).Bounce(r.fields(), head, r.lim.Recipients)
}

// folded returns a text ready to be searched for recipients. The last one is kept,
// for it is asked for again and again.
func (r *reader) folded(text string) *notice.Notice {
	if r.text == nil || r.text.Source() != text {
		r.text = notices().Read(text, r.work)
	}
	return r.text
}

// noticed makes recipients of a report of those of a notice.
func noticed(rs []notice.Recipient) []Recipient {
	if len(rs) == 0 {
		return nil
	}
	all := make([]Recipient, len(rs))
	for i := range rs {
		n := &rs[i]
		all[i] = Recipient{Address: n.Address, Original: n.Original, Action: ActionFailed, Status: n.Status, SMTPCode: n.SMTPCode,
			Diagnostic: n.Diagnostic, said: n.Reply, Notice: n.Words, RemoteMTA: n.RemoteMTA}
		if n.Delayed {
			all[i].Action = ActionDelayed
		}
		if n.Reply.Code != 0 || n.Reply.Status.Class != 0 {
			all[i].DiagnosticType = "smtp"
		}
	}
	return all
}

// cutEvidence cuts words to what is kept of a notice's.
func cutEvidence(s string) string { return s[:min(len(s), notice.MaxEvidence)] }

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
	h, _ := r.header(bytes.TrimLeft(msg, "\r\n"))
	r.returnedHeader(h)
}

// header reads the header that b begins with.
func (r *reader) header(b []byte) (h header, rest []byte) {
	if r.work.Spent() {
		return nil, b
	}
	h, rest = readHeader(nil, b, r.lim, false)
	r.work.Take((len(b)-len(rest))/2 + 1)
	return h, rest
}

// fields is the header of the message, whose reading is counted.
func (r *reader) fields() countedHeader { return countedHeader{r.top, r.work} }

func (r *reader) returnedHeader(fields header) {
	h := countedHeader{fields, r.work}
	r.rep.Returned = Returned{
		MessageID: strings.Trim(h.Get("Message-Id"), " <>"),
		From:      h.Get("From"),
		To:        h.Get("To"),
		Date:      h.Get("Date"),
	}
}

// sender returns what the header says of who wrote the message.
func (r *reader) sender() notice.Score {
	if !r.scored {
		r.head, r.scored = notices().Score(r.fields()), true
	}
	return r.head
}

// machine reports whether a mail system sent the message, by its header.
func (r *reader) machine() bool {
	return r.walker.reports == "delivery-status" || r.sender().Machine
}

// forwarded reports whether a person passes something on: what is attached is
// the subject of a talk, no report to this recipient.
func (r *reader) forwarded() bool {
	person := &tables().person
	if !slices.ContainsFunc(person.Fields, r.hasField) {
		return false
	}
	if head := r.sender(); !head.Machine && !head.Robot {
		return true
	}
	for _, name := range person.Together {
		if !r.hasField(name) {
			return false
		}
	}
	return !r.automatic()
}

func (r *reader) hasField(name string) bool { return r.top.raw(name) != nil }

// automatic reports whether a field says that a program wrote the message; the
// sender's name may be that of a postmaster who writes himself.
func (r *reader) automatic() bool {
	if slices.ContainsFunc(tables().person.Never, r.hasField) {
		return true
	}
	from := r.top.raw("Return-Path")
	return from != nil && len(bytes.Trim(from, " \t\r\n<>")) == 0
}
