package page

import (
	"slices"
	"strings"

	"github.com/bounce-milter/bounce-milter/classify"
	"github.com/bounce-milter/bounce-milter/internal/mask"
)

// What is kept of replies that no rule understood.
const (
	maxReplies = 20  // different ones
	maxWaiting = 32  // that are not masked yet
	maxReply   = 600 // octets of one
	maxExample = 2 * maxReply
)

// reply is what was said about bounces that no rule understood.
type reply struct {
	Text     string // masked
	Example  string // with invented names in place of the masked ones
	Phrase   string // the words of it that a rule could go by, "" if there are none
	Category classify.Category
	Provider string
	Times    uint32
	Last     int64 // seconds on the Board's clock
}

// replies are the last different replies that no rule understood, the latest first.
type replies struct {
	list    []reply
	waiting []Bounce
	at      []int64
}

// add notes a reply, which is masked later.
func (r *replies) add(x *Bounce, now int64) {
	if len(r.waiting) >= maxWaiting {
		return
	}
	y := *x
	// Copies, so that a short reply does not keep a whole message in memory.
	y.Reply = strings.Clone(x.Reply[:min(len(x.Reply), 4*maxReply)])
	y.Address, y.Original = strings.Clone(x.Address[:min(len(x.Address), 320)]), strings.Clone(x.Original[:min(len(x.Original), 320)])
	r.waiting, r.at = append(r.waiting, y), append(r.at, now)
}

// mask takes over the replies that wait.
func (r *replies) mask(w *wordTable) {
	for i := range r.waiting {
		x := &r.waiting[i]
		said := mask.Clean(x.Reply, maxReply)
		// What stands for an address can be longer than it is.
		text := mask.Clean(mask.Text(said, x.Address, x.Original), maxReply)
		if len(x.Provider) > maxName {
			x.Provider = "other"
		}
		n := reply{Text: text, Category: x.Category, Provider: x.Provider, Times: 1, Last: r.at[i]}
		if at := slices.IndexFunc(r.list, func(o reply) bool { return o.Text == text && o.Category == x.Category }); at >= 0 {
			n.Times, n.Example, n.Phrase = sum(r.list[at].Times, 1), r.list[at].Example, r.list[at].Phrase
			r.list = slices.Delete(r.list, at, at+1)
		} else {
			if example := mask.Example(said, x.Address, x.Original); len(example) <= maxExample {
				n.Example, n.Phrase = example, w.phrase(said, x.Address, x.Original)
			}
		}
		r.list = slices.Insert(r.list, 0, n)
		r.list = r.list[:min(len(r.list), maxReplies)]
	}
	clear(r.waiting)
	r.waiting, r.at = r.waiting[:0], r.at[:0]
}
