package notice

import (
	"bytes"
	"slices"
	"sort"
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/bounce-milter/bounce-milter/internal/address"
)

// maxLists is how many lists of recipients are searched for a name.
const maxLists = 8

// findName takes the recipient from a list that has a display name but no address. No
// other address may be blamed instead, least of all the one in the summary of the
// message, which may be a mailing list or another recipient.
//
// QUIRK: Exchange, Lotus Notes and Novell GroupWise name people in their own directory
// this way.
func (n *Notice) findName(limit int) bool {
	tries := 0
	for i := range n.marks {
		k := &n.marks[i]
		if k.bits&roleList == 0 {
			continue
		}
		if tries++; tries > maxLists {
			break
		}
		line := n.lineAt(k.end - 1)
		if n.low[n.lines[line].end-1] != ':' {
			if line++; line >= len(n.lines) || n.low[n.lines[line].end-1] != ':' {
				continue
			}
		}
		if line++; line >= len(n.lines) || n.lines[line].start >= n.end || n.stopBefore(n.lines[line].start) >= 0 {
			continue
		}
		l := &n.lines[line]
		name := n.orig[l.word:l.end]
		end := l.end
		for _, on := range n.d.around.Date { // "Doe, John on Mon, 1 Jan 2024"
			if i := bytes.Index(n.low[l.word:l.end], []byte(on)); i > 0 {
				name = name[:i]
				break
			}
		}
		// QUIRK: "user@@example.com  domain missing or malformed": Exim.
		broken := bytes.IndexByte(n.orig[l.start:l.end], '@') >= 0 && n.addressAt(line) < 0
		if broken {
			end = l.word
		} else if !isName(name) || n.saysAt(line) {
			continue
		}
		addr := ""
		if !broken {
			addr = n.summaryName(name)
		}
		n.unnamed = addr == ""
		n.add(foundRecipient{address: addr, line: line, start: end, from: end}, limit)
		return true
	}
	return false
}

// summaryName returns the address that has this name in the summary of the message, as in
// "To: Jane Doe <jane@example.com>" for "Doe, Jane"; "" if there is none.
func (n *Notice) summaryName(name []byte) string {
	line := []byte(n.summaryTo)
	from := 0
	for a := range address.In(line) {
		if sameWords(line[from:a.From], name) {
			return string(line[a.Start:a.End])
		}
		from = a.To
	}
	return ""
}

// sameWords reports whether two names have the same words, in any order.
func sameWords(a, b []byte) bool {
	words := func(s []byte) []string {
		w := strings.FieldsFunc(strings.ToLower(string(s)), func(r rune) bool { return !unicode.IsLetter(r) && r != '-' })
		slices.Sort(w)
		return w
	}
	x := words(a)
	return len(x) > 0 && slices.Equal(x, words(b))
}

// addressAt returns the index of the first address in a line, -1 if there is none.
func (n *Notice) addressAt(line int) int {
	i := sort.Search(len(n.addrs), func(i int) bool { return n.addrs[i].line >= line })
	if i == len(n.addrs) || n.addrs[i].line != line {
		return -1
	}
	return i
}

// saysAt reports whether a line contains a phrase about a failure, or a code.
func (n *Notice) saysAt(line int) bool {
	l := &n.lines[line]
	for _, k := range n.marks[n.markAt(l.start):] {
		if k.start >= l.end {
			break
		}
		if k.bits&(roleSays|roleFailed|roleDelayed|roleReply|roleReturned) != 0 {
			return true
		}
	}
	return n.findCode(l.start, l.end, false) >= 0
}

// isName reports whether b is written like a person's name: a few words, each with a
// capital, except for particles such as "van".
func isName(b []byte) bool {
	b = bytes.Trim(b, " '\"<>*-")
	if len(b) < 3 || len(b) > 60 || bytes.ContainsAny(b, "@:/=!?。、") {
		return false
	}
	words := bytes.FieldsFunc(b, func(r rune) bool { return r == ' ' || r == ',' || r == ';' })
	if len(words) > 6 {
		return false
	}
	capitals := 0
	for _, w := range words {
		r, _ := utf8.DecodeRune(bytes.TrimLeft(w, "('\""))
		switch {
		case unicode.IsUpper(r), unicode.IsLetter(r) && !unicode.IsLower(r):
			capitals++
		case len(w) > 3 || !unicode.IsLetter(r): // "van", "de la", "von"
			return false
		}
	}
	return capitals > 0 && (b[len(b)-1] != '.' || len(words[len(words)-1]) <= 3)
}
