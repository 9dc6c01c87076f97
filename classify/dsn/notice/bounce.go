package notice

import (
	"strings"
	"unicode"

	"github.com/bounce-milter/bounce-milter/classify/reply"
)

// Recipient is what a notice says about one recipient.
type Recipient struct {
	Address  string // bare, "" if the notice names none
	Original string // as the sender wrote it, "" if it is the same
	Unnamed  bool   // the notice has a display name but no address
	Delayed  bool   // the program will try again; otherwise it has given up

	SMTPCode int          // of the final reply, 0 if there is none
	Status   reply.Status // most specific enhanced code

	Diagnostic string      // the remote server's reply, "" if none is quoted
	Reply      reply.Reply // Diagnostic, parsed
	Transcript string      // what the transcript says about an error of the reporting server itself
	Words      string      // the notice's own words about the recipient
	About      string      // those of them that are certainly about the failure
	RemoteMTA  string
}

// Bounce reads a bounce in words only. It returns nil if the message is not a bounce, by
// its header and its words together. If the notice clearly is a bounce but names no
// recipient, it returns one without an address. It returns at most limit recipients.
//
// The second result is the returned message, if one follows the notice in the text. It
// says who sent what to whom, and is never judged.
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
		// Spam tells its readers about their own mailbox; a bounce tells the
		// sender about somebody else's.
		return nil, ""
	}
	if rs[0].Address == "" && !n.opened && !n.unnamed && !n.isClear(head) {
		return nil, ""
	}
	delayed := n.delayed || !n.failed && head.delayed
	for i := range rs {
		if n.found[i].fate == unsaid {
			rs[i].Delayed = delayed
		}
	}
	return rs, n.Returned()
}

// isClear reports whether a notice that names nobody is a bounce all the same: the
// header alone shows that a mail system wrote it, and the text says that mail failed.
func (n *Notice) isClear(head Score) bool {
	return head.Machine && !head.person && head.score >= n.d.weights.Suffices && n.says > 0 && n.against == 0
}

// Recipients returns the recipients that the notice is about, at most limit; at least
// one, which has no address if the notice names nobody. It does not check whether the
// notice is a bounce.
func (n *Notice) Recipients(limit int) []Recipient {
	n.forget()
	return n.recipients(nil, limit)
}

// Listed returns what the notice says about each of several recipients, which are known
// from elsewhere, at most limit. It is for notices in an unknown form.
func (n *Notice) Listed(addrs []string, limit int) []Recipient {
	n.forget()
	return n.recipients(addrs, limit)
}

// About returns what the notice says about one recipient that it does not list: the
// remote server's reply if it quotes one, and its own words. It is for reports whose
// fields say little.
func (n *Notice) About(addr string) Recipient {
	n.forget()
	return n.recipients([]string{addr}, 1)[0]
}

// Failed returns the addresses in X-Failed-Recipients, at most limit. Exim and Google
// set this field; it is the only machine-readable list of recipients in their notices.
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
