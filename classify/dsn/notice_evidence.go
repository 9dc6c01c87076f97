package dsn

import (
	"bytes"
	"strings"
)

// exchange is a reply in an SMTP dialogue, or a line that looks like one.
type exchange struct {
	at      int    // where it stands
	rcpt    string // the recipient it answers, "" if it is about all
	code    int
	reply   string
	host    string
	command string // what it answers, lower case: "rcpt", "data" ..., "" unknown
	note    string // lines before it that no server said: a program's output
	remote  bool   // "<<<": said by the remote server
	sure    bool   // it names the recipient or answers RCPT TO
}

// readDialogue reads the dialogue lines of the notice:
//
//	... while talking to mx.example.com.:
//	>>> RCPT TO:<u@example.com>
//	<<< 550 5.1.1 <u@example.com>... User unknown
//	550 5.1.1 <u@example.com>... User unknown
func (n *notice) readDialogue() {
	var rcpt, host, command string
	cause := -1 // reply that no recipient has been blamed on yet
	until := 0  // where the last reply ends
	transcript := false
	note := -1 // where lines begin that are no dialogue, -1 if none do
	ai, mi := 0, 0
	for i := range n.lines {
		l := &n.lines[i]
		for ai < len(n.addrs) && n.addrs[ai].line < i {
			ai++
		}
		addr := ""
		if ai < len(n.addrs) && n.addrs[ai].line == i {
			addr = n.text(n.addrs[ai])
		}
		began := transcript
		for ; mi < len(n.marks) && n.marks[mi].line <= i; mi++ {
			k := &n.marks[mi]
			transcript = transcript || k.bits&roleTranscript != 0
			if k.bits&roleHost != 0 && (!transcript || n.hostBegins(i)) {
				if h := n.hostAt(k.end); h != "" {
					host, cause, note = h, -1, -1
				}
			}
		}
		line := n.low[l.start:l.end]
		switch {
		case bytes.HasPrefix(line, []byte(">>>")):
			note = -1
			command = firstWord(bytes.TrimLeft(line[3:], " "))
			if command == "rcpt" {
				rcpt = addr
			}
		case bytes.HasPrefix(line, []byte("<<<")):
			note = -1
			from := l.start + 3
			for from < l.end && n.low[from] == ' ' {
				from++
			}
			text := n.words(from, l.end)
			code := leadingCode(text)
			if k := len(n.dialogue) - 1; k >= 0 && n.dialogue[k].remote && n.dialogue[k].code == code && n.dialogue[k].command == command &&
				len(n.dialogue[k].reply) < maxEvidence && i > 0 && bytes.HasPrefix(n.low[n.lines[i-1].start:], []byte("<<<")) {
				n.dialogue[k].reply += "\n" + text // the next line of one reply
				continue
			}
			e := exchange{at: l.start, code: code, reply: text, host: host, command: command, remote: true}
			if command == "rcpt" {
				e.rcpt, e.sure = rcpt, true
			} else if addr != "" && n.find(addr) != nil {
				e.rcpt, e.sure = addr, true
			}
			n.dialogue = append(n.dialogue, e)
			if cause = -1; code >= 400 && e.rcpt == "" {
				cause = len(n.dialogue) - 1
			}
		case l.start < until: // a further line of that reply
		case startsWithCode(line):
			// "554 <u@example.com>... 550 Host unknown": the program's own
			// code, the address, then what it met with.
			e := exchange{at: l.start, code: leadingCode(string(line[:3])), rcpt: addr, sure: addr != ""}
			from := l.start
			if addr != "" {
				rest := n.low[n.addrs[ai].to:l.end]
				if k := bytes.IndexFunc(rest, func(r rune) bool { return r != ' ' && r != '.' && r != ':' }); k >= 0 && startsWithCode(rest[k:]) {
					from = n.addrs[ai].to + k
				}
			}
			end := n.end
			if k := n.owner(l.start); k >= 0 && len(n.found) > 1 {
				end = max(l.end, n.found[k].to)
			}
			until = n.replyEnd(from, end)
			e.reply = n.words(from, until)
			e.code = leadingCode(e.reply)
			if note >= 0 && addr != "" {
				e.note = n.words(note, l.start)
			}
			note = -1
			if cause >= 0 && addr != "" {
				// Refused before RCPT TO or after DATA, then the program names
				// whom it cost the message.
				n.dialogue[cause].rcpt, n.dialogue[cause].sure, cause = addr, true, -1
			}
			n.dialogue = append(n.dialogue, e)
		case began && note < 0 && !n.hostBegins(i):
			note = l.start
		}
	}
}

// assign finds for every recipient what the dialogue holds for it, and what it
// holds for all that it does not name.
func (n *notice) assign() {
	all, allRank := -1, 0
	ranks := make([]int, len(n.found))
	for i := range n.dialogue {
		e := &n.dialogue[i]
		if e.code < 400 {
			continue
		}
		rank := 3
		switch {
		case e.sure && e.remote:
			rank = 6
		case e.sure:
			rank = 5
		case e.remote && e.code != 503: // "Need RCPT" only follows from what went before
			rank = 4
		case e.remote:
			rank = 2
		}
		k, ok := n.index[strings.ToLower(e.rcpt)]
		if !ok || e.rcpt == "" {
			if k, ok = n.owner(e.at), true; k < 0 {
				ok = false
			}
		}
		if ok {
			if rank > ranks[k] {
				ranks[k], n.found[k].said = rank, e
			}
			continue
		}
		if rank > allRank {
			all, allRank = i, rank
		}
	}
	if all < 0 {
		return
	}
	for i := range n.found {
		if ranks[i] < allRank && ranks[i] < 5 {
			n.found[i].said = &n.dialogue[all]
		}
	}
}

// evidence gathers what the notice says about one recipient.
func (n *notice) evidence(f *foundRecipient) Recipient {
	r := Recipient{Address: f.address, Original: f.original, Action: f.action}
	own := f.line >= 0 && n.hasWords(f.from, f.to) && n.stopBefore(f.from) < 0
	from, to := f.from, f.to
	if !own {
		from, to = 0, n.end
	}
	alone := len(n.found) <= 1
	before, at, end, strength := -1, -1, -1, 0
	if own {
		before, at, end, strength = n.findReply(from, to)
	}
	e := f.said
	switch {
	case e != nil && (e.remote || strength < 2 || f.line >= 0 && n.inDialogue(f.line)) && (alone || e.sure || !own):
		r.Diagnostic, r.RemoteMTA = ParseReply(e.reply).Text, e.host
	case strength > 0:
		r.Diagnostic = ParseReply(n.words(at, end)).Text
	case alone || !n.anyOwn:
		// Said once for all.
		if n.common == nil {
			n.common = new(commonReply)
			n.common.before, n.common.at, n.common.end, n.common.strength = n.findReply(0, n.end)
		}
		before, at, end = n.common.before, n.common.at, n.common.end
		if n.common.strength > 0 {
			r.Diagnostic = ParseReply(n.words(at, end)).Text
		}
	}
	r.Diagnostic = trimReply(r.Diagnostic)
	if r.RemoteMTA == "" && (own || alone || r.Diagnostic != "") {
		if own {
			from = min(from, f.start)
		}
		r.RemoteMTA = n.hostIn(from, to, at)
	}
	r.Notice = n.noticeWords(f, own, before)
	if e != nil && e.sure && e.note != "" { // what a program said tells more than what the MTA made of it
		r.Notice = strings.ToValidUTF8(cut(strings.TrimSpace(e.note+" "+r.Notice), maxEvidence), "?")
	}
	reply := ParseReply(r.Diagnostic)
	r.SMTPCode, r.Status = reply.Code, reply.Status
	if reply.Status == "" || reply.Code == 0 && r.Diagnostic == "" {
		words := ParseReply(r.Notice)
		if own {
			words = ParseReply(n.words(from, to))
		}
		if r.Status == "" {
			r.Status = words.Status
		}
		if r.SMTPCode == 0 && r.Diagnostic == "" {
			r.SMTPCode = words.Code
		}
	}
	if r.SMTPCode < 400 {
		r.SMTPCode = 0
	}
	if reply.Code != 0 || reply.Status != "" {
		r.DiagnosticType = "smtp"
	}
	return r
}

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
// address, all.
func (n *notice) noticeWords(f *foundRecipient, own bool, reply int) string {
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
		return trimWords(n.words(f.start, to), f.address)
	}
	if s := n.mentions(f); s != "" {
		return s
	}
	if len(n.found) > 1 && n.anyOwn || reply >= 0 {
		return ""
	}
	to := n.end
	if stop := n.stopBefore(n.end); stop > 0 && n.hasWords(0, stop) {
		to = stop
	}
	return n.words(0, to)
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
