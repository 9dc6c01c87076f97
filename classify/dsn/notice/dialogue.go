package notice

import (
	"bytes"
	"slices"
	"strings"

	"github.com/bounce-milter/bounce-milter/classify/reply"
)

// exchange is a reply in an SMTP dialogue, or a line that looks like one.
type exchange struct {
	at      int    // its place in the text
	rcpt    string // the recipient it is about, "" if it is about all
	code    int
	reply   string
	lines   []byte // the reply, while lines are still added
	host    string
	command string // the command it answers, lower case: "rcpt", "data" ..., "" if unknown
	note    string // the output of a program, in the lines before it
	remote  bool   // "<<<": the remote server's reply
	sure    bool   // it names the recipient or answers RCPT TO
}

// readDialogue reads the dialogue lines of the notice:
//
//	... while talking to mx.example.com.:
//	>>> RCPT TO:<u@example.com>
//	<<< 550 5.1.1 <u@example.com>... User unknown
//	550 5.1.1 <u@example.com>... User unknown
func (n *Notice) readDialogue() {
	d := dialogueReader{n: n, cause: -1, note: -1}
	for i := range n.lines {
		if !n.work.Take(unitsLine + n.lines[i].end - n.lines[i].start) {
			break
		}
		d.line(i)
	}
	for i := range n.dialogue {
		if e := &n.dialogue[i]; e.remote {
			e.reply, e.lines = string(e.lines), nil
		}
	}
}

// dialogueReader reads the lines of a notice one by one. Its fields are the state after
// the lines so far.
type dialogueReader struct {
	n *Notice

	host       string // the remote server
	command    string // the last command, lower case
	rcpt       string // the recipient of the last RCPT TO
	transcript bool   // a phrase has announced a dialogue

	cause int // index of a refusal whose recipients are not known yet, -1 if there is none
	until int // where the last reply ends
	note  int // where lines that are not dialogue begin, -1 if there are none

	addr, mark int // indices of the next address and the next mark
}

func (d *dialogueReader) line(i int) {
	n, l := d.n, &d.n.lines[i]
	addr := d.firstAddress(i)
	began := d.transcript
	d.takeMarks(i)
	low := n.low[l.start:l.end]
	switch {
	case bytes.HasPrefix(low, []byte(">>>")):
		d.said(low[3:], addr)
	case isRemoteLine(low):
		d.answered(i, addr)
	case l.start < d.until: // another line of the last reply
	case startsWithCode(low):
		d.reported(i, addr)
	case began && d.note < 0 && !n.hostBegins(i):
		d.note = l.start
	}
}

// firstAddress returns the first address of a line, nil if it has none.
func (d *dialogueReader) firstAddress(line int) *place {
	addrs := d.n.addrs
	for d.addr < len(addrs) && addrs[d.addr].line < line {
		d.addr++
	}
	if d.addr < len(addrs) && addrs[d.addr].line == line {
		return &addrs[d.addr]
	}
	return nil
}

// takeMarks handles the phrases up to the end of a line.
func (d *dialogueReader) takeMarks(line int) {
	n := d.n
	for ; d.mark < len(n.marks) && n.marks[d.mark].line <= line; d.mark++ {
		k := &n.marks[d.mark]
		d.transcript = d.transcript || k.bits&roleTranscript != 0
		if k.bits&roleHost != 0 && (!d.transcript || n.hostBegins(line)) {
			if h := n.hostAt(k.end); h != "" {
				d.host, d.cause, d.note = h, -1, -1
			}
		}
	}
}

// said handles a command to the remote server: ">>> RCPT TO:<u@example.com>".
func (d *dialogueReader) said(low []byte, addr *place) {
	d.note = -1
	if d.command = firstWord(bytes.TrimLeft(low, " ")); d.command == "rcpt" {
		d.rcpt = d.n.addressOf(addr)
	}
}

// answered handles a line of the remote server's reply: "<<< 550 User unknown".
func (d *dialogueReader) answered(line int, addr *place) {
	n, l := d.n, &d.n.lines[line]
	d.note = -1
	from := l.start + 3
	for from < l.end && n.low[from] == ' ' {
		from++
	}
	text := n.quote(from, l.end)
	code := reply.LeadingCode(text)
	if e := d.unfinished(line, code); e != nil {
		e.lines = append(append(e.lines, '\n'), text...)
		return
	}
	e := exchange{at: l.start, code: code, lines: []byte(text), host: d.host, command: d.command, remote: true}
	if d.command == "rcpt" {
		e.rcpt, e.sure = d.rcpt, true
	} else if a := n.addressOf(addr); a != "" && n.find(a) != nil {
		e.rcpt, e.sure = a, true
	}
	n.dialogue = append(n.dialogue, e)
	if d.cause = -1; code >= 400 && e.rcpt == "" {
		d.cause = len(n.dialogue) - 1
	}
}

// unfinished returns the reply with that code that a line continues, nil if the line
// begins a reply.
func (d *dialogueReader) unfinished(line, code int) *exchange {
	n := d.n
	last := len(n.dialogue) - 1
	if last < 0 || line == 0 || !bytes.HasPrefix(n.low[n.lines[line-1].start:], []byte("<<<")) {
		return nil
	}
	if e := &n.dialogue[last]; e.remote && e.code == code && e.command == d.command && len(e.lines) < MaxEvidence {
		return e
	}
	return nil
}

// reported handles a line of the reporting program itself: its own code, the address, and
// the error.
//
//	554 <u@example.com>... 550 Host unknown
func (d *dialogueReader) reported(line int, addr *place) {
	n, l := d.n, &d.n.lines[line]
	e := exchange{at: l.start, rcpt: n.addressOf(addr), sure: addr != nil}
	from := l.start
	if addr != nil {
		rest := n.low[addr.To:max(addr.To, l.end)] // an address may go on in the next line
		if k := bytes.IndexFunc(rest, func(r rune) bool { return r != ' ' && r != '.' && r != ':' }); k >= 0 && startsWithCode(rest[k:]) {
			from = addr.To + k
		}
	}
	end := n.end
	if k := n.owner(l.start); k >= 0 && len(n.found) > 1 {
		end = max(l.end, n.found[k].to)
	}
	d.until = n.replyEnd(from, end)
	e.reply = n.quote(from, d.until)
	e.code = reply.LeadingCode(e.reply)
	if d.note >= 0 && addr != nil {
		e.note = n.quote(d.note, l.start)
	}
	d.note = -1
	if d.cause >= 0 && addr != nil {
		// The server refused before RCPT TO or after DATA; here the program names
		// the recipient who did not get the message for that reason.
		n.dialogue[d.cause].rcpt, n.dialogue[d.cause].sure, d.cause = e.rcpt, true, -1
	}
	n.dialogue = append(n.dialogue, e)
}

// assign finds for every recipient its reply in the dialogue; recipients without one get
// the best reply that is about nobody in particular.
func (n *Notice) assign() {
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

// inDialogue reports whether a line belongs to an SMTP dialogue.
func (n *Notice) inDialogue(line int) bool {
	b := n.low[n.lines[line].start:n.lines[line].end]
	return isRemoteLine(b) || bytes.HasPrefix(b, []byte(">>> rcpt")) || bytes.HasPrefix(b, []byte(">>> mail")) || startsWithCode(b)
}

// isRemoteLine reports whether a line of a dialogue is a reply.
//
// QUIRK: Courier writes its own errors like a server's line, but without a code:
// "<<< Network is down".
func isRemoteLine(low []byte) bool {
	rest, ok := bytes.CutPrefix(low, []byte("<<<"))
	return ok && reply.LeadingCode(bytes.TrimLeft(rest, " ")) != 0
}

// isDialogueLine reports whether a line is one of an SMTP dialogue or leads to one.
func (n *Notice) isDialogueLine(low []byte) bool {
	return slices.ContainsFunc(n.d.around.Dialogue, func(s string) bool { return bytes.HasPrefix(low, []byte(s)) })
}
