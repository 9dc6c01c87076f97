package classify

import (
	"slices"

	"github.com/bounce-milter/bounce-milter/classify/dsn"
	"github.com/bounce-milter/bounce-milter/classify/rules"
)

// Attribute tells whom the sender wrote to, by an envelope that says so (VERP): addr is
// bare, "" if nothing is known. A bounce that names no recipient at all is about that
// one; what a report does name stays as it is, for it may be the address that the mail
// was forwarded to. So it is with a complaint, where the To of the message counts less.
func (r *Result) Attribute(addr string) {
	if addr == "" {
		return
	}
	if f := r.Feedback; f != nil && (len(f.Recipients) == 0 || r.guessed) {
		f.Recipients, r.guessed = []string{addr}, false
	}
	if r.Kind != dsn.KindDSN && r.Kind != dsn.KindText {
		return
	}
	if slices.ContainsFunc(r.Recipients, func(rcpt Recipient) bool { return rcpt.Address != "" || rcpt.Original != "" }) {
		return
	}
	if len(r.Recipients) == 0 {
		r.Recipients = []Recipient{{Action: dsn.ActionFailed, Category: Unclassified, Type: Soft, Reason: "unknown", Provider: rules.OtherProvider, Evidence: RungNone}}
	}
	for i := range r.Recipients {
		r.Recipients[i].Address = addr
	}
	spareAliases(r.Recipients)
}
