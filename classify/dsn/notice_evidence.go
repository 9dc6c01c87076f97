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
	lines   []byte // reply, as long as it grows
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
		if !n.work.Take(unitsLine + l.end - l.start) {
			break
		}
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
		case isRemoteLine(line):
			note = -1
			from := l.start + 3
			for from < l.end && n.low[from] == ' ' {
				from++
			}
			text := n.words(from, l.end)
			code := leadingCode(text)
			if k := len(n.dialogue) - 1; k >= 0 && n.dialogue[k].remote && n.dialogue[k].code == code && n.dialogue[k].command == command &&
				len(n.dialogue[k].lines) < maxEvidence && i > 0 && bytes.HasPrefix(n.low[n.lines[i-1].start:], []byte("<<<")) {
				n.dialogue[k].lines = append(append(n.dialogue[k].lines, '\n'), text...) // the next line of one reply
				continue
			}
			e := exchange{at: l.start, code: code, lines: []byte(text), host: host, command: command, remote: true}
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
				rest := n.low[n.addrs[ai].to:max(n.addrs[ai].to, l.end)] // an address may go on in the next line
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
	for i := range n.dialogue {
		if e := &n.dialogue[i]; e.remote {
			e.reply, e.lines = string(e.lines), nil
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

// gathered is what the notice says, of one recipient or of several whom it
// names together. It is found once for all of them.
type gathered struct {
	key
	diagnostic, remoteMTA string
	before                int    // where what announces the reply begins, -1 if there is none
	words                 string // the notice's own, of a recipient that has any; see trimEnds
	about                 string // those that are about the failure for certain
	trimmed               string // nothing, if there are no words beside addresses
	codes                 Reply  // in those words
}

// key is all that what is gathered of a recipient depends on.
type key struct {
	start, from, to int
	own, listed     bool
	inDialogue      bool
	said            *exchange
}

// gather finds what the notice says of a recipient, but for what depends on the
// address itself.
func (n *notice) gather(f *foundRecipient) *gathered {
	k := key{start: f.start, from: f.from, to: f.to, listed: f.line >= 0, said: f.said}
	k.inDialogue = k.listed && n.inDialogue(f.line)
	k.own = k.listed && f.words && n.stopBefore(f.from) < 0
	if !k.own {
		k.start, k.from, k.to = 0, 0, n.end
	}
	if n.last != nil && n.last.key == k {
		return n.last
	}
	g := &gathered{key: k, before: -1}
	n.last = g
	if !n.work.Take(unitsRecipient + 4*min(k.to-k.from, 2*maxEvidence) + k.to - k.from) {
		return g
	}
	alone := len(n.found) <= 1
	at, end, strength := -1, -1, 0
	if k.own {
		g.before, at, end, strength = n.findReply(k.from, k.to)
	}
	e := k.said
	switch {
	case e != nil && (e.remote || strength < 2 || k.inDialogue) && (alone || e.sure || !k.own):
		g.diagnostic, g.remoteMTA = ParseReply(e.reply).Text, e.host
	case strength > 0:
		g.diagnostic = ParseReply(n.words(at, end)).Text
	case (alone || !n.anyOwn) && !n.sayAt(f):
		// Said once for all.
		if n.common == nil {
			n.common = new(commonReply)
			n.common.before, n.common.at, n.common.end, n.common.strength = n.findReply(0, n.end)
		}
		g.before, at, end = n.common.before, n.common.at, n.common.end
		if n.common.strength > 0 {
			g.diagnostic = ParseReply(n.words(at, end)).Text
		}
	}
	g.diagnostic = n.complete(trimReply(g.diagnostic))
	if g.remoteMTA == "" && (k.own || alone || g.diagnostic != "") {
		from := k.from
		if k.own {
			from = min(from, k.start)
		}
		g.remoteMTA = n.hostIn(from, k.to, at)
	}
	if k.own {
		words, about := n.ownWords(f, g.before)
		g.words, g.about = trimEnds(words), trimWords(trimEnds(about))
		g.trimmed = trimWords(g.words)
		g.codes = ParseReply(n.words(k.from, k.to))
	}
	return g
}

// evidence gathers what the notice says about one recipient.
func (n *notice) evidence(f *foundRecipient) Recipient {
	g := n.gather(f)
	r := Recipient{Address: f.address, Original: f.original, Action: f.action, Diagnostic: g.diagnostic, RemoteMTA: g.remoteMTA,
		unnamed: f.address == "" && n.unnamed}
	r.Notice, r.about = n.noticeWords(f, g)
	if e := f.said; e != nil && e.sure && e.note != "" { // what a program said tells more than what the MTA made of it
		r.Notice = strings.ToValidUTF8(cut(strings.TrimSpace(e.note+" "+r.Notice), maxEvidence), "?")
		r.about = strings.ToValidUTF8(cut(strings.TrimSpace(e.note+" "+r.about), maxEvidence), "?")
	}
	reply := n.parse(r.Diagnostic)
	if e := f.said; e != nil && !e.remote && e.code == reply.Code && (len(n.found) <= 1 || e.sure) {
		r.transcript = n.parse(e.reply).Text
	}
	r.SMTPCode, r.Status = reply.Code, reply.Status
	if reply.Status == "" || reply.Code == 0 && r.Diagnostic == "" {
		words := g.codes
		if !g.own {
			words = n.parse(r.Notice)
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

// parse is [ParseReply] of a text that is likely to be asked for again.
func (n *notice) parse(s string) Reply {
	for i := range n.parsed {
		if p := &n.parsed[i]; p.of == s {
			return p.Reply
		}
	}
	n.work.Take(len(s) / 2)
	n.parsed[1] = n.parsed[0]
	n.parsed[0] = parsed{s, ParseReply(s)}
	return n.parsed[0].Reply
}

// parsed is a reply and what it was made of.
type parsed struct {
	of string
	Reply
}

// complete returns all lines of a reply of which only the first was quoted: those
// of the dialogue that begin so.
func (n *notice) complete(reply string) string {
	if reply == "" || len(n.dialogue) == 0 {
		return reply
	}
	if n.firstLines == nil {
		n.firstLines = map[string]int{}
		for i := len(n.dialogue) - 1; i >= 0; i-- {
			first, _, more := strings.Cut(n.dialogue[i].reply, "\n")
			if more && n.dialogue[i].remote {
				n.firstLines[ParseReply(first).Text] = i
			}
		}
	}
	if i, ok := n.firstLines[reply]; ok {
		return ParseReply(n.dialogue[i].reply).Text
	}
	return reply
}
