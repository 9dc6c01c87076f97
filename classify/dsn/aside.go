package dsn

import (
	"slices"
	"strings"

	"github.com/bounce-milter/bounce-milter/classify/dsn/notice"
	"github.com/bounce-milter/bounce-milter/internal/address"
)

const (
	// maxAside is how many addresses beside the recipients are handed out.
	maxAside = 20
	// maxLead is how many octets of a line may stand before an address that begins it.
	maxLead = 16
)

// aside returns addresses that a message calls failed beside its recipients: in
// X-Failed-Recipients, or at the beginning of a line of its words, where notices list
// recipients. What holds for Recipients need not hold for them, but list managers read both.
// more is true if there may be others.
func (r *reading) aside() (list []string, more bool) {
	note := func(a string) {
		if at := strings.LastIndexByte(a, '@'); a == r.rep.Returned.MessageID || at > 0 && strings.IndexByte(a[:at], '=') >= 0 {
			return // the id of the message, or "smtp.mailfrom=u@example.com" of a header that is quoted
		}
		same := func(b string) bool { return strings.EqualFold(a, b) }
		if len(list) <= maxAside && address.IsMailbox(a) && !slices.ContainsFunc(list, same) &&
			!slices.ContainsFunc(r.rep.Recipients, func(x Recipient) bool { return same(x.Address) || same(x.Original) }) {
			list = append(list, a)
		}
	}
	for _, a := range notice.Failed(r.fields(), r.lim.Recipients) {
		note(address.Bare(a))
	}
	octets := 0
	for i := range r.tree.parts {
		p := &r.tree.parts[i]
		if !p.kind.isWords() && p.kind.name != "text/html" || p.kind.returned() || p.kind.status() {
			continue
		}
		// A message of many words keeps what its verdict needs.
		if octets > maxText || r.work.Used() > r.lim.Work/2 {
			return list, true
		}
		words := p.words()
		octets += len(words)
		for line := range strings.Lines(words) {
			if strings.IndexByte(line, '@') < 0 {
				continue
			}
			for at := range address.In([]byte(line[:min(len(line), maxLead+address.MaxLocalPart+address.MaxDomain)])) {
				if lead := line[:at.From]; len(lead) <= maxLead && strings.Trim(lead, " \t*-•·\u00a0>\"'") == "" {
					note(line[at.Start:at.End])
				}
				break
			}
		}
	}
	return list, len(list) > maxAside
}
