package notice

import (
	"bytes"
	"slices"
	"strings"
	"unicode"

	"github.com/bounce-milter/bounce-milter/internal/address"
	"github.com/bounce-milter/bounce-milter/internal/ascii"
)

// findElsewhere finds recipients that no phrase announces: in the dialogue, in replies,
// alone on a line, and last in the summary of the message that some notices have.
func (n *Notice) findElsewhere(limit int) {
	var replies, alone, any []place
	seen := map[string]bool{}
	inTo := n.addressees()
	for _, a := range n.addrs {
		if !n.work.Take(unitsAddress) {
			break
		}
		l := &n.lines[a.line]
		if n.isOther(a) {
			continue
		}
		switch {
		case n.behindCommand(a) || n.behindCode(a, l):
			replies = append(replies, a)
		case n.offered(a):
			continue
		case n.isHeading(a, -1):
			alone = append(alone, a)
		}
		if key := strings.ToLower(n.address(a)); !seen[key] && !inTo[key] {
			seen[key] = true
			any = append(any, a)
		}
	}
	if len(any) <= maxSingle {
		any = slices.DeleteFunc(any, n.strays)
	}
	if len(any) > 1 {
		any = nil
	}
	if len(replies) == 0 && n.findName(limit) {
		return
	}
	for _, list := range [][]place{replies, alone, any} {
		for _, a := range list {
			n.take(a, unsaid, limit)
		}
		if len(n.found) == 0 {
			continue
		}
		if k := len(any); k == 1 && len(list) == k && n.found[0].line == any[0].line {
			// The address stands in a sentence, which begins with the paragraph.
			l := any[0].line
			for l > 0 && !n.lines[l].para && any[0].line-l < 3 {
				l--
			}
			n.found[0].start = n.lines[l].start
		}
		return
	}
	for _, addr := range []string{n.summary, n.returned} {
		if addr != "" {
			n.add(foundRecipient{address: addr, line: -1}, limit)
			return
		}
	}
	if n.opened {
		n.findLocalNames(limit)
	}
}

// addressees returns the addresses that the message was sent to, in lower case.
func (n *Notice) addressees() map[string]bool {
	n.work.Take(len(n.addressee))
	all := map[string]bool{}
	for a := range address.In([]byte(n.addressee)) {
		all[n.addressee[a.Start:a.End]] = true
	}
	return all
}

// findLocalNames takes the lines of a list that contain a local part and nothing else.
//
// QUIRK: AOL, Yale and others name their own users without a domain.
func (n *Notice) findLocalNames(limit int) {
	next := 0
	for i := range n.marks {
		if n.marks[i].bits&roleList == 0 {
			continue
		}
		for line := max(next, n.lineAt(n.marks[i].end-1)+1); line < len(n.lines); line++ {
			next = line + 1
			l := &n.lines[line]
			if l.indent == 0 || !isLocalName(n.low[l.word:l.end]) {
				break
			}
			n.add(foundRecipient{address: string(n.orig[l.word:l.end]), line: line, start: l.end, from: l.end}, limit)
		}
	}
}

// isLocalName reports whether b is a typical local part: a dot-atom of RFC 5322 section
// 3.2.3 without its rarer characters.
func isLocalName(b []byte) bool {
	if len(b) == 0 || len(b) > 64 || !ascii.IsAlpha(b[0]) {
		return false
	}
	for _, c := range b {
		if !ascii.IsAlnum(c) && c != '.' && c != '_' && c != '-' && c != '+' {
			return false
		}
	}
	return true
}

// isOther reports whether a phrase says that an address is not a recipient.
func (n *Notice) isOther(a place) bool {
	if n.others[strings.ToLower(n.address(a))] {
		return true
	}
	i := n.markAt(a.Start)
	for i--; i >= 0 && a.Start-n.marks[i].start < 100; i-- {
		if k := &n.marks[i]; k.bits&(roleOther|roleOriginal) != 0 && n.adjoins(k.end, a) {
			return true
		}
	}
	return false
}

// offered reports whether an address stands in a sentence that says where to write
// instead, or who else was told: the recipient's new address, a colleague, a help desk.
// To blame it for the failure would be the worst of errors.
func (n *Notice) offered(a place) bool {
	from, to := n.sentence(a)
	fails := n.failsIn(from, to)
	for i := n.markAt(from); i < len(n.marks) && n.marks[i].start < to; i++ {
		k := &n.marks[i]
		if k.bits&roleInstead != 0 && (k.end <= a.Start || k.start >= a.End && (!fails || k.start-a.End < nextWord)) {
			return true
		}
	}
	return false
}

// nextWord is how far behind an address "instead" may stand in a sentence that also
// says that mail failed, and still be about the address.
const nextWord = 12

// maxSingle is among how many addresses in sentences the recipient is looked for.
const maxSingle = 4

// strays reports whether an address stands in a sentence that says nothing about a
// failure or a recipient, while another sentence says that mail failed. Such an address
// is somebody to ask more often than it is the recipient.
func (n *Notice) strays(a place) bool {
	if n.says == 0 {
		return false
	}
	l := &n.lines[a.line]
	if l.end-l.start > maxSentence || !hasLetters(bytes.ReplaceAll(n.low[l.start:l.end], n.low[a.Start:a.End], nil)) {
		return false // not prose
	}
	from, to := n.sentence(a)
	if n.failsIn(from, to) || n.findCode(from, to, false) >= 0 {
		return false
	}
	n.work.Take(4 * (to - from))
	for _, part := range [][]byte{n.low[from:a.From], n.low[min(a.To, to):to]} {
		if slices.ContainsFunc(n.d.around.Sentence, func(s string) bool { return bytes.Contains(part, []byte(s)) }) {
			return false
		}
	}
	return true
}

// hasLetters reports whether there is a letter in b, of whatever script.
func hasLetters(b []byte) bool {
	return bytes.IndexFunc(b, unicode.IsLetter) >= 0
}

// failsIn reports whether a phrase between two places says that mail failed.
func (n *Notice) failsIn(from, to int) bool {
	for i := n.markAt(from); i < len(n.marks) && n.marks[i].start < to; i++ {
		if n.marks[i].bits&(roleSays|roleFailed|roleDelayed) != 0 {
			return true
		}
	}
	return false
}

// sentence returns where the sentence around an address begins and ends, each at most
// nearby octets away from it. A paragraph ends it, except behind a colon.
func (n *Notice) sentence(a place) (from, to int) {
	from, to = max(0, a.From-nearby), min(n.end, a.To+nearby)
	n.work.Take(to - from)
	ends := func(i int) bool {
		return n.low[i] == ' ' && bytes.IndexByte([]byte(".!?"), n.low[i-1]) >= 0
	}
	for i := a.line; i > 0 && n.lines[i].start > from; i-- {
		if n.lines[i].para && n.low[n.lines[i-1].end-1] != ':' {
			from = n.lines[i].start
		}
	}
	for i := a.line + 1; i < len(n.lines) && n.lines[i].start < to; i++ {
		if n.lines[i].para {
			to = n.lines[i].start
		}
	}
	for i := a.From - 1; i > from; i-- {
		if ends(i) {
			from = i + 1
		}
	}
	for i := a.To + 1; i < to; i++ {
		if ends(i) {
			to = i
		}
	}
	return from, to
}

// behindCommand reports whether the command that names a recipient (RCPT TO) stands right
// before an address.
func (n *Notice) behindCommand(a place) bool {
	before := bytes.TrimRight(n.low[max(0, a.From-maxSentence):a.From], " :<")
	return slices.ContainsFunc(n.d.around.Command, func(s string) bool { return bytes.HasSuffix(before, []byte(s)) })
}

// behindCode reports whether an address follows the code at the beginning of its line:
// "550 5.1.1 <u@example.com>... User unknown".
func (n *Notice) behindCode(a place, l *textLine) bool {
	if a.From-l.start > maxSentence {
		return false
	}
	line := bytes.TrimLeft(n.low[l.start:max(l.start, a.From)], "< ")
	return startsWithCode(line) && len(bytes.Trim(line, "0123456789. -<#")) == 0
}

// keepDetailed keeps only the recipients that the notice gives in detail, and reports
// whether there are any. The addresses before them are the aliases that these were
// expanded from, if there are as many.
//
// QUIRK: chasquid lists the addresses that the sender wrote to, and below them those that
// they were expanded to.
func (n *Notice) keepDetailed() bool {
	from := -1
	for i := range n.marks {
		if n.marks[i].bits&roleDetails != 0 {
			from = n.marks[i].end
			break
		}
	}
	if from < 0 {
		return false
	}
	var before, detailed []foundRecipient
	for _, f := range n.found {
		if f.start < from {
			before = append(before, f)
		}
	}
	seen := map[string]bool{}
	for i, a := range n.addrs {
		if key := strings.ToLower(n.address(a)); a.Start >= from && !seen[key] && n.startsItem(i) {
			seen[key] = true
			detailed = append(detailed, foundRecipient{address: n.address(a), line: a.line, start: a.To, from: a.To})
		}
	}
	if len(detailed) == 0 {
		return false
	}
	n.found, n.index = nil, nil
	for i, f := range detailed {
		if len(before) == len(detailed) && !strings.EqualFold(before[i].address, f.address) {
			f.original = before[i].address
		}
		n.add(f, len(detailed))
	}
	return true
}

// startsItem reports whether address number i begins its line, apart from bullets and the
// like.
func (n *Notice) startsItem(i int) bool {
	a := &n.addrs[i]
	return a.From <= n.lines[a.line].word+1
}
