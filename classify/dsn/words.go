package dsn

import (
	"slices"
	"strings"

	"github.com/bounce-milter/bounce-milter/classify/dsn/notice"
)

// inWords reads a bounce that has no fields of a report, or finds that the message is not
// a bounce.
func (r *reading) inWords() {
	text := r.words()
	kind, isSNS := r.notification(text)
	switch {
	case isSNS:
		r.rep.Kind = kind
	case r.listed(text):
		r.rep.Kind = KindText
	case len(r.rep.Recipients) > 0 && r.sender().Machine && !r.notices.Answers(r.fields()):
		// It names no recipient, but only a mail system writes such a message.
		if !r.nested() {
			r.rep.Kind = KindText
		}
	case r.rejectedInWords():
	case r.notices.IsAutoReply(r.fields(), text):
		r.rep.Kind, r.rep.Recipients = KindAutoReply, nil
	case r.nested():
	case len(r.rep.Recipients) > 0: // a bounce that names no recipient
		r.rep.Kind = KindText
	case r.tree.reports == "delivery-status":
		r.rep.Kind = KindDSN
	}
}

// listed reads the recipients of a bounce in words and reports whether it names any. If
// it names none but is a bounce all the same, the report gets one without an address.
func (r *reading) listed(text string) bool {
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
func (r *reading) bounceInWords(text string) (rs []notice.Recipient, returned string) {
	head := r.sender()
	if !head.Machine && !head.Robot {
		return nil, ""
	}
	head.Returned = slices.ContainsFunc(r.tree.parts, func(p part) bool { return p.kind.returned() })
	return r.folded(text).Bounce(r.fields(), head, r.lim.Recipients)
}

// folded returns a text prepared for the search for recipients. It keeps the last one,
// because callers ask for the same text again and again.
func (r *reading) folded(text string) *notice.Notice {
	if r.searched == nil || r.searched.Source() != text {
		r.searched = r.notices.Read(text, r.work)
	}
	return r.searched
}

// noticed converts recipients of a notice to recipients of a report.
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

// cutEvidence shortens words to what is kept of the words of a notice.
func cutEvidence(s string) string { return s[:min(len(s), notice.MaxEvidence)] }

// words returns the words of the message, without the returned message and attachments:
// its plain text, or that of its HTML if there is no other.
func (r *reading) words() string {
	if r.haveWords {
		return r.allWords
	}
	r.haveWords = true
	var b strings.Builder
	for _, wantHTML := range []bool{false, true} {
		for i := range r.tree.parts {
			p := &r.tree.parts[i]
			if p.kind.returned() {
				break
			}
			if p.side && !wantHTML || p.kind.isWords() == wantHTML || wantHTML && p.kind.name != "text/html" {
				continue
			}
			if b.Len() > 0 {
				b.WriteByte('\n')
			}
			b.WriteString(p.words())
			if b.Len() > maxText {
				break
			}
		}
		if len(strings.TrimSpace(b.String())) > 0 {
			break
		}
		b.Reset()
	}
	r.allWords = b.String()
	return r.allWords
}
