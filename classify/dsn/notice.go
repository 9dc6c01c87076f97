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

// noticeRecipients reads a bounce that is words only: a notice of qmail, Exim,
// old Sendmail, Exchange and of everything that writes no delivery-status
// part (RFC 3464). It returns nil when the message is no bounce. A recipient
// without an address is returned when the notice clearly is a bounce but names
// no one.
//
// text is the notice as UTF-8 with LF line ends. Where the data say that the
// returned message begins, it is cut off: it is the second result, read for
// who sent what to whom and never judged.
func noticeRecipients(h fieldSource, text string, lim Limits) (rs []Recipient, returned string) {
	d := notices()
	head := d.headerScore(h)
	if !head.machine && !head.robot {
		return nil, ""
	}
	n := readNotice(d, text)
	if !n.isBounce(head) || !n.opened && autoReplies().answers(h) {
		return nil, ""
	}
	n.addressee = strings.ToLower(h.get("To"))
	rs = n.recipients(failedRecipients(h), lim.WithDefaults().Recipients)
	stated := rs[0].SMTPCode != 0 || rs[0].Status != ""
	if len(rs) == 1 && n.addressedTo(rs[0].Address) && (n.against > 0 || !n.opened && (!stated || head.score < enoughHeader-2)) {
		// Spam tells its reader about his own mailbox; a bounce tells the
		// sender about another's.
		return nil, ""
	}
	if rs[0].Address == "" && !n.opened {
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

// noticeAbout returns what a notice says about one recipient: the remote
// server's reply if it quotes one, else its own words; "" if there is nothing.
// It serves reports whose status part is thin.
func noticeAbout(text, addr string) string {
	reply, words := noticeEvidence(text, addr)
	if reply != "" {
		return reply
	}
	return words
}

// noticeEvidence is noticeAbout with the remote server's reply and the
// notice's own words kept apart.
func noticeEvidence(text, addr string) (reply, words string) {
	n := readNotice(notices(), text)
	rs := n.recipients(nil, DefaultLimits.Recipients)
	for i := range rs {
		if strings.EqualFold(rs[i].Address, addr) {
			return rs[i].Diagnostic, rs[i].Notice
		}
	}
	n.found, n.index, n.dialogue, n.common, n.anyOwn = nil, nil, nil, nil, false
	rs = n.recipients([]string{addr}, 1)
	return rs[0].Diagnostic, rs[0].Notice
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
