package dsn

import (
	"slices"
	"strings"

	"github.com/bounce-milter/bounce-milter/internal/address"
)

// rejected reads a disposition notification if it is a refusal, and reports whether it
// is: the recipient's own filter refused the message after the server had accepted it
// (RFC 5429 section 2.1.1), so this is a bounce.
//
// The reason is in the recipient's own words. Of these only a full mailbox is believed,
// because servers let the filter refuse for that (RFC 5429 section 2.2.1).
//
// QUIRK: Pigeonhole (Dovecot), Cyrus IMAP and GNU Mailutils.
func (r *reading) rejected(p *part) bool {
	fields, _ := r.header(p.decoded(r.lim.Octets))
	h := countedHeader{fields, r.work}
	t := &tables().rejection
	// RFC 8098 section 3.2.6: "automatic-action/MDN-sent-automatically; deleted/error"
	_, disposition, _ := strings.Cut(strings.ToLower(h.Get("Disposition")), ";")
	disposition, _, _ = strings.Cut(disposition, "/")
	if !slices.Contains(t.Dispositions, strings.TrimSpace(disposition)) {
		return false
	}
	low := strings.ToLower(r.words())
	subject := strings.ToLower(r.fields().Get("Subject"))
	if !r.saysRejected() && !slices.ContainsFunc(t.Says, func(s string) bool { return strings.Contains(low, s) }) &&
		!slices.ContainsFunc(t.Subject, func(s string) bool { return strings.HasPrefix(subject, s) }) {
		return false
	}
	rcpt := Recipient{Address: readAddress(h.Get("Final-Recipient")), Original: readAddress(h.Get("Original-Recipient"))}
	if rcpt.Address == "" || strings.EqualFold(rcpt.Original, rcpt.Address) {
		rcpt.Address, rcpt.Original = max(rcpt.Address, rcpt.Original), ""
	}
	r.refused(rcpt)
	r.rep.Returned.MessageID = strings.Trim(h.Get("Original-Message-ID"), " <>")
	r.returnedAfter(nil, 0)
	return true
}

// rejectedInWords reads such a refusal if it consists of words only. It comes from the
// owner of the filter, or names the owner.
func (r *reading) rejectedInWords() bool {
	if !r.saysRejected() {
		return false
	}
	addr := Address(r.fields().Get("From"))
	if rs := r.folded(r.words()).Recipients(r.lim.Recipients); len(rs) == 1 && address.IsMailbox(rs[0].Address) {
		addr = rs[0].Address
	} else if r.sender().Daemon {
		addr = ""
	}
	r.refused(Recipient{Address: addr})
	r.returnedAfter(nil, 0)
	return true
}

// saysRejected reports whether a comment in Auto-Submitted says that a filter refused
// the message (RFC 5429 section 2.1.1 has an example).
func (r *reading) saysRejected() bool {
	submitted := strings.ToLower(r.fields().Get("Auto-Submitted"))
	return slices.ContainsFunc(tables().rejection.Submitted, func(s string) bool { return strings.Contains(submitted, s) })
}

// refused turns a recipient's refusal into a report.
func (r *reading) refused(rcpt Recipient) {
	t := &tables().rejection
	low := strings.ToLower(r.words())
	rcpt.Action, rcpt.Notice = ActionFailed, t.Means
	if slices.ContainsFunc(t.Full, func(s string) bool { return strings.Contains(low, s) }) {
		rcpt.Notice = t.MeansFull
	}
	r.rep.Kind, r.rep.Recipients = KindText, []Recipient{rcpt}
}
