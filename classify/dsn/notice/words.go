package notice

import (
	"sort"
	"strings"

	"github.com/bounce-milter/bounce-milter/internal/address"
	"github.com/bounce-milter/bounce-milter/internal/ascii"
)

// hasWords reports whether a stretch of the notice contains more than punctuation.
func (n *Notice) hasWords(from, to int) bool {
	for i := max(from, 0); i < to; i++ {
		if c := n.low[i]; ascii.IsAlnum(c) || c >= 0x80 {
			return true
		}
	}
	return false
}

// commonReply is the place of a reply that the notice quotes for all recipients.
type commonReply struct{ before, at, end, strength int }

// stopBefore returns where the summary of the message begins, if that is before a place,
// else -1. After it the notice says nothing more about recipients.
func (n *Notice) stopBefore(pos int) int {
	if n.summaryAt >= 0 && n.summaryAt < pos {
		return n.summaryAt
	}
	return -1
}

// wordsAbout returns the notice's own words about a recipient, up to the reply if one is
// quoted: the words by its address, else other lines that name it, else all words, if the
// notice quotes no reply and has no words by any address. about are those of them that
// are certainly about the failure.
func (n *Notice) wordsAbout(f *foundRecipient, g *gathered) (words, about string) {
	if g.own {
		words = g.trimmed
		if s := withoutAddress(g.words, f.address); len(s) < len(g.words) {
			words = trimWords(s)
		}
		return words, g.about
	}
	if s := n.mentions(f); s != "" {
		return s, s
	}
	if len(n.found) > 1 && n.anyOwn || g.before >= 0 || n.sayAt(f) {
		return "", ""
	}
	if n.whole == nil {
		to := n.end
		if stop := n.stopBefore(n.end); stop > 0 && n.hasWords(0, stop) {
			to = stop
		}
		n.whole = new([2]string)
		n.whole[0], n.whole[1] = n.weigh(0, to, false)
	}
	return n.whole[0], n.whole[1]
}

// ownWords returns the words by a recipient's address, up to the reply or dialogue if one
// is quoted.
func (n *Notice) ownWords(f *foundRecipient, reply int) (words, about string) {
	to := f.to
	if reply >= f.start && reply < to {
		to = reply
	}
	for l := max(f.line, n.lineAt(f.start)) + 1; l < len(n.lines) && n.lines[l].start < to; l++ {
		if n.inDialogue(l) {
			to = n.lines[l].start
		}
	}
	return n.weigh(f.start, to, true)
}

// sayAt reports whether the notice says everything about a recipient by its address. Then
// the rest is a form letter and says nothing about this failure.
func (n *Notice) sayAt(f *foundRecipient) bool { return n.form && (f.line >= 0 || len(n.found) > 1) }

// weigh returns a stretch of the text without the sentences that are known to say
// nothing, and the paragraphs of it that are certainly about the failure. These say that
// mail failed, name a recipient, or contain a reply or a dialogue. After an address (own),
// the rest of its paragraph and indented paragraphs belong to them too. Other paragraphs
// may be about anything.
func (n *Notice) weigh(start, to int, own bool) (words, about string) {
	const telling = roleSays | roleFailed | roleNames | roleList | roleReply | roleTranscript
	var all, some []byte
	m := n.markAt(start)
	for i := n.lineAt(start); i < len(n.lines) && n.lines[i].start < to; {
		j := i + 1
		for j < len(n.lines) && !n.lines[j].para {
			j++
		}
		at, end := max(n.lines[i].start, start), min(n.lines[j-1].end, to)
		near := own && (at == start || n.lines[i].indent > 0)
		tells, from := near || n.findCode(at, end, false) >= 0 || n.namesFound(i, j), len(all)
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

// namesFound reports whether one of the lines from i up to, but not including, j names a
// recipient.
func (n *Notice) namesFound(i, j int) bool {
	for k := sort.Search(len(n.addrs), func(k int) bool { return n.addrs[k].line >= i }); k < len(n.addrs) && n.addrs[k].line < j; k++ {
		if n.find(n.address(n.addrs[k])) != nil {
			return true
		}
	}
	return false
}

// sentenceStart returns where the sentence at a place begins, and sentenceEnd where it
// ends.
func (n *Notice) sentenceStart(from, pos int) int {
	for i := pos; i > from; i-- {
		if n.sentenceBegins(i) {
			return i
		}
	}
	return from
}

func (n *Notice) sentenceEnd(pos, to int) int {
	for i := pos; i < to; i++ {
		if n.low[i] == ' ' && n.sentenceBegins(i+1) {
			return i
		}
	}
	return to
}

// clip returns words cut to MaxEvidence.
func clip(b []byte) string {
	return strings.ToValidUTF8(strings.TrimSpace(string(cutBytes(b, MaxEvidence))), "?")
}

// mentions returns the first lines outside of a dialogue that say something about a
// recipient that is listed elsewhere: "<u@example.com>... Deferred: timed out".
func (n *Notice) mentions(f *foundRecipient) string {
	if f.line < 0 {
		return ""
	}
	for looked, i := range n.places(strings.ToLower(f.address)) {
		if looked == 8 || !n.work.Take(unitsAddress) {
			break
		}
		a := &n.addrs[i]
		if a.line == f.line || n.inDialogue(a.line) {
			continue
		}
		l := &n.lines[a.line]
		if n.hasWords(a.To, l.end) && (a.From == l.start || a.From == l.word) {
			s := n.quote(a.To, n.replyEnd(a.From, n.end))
			n.work.Take(2 * len(s))
			return trimWords(withoutAddress(trimEnds(s), f.address))
		}
	}
	return ""
}

// trimEnds removes the punctuation that is left around a notice's words without address
// and reply.
func trimEnds(s string) string {
	return trimReply(strings.TrimRight(strings.TrimLeft(s, " .:;,>"), " :;,("))
}

// withoutAddress removes the address that words begin with: "u@example.com: …".
func withoutAddress(s, addr string) string {
	if len(s) > len(addr) && s[len(addr)] == ':' && strings.EqualFold(s[:len(addr)], addr) {
		s = strings.TrimLeft(s[len(addr)+1:], " ")
	}
	return s
}

// trimWords returns s, or "" if it has no words beside addresses.
func trimWords(s string) string {
	at := 0
	for a := range address.In([]byte(s)) {
		if ascii.HasWords(s[at:a.Start]) {
			return s
		}
		at = a.End
	}
	if ascii.HasWords(s[at:]) {
		return s
	}
	return ""
}

// trimReply removes the quotation marks and brackets that a notice puts around a reply.
func trimReply(s string) string {
	s = strings.Trim(s, " \"'`|")
	var more [len(brackets)]int // for each kind, how many more are closed than opened
	counted := false
	for len(s) > 0 {
		i := strings.IndexByte(closing, s[len(s)-1])
		if i < 0 {
			break
		}
		if !counted {
			counted = true
			for j := range more {
				more[j] = strings.Count(s, closing[j:j+1]) - strings.Count(s, brackets[j:j+1])
			}
		}
		if more[i] <= 0 {
			break
		}
		more[i]--
		s = strings.TrimRight(s[:len(s)-1], " ")
	}
	return s
}

// The brackets that a notice puts around a reply.
const (
	brackets = "([<"
	closing  = ")]>"
)
