package notice

import (
	"bytes"
	"slices"
	"strings"

	"github.com/bounce-milter/bounce-milter/internal/address"
)

// foundRecipient is a recipient and the place where the notice is about it.
type foundRecipient struct {
	address  string
	original string
	fate     fate
	line     int  // the line that names it, -1 if there is none
	start    int  // beginning of the sentence that names it
	from     int  // end of its address
	to       int  // end of what is said about it
	words    bool // there are words between from and to
	said     *exchange
}

// fate is what happened to the mail to a recipient, according to the notice.
type fate uint8

const (
	unsaid fate = iota
	failed
	delayed
	got // it was delivered: the address is not taken
)

// recipients returns the recipients of a notice with what it says about each. If the
// header names any (only), these and no others are the recipients.
func (n *Notice) recipients(only []string, limit int) []Recipient {
	n.findRecipients(limit)
	if n.keepDetailed() {
		only = nil
	}
	if len(only) > 0 {
		n.keepOnly(only, limit)
	}
	if len(n.found) == 0 {
		n.findElsewhere(limit)
	}
	n.bound()
	n.readDialogue()
	n.assign()
	for i := range n.found {
		f := &n.found[i]
		n.anyOwn = n.anyOwn || f.line >= 0 && f.words
	}
	rs := make([]Recipient, 0, max(1, len(n.found)))
	for i := range n.found {
		rs = append(rs, n.evidence(&n.found[i]))
	}
	if len(rs) == 0 {
		n.found = append(n.found, foundRecipient{line: -1, to: n.end})
		n.assign()
		rs = append(rs, n.evidence(&n.found[0]))
	}
	return rs
}

// recipientScan is what the phrases up to a place say about the next address. Places are
// -1 if there was no such phrase.
type recipientScan struct {
	n        *Notice
	list     bool // the lines here list recipients
	fate     fate // of the recipients in the list
	verdict  int  // end of the last phrase that says failed or delayed
	names    int  // end of the last phrase that announces a recipient
	other    int  // end of the last phrase that announces an address of somebody else
	original int  // end of the last phrase that announces the address before expansion
	heading  int  // line of the last recipient in a list
}

// nearby is how many octets may stand between a list of recipients and the phrase that
// says what happened to their mail.
const nearby = 120

// mark handles mark number m.
func (s *recipientScan) mark(m int) {
	k := &s.n.marks[m]
	if k.bits&(roleStop|roleTranscript|roleSummary) != 0 {
		s.list = false
	}
	if s.fate == got && k.bits&(roleSays|roleFailed|roleDelayed) != 0 {
		s.fate = unsaid
	}
	if k.bits&(roleDelayed|roleFailed) != 0 {
		s.verdict = k.end
		if k.bits&roleList != 0 || s.n.nearList(m) {
			if s.fate = failed; k.bits&roleDelayed != 0 {
				s.fate = delayed
			}
		}
	}
	if k.bits&roleList != 0 {
		if s.fate == got && k.line != s.n.lineAt(s.verdict) {
			s.fate = unsaid // another list
		}
		s.list = true
		if s.verdict < 0 || k.start-s.verdict > nearby {
			s.fate = unsaid
		}
	}
	if k.bits&roleGot != 0 && k.bits&roleList != 0 {
		s.fate, s.verdict = got, k.end-1
	}
	if k.bits&roleNames != 0 && !s.n.isSummary(k) {
		s.names = k.end
	}
	if k.bits&roleOther != 0 {
		s.other = k.end
	}
	if k.bits&roleOriginal != 0 {
		s.original = k.end
	}
}

// findRecipients goes through phrases and addresses in the order of the text, and takes
// the addresses that are recipients because of a phrase or of their place.
func (n *Notice) findRecipients(limit int) {
	s := recipientScan{n: n, verdict: -1, names: -1, other: -1, original: -1, heading: -1}
	m := 0
	for _, a := range n.addrs {
		if !n.work.Take(unitsAddress) {
			break
		}
		for ; m < len(n.marks) && n.marks[m].start < a.Start; m++ {
			s.mark(m)
		}
		if n.inDialogue(a.line) {
			continue
		}
		switch last := len(n.found) - 1; {
		case n.adjoins(s.original, a) && s.names != s.original:
			if last >= 0 && n.found[last].original == "" {
				n.found[last].original = n.address(a)
			}
		case n.adjoins(s.other, a), n.others[strings.ToLower(n.address(a))], n.gotIt(a):
			n.addOther(a)
		case n.follows(s.names, a) && n.offered(a):
			s.names = a.To
		case n.follows(s.names, a):
			n.take(a, s.fate, limit)
			if len(n.found)-1 > last { // the sentence begins before the address
				n.found[last+1].start = n.lines[a.line].start
			}
			s.names = a.To
		case s.fate == got && s.list && n.isHeading(a, s.heading):
			n.addOther(a)
			s.heading = a.line
		case s.list && n.isHeading(a, s.heading), n.isQSBMF(a):
			n.take(a, s.fate, limit)
			s.heading = a.line
		}
	}
}

// gotIt reports whether a phrase right behind an address says that its mail was
// delivered.
func (n *Notice) gotIt(a place) bool {
	for i := n.markAt(a.To); i < len(n.marks) && n.marks[i].start-a.To < nextWord; i++ {
		if n.marks[i].bits&roleGot != 0 && len(bytes.Trim(n.low[a.To:n.marks[i].start], " >)\"':;,-")) == 0 {
			return true
		}
	}
	return false
}

// isSummary reports whether a phrase only seems to announce a recipient, because it ends
// in the first field of a summary of the message:
//
//	Your message
//	  To: u@example.com
func (n *Notice) isSummary(k *mark) bool {
	last := k.end - 1
	if k.end < len(n.low) && n.low[k.end] == ':' {
		last = k.end
	}
	l := &n.lines[n.lineAt(last)]
	return n.low[last] == ':' && l.start > k.start && slices.Contains(n.d.around.Summary, string(n.low[l.start:last]))
}

// nearList reports whether a list of recipients is announced near mark m.
func (n *Notice) nearList(m int) bool {
	for i := m - 1; i >= 0 && n.marks[m].start-n.marks[i].end < nearby; i-- {
		if n.marks[i].bits&roleList != 0 {
			return true
		}
	}
	for i := m; i < len(n.marks) && n.marks[i].start-n.marks[m].end < nearby; i++ {
		if n.marks[i].bits&roleList != 0 {
			return true
		}
	}
	return false
}

// address returns an address as it is written.
func (n *Notice) address(a place) string { return string(n.orig[a.Start:a.End]) }

// addressOf is address for one that may be nil.
func (n *Notice) addressOf(a *place) string {
	if a == nil {
		return ""
	}
	return n.address(*a)
}

// take adds a recipient, once.
func (n *Notice) take(a place, f fate, limit int) {
	n.add(foundRecipient{address: n.address(a), fate: f, line: a.line, start: a.To, from: a.To}, limit)
}

func (n *Notice) add(f foundRecipient, limit int) {
	key := strings.ToLower(f.address)
	if _, ok := n.index[key]; ok || len(n.found) >= limit {
		return
	}
	if n.index == nil {
		n.index = map[string]int{}
	}
	n.index[key] = len(n.found)
	n.found = append(n.found, f)
}

// find returns the recipient with that address, nil if there is none.
func (n *Notice) find(addr string) *foundRecipient {
	if i, ok := n.index[strings.ToLower(addr)]; ok {
		return &n.found[i]
	}
	return nil
}

// adjoins reports whether only punctuation stands between a phrase and an address.
func (n *Notice) adjoins(end int, a place) bool {
	return end >= 0 && a.Start >= end && a.Start-end <= 24 && len(bytes.Trim(n.orig[end:a.Start], " <\"'(:=-")) == 0
}

// follows reports whether an address is the one that a phrase, which ends at end,
// announces.
func (n *Notice) follows(end int, a place) bool {
	if end < 0 || a.Start < end || a.Start-end > 80 {
		return false
	}
	between := bytes.Trim(n.low[end:a.Start], " <>\"'(:=[]-,;&/*.")
	for _, p := range n.d.around.Joins {
		if rest, ok := bytes.CutPrefix(between, []byte(p)); ok {
			between = bytes.TrimSpace(rest)
			break
		}
	}
	if len(between) == 0 || slices.Contains(n.d.around.Between, string(between)) {
		return true
	}
	// A display name: "Recipient: Jane Doe <jane@example.com>". After another
	// address there must be a comma or the like, because otherwise a reply may
	// begin there: "u@example.com: 554 Mail from <ann@example.org> …".
	if len(n.found) > 0 && n.found[len(n.found)-1].from == end && bytes.IndexByte([]byte(",;&/"), firstSign(n.low[end:a.Start])) < 0 {
		return false
	}
	return (a.Angle || n.orig[a.From] == '(') && n.lineAt(end) == a.line && len(between) < 60 &&
		!bytes.ContainsAny(between, ":.@")
}

// firstSign returns the first octet that is not a space, bracket or quotation mark after
// an address, or a space if there is none.
func firstSign(b []byte) byte {
	if b = bytes.TrimLeft(b, " >)]\"'"); len(b) > 0 {
		return b[0]
	}
	return ' '
}

// isHeading reports whether an address stands where an item of a list begins: first in its
// line, or last after a name.
func (n *Notice) isHeading(a place, heading int) bool {
	l := &n.lines[a.line]
	if a.From-l.word > maxSentence {
		return false // bounds the work: a line may have many addresses
	}
	before := bytes.TrimLeft(unnumbered(n.low[l.word:max(l.word, a.From)]), signs+"<\"'([{")
	for _, p := range n.d.around.Before {
		before = bytes.TrimLeft(bytes.TrimPrefix(before, []byte(p)), signs+"<\"'([{")
	}
	if slices.ContainsFunc(n.d.around.Behind, func(s string) bool { return bytes.HasSuffix(before, []byte(s)) }) {
		before = before[:0]
	}
	rest := n.low[a.To:max(a.To, min(l.end, a.To+maxSentence))]
	after := bytes.Trim(rest, signs+"<>\"')]},;…")
	switch {
	case len(before) == 0 && len(after) == 0:
		return true
	case len(before) == 0:
		return l.para || l.indent > 0 || a.Angle || heading >= a.line-1 || n.orig[a.To] == ':' ||
			startsWithCode(bytes.TrimLeft(rest, signs+"<>\"')]},;"))
	case len(after) == 0 || slices.ContainsFunc(n.d.around.After, func(s string) bool { return bytes.HasPrefix(n.low[a.To:l.end], []byte(s)) }):
		return (a.Angle || n.orig[a.From] == '(') && len(before) < 60 && !bytes.ContainsAny(before, ":@<,;!?。、")
	}
	return false
}

// unnumbered returns a line without the number of an item, "1." or "1)".
func unnumbered(line []byte) []byte {
	i := 0
	for i < len(line) && i < 4 && line[i] >= '0' && line[i] <= '9' {
		i++
	}
	if i > 0 && i < len(line) && (line[i] == '.' || line[i] == ')') {
		return line[i+1:]
	}
	return line
}

// addOther notes that an address is not a recipient.
func (n *Notice) addOther(a place) {
	if n.others == nil {
		n.others = map[string]bool{}
	}
	n.others[strings.ToLower(n.address(a))] = true
}

// addIDs notes that the message ids in a field are not recipients.
func (n *Notice) addIDs(field string) {
	for a := range address.In([]byte(cut(field, maxSentence))) {
		if n.others == nil {
			n.others = map[string]bool{}
		}
		n.others[strings.ToLower(field[a.Start:a.End])] = true
	}
}

// isQSBMF reports whether an address begins a paragraph as in the qmail-send bounce
// message format, which Postfix uses too: "<address>:", possibly with the address before
// expansion before the colon.
func (n *Notice) isQSBMF(a place) bool {
	l := &n.lines[a.line]
	if !a.Angle || l.start != a.From || !l.para {
		return false
	}
	after := bytes.TrimLeft(n.low[a.To:max(a.To, l.end)], " ")
	return len(after) > 0 && after[0] == ':' ||
		slices.ContainsFunc(n.d.around.Expanded, func(s string) bool { return bytes.HasPrefix(after, []byte(s)) })
}

// keepOnly makes the addresses that the header names the only recipients.
func (n *Notice) keepOnly(only []string, limit int) {
	text, index := n.found, n.index
	n.found, n.index = nil, nil
	originals := map[string]int{}
	for i := range text {
		if o := text[i].original; o != "" {
			originals[strings.ToLower(o)] = i
		}
	}
	for _, addr := range only {
		key := strings.ToLower(addr)
		i, ok := index[key]
		if !ok {
			i, ok = originals[key]
		}
		switch {
		case ok:
		case len(only) == 1 && len(text) == 1:
			i = 0
		default:
			f := foundRecipient{address: addr, line: -1}
			if at := n.places(key); len(at) > 0 {
				a := n.addrs[at[0]]
				f.line, f.start, f.from = a.line, a.To, a.To
			}
			n.add(f, limit)
			continue
		}
		f := text[i]
		f.address = addr
		n.add(f, limit)
	}
}

// places returns the indices in addrs of an address, given in lower case.
func (n *Notice) places(key string) []int32 {
	if n.byAddr == nil {
		n.byAddr = make(map[string][]int32, len(n.addrs))
		for i := range n.addrs {
			k := strings.ToLower(n.address(n.addrs[i]))
			n.byAddr[k] = append(n.byAddr[k], int32(i))
		}
	}
	return n.byAddr[key]
}

// bound sets the end of what is said about each recipient: the next recipient, a phrase
// that ends it, or the end of the notice. A recipient about whom nothing is said shares
// what is said about the next one, if that is in the next line.
func (n *Notice) bound() {
	order := make([]int, 0, len(n.found))
	for i := range n.found {
		if n.found[i].line >= 0 {
			order = append(order, i)
		} else {
			n.found[i].to = n.end
		}
	}
	slices.SortStableFunc(order, func(a, b int) int { return n.found[a].from - n.found[b].from })
	m := len(n.marks) - 1
	replies := n.findReplies()
	stop := n.end // the first phrase after the current recipient that ends it
	var next *foundRecipient
	for i := len(order) - 1; i >= 0; i-- {
		f := &n.found[order[i]]
		for ; m >= 0 && n.marks[m].start >= f.from; m-- {
			if k := &n.marks[m]; k.bits&(roleTranscript|roleSummary) != 0 || k.bits&roleStop != 0 && !inReply(replies, k.start) {
				stop = n.lines[k.line].start
				if n.sentenceBegins(k.start) {
					stop = k.start
				}
			}
		}
		f.to = stop
		if next != nil {
			f.to = min(f.to, n.listBefore(next, f))
		}
		if n.inDialogue(f.line) {
			f.to = n.lines[f.line].end
		}
		f.to = max(f.to, f.from)
		f.words = n.hasWords(f.from, f.to)
		if next != nil && next.line == f.line+1 && !f.words && next.words {
			f.start, f.from, f.to, f.words = next.start, next.from, next.to, true
		}
		if next == nil || f.line < next.line {
			next = f
		}
	}
	n.order = order
}

// listBefore returns the beginning of next's line, or of the line that announces a list
// between other and next.
func (n *Notice) listBefore(next, other *foundRecipient) int {
	start := n.lines[next.line].start
	for i := n.markAt(start) - 1; i >= 0 && n.marks[i].line > other.line && start-n.marks[i].end < nearby; i-- {
		if n.marks[i].bits&roleList != 0 {
			return n.lines[n.lineAt(n.marks[i].start)].start
		}
	}
	return start
}

// owner returns the index of the recipient that the notice is about at a place, -1 if
// there is none.
func (n *Notice) owner(pos int) int {
	i, _ := slices.BinarySearchFunc(n.order, pos+1, func(at, from int) int { return n.found[at].from - from })
	i-- // the last that begins at pos or before
	if i < 0 || pos >= n.found[n.order[i]].to {
		return -1
	}
	return n.order[i]
}
