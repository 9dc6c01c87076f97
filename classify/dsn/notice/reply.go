package notice

import (
	"bytes"
	"sort"

	"github.com/bounce-milter/bounce-milter/classify/reply"
	"github.com/bounce-milter/bounce-milter/internal/address"
	"github.com/bounce-milter/bounce-milter/internal/ascii"
)

// findReply returns the remote server's reply in a stretch of the notice, and how sure
// that is: 3 if a phrase announces it and it begins with a code, 2 if it begins with a
// code, 1 if a phrase announces it, 0 if there is none.
//
// before is where the phrase that announces the reply begins.
func (n *Notice) findReply(from, to int) (before, at, end, strength int) {
	before, at, end = -1, -1, -1
	for _, k := range n.marks[n.markAt(from):] {
		if k.bits&roleReply == 0 {
			continue
		}
		if k.start >= to {
			break
		}
		p := k.end
		for p < to && bytes.IndexByte([]byte(" :\"'`-=>(,*|"), n.low[p]) >= 0 {
			p++
		}
		if p >= to || !n.hasWords(p, min(to, p+64)) {
			continue
		}
		s := 1
		if startsWithCode(n.low[p:to]) || startsWithStatus(n.low[p:to]) {
			s = 3
		}
		if s > strength {
			before, at, strength = k.start, p, s
		}
	}
	if strength < 3 {
		begin := from
		if strength > 0 {
			begin = at
		}
		if p := n.findCode(begin, to, strength > 0); p >= 0 && (strength == 0 || p >= at) {
			if strength == 0 {
				before = p
			}
			at, strength = p, 2
		}
	}
	if strength > 0 {
		// The phrase may stand within a multiline reply ("550-Reason: ...").
		if p := n.findCode(from, at, false); p >= 0 && n.replyEnd(p, to) > at {
			before, at, strength = p, p, max(strength, 2)
		}
		end = n.replyEnd(at, to)
	}
	return before, at, end, strength
}

// findCode returns where a code begins that a reply may begin with, -1 if there is none.
func (n *Notice) findCode(from, to int, announced bool) int {
	if len(n.lines) == 0 {
		return -1
	}
	line := n.lineAt(from)
	for i := from; i < to; i++ {
		for line+1 < len(n.lines) && n.lines[line+1].start <= i {
			line++
		}
		if c := n.low[i]; c != '4' && c != '5' || i > 0 && (ascii.IsAlnum(n.low[i-1]) || n.low[i-1] == '.') {
			continue
		}
		j := i
		for j > from && n.low[j-1] == ' ' {
			j--
		}
		begins := len(n.lines) > 0 && (i == n.lines[line].start || i == n.lines[line].word)
		if !begins && (j == 0 || bytes.IndexByte([]byte(":;<>([\"'|]#"), n.low[j-1]) < 0 && !(announced && n.low[j-1] == ',')) {
			continue
		}
		if startsWithCode(n.low[i:to]) {
			return i
		}
		if startsWithStatus(n.low[i:to]) && (begins || n.low[j-1] == ':') {
			return i
		}
	}
	return -1
}

// markAt returns the index of the first mark that begins at a place or after it.
func (n *Notice) markAt(pos int) int {
	return sort.Search(len(n.marks), func(i int) bool { return n.marks[i].start >= pos })
}

// hostBegins reports whether a line begins with a phrase that announces another host.
func (n *Notice) hostBegins(line int) bool {
	at := n.lines[line].word
	i := n.markAt(at)
	for ; i < len(n.marks) && n.marks[i].start == at; i++ {
		if n.marks[i].bits&roleHost != 0 {
			return true
		}
	}
	return false
}

// startsWithCode reports whether b begins with a 4yz or 5yz reply code.
func startsWithCode(b []byte) bool { return reply.LeadingCode(b) >= 400 }

// startsWithStatus reports whether b begins with a 4.y.z or 5.y.z enhanced code.
func startsWithStatus(b []byte) bool {
	return len(b) > 1 && b[1] == '.' && reply.LeadingStatus(string(cutBytes(b, 16))).Class >= 4
}

func firstWord(b []byte) string {
	for i := range b {
		if !ascii.IsAlpha(b[i]) {
			return string(b[:i])
		}
	}
	return string(b)
}

// hostAt returns the host name or IP address at a place, "" if there is none.
func (n *Notice) hostAt(pos int) string {
	end := min(len(n.orig), pos+address.MaxDomain)
	for pos < end && bytes.IndexByte([]byte(" :<\"'(["), n.orig[pos]) >= 0 {
		pos++
	}
	i := pos
	for i < end && (ascii.IsAlnum(n.orig[i]) || n.orig[i] == '.' || n.orig[i] == '-' || n.orig[i] == '_') {
		i++
	}
	for _, by := range n.d.around.Host { // "for the domain example.com by mx.example.com"
		if !bytes.HasPrefix(n.low[i:end], []byte(by)) {
			continue
		}
		j := i + len(by)
		k := j
		for k < end && (ascii.IsAlnum(n.orig[k]) || n.orig[k] == '.' || n.orig[k] == '-') {
			k++
		}
		if host := hostName(n.orig[j:k]); host != "" {
			return host
		}
	}
	return hostName(n.orig[pos:i])
}

func hostName(b []byte) string {
	b = bytes.Trim(b, ".-_")
	if bytes.IndexByte(b, '.') < 0 || len(b) < 4 {
		return ""
	}
	return string(b)
}

// hostBefore returns the host name that ends before a place.
func (n *Notice) hostBefore(pos int) string {
	host, at := n.hostEnding(pos)
	if at > 1 && n.orig[at-1] == '[' { // "name [192.0.2.1] did not like": the name, if it has one
		if name, _ := n.hostEnding(at - 1); name != "" {
			return name
		}
	}
	return host
}

// hostEnding returns the host name or IP address that ends before a place, and where it
// begins.
func (n *Notice) hostEnding(pos int) (host string, at int) {
	for pos > 0 && bytes.IndexByte([]byte(" :<\"'])>"), n.orig[pos-1]) >= 0 {
		pos--
	}
	i := pos
	for i > 0 && pos-i < address.MaxDomain && (ascii.IsAlnum(n.orig[i-1]) || n.orig[i-1] == '.' || n.orig[i-1] == '-') {
		i--
	}
	return hostName(n.orig[i:pos]), i
}

// hostIn returns the remote server that a stretch of the notice names: the last one
// before the reply, else the first.
func (n *Notice) hostIn(from, to, reply int) string {
	host := ""
	for _, k := range n.marks[n.markAt(from):] {
		if k.start >= to {
			break
		}
		if k.bits&(roleHost|roleHostBefore) == 0 {
			continue
		}
		if host != "" && reply >= 0 && k.start > reply {
			break
		}
		h := ""
		if k.bits&roleHost != 0 {
			h = n.hostAt(k.end)
		} else {
			h = n.hostBefore(k.start)
		}
		if h != "" {
			host = h
		}
	}
	return host
}
