package classify

import (
	"bytes"
	"slices"
	"strings"

	"github.com/bounce-milter/bounce-milter/classify/dsn"
	"github.com/bounce-milter/bounce-milter/classify/rules"
	"github.com/bounce-milter/bounce-milter/internal/work"
)

// Where words are looked for, in this order.
type scope uint8

const (
	scopeInner  scope = iota // the innermost reply
	scopeReply               // all of the reply, with what was wrapped around it
	scopeNotice              // what the notice says
	scopes
)

// inquest is the evidence about one recipient, prepared for judging, and what
// the judging finds. It is reused: nothing in it outlives one judgement.
type inquest struct {
	e  *Engine
	ev *Evidence

	work       *work.Budget
	incomplete bool // the work was spent before all that is known was read
	unread     bool // or before the reply was

	reply, notice text
	// What the texts were made of, and what was found in the reply, which may be
	// that of the next recipient as well.
	replyOf, noticeOf     string
	replyRead, noticeRead bool
	sameReply             bool // as that of the recipient before
	inner, whole          dsn.Reply
	said                  said
	last                  judged
	looked                [scopes][2]bool // scopes that were matched against the rules, frames apart
	best                  [scopes][2 * tierAdminFrame]match

	code      int // SMTP code of the innermost reply that states one
	statusStr string
	status    rules.Status
	class     int // 2, 4 or 5; 0 where nothing says
	witness   uint8
	words     bool // the reply says something beyond codes
	named     party

	who       [3]int16 // providers recognised, the first one is named; -1 where none
	lower     []byte
	plain     []byte // the text as a regular expression sees it
	plainOf   *text  // from which text plain was made, nil if it is stale
	plainFrom int
	plainTail bool
	seenTexts [scopes + 1]seenText // by scope; the last is for expressions about notes behind the reply
	pending   []match              // matches but for their expression
	asked     []int32              // by rule: the last round in which it was tried
	round     int32
	shadows   []match
	all       []match // every match, collected only when explaining
	explains  bool
}

// match is a rule that matched, and how strongly.
type match struct {
	rule   *rule
	scope  scope
	tier   tier
	phrase int32 // the longest pattern that matched, -1 where none did
	rank   uint64
}

// said is what a reply shows beside its codes and the patterns in it.
type said struct {
	witness uint8
	words   bool
}

// Units of work (see package work): of judging a reply whatever it says, of
// an octet that is matched, of an octet that an expression sees (see rule.units),
// and of a pattern whose rules are tried.
const (
	unitsReply  = 100
	unitsOctet  = 3
	unitsRegex  = 12 // and more, see rule.units
	unitsPhrase = 8
)

// prepare reads the evidence. It allocates nothing in the common case.
func (q *inquest) prepare(ev *Evidence) {
	q.ev = ev
	q.looked, q.best = [scopes][2]bool{}, [scopes][2 * tierAdminFrame]match{}
	q.code, q.statusStr, q.status = 0, "", rules.Status{}
	q.shadows, q.all, q.plainOf = q.shadows[:0], q.all[:0], nil

	q.sameReply = q.replyRead && q.replyOf == ev.Reply
	if !q.sameReply {
		q.readReply()
	}
	q.witness, q.words = q.said.witness, q.said.words
	q.codes(q.inner, q.whole)
	q.findNamed()
	q.recogniseProviders()
}

// readReply reads the reply. Once the work is spent it stays unread: the
// reported codes alone are judged then.
func (q *inquest) readReply() {
	reply := q.ev.Reply
	q.replyOf, q.replyRead = reply, true
	q.unread = !q.work.Take(unitsReply + unitsOctet*min(len(reply), maxText))
	if q.unread {
		reply = ""
	}
	q.witness, q.words = 0, q.unread
	r := dsn.ParseReply(spaced(bounded(reply)))
	q.find(&q.reply, r.Text, true)
	inner := r
	if q.reply.inner > 0 {
		at := q.reply.sourceOffset(r.Text, q.reply.inner)
		if mayStateCode(r.Text[:at]) { // else the codes found are the inner ones
			inner = dsn.ParseReply(r.Text[at:])
		}
		if inner.Code == 0 && inner.Status == "" {
			inner.Code, inner.Status = r.Code, r.Status
		} else if inner.Code == 0 {
			inner.Code = r.Code
		}
	}
	q.inner, q.whole = inner, r
	q.said = said{q.witness, q.words}
}

// spaced returns a reply with its spaces.
//
// QUIRK: qmail writes "_" for them in its log, from where replies are pasted.
func spaced(s string) string {
	if n := strings.Count(s, "_"); n > 1 && n > 4*strings.Count(s, " ") && strings.IndexByte(s[:min(len(s), maxLogged)], '@') < 0 {
		return strings.ReplaceAll(s, "_", " ")
	}
	return s
}

// maxLogged is how much of a line must be without an address, in which "_" means
// itself, to be taken for one of qmail's log.
const maxLogged = 40

// mayStateCode reports whether a code can stand in s: a number that begins as
// codes do.
func mayStateCode(s string) bool {
	for i := 0; i < len(s); i++ {
		if (s[i] == '2' || s[i] == '4' || s[i] == '5') && (i == 0 || s[i-1] < '0' && s[i-1] != '.' || s[i-1] > '9') {
			return true
		}
	}
	return false
}

// find normalises a text and looks for every pattern in it.
func (q *inquest) find(t *text, s string, isReply bool) {
	t.set(s)
	t.mask()
	t.findLastWord()
	t.tails = t.hide(q.e.match.tails, markTail)
	t.hide(q.e.match.greetings, markGreet)
	if len(t.seen) < len(q.e.match.patterns) {
		t.seen = make([]span, len(q.e.match.patterns))
	}
	if t.epoch++; t.epoch == 0 {
		clear(t.seen)
		t.epoch = 1
	}
	q.words = q.words || isReply && q.speaks(t, typePrefix(t.norm))
	q.e.match.auto.scan(t.norm, func(ids []int32, end int) {
		for _, id := range ids {
			q.note(t, id, end, isReply)
		}
	})
	if t.inner > 0 {
		t.closeQuote()
	}
	q.settlePlaces(t)
	// Longest first, so that what sets a rule off is the longest of its phrases.
	slices.Sort(t.hits)
}

// note takes an occurrence of a pattern down, if it is in words.
func (q *inquest) note(t *text, id int32, end int, isReply bool) {
	p := &q.e.match.patterns[id]
	from := end - int(p.length)
	if !p.inURL && (p.word && t.withinWord(from) && !t.behindHead(p, from) || t.maskedAt(p, from, end)) || t.marks[from]&markTail != 0 && !p.inTail || t.marks[from]&t.marks[end-1]&markGreet != 0 {
		return
	}
	s := &t.seen[id]
	if s.epoch != t.epoch {
		s.epoch = t.epoch
		if p.setsOff {
			t.hits = append(t.hits, id)
		}
	}
	s.last = int32(from)
	if p.place && len(t.places) < maxPlaces {
		t.places = append(t.places, place{id: id, from: int32(from), to: int32(end)})
		t.guarded = t.guarded || p.clause&turnsAway != 0
	}
	q.witness |= p.witness
	if p.provider >= 0 && (t.from < 0 || s.last > t.seen[t.fromWords].last || s.last == t.seen[t.fromWords].last && id < t.fromWords) {
		t.from, t.fromWords = p.provider, id
	}
	if p.wrapper >= 0 && isReply {
		t.unwrap(&q.e.set.Wrappers[p.wrapper], from, end)
	}
}

// withinWord reports whether norm[from] does not begin a word, nor a part of one
// that is written as in MailboxFull or MCVirus.
func (t *text) withinWord(from int) bool {
	before, first := t.norm[from-1], t.norm[from]
	if !isAlnum(before) || before <= '9' && first > '9' {
		return false
	}
	upper := func(i int) bool { return t.marks[i]&markUpper != 0 }
	return !upper(from) || upper(from-1) && (upper(from+1) || !isLetter(t.norm[from+1]))
}

// behindHead reports whether p, at norm[from:], is the second part of a compound.
func (t *text) behindHead(p *pattern, from int) bool {
	for _, head := range p.heads {
		if bytes.HasSuffix(t.norm[:from], []byte(head)) && !t.withinWord(from-len(head)) {
			return true
		}
	}
	return false
}

// maskedAt reports whether any octet of norm[from:end], where p occurs, is
// masked. What is masked holds a sign; a pattern without one has no room for it
// between its ends.
func (t *text) maskedAt(p *pattern, from, end int) bool {
	if !p.signs {
		return (t.marks[from]|t.marks[end-1])&markMasked != 0
	}
	return t.maskedWithin(from, end)
}

// maskedWithin reports whether any octet of norm[from:to] is masked.
func (t *text) maskedWithin(from, to int) bool {
	for _, m := range t.marks[from:to] {
		if m&markMasked != 0 {
			return true
		}
	}
	return false
}

// unwrap notes that a quoted reply may begin at norm[at:], after the marker
// norm[from:at]. The last one that says something is the innermost.
func (t *text) unwrap(w *rules.Wrapper, from, at int) {
	b := t.norm
	if w.Skip != "" {
		i := bytes.Index(b[at:min(len(b), at+reach)], []byte(w.Skip))
		if i < 0 {
			return
		}
		at += i + len(w.Skip)
	}
	for end := at + maxQuotes; at < len(b) && at < end && (b[at] == ' ' || b[at] == '\'' || b[at] == '"'); {
		at++
	}
	if at <= t.inner || w.Code && !startsWithCode(b[at:]) || !t.hasWords(at) {
		return
	}
	for i := from; i < at && i < from+maxMarker; i++ {
		t.marks[i] |= markWrap
	}
	t.inner = at
}

// closeQuote hides the signs behind the quoted reply that close what the wrapper
// opened before it: "(u@example.com:550 who knows)".
func (t *text) closeQuote() {
	end := len(t.norm)
	for open := t.count('(', end) - t.count(')', end); end > t.inner; {
		switch c := t.norm[end-1]; {
		case c == ')' && open < 0:
			open++
		case (c == '\'' || c == '"') && t.count(c, end)%2 == 1:
		case c == ' ':
			end--
			continue
		default:
			return
		}
		end--
		t.marks[end] |= markTail
		t.tails = true
	}
}

// count counts an octet in the innermost reply up to end.
func (t *text) count(c byte, end int) int { return bytes.Count(t.norm[t.inner:end], []byte{c}) }

// maxQuotes bounds the signs that may open a quotation; each is a marker too, and
// must not look at all the others again.
const maxQuotes = 8

// maxMarker bounds the octets that are hidden as a wrapper's own words.
const maxMarker = 100

// startsWithCode reports whether b begins with an SMTP reply code.
func startsWithCode(b []byte) bool {
	if len(b) < 4 || b[0] != '4' && b[0] != '5' || b[1] < '0' || b[1] > '9' || b[2] < '0' || b[2] > '9' {
		return false
	}
	switch b[3] {
	case ' ', '-', ',', ':':
		return true
	}
	return false
}

// typePrefix returns where a text begins after the type of a diagnostic, which
// is no word of the reply: "smtp; 550 …" (RFC 3464 section 2.3.6).
func typePrefix(norm []byte) int {
	i := 1
	for i < len(norm) && (isLetter(norm[i]) || norm[i] == '-') {
		i++
	}
	if i > 1 && i < len(norm) && norm[i] == ';' {
		return i
	}
	return 0
}

// hasWords reports whether norm[from:] holds two letters in a row outside of
// addresses, hosts and URLs.
func (t *text) hasWords(from int) bool {
	return t.lastWord >= max(1, from+1)
}

// findLastWord finds the last place where two letters stand in a row outside of
// addresses, hosts and URLs.
func (t *text) findLastWord() {
	t.lastWord = len(t.norm) - 1
	for i := t.lastWord; i > 0; i-- {
		if isLetter(t.norm[i]) && isLetter(t.norm[i-1]) && (t.marks[i]|t.marks[i-1])&markMasked == 0 {
			break
		}
		t.lastWord = i - 1
	}
}

// speaks reports whether norm[from:] holds a word that may explain something: one
// of letters alone ("ad1si1997pbd" is an id), that is no signature.
func (q *inquest) speaks(t *text, from int) bool {
	b := t.norm
	for i := max(1, from+1); i < len(b); {
		word, letters := i, true
		for i < len(b) && (isAlnum(b[i]) || b[i] >= 0x80 || b[i] == '_') {
			letters = letters && (isLetter(b[i]) || b[i] == '_')
			i++
		}
		switch {
		case i == word:
			i++
		case letters && i-word > 1 && (t.marks[word]|t.marks[i-1])&(markMasked|markTail) == 0 && !q.e.match.mute[string(b[word:i])]:
			return true
		}
	}
	return false
}

func isAlnum(c byte) bool { return c >= 'a' && c <= 'z' || c >= '0' && c <= '9' }

func isLetter(c byte) bool { return c >= 'a' && c <= 'z' || c >= 0x80 }

// codes settles which codes the reply is judged by. The remote server's own
// reply is the better witness; X.0.0 never beats a code that says something.
func (q *inquest) codes(inner, whole dsn.Reply) {
	ev := q.ev
	q.code = inner.Code
	reported := ev.Status
	if reported == whole.Status && inner.Status != whole.Status {
		reported = "" // the wrapper's
	}
	if q.code == 0 {
		q.code = ev.SMTPCode
	}
	if q.code == 0 {
		q.code = bareCode(q.reply.norm)
	}
	own, other := rules.ParseStatus(inner.Status), rules.ParseStatus(reported)
	q.statusStr, q.status = inner.Status, own
	switch {
	case own.Class != 0 && !own.Generic():
	case other.Class == 0:
	case !other.Generic():
		q.statusStr, q.status = reported, other
	case own.Class == 0 && inner.Code == 0:
		// Beside a code of the server's own, X.0.0 is what the reporting
		// MTA puts where the server gave no enhanced code.
		q.statusStr, q.status = reported, other
	}
	switch {
	case q.code >= 200 && q.code < 600:
		q.class = q.code / 100
	case q.status.Class != 0:
		q.class = int(q.status.Class)
	default:
		q.class = 0
	}
}

// bareCode reads a text that is nothing but a number of three digits, also one
// that no server should send; the published table holds some.
func bareCode(norm []byte) int {
	if len(norm) != 5 {
		return 0
	}
	n := 0
	for _, c := range norm[1:4] {
		if c < '0' || c > '9' {
			return 0
		}
		n = n*10 + int(c-'0')
	}
	if n < 200 {
		return 0
	}
	return n
}

// permanent reports whether the final reply refuses for good: by its SMTP
// code, else by the enhanced code, else by the action.
func (q *inquest) permanent() bool {
	switch q.class {
	case 4:
		return false
	case 5:
		return true
	}
	return q.ev.Action != dsn.ActionDelayed
}
