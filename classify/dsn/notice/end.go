package notice

import (
	"bytes"
	"sort"

	"github.com/bounce-milter/bounce-milter/classify/reply"
)

// wrappedLine is the least length, in octets, of a line that a program may have wrapped.
// A shorter line ends where its writer ended it.
const wrappedLine = 50

// replyEnd returns the end of the reply that begins at a place: the end of its paragraph,
// or where another reply, another host or the notice's own words begin.
//
// A line that begins with the code of the reply continues it in two cases: the reply has
// several lines (RFC 5321 section 4.2.1), or it was folded, that is, it begins in
// mid-line, as Postfix quotes it ("said: 550 …"), and the lines below are indented more.
func (n *Notice) replyEnd(at, to int) int {
	if len(n.lines) == 0 {
		return to
	}
	line := n.lineAt(at)
	first := &n.lines[line]
	var code []byte
	many := false
	if b := n.low[at:]; startsWithCode(b) {
		code, many = b[:3], len(b) > 3 && b[3] == '-'
	}
	end := min(first.end, to)
	for next := line + 1; next < len(n.lines) && n.lines[next].start < to && end-at <= MaxEvidence && n.work.Take(unitsLine); next++ {
		l := &n.lines[next]
		low := n.low[l.start:l.end]
		folded := at > first.word && l.indent > first.indent
		begins := reply.LeadingCode(low) != 0
		if many && begins && bytes.HasPrefix(low, code) {
			many = len(low) > 3 && low[3] == '-'
		} else if l.para || n.isDialogueLine(low) || !folded && (begins || n.hostBegins(next)) {
			break
		}
		end = min(l.end, to)
	}
	for _, k := range n.marks[n.markAt(at+1):] {
		if k.start >= end {
			break
		}
		if k.bits&roleEnd != 0 || k.bits&(roleStop|roleTranscript) != 0 && k.line > line && n.startsAnew(&k) {
			return k.start
		}
	}
	return end
}

// startsAnew reports whether a phrase begins something new: a paragraph, a line that is
// indented less than the one before, or a sentence after a line that was not wrapped.
func (n *Notice) startsAnew(k *mark) bool {
	l := &n.lines[k.line]
	if k.start != l.start && k.start != l.word {
		return false
	}
	if l.para || k.line == 0 {
		return true
	}
	last := &n.lines[k.line-1]
	if l.indent != last.indent {
		return l.indent < last.indent
	}
	return l.indent == 0 && last.end-last.start < wrappedLine && bytes.IndexByte([]byte(".!?:;)>\""), n.low[last.end-1]) >= 0
}

// stretch is a part of the text.
type stretch struct{ start, end int }

// findReplies finds all replies in the text, whoever they are for.
func (n *Notice) findReplies() []stretch {
	var all []stretch
	add := func(at int) {
		if k := len(all) - 1; k < 0 || at >= all[k].end {
			all = append(all, stretch{at, n.replyEnd(at, n.end)})
		}
	}
	m := 0
	for i := range n.lines {
		l := &n.lines[i]
		if p := n.findCode(l.start, l.end, false); p >= 0 {
			add(p)
		}
		for ; m < len(n.marks) && n.marks[m].start < l.end; m++ {
			if k := &n.marks[m]; k.bits&roleReply != 0 && n.hasWords(k.end, min(n.end, k.end+64)) {
				add(k.end)
			}
		}
	}
	return all
}

// inReply reports whether a place lies within one of the replies.
func inReply(replies []stretch, pos int) bool {
	i := sort.Search(len(replies), func(i int) bool { return replies[i].end > pos })
	return i < len(replies) && replies[i].start < pos
}

// sentenceBegins reports whether a sentence begins at a place in mid-line.
func (n *Notice) sentenceBegins(pos int) bool {
	b := bytes.TrimRight(n.low[max(0, pos-2):pos], " ")
	return len(b) > 0 && len(b) < pos && bytes.IndexByte([]byte(".!?"), b[len(b)-1]) >= 0
}
