package notice

import (
	"strings"
	"unicode"

	"github.com/bounce-milter/bounce-milter/classify/reply"
)

// Recipient is what a notice says of one recipient.
type Recipient struct {
	Address  string // bare, "" where the notice names nobody
	Original string // as the sender wrote it, "" where that is the same
	Unnamed  bool   // the notice names it by a display name only
	Delayed  bool   // the program will try again; it has given up otherwise

	SMTPCode int          // of the final reply, 0 where none was seen
	Status   reply.Status // most specific enhanced code

	Diagnostic string      // the remote server's reply, "" where none is quoted
	Reply      reply.Reply // which is Diagnostic, parsed
	Transcript string      // what the reporting server wrote there of an error of its own
	Words      string      // the notice's own words about it
	About      string      // those of them that are about the failure for certain
	RemoteMTA  string
}

// Bounce reads a bounce that is words only: a notice of qmail, Exim, old
// Sendmail, Exchange and of everything that writes no delivery-status part (RFC
// 3464). It returns nil when the message is no bounce, by its header and its
// words together. A recipient without an address is returned when the notice
// clearly is a bounce but names no one; there are at most limit.
//
// Where the data say that the returned message begins, the notice was cut off: it
// is the second result, to be read for who sent what to whom and never judged.
func (n *Notice) Bounce(h Header, head Score, limit int) (rs []Recipient, returned string) {
	n.forget()
	if !head.Machine && !head.Robot || !n.isBounce(head) || !n.opened && n.d.Answers(h) {
		return nil, ""
	}
	n.addressee = strings.ToLower(h.Get("To"))
	for _, name := range []string{"References", "In-Reply-To"} { // RFC 5322 section 3.6.4
		n.addIDs(h.Get(name))
	}
	n.addIDs(fieldValue(n.source[n.rest:], "message-id:"))
	rs = n.recipients(Failed(h, limit), limit)
	stated := rs[0].SMTPCode != 0 || rs[0].Status.Class != 0
	if len(rs) == 1 && n.addressedTo(rs[0].Address) && (n.against > 0 || !n.opened && (!stated || head.score < n.d.weights.Addressee)) {
		// Spam tells its reader about his own mailbox; a bounce tells the
		// sender about another's.
		return nil, ""
	}
	if rs[0].Address == "" && !n.opened && !n.unnamed {
		return nil, ""
	}
	delayed := n.delayed || !n.failed && head.delayed
	for i := range rs {
		if n.found[i].fate == unsaid {
			rs[i].Delayed = delayed
		}
	}
	if n.rest > 0 {
		returned = n.source[n.rest:]
	}
	return rs, returned
}

// Recipients returns the recipients that the notice speaks of, at most limit: at
// least one, without an address if it names nobody. It does not ask whether the
// notice is a bounce.
func (n *Notice) Recipients(limit int) []Recipient {
	n.forget()
	return n.recipients(nil, limit)
}

// About returns what the notice says about one recipient whom it does not list:
// the remote server's reply if it quotes one, and its own words. It serves reports
// whose status part is thin.
func (n *Notice) About(addr string) Recipient {
	n.forget()
	return n.recipients([]string{addr}, 1)[0]
}

// Failed returns the addresses of X-Failed-Recipients, at most limit, which Exim and
// Google set: the only list of recipients in such a notice that a machine wrote
// for machines.
func Failed(h Header, limit int) []string {
	var addrs []string
	for _, v := range h.Values("X-Failed-Recipients") {
		for len(v) > 0 && len(addrs) < limit {
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
