package dsn

import (
	"strings"
	"unicode"
)

// fieldSource is the header of a message as this part of the package needs
// it: names without regard to case, values unfolded, encoded words decoded.
type fieldSource interface {
	get(name string) string
	values(name string) []string
}

// Bounds of the text that is searched, of its lines and of what is kept of it.
const (
	maxNotice      = 48 << 10 // octets of a notice that are read
	maxNoticeLines = 2000
	maxEvidence    = 2 << 10 // octets kept of a reply and of a notice's words
	maxSentence    = 400     // octets between an anchor and what it points at
)

// Units of work, see Report.Work: of a line beside its octets, of an address that
// is looked at, and of a recipient.
const (
	unitsLine      = 8
	unitsAddress   = 40
	unitsRecipient = 100
)

// folded returns a text, folded and marked, ready to be searched for recipients.
// The last one is kept, for it is asked for again and again.
func (r *reader) folded(text string) *notice {
	if r.text == nil || r.textOf != text {
		r.text, r.textOf = readNotice(notices(), text, r.work), text
	} else {
		r.text.forget()
	}
	return r.text
}

// noticeRecipients reads what the words of the message say of recipients.
func (r *reader) noticeRecipients(text string) (rs []Recipient, returned string) {
	head := r.sender()
	if !head.machine && !head.robot {
		return nil, ""
	}
	return noticeRecipients(r.fields(), head, r.folded(text), text, r.lim)
}

// noticeRecipients reads a bounce that is words only: a notice of qmail, Exim,
// old Sendmail, Exchange and of everything that writes no delivery-status
// part (RFC 3464). It returns nil when the message is no bounce. A recipient
// without an address is returned when the notice clearly is a bounce but names
// no one.
//
// n is the notice, made of text: UTF-8 with LF line ends. Where the data say
// that the returned message begins, it is cut off: it is the second result, read
// for who sent what to whom and never judged.
func noticeRecipients(h fieldSource, head headScore, n *notice, text string, lim Limits) (rs []Recipient, returned string) {
	if !head.machine && !head.robot || !n.isBounce(head) || !n.opened && autoReplies().answers(h) {
		return nil, ""
	}
	n.addressee = strings.ToLower(h.get("To"))
	for _, name := range []string{"References", "In-Reply-To"} { // RFC 5322 section 3.6.4
		n.addIDs(h.get(name))
	}
	n.addIDs(fieldValue(text[n.rest:], "message-id:"))
	rs = n.recipients(failedRecipients(h), lim.WithDefaults().Recipients)
	stated := rs[0].SMTPCode != 0 || rs[0].Status.Class != 0
	if len(rs) == 1 && n.addressedTo(rs[0].Address) && (n.against > 0 || !n.opened && (!stated || head.score < n.d.weights.Addressee)) {
		// Spam tells its reader about his own mailbox; a bounce tells the
		// sender about another's.
		return nil, ""
	}
	if rs[0].Address == "" && !n.opened && !n.unnamed {
		return nil, ""
	}
	delayed := n.delayed
	if !n.failed && head.delayed {
		delayed = true
	}
	for i := range rs {
		if rs[i].Action == "" {
			rs[i].Action = ActionFailed
			if delayed {
				rs[i].Action = ActionDelayed
			}
		}
	}
	if n.rest > 0 {
		returned = text[n.rest:]
	}
	return rs, returned
}

// about returns what a notice says about one recipient whom it does not list:
// the remote server's reply if it quotes one, and the notice's own words. It
// serves reports whose status part is thin.
func (n *notice) about(addr string) *Recipient {
	rs := n.recipients([]string{addr}, 1)
	return &rs[0]
}

// failedRecipients returns the addresses of X-Failed-Recipients, which Exim and
// Google set: the only list of recipients in such a notice that a machine wrote
// for machines.
func failedRecipients(h fieldSource) []string {
	var addrs []string
	for _, v := range h.values("X-Failed-Recipients") {
		for len(v) > 0 && len(addrs) < DefaultLimits.Recipients {
			one := v
			if i := strings.IndexByte(v, ','); i >= 0 {
				one, v = v[:i], v[i+1:]
			} else {
				v = ""
			}
			one = strings.Trim(one, " \t<>\"'")
			if i := strings.LastIndexByte(one, '<'); i >= 0 {
				one = one[i+1:]
			}
			if one != "" && strings.IndexFunc(one, unicode.IsControl) < 0 {
				addrs = append(addrs, one)
			}
		}
	}
	return addrs
}
