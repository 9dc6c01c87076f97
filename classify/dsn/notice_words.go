package dsn

import (
	"strings"
)

// hasWords reports whether a stretch of the notice holds more than signs.
func (n *notice) hasWords(from, to int) bool {
	for i := max(from, 0); i < to; i++ {
		if c := n.low[i]; isAlnum(c) || c >= 0x80 {
			return true
		}
	}
	return false
}

// commonReply is a reply that the notice quotes for all recipients.
type commonReply struct{ before, at, end, strength int }

// stopBefore returns where the notice has said all about recipients before a
// place, -1 if it has not: what follows is the summary of the message.
func (n *notice) stopBefore(pos int) int {
	if n.summaryAt >= 0 && n.summaryAt < pos {
		return n.summaryAt
	}
	return -1
}

// noticeWords returns the notice's own words about a recipient, up to the
// reply if one is quoted: those that stand by its address, else the other lines
// that name it, else, of a notice that quotes no reply and has words by no
// address, all; about are those of them that are about the failure for certain.
func (n *notice) noticeWords(f *foundRecipient, own bool, reply int) (words, about string) {
	if own {
		to := f.to
		if reply >= f.start && reply < to {
			to = reply
		}
		for l := f.line + 1; l < len(n.lines) && n.lines[l].start < to; l++ {
			if n.inDialogue(l) {
				to = n.lines[l].start
			}
		}
		words = trimWords(n.words(f.start, to), f.address)
		return words, words
	}
	if s := n.mentions(f); s != "" {
		return s, s
	}
	if len(n.found) > 1 && n.anyOwn || reply >= 0 || n.sayAt(f) {
		return "", ""
	}
	to := n.end
	if stop := n.stopBefore(n.end); stop > 0 && n.hasWords(0, stop) {
		to = stop
	}
	return n.weigh(to)
}

// sayAt reports whether whatever the notice knows of a recipient stands by its
// address: then the rest is a form letter, and says nothing of this failure.
func (n *notice) sayAt(f *foundRecipient) bool { return n.form && (f.line >= 0 || len(n.found) > 1) }

// weigh returns the text up to a place, without the sentences that are known to
// say nothing, and the paragraphs of it that are about the failure for certain:
// those that say that mail failed, that name whom it was for, or that hold a
// reply or a dialogue. The others may be about anything.
func (n *notice) weigh(to int) (words, about string) {
	const telling = roleSays | roleFailed | roleNames | roleList | roleReply | roleTranscript
	var all, some []byte
	m := 0
	for i := 0; i < len(n.lines) && n.lines[i].start < to; {
		j := i + 1
		for j < len(n.lines) && !n.lines[j].para {
			j++
		}
		at, end := n.lines[i].start, min(n.lines[j-1].end, to)
		tells, from := n.findCode(at, end, false) >= 0, len(all)
		for ; m < len(n.marks) && n.marks[m].start < end; m++ {
			k := &n.marks[m]
			tells = tells || k.bits&telling != 0
			if k.bits&roleAside != 0 && k.start >= at {
				all = append(all, n.orig[at:n.sentenceStart(at, k.start)]...)
				at = n.sentenceEnd(k.end, end)
			}
		}
		all = append(append(all, n.orig[min(at, end):end]...), ' ')
		if tells {
			some = append(some, all[from:]...)
		}
		i = j
	}
	return clip(all), clip(some)
}

// sentenceStart returns where the sentence that holds a place begins, and
// sentenceEnd where the one that goes on at a place ends.
func (n *notice) sentenceStart(from, pos int) int {
	for i := pos; i > from; i-- {
		if n.sentenceBegins(i) {
			return i
		}
	}
	return from
}

func (n *notice) sentenceEnd(pos, to int) int {
	for i := pos; i < to; i++ {
		if n.low[i] == ' ' && n.sentenceBegins(i+1) {
			return i
		}
	}
	return to
}

// clip returns words cut to what is kept as evidence.
func clip(b []byte) string {
	return strings.ToValidUTF8(strings.TrimSpace(string(cutBytes(b, maxEvidence))), "?")
}

// mentions returns the first lines, dialogue aside, that say something of a
// recipient that is listed elsewhere: "<u@example.com>... Deferred: timed out".
func (n *notice) mentions(f *foundRecipient) string {
	if f.line < 0 {
		return ""
	}
	for looked, i := range n.places(strings.ToLower(f.address)) {
		if looked == 8 {
			break
		}
		a := &n.addrs[i]
		if a.line == f.line || n.inDialogue(a.line) {
			continue
		}
		l := &n.lines[a.line]
		if n.hasWords(a.to, l.end) && (a.from == l.start || a.from == l.word) {
			return trimWords(n.words(a.to, n.replyEnd(a.from, n.end)), f.address)
		}
	}
	return ""
}

// trimWords takes off what is left around a notice's words when address and
// reply are gone, and all if nothing else is left.
func trimWords(s, addr string) string {
	s = trimReply(strings.TrimRight(strings.TrimLeft(s, " .:;,>"), " :;,("))
	if len(s) > len(addr) && strings.EqualFold(s[:len(addr)], addr) && s[len(addr)] == ':' {
		s = strings.TrimLeft(s[len(addr)+1:], " ")
	}
	rest := s
	for _, a := range addressesIn([]byte(s), nil) {
		rest = strings.Replace(rest, s[a.start:a.end], "", 1)
	}
	for i := 0; i < len(rest); i++ {
		if isAlnum(rest[i]) || rest[i] >= 0x80 {
			return s
		}
	}
	return ""
}

// trimReply takes off what a notice put around a reply.
func trimReply(s string) string {
	s = strings.Trim(s, " \"'`|")
	for len(s) > 0 {
		last := s[len(s)-1]
		if last == ')' && strings.Count(s, "(") < strings.Count(s, ")") ||
			last == ']' && strings.Count(s, "[") < strings.Count(s, "]") ||
			last == '>' && strings.Count(s, "<") < strings.Count(s, ">") {
			s = strings.TrimRight(s[:len(s)-1], " ")
			continue
		}
		break
	}
	return s
}
