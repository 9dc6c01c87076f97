package dsn

import (
	"bytes"
	"context"
	"slices"
	"strings"

	"github.com/bounce-milter/bounce-milter/classify/dsn/notice"
	"github.com/bounce-milter/bounce-milter/internal/address"
	"github.com/bounce-milter/bounce-milter/internal/ascii"
	"github.com/bounce-milter/bounce-milter/internal/lines"
	"github.com/bounce-milter/bounce-milter/internal/work"
)

// Read reads one message. It never fails: what cannot be read is left out, and a message
// that is not a report of any kind is of [KindNone]. The report contains only copies, so
// the caller may reuse raw afterwards. When ctx ends, Read soon returns what it has read
// by then.
func Read(ctx context.Context, raw []byte, lim Limits) *Report { return Reader{}.Read(ctx, raw, lim) }

// Read is [Read] by what the reader knows.
func (rd Reader) Read(ctx context.Context, raw []byte, lim Limits) *Report {
	r := reading{notices: rd.known(), noted: rd.returned, source: rd.source, lim: lim.WithDefaults(), rep: &Report{Kind: KindNone}}
	r.work = work.New(ctx, r.lim.Work)
	if len(raw) > r.lim.Octets {
		raw = Excerpt(raw, r.lim.Octets)
		r.rep.Truncated = true
	}
	r.work.Take(len(raw) / 4)
	r.read(normalize(raw))
	if r.rep.Kind != KindNone {
		r.rep.DeliveredTo = r.deliveredTo()
		r.rep.Ambiguous = r.rep.Ambiguous || r.holdsReport()
	}
	if len(r.rep.Recipients) > 0 || r.rep.Kind == KindDSN || r.rep.Kind == KindText {
		r.rep.Sender = Address(r.fields().Get("To"))
		if r.rep.ReportingMTA == "" && r.sender().Machine {
			from := Address(r.fields().Get("From"))
			r.rep.Reporter = from[strings.LastIndexByte(from, '@')+1:]
		}
	}
	if k := r.rep.Kind; r.source && (k == KindDSN || k == KindText || k == KindFeedback) {
		list, more := r.aside()
		r.rep.Aside, r.rep.Ambiguous = list, r.rep.Ambiguous || more || k == KindDSN && !r.plain(raw)
	}
	r.rep.Spent = r.work.Spent()
	r.rep.Truncated = r.rep.Truncated || r.rep.Spent
	r.rep.Work = r.work.Used()
	return r.rep
}

// reading is the reading of one message.
type reading struct {
	notices *notice.Data
	noted   []string // fields of the returned message to note
	source  bool     // hand out the returned message as it came
	work    *work.Budget
	lim     Limits
	rep     *Report

	top       header
	back      countedHeader // of the returned message
	body      []byte        // what follows the header
	tree      tree          // the leaves of the message
	inParts   bool          // the fields of the report stand in parts of their own
	within    *part         // the attached message that was read as the report, nil if none was
	allWords  string        // see words
	haveWords bool          // allWords was read
	head      notice.Score
	scored    bool // head was computed, see sender

	searched *notice.Notice // the last text that was prepared, see folded

	said     map[string]*notice.Recipient // what the notice says, by address; see evidence
	reported []string                     // the recipients of a report about several
	asked    int                          // how often the notice was searched for a single address
}

// read finds out what the message is and fills the report.
func (r *reading) read(msg []byte) {
	top, body := readHeader(make(header, 0, 32), msg, r.lim, false)
	r.work.Take((len(msg) - len(body)) / 2)
	r.top, r.body = mendHeader(top), body
	if !r.top.opens(r.notices) {
		return
	}
	r.tree = tree{lim: r.lim, work: r.work, parts: make([]part, 0, 4), strict: r.source}
	r.tree.walk(r.top, body, 0, false)
	r.rep.Truncated = r.rep.Truncated || r.tree.truncated

	if k := r.otherReport(); k != "" {
		r.rep.Kind = k
		return
	}
	switch {
	case r.tree.reports != "delivery-status" && r.forwarded():
		if r.notices.IsAutoReply(r.fields(), r.words()) {
			r.rep.Kind = KindAutoReply
		}
	case r.statusParts():
		r.rep.Kind, r.inParts = KindDSN, true
	case r.statusInWords(body):
		r.rep.Kind = KindDSN
	default:
		r.inWords()
	}
}

// opens asks the gate about a header.
func (h header) opens(notices *notice.Data) bool {
	if h.raw("Return-Path") == nil {
		return true // without it the gate is always open
	}
	g := Reader{notices: notices}.Gate()
	for i := range h {
		g.Field(h[i].name, h[i].value)
	}
	return g.Open()
}

// statusParts reads the delivery-status parts of the message itself, whatever multipart
// they are in.
//
// QUIRK: multipart/mixed instead of multipart/report (RFC 6522): OpenSMTPD,
// McAfee, Zoho, amavis.
func (r *reading) statusParts() bool {
	sr := statusReader{lim: r.lim, work: r.work}
	found, place := false, 0
	var returned *part
	var words []part // words before the fields in the same part
	for i := range r.tree.parts {
		p := &r.tree.parts[i]
		switch {
		case p.kind.status():
			b := p.decoded(r.lim.Octets)
			at := firstField(b)
			if at < 0 {
				// QUIRK: a part of this type with words, and a second one with the
				// fields: Netscape Messaging Server, and gateways that copy a type.
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
		r.returned(returned)
	}
	if len(sr.groups) == 0 && !r.machine() {
		return false
	}
	if len(words) > 0 {
		r.tree.parts = slices.Insert(r.tree.parts, place, words...)
		r.haveWords = false
	}
	r.fill(&sr)
	if returned == nil {
		// QUIRK: Exchange returns no message that is too large, and quotes its header.
		r.returnedAfter([]byte(r.folded(r.words()).Returned()), 0)
	}
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

// returned identifies the returned message in a part, from its header alone.
func (r *reading) returned(p *part) {
	msg := bytes.TrimLeft(p.decoded(r.lim.Octets), "\r\n")
	h, rest := r.header(msg)
	r.returnedHeader(h)
	if r.source {
		r.rep.Returned.Source = r.sourceOf(p, msg, rest)
	}
}

// header reads the header that b begins with.
func (r *reading) header(b []byte) (h header, rest []byte) {
	if r.work.Spent() {
		return nil, b
	}
	h, rest = readHeader(nil, b, r.lim, false)
	r.work.Take((len(b)-len(rest))/2 + 1)
	return h, rest
}

// fields returns the header of the message; reading its values takes from the budget.
func (r *reading) fields() countedHeader { return countedHeader{r.top, r.work} }

func (r *reading) returnedHeader(fields header) {
	h := countedHeader{fields, r.work}
	r.rep.Returned = Returned{
		MessageID: strings.Trim(h.Get("Message-Id"), " <>"),
		From:      h.Get("From"),
		To:        h.Get("To"),
		Date:      h.Get("Date"),
	}
	r.back = h
	for _, name := range r.noted {
		if v := h.Get(name); v != "" {
			r.rep.Returned.Fields = append(r.rep.Returned.Fields, Field{name, lines.Cut(v, maxNotedOctets)})
		}
	}
}

// maxNotedOctets bounds each of the fields that are noted.
const maxNotedOctets = 1000

// deliveredTo returns the addresses to which the message was delivered.
func (r *reading) deliveredTo() []string {
	const most = 10
	var list []string
	for i := range r.top {
		name := r.top[i].name
		if ascii.EqualFold(name, "Received") || len(list) == most {
			break
		}
		if ascii.EqualFold(name, "X-Original-To") || ascii.EqualFold(name, "Delivered-To") || ascii.EqualFold(name, "Envelope-To") {
			if a := readAddress(decodeCounted(r.top[i].value, r.work)); address.IsMailbox(a) {
				list = append(list, a)
			}
		}
	}
	return list
}

// sender returns what the header says about who wrote the message.
func (r *reading) sender() notice.Score {
	if !r.scored {
		r.head, r.scored = r.notices.Score(r.fields()), true
	}
	return r.head
}

// machine reports whether a mail system sent the message, by its header.
func (r *reading) machine() bool {
	return r.tree.reports == "delivery-status" || r.sender().Machine
}

// forwarded reports whether a person forwards something: then the attached report is what
// people talk about, not a report to this recipient.
func (r *reading) forwarded() bool {
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

func (r *reading) hasField(name string) bool { return r.top.raw(name) != nil }

// automatic reports whether a field says that a program wrote the message. The sender's
// name does not tell: a postmaster may also write in person.
func (r *reading) automatic() bool {
	if slices.ContainsFunc(tables().person.Never, r.hasField) {
		return true
	}
	from := r.top.raw("Return-Path")
	return from != nil && len(bytes.Trim(from, " \t\r\n<>")) == 0
}
