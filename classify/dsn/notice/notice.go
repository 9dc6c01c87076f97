package notice

import (
	"bytes"
	"slices"
	"strings"

	"github.com/bounce-milter/bounce-milter/internal/address"
	"github.com/bounce-milter/bounce-milter/internal/ascii"
)

// Bounds on the text that is searched, and on what is kept of it.
const (
	maxNotice      = 48 << 10 // octets read of a notice
	maxNoticeLines = 2000
	MaxEvidence    = 2 << 10 // octets kept of a reply, and of a notice's words
	maxSentence    = 400     // octets that a phrase, a name or a field may reach
)

// Units of work, see [Budget]: for a line in addition to its octets, for an address, and
// for a recipient.
const (
	unitsLine      = 16
	unitsAddress   = 40
	unitsRecipient = 100
)

// Notice is the text of a notice, folded and marked. It belongs to one goroutine.
type Notice struct {
	d          *Data
	source     string // the text before folding
	work       Budget
	orig, low  []byte // folded text, as written and in lower case; an index is valid in both
	lines      []textLine
	marks      []mark
	addrs      []place
	found      []foundRecipient
	index      map[string]int     // indices of found, by address in lower case
	order      []int              // indices of found, in the order of the text
	byAddr     map[string][]int32 // indices of addrs, by address in lower case; see places
	dialogue   []exchange
	last       *gathered       // of the previous recipient
	parsed     [4]parsed       // the latest parsed replies
	whole      *[2]string      // what wordsAbout returns for recipients that are not listed, once computed
	common     *commonReply    // what findReply finds in the whole notice, once computed
	firstLines map[string]int  // first lines of replies in the dialogue; see complete
	others     map[string]bool // addresses that are not recipients, lower case

	addressee string // To of the message, lower case

	summary   string // recipient in the notice's summary of the message ("To: ...")
	returned  string // recipient in the returned message, if that follows in the text
	signature int    // first line below "-- ", -1 if there is none
	summaryTo string // the whole To field of the summary
	summaryAt int    // where a summary of the message begins, -1 if there is none
	anyOwn    bool   // there are words by the address of at least one recipient
	end       int    // end of the text
	rest      int    // where the returned message begins in source, 0 if it does not follow
	cut       bool   // the returned message follows in the text
	opened    bool   // it begins with a sentence that only one program writes
	form      bool   // that program writes everything it knows about a recipient by the address
	says      int    // sentences that say that mail failed
	against   int    // sentences that speak against a bounce
	delayed   bool
	failed    bool
	unnamed   bool // only a display name of the recipient is known
}

// textLine is a line that is not empty. Places are indices in the folded text.
type textLine struct {
	start, end int
	at         int  // where it begins in the text before folding
	word       int  // where its words begin, after dashes, asterisks and the like
	para       bool // it begins a paragraph: an empty line, a ruler or nothing is before it
	indent     int  // columns of white space before it
	ids        bool // its addresses are message ids
}

// mark is the place of a phrase in the text.
type mark struct {
	start, end int
	line       int
	bits       role
}

// signs are the characters with which notices draw rulers, bullets and boxes.
const signs = "-=*_#~+|:.•·●◆■─━═ "

// Budget bounds what reading and searching may cost. Take takes units, each roughly one
// octet read, and reports whether the budget had them. If not, that work is not done, and
// what was found by then is the answer.
type Budget interface {
	Take(units int) bool
}

// unbounded is an unlimited budget.
type unbounded struct{}

func (unbounded) Take(int) bool { return true }

// Read folds and marks the words of a message, in UTF-8 with LF line ends, up to where
// the returned message begins. Reading and searching take from w; nil is an unlimited
// budget.
func (d *Data) Read(text string, w Budget) *Notice {
	if w == nil {
		w = unbounded{}
	}
	n := &Notice{d: d, source: text, work: w, summaryAt: -1, signature: -1}
	if len(text) > maxNotice {
		text = text[:maxNotice]
	}
	if !w.Take(4 * len(text)) {
		text = ""
	}
	size := len(text)
	n.orig, n.low = make([]byte, 0, size), make([]byte, 0, size)
	n.fold(text)
	n.cutSignature()
	n.mark()
	n.end = len(n.orig)
	n.scanAddresses()
	return n
}

// Source returns the text that was given to Read.
func (n *Notice) Source() string { return n.source }

// Returned returns the returned message if it follows in the text, "" if it does not.
func (n *Notice) Returned() string {
	if n.rest == 0 {
		return ""
	}
	return n.source[n.rest:]
}

// forget resets the notice for another search for recipients.
func (n *Notice) forget() {
	n.found, n.index, n.order, n.dialogue, n.others = nil, nil, nil, nil, nil
	n.common, n.whole, n.firstLines, n.last = nil, nil, nil, nil
	n.anyOwn, n.unnamed, n.addressee = false, false, ""
}

// fold fills orig, low and lines. It stops at a line that only the header of a returned
// message has.
func (n *Notice) fold(text string) {
	para := true
	run := -1 // first of the header-like lines up to here, -1 if there are none
	for at, next := 0, 0; at < len(text) && len(n.lines) < maxNoticeLines; at = next {
		if !n.work.Take(unitsLine) {
			break
		}
		line := text[at:]
		next = len(text)
		if i := strings.IndexByte(line, '\n'); i >= 0 {
			line, next = line[:i], at+i+1
		}
		indent := 0
		for indent < len(line) && (line[indent] == ' ' || line[indent] == '\t') {
			indent++
		}
		if strings.TrimSpace(line) == "" || quoted(line) {
			para, run = true, -1
			continue
		}
		if strings.HasPrefix(line, "--") && len(strings.TrimRight(line, " \t")) == 2 {
			n.signature = len(n.lines)
		}
		name := fieldLike(line)
		switch {
		case name == "":
			if indent == 0 {
				run = -1
			}
		case run < 0:
			run = len(n.lines)
		}
		if name != "" && n.d.headerStart[strings.ToLower(name)] {
			n.rest = at
			if run < len(n.lines) {
				n.rest = n.lines[run].at
			}
			n.cutLines(run)
			n.cut = true
			n.returned = fieldAddress(text[n.rest:], "to:")
			return
		}
		if len(n.orig) > 0 && n.orig[len(n.orig)-1] != ' ' {
			n.orig, n.low = append(n.orig, ' '), append(n.low, ' ')
		}
		l := textLine{start: len(n.orig), at: at, para: para, indent: indent, ids: n.d.idFields[strings.ToLower(name)]}
		if k := len(n.lines) - 1; k >= 0 && n.lines[k].ids && !para && indent > n.lines[k].indent && line[indent] == '<' {
			l.ids = true // the field goes on
		}
		n.orig, n.low = foldText(n.orig, n.low, line)
		l.end = len(n.orig)
		for l.end > l.start && n.orig[l.end-1] == ' ' {
			l.end--
		}
		l.word = l.end
		if first := n.low[l.start:l.end]; len(first) > 0 {
			if l.word = l.start; !ascii.IsAlnum(first[0]) {
				l.word = l.end - len(bytes.TrimLeft(first, signs))
			}
		}
		if l.word == l.end { // nothing but signs
			para = true
			n.orig, n.low = n.orig[:l.start], n.low[:l.start]
			continue
		}
		if name != "" && n.summary == "" && strings.EqualFold(name, "to") {
			n.summary = fieldAddress(line, "to:")
			_, to, _ := strings.Cut(cut(line, maxSentence), ":")
			n.summaryTo = strings.TrimSpace(to)
		}
		para = false
		n.lines = append(n.lines, l)
	}
}

// cutSignature drops the lines below "-- " (RFC 3676 section 4.3), such as the footer of
// a virus scanner, unless they contain what no signature has: many lines, a code, or
// several addresses.
//
// QUIRK: scanners and mail programs strip the space; and notices use "--" as a ruler.
func (n *Notice) cutSignature() {
	i := n.signature
	if i <= 0 || i >= len(n.lines) {
		return
	}
	from := n.lines[i].start
	if len(n.lines)-i > maxSignature || n.findCode(from, len(n.low), false) >= 0 || n.namesMany(from) {
		return
	}
	n.cutLines(i)
}

// namesMany reports whether the text has more than one address from a place on.
func (n *Notice) namesMany(from int) bool {
	count := 0
	for range address.In(n.orig[from:]) {
		if count++; count > 1 {
			return true
		}
	}
	return false
}

// maxSignature is how many lines a signature has at most.
const maxSignature = 12

// quoted reports whether a line is a person's quotation; ">>>" is from a dialogue.
func quoted(line string) bool {
	return strings.HasPrefix(line, ">") && !strings.HasPrefix(line, ">>>")
}

// cutLines drops the lines from i on.
func (n *Notice) cutLines(i int) {
	if i < 0 || i >= len(n.lines) {
		return
	}
	n.orig, n.low = n.orig[:n.lines[i].start], n.low[:n.lines[i].start]
	n.lines = n.lines[:i]
}

// fieldLike returns the name of the field if line has the form of one, else "".
func fieldLike(line string) string {
	line = strings.TrimLeft(line, " \t")
	i := 0
	for i < len(line) && (ascii.IsAlnum(line[i]) || line[i] == '-') {
		i++
	}
	if i == 0 || i > 40 || i >= len(line) || line[i] != ':' || !ascii.IsAlpha(line[0]) {
		return ""
	}
	return line[:i]
}

// fieldAddress returns the address in the first field of that name (given in lower case,
// with its colon) in text, "" if there is none.
func fieldAddress(text, name string) string {
	line := fieldValue(text, name)
	for a := range address.In([]byte(line)) {
		return line[a.Start:a.End]
	}
	return ""
}

// fieldValue returns the first line of that field, with its name.
func fieldValue(text, name string) string {
	for looked := 0; len(text) > 0 && looked < 200; looked++ {
		line := text
		if i := strings.IndexByte(text, '\n'); i >= 0 {
			line, text = text[:i], text[i+1:]
		} else {
			text = ""
		}
		line = strings.TrimSpace(line)
		if len(line) >= len(name) && strings.EqualFold(line[:len(name)], name) {
			return cut(line, maxSentence)
		}
	}
	return ""
}

// mark finds the data's phrases, and cuts the text where a phrase says that the returned
// message begins.
func (n *Notice) mark() {
	line, cut := 0, -1
	said := 0 // end of the last phrase of `says`: one within it does not count again
	n.d.phrases.find(n.low, func(start, end int, bits role) bool {
		for line+1 < len(n.lines) && n.lines[line+1].start <= start {
			line++
		}
		l := &n.lines[line]
		if bits&roleReturned != 0 {
			if start == l.word || start == l.start {
				cut = line
				return false
			}
			bits &^= roleReturned
		}
		if bits&roleOpens != 0 && line < 40 {
			n.opened = true
			n.form = n.form || bits&roleForm != 0
		}
		if bits&roleSays != 0 {
			if start >= said && n.says < 9 {
				n.says++
			}
			said = max(said, end)
		}
		if bits&roleAgainst != 0 {
			n.against++
		}
		if bits&roleSummary != 0 && n.summaryAt < 0 {
			n.summaryAt = start
		}
		n.delayed = n.delayed || bits&roleDelayed != 0
		n.failed = n.failed || bits&roleFailed != 0
		if bits&^(roleOpens|roleForm|roleAgainst) != 0 {
			n.marks = append(n.marks, mark{start, end, line, bits})
		}
		return true
	})
	if cut >= 0 {
		n.cut = true
		if cut+1 < len(n.lines) {
			n.rest = n.lines[cut+1].at
		}
		if n.returned == "" {
			n.returned = fieldAddress(string(n.orig[n.lines[cut].end:]), "to:")
		}
		n.cutLines(cut)
		n.marks = slices.DeleteFunc(n.marks, func(k mark) bool { return k.end > len(n.low) })
	}
}

// lineAt returns the index of the line at a place.
func (n *Notice) lineAt(pos int) int {
	lo, hi := 0, len(n.lines)
	for hi-lo > 1 {
		if mid := (lo + hi) / 2; n.lines[mid].start <= pos {
			lo = mid
		} else {
			hi = mid
		}
	}
	return lo
}

// quote returns the text between two places, cut to MaxEvidence.
func (n *Notice) quote(start, end int) string {
	start, end = max(start, 0), min(end, len(n.orig))
	if start >= end {
		return ""
	}
	b := n.orig[start:end]
	if len(b) > MaxEvidence {
		b = b[:MaxEvidence]
	}
	// Replace invalid octets and do not drop them: the digits around one could
	// then read as a code.
	return strings.ToValidUTF8(strings.TrimSpace(string(b)), "?")
}
