package dsn

import (
	"slices"
	"strings"
	"unicode/utf8"

	"github.com/bounce-milter/bounce-milter/classify/dsn/notice"
	"github.com/bounce-milter/bounce-milter/classify/reply"
	"github.com/bounce-milter/bounce-milter/internal/address"
	"github.com/bounce-milter/bounce-milter/internal/ascii"
)

// fill fills the report from the fields that were read.
func (r *reading) fill(sr *statusReader) {
	m := &sr.message
	r.rep.ReportingMTA = readMTA(r.decode(m.field[fieldReportingMTA]))
	r.rep.ReceivedFromMTA = readMTA(r.decode(m.field[fieldReceivedFrom]))
	r.rep.DSNGateway = readMTA(r.decode(m.field[fieldGateway]))
	r.rep.EnvelopeID = decodeXtext(r.decode(m.field[fieldEnvelopeID]))
	r.rep.ArrivalDate = r.decode(m.field[fieldArrival])
	r.rep.Extensions = r.extensions(m.extensions)
	r.rep.Dropped = sr.dropped

	if len(sr.groups) == 0 && !r.unnamed() {
		sr.groups = make([]statusGroup, 1)
	}
	rs := newResults(r.rep.Recipients, len(sr.groups))
	r.listAddresses(sr.groups)
	for i := range sr.groups {
		g := &sr.groups[i]
		rs.add(r.recipient(g, len(sr.groups) == 1), readAddress(countedHeader{g.extensions, r.work}.Get("X-Actual-Recipient")))
	}
	r.rep.Recipients = rs.list
}

// unnamed reads the recipients of a report without fields about any: the notice or only
// the header names them. It reports whether it found several.
//
// QUIRK: Postfix when it has lost the queue file ("Delivery report unavailable"),
// IronPort, and the Netscape Messaging Server.
func (r *reading) unnamed() bool {
	rs, _ := r.bounceInWords(r.words())
	if len(rs) < 2 { // findAddress finds a single one
		return false
	}
	r.rep.Recipients = noticed(rs)
	return true
}

// unitsRecipient is the work for one recipient, see [Report.Work].
const unitsRecipient = 300

// recipient reads one group of fields (RFC 3464 section 2.3). only is true if the report
// has no other group, so that what the message says elsewhere is about this recipient.
func (r *reading) recipient(g *statusGroup, only bool) Recipient {
	if !r.work.Take(unitsRecipient) {
		return g.inShort()
	}
	rcpt := Recipient{
		Address:        readAddress(r.decode(g.field[fieldFinal])),
		Original:       readAddress(r.decode(g.field[fieldOriginal])),
		Action:         readAction(unfold(g.field[fieldAction])),
		StatusField:    reply.FindStatus(unfold(g.field[fieldStatus])),
		RemoteMTA:      readMTA(r.decode(g.field[fieldRemoteMTA])),
		FinalLogID:     r.decode(g.field[fieldLogID]),
		LastAttempt:    r.decode(g.field[fieldLastAttempt]),
		WillRetryUntil: r.decode(g.field[fieldWillRetry]),
		Extensions:     r.extensions(g.extensions),
	}
	status := unfold(g.field[fieldStatus])
	rcpt.DiagnosticType, rcpt.Diagnostic = splitType(r.foreign(g.field[fieldDiagnostic]))
	if rcpt.Diagnostic == "" {
		rcpt.DiagnosticType, rcpt.Diagnostic = r.supplementary(g.extensions)
	}
	if rcpt.Diagnostic == "" && len(status) > 3 && reply.ParseCode(status[:3]) != 0 && ascii.IsBlank(rune(status[3])) {
		// QUIRK: "Status: 553 Exceeded maximum message size": some home-made
		// mailers write the reply here.
		rcpt.DiagnosticType, rcpt.Diagnostic = "smtp", r.decode([]byte(status))
	}
	comment := ""
	if rcpt.Diagnostic == "" {
		if comment = statusWords(r.decode(g.field[fieldStatus])); reply.LeadingCode(comment) >= 400 {
			rcpt.DiagnosticType, rcpt.Diagnostic = "smtp", comment
		}
	}
	if !address.IsMailbox(rcpt.Address) {
		r.findAddress(&rcpt, g, only)
	}
	if strings.EqualFold(rcpt.Original, rcpt.Address) {
		rcpt.Original = ""
	}

	unfinished := isUnfinished(rcpt.Diagnostic)
	said := reply.Parse(rcpt.Diagnostic)
	parting := ""
	if said.Code >= 200 && said.Code < 400 && (rcpt.Action == "" || rcpt.Action.Bounced()) {
		// QUIRK: "Diagnostic-Code: SMTP; 221 2.0.0 Bye": Sendmail, if its last
		// command was QUIT. The refusal is in the transcript.
		parting, rcpt.Diagnostic, said = rcpt.Diagnostic, "", reply.Reply{}
	}
	rcpt.quote(said)
	if rcpt.DiagnosticType != "x-unix" { // x-unix is the exit code of a program
		rcpt.SMTPCode = said.Code
	}
	rcpt.Status = betterStatus(said.Status, rcpt.StatusField)
	if said.Code == 0 || !said.Status.Telling() && !rcpt.StatusField.Telling() {
		r.askNotice(&rcpt)
	} else {
		r.complete(&rcpt, unfinished)
	}
	if rcpt.Diagnostic == "" && rcpt.Notice == "" {
		rcpt.Diagnostic = parting
	}
	if comment != "" && rcpt.Diagnostic == "" && (rcpt.Action == "" || rcpt.Action.Bounced()) {
		rcpt.Notice = cutEvidence(strings.TrimSpace(comment + " " + rcpt.Notice))
	}
	if rcpt.SMTPCode == 0 {
		// QUIRK: "Status: 550": Zoho and Apache James.
		rcpt.SMTPCode = reply.ParseCode(status)
	}
	if rcpt.Action == "" {
		rcpt.Action = guessAction(&rcpt)
	}
	return rcpt
}

// inShort reads only address, action and status, because the work budget is spent.
func (g *statusGroup) inShort() Recipient {
	value := func(id fieldID) string {
		return toUTF8(unfold(g.field[id][:min(len(g.field[id]), address.MaxLocalPart+1+address.MaxDomain)]))
	}
	rcpt := Recipient{
		Address:     readAddress(value(fieldFinal)),
		Action:      readAction(value(fieldAction)),
		StatusField: reply.FindStatus(value(fieldStatus)),
	}
	if rcpt.Address == "" {
		rcpt.Address = readAddress(value(fieldOriginal))
	}
	rcpt.Status = rcpt.StatusField
	if rcpt.Action == "" {
		rcpt.Action = guessAction(&rcpt)
	}
	return rcpt
}

// foreign returns the decoded value of a field that may be in the charset of the notice.
//
// QUIRK: Coremail, and Postfix before 3.0, copy replies in GB 2312, Big5 or KOI8-R into
// Diagnostic-Code unchanged.
func (r *reading) foreign(b []byte) string {
	if utf8.Valid(b) {
		return r.decode(b)
	}
	for i := range r.tree.parts {
		p := &r.tree.parts[i]
		if label := p.kind.charset; label != "" && label != "utf-8" && !tables().noCharset[label] && !p.kind.returned() {
			return withoutControls(decodeCharset([]byte(withoutControls(fold(b), true)), label), false)
		}
	}
	return r.decode(b)
}

// supplementary returns the reply in an extension field, for a group without
// Diagnostic-Code. data/report.toml says which fields may hold one.
//
// QUIRK: Exchange 2000 and 2003, and X.400 gateways (RFC 2156), put angle brackets and an
// enhanced code around it: "X-Supplementary-Info: <mx.example.com #5.7.1 smtp;550 5.7.1 …>".
func (r *reading) supplementary(h header) (kind, reply string) {
	for i := range h {
		name := strings.ToLower(string(h[i].name))
		if !slices.ContainsFunc(tables().diagnostic, func(part string) bool { return strings.Contains(name, part) }) {
			continue
		}
		s := r.decode(h[i].value)
		if s = strings.TrimSuffix(strings.TrimPrefix(s, "<"), ">"); statusWords(s) == "" {
			continue
		}
		if i := strings.Index(s, "smtp;"); i >= 0 {
			s = s[i:]
		}
		return splitType(s)
	}
	return "", ""
}

// betterStatus chooses between the enhanced code in the remote server's reply and that of
// the reporting server. It takes the one that tells more; if both tell the same, the
// remote server's, because that server knows best.
func betterStatus(said, field reply.Status) reply.Status {
	if field.TellsMore(said) {
		return field
	}
	return said
}

// askNotice searches the words of the notice for what the fields do not say.
//
// QUIRK: OpenSMTPD and Exim write Status 5.0.0, and the reply only into the notice;
// Sendmail's Diagnostic-Code is an exit code if a program refused.
func (r *reading) askNotice(rcpt *Recipient) {
	if !rcpt.Action.Bounced() && rcpt.Action != "" {
		return
	}
	found := r.evidence(rcpt.Address)
	words := found.Words
	if rcpt.StatusField.Detailed() {
		words = found.About // a detailed code beats words that may be about anything
	}
	if words != rcpt.Diagnostic {
		rcpt.Notice = words
	}
	if found.Diagnostic == "" {
		return
	}
	said := found.Reply
	if rcpt.SMTPCode == 0 {
		rcpt.SMTPCode = said.Code
	}
	rcpt.Status = betterStatus(said.Status, rcpt.Status)
	if rcpt.Diagnostic == "" {
		rcpt.quote(said)
		rcpt.DiagnosticType = "smtp"
	} else if rcpt.Notice == "" && said.Text != rcpt.Diagnostic {
		rcpt.Notice = said.Text
	}
}

// maxAsked bounds how often the notice is searched for a recipient that it does not list.
// Every search costs as much as reading the notice.
const maxAsked = 4

// evidence returns what the notice says and quotes about an address. Recipients that the
// notice lists are read once, all together.
func (r *reading) evidence(addr string) *notice.Recipient {
	if r.said == nil {
		n := r.folded(r.words())
		r.hear(n.Recipients(r.lim.Recipients))
		if slices.ContainsFunc(r.reported, func(a string) bool { return r.said[strings.ToLower(a)] == nil }) {
			// The form of the notice is unknown: what it says about one recipient
			// would be taken for what it says about another.
			r.hear(n.Listed(r.reported, r.lim.Recipients))
		}
	}
	if rcpt := r.said[strings.ToLower(addr)]; rcpt != nil {
		return rcpt
	}
	if r.asked++; r.asked > maxAsked {
		return &notice.Recipient{}
	}
	rcpt := r.folded(r.words()).About(addr)
	return &rcpt
}

// hear notes what the notice says about each of its recipients.
func (r *reading) hear(rs []notice.Recipient) {
	r.said = map[string]*notice.Recipient{}
	for i := range rs {
		if key := strings.ToLower(rs[i].Address); key != "" && r.said[key] == nil {
			r.said[key] = &rs[i]
		}
	}
}

// listAddresses notes the recipients of a report about several.
func (r *reading) listAddresses(groups []statusGroup) {
	r.reported = nil
	if len(groups) < 2 || len(groups) > r.lim.Recipients {
		return
	}
	for i := range groups {
		if !r.work.Take(unitsRecipient) {
			return
		}
		if a := readAddress(r.decode(groups[i].field[fieldFinal])); address.IsMailbox(a) {
			r.reported = append(r.reported, a)
		}
	}
}

// guessAction returns the action for a group without an Action field, from the class of
// its status (RFC 3463 section 3.1).
func guessAction(rcpt *Recipient) Action {
	switch {
	case rcpt.StatusField.Class == 2:
		return ActionDelivered
	case rcpt.StatusField.Class == 4 && rcpt.WillRetryUntil != "":
		return ActionDelayed
	}
	return ActionFailed
}

// findAddress finds the recipient of a group whose Final-Recipient is missing or not a
// mailbox but a pipe, a file, or a route without a user.
func (r *reading) findAddress(rcpt *Recipient, g *statusGroup, only bool) {
	if address.IsMailbox(rcpt.Original) {
		rcpt.Address, rcpt.Original = rcpt.Original, ""
		return
	}
	if a := readAddress(countedHeader{g.extensions, r.work}.Get("X-Actual-Recipient")); address.IsMailbox(a) {
		rcpt.Address = a
		return
	}
	if !only {
		return
	}
	if as := notice.Failed(r.fields(), r.lim.Recipients); len(as) == 1 {
		rcpt.Original, rcpt.Address = rcpt.Address, address.Bare(as[0])
		return
	}
	if rs, _ := r.bounceInWords(r.words()); len(rs) == 1 && (address.IsMailbox(rs[0].Address) || rs[0].Unnamed) {
		if rs[0].Address != "" {
			rcpt.Original, rcpt.Address = rcpt.Address, rs[0].Address
		}
		return
	}
	if to := address.Bare(r.rep.Returned.To); address.IsMailbox(to) && strings.Count(r.rep.Returned.To, "@") == 1 && rcpt.Address == "" {
		rcpt.Address = to
	}
}

// decode returns a field's value, see decodeWords.
func (r *reading) decode(b []byte) string { return decodeCounted(b, r.work) }

func (r *reading) extensions(h header) []Field {
	if len(h) == 0 {
		return nil
	}
	fs := make([]Field, len(h))
	for i := range h {
		fs[i] = Field{Name: string(h[i].name), Value: r.decode(h[i].value)}
	}
	return fs
}
