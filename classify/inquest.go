package classify

import (
	"slices"
	"strconv"
	"strings"

	"github.com/bounce-milter/bounce-milter/classify/dsn"
	"github.com/bounce-milter/bounce-milter/classify/reply"
	"github.com/bounce-milter/bounce-milter/classify/rules"
	"github.com/bounce-milter/bounce-milter/internal/fold"
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

	work       *work.Budget // nil, or budget
	budget     work.Budget
	incomplete bool // the work was spent before all that is known was read
	unread     bool // or before the reply was

	reply, notice text
	// What the texts were made from, and what was found in the reply: the next
	// recipient may have the same reply.
	replyOf, noticeOf     string
	replyRead, noticeRead bool
	sameReply             bool // as that of the recipient before
	inner, whole          reply.Reply
	said                  said
	last                  judged
	looked                [scopes][2]bool // scopes that were matched against the rules, stock phrases apart
	best                  [scopes][2 * tierAdminStock]match

	code     int // SMTP code of the innermost reply that states one
	status   reply.Status
	class    int // 2, 4 or 5; 0 where nothing says
	witness  uint8
	hasWords bool // the reply says something beyond codes
	named    party

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

// said is what a reply shows beside its codes and the patterns in it.
type said struct {
	witness  uint8
	hasWords bool
	named    party // of the sender's side
}

// Units of work (see package work): for judging any reply, for an octet that is
// matched, for an octet that a regular expression sees (see rule.units), and for a
// pattern whose rules are tried.
const (
	unitsReply  = 100
	unitsOctet  = 3
	unitsRegex  = 16 // and more, see rule.units
	unitsPhrase = 8
)

// prepare reads the evidence. It allocates nothing in the common case.
func (q *inquest) prepare(ev *Evidence) {
	q.ev = ev
	q.looked, q.best = [scopes][2]bool{}, [scopes][2 * tierAdminStock]match{}
	q.code, q.status = 0, reply.Status{}
	q.shadows, q.all, q.plainOf = q.shadows[:0], q.all[:0], nil

	q.sameReply = q.replyRead && q.replyOf == ev.Reply
	if !q.sameReply {
		q.readReply()
	}
	q.witness, q.hasWords = q.said.witness, q.said.hasWords
	q.codes(q.inner, q.whole)
	q.findNamed()
	q.recogniseProviders()
}

// readReply reads the reply. Once the work is spent it stays unread: the
// reported codes alone are judged then.
func (q *inquest) readReply() {
	words := q.ev.Reply
	q.replyOf, q.replyRead = words, true
	q.unread = !q.work.Take(unitsReply + unitsOctet*min(len(words), maxText))
	if q.unread {
		words = ""
	}
	q.witness, q.hasWords = 0, q.unread
	var r reply.Reply
	if rcpt := q.ev.reported; rcpt != nil && !q.unread {
		r = rcpt.Reply()
	}
	if words = unescaped(spaced(bounded(words))); r.Text != words {
		r = reply.Parse(words)
	}
	q.find(&q.reply, r.Text, true)
	inner := r
	if q.reply.inner > 0 {
		at := q.reply.sourceOffset(r.Text, q.reply.inner)
		if mayStateCode(r.Text[:at]) { // else the codes found are the inner ones
			inner = reply.Parse(r.Text[at:])
		}
		if inner.Code == 0 && inner.Status.Class == 0 {
			inner.Code, inner.Status = r.Code, r.Status
		} else if inner.Code == 0 {
			inner.Code = r.Code
		}
	}
	q.inner, q.whole = inner, r
	q.said = said{q.witness, q.hasWords, q.sendersNamed()}
}

// spaced returns a reply with its spaces.
//
// QUIRK: qmail writes "_" for them in its log, from where replies are pasted.
func spaced(s string) string {
	if n := strings.Count(s, "_"); n > 1 && n > 4*strings.Count(s, " ") &&
		strings.IndexByte(s[:min(len(s), maxLogged)], '@') < 0 {
		return strings.ReplaceAll(s, "_", " ")
	}
	return s
}

// unescaped returns a text with the octets that stand in it as escapes, and with the
// characters that were encoded twice as they were meant.
//
// QUIRK: Exim writes each octet beyond ASCII as one, in reports as in its log: "\303\244".
func unescaped(s string) string {
	at := strings.Index(s, `\3`) // UTF-8 and letters of Latin-1 have an octet from there on
	if at < 0 {
		return fold.Mend(s)
	}
	b := append(make([]byte, 0, len(s)), s[:at]...)
	for i := at; i < len(s); i++ {
		if i+4 <= len(s) && s[i] == '\\' && (s[i+1] == '2' || s[i+1] == '3') {
			if n, err := strconv.ParseUint(s[i+1:i+4], 8, 8); err == nil {
				b = append(b, byte(n))
				i += 3
				continue
			}
		}
		b = append(b, s[i])
	}
	return fold.Mend(string(b))
}

// maxLogged is how many octets at the beginning of a line are searched for an address.
// With one there, "_" means itself, and the line is not from qmail's log.
const maxLogged = 40

// mayStateCode reports whether s may contain a code: a number that begins with 2, 4
// or 5.
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
	t.findLastLetters()
	t.hideTails(q.e.match.tails)
	if len(t.seen) < len(q.e.match.patterns) {
		t.seen = make([]span, len(q.e.match.patterns))
	}
	if t.epoch++; t.epoch == 0 {
		clear(t.seen)
		t.epoch = 1
	}
	q.hasWords = q.hasWords || isReply && q.speaks(t, typePrefix(t.norm))
	q.e.match.scan(t.norm, func(ids []int32, end int) {
		for _, id := range ids {
			q.note(t, id, end, isReply)
		}
	})
	if t.inner > 0 {
		t.closeQuote()
	}
	q.settlePlaces(t)
	// Longest first, so that the longest of a rule's phrases sets it off.
	slices.Sort(t.hits)
}

// note records an occurrence of a pattern, if it is in words.
func (q *inquest) note(t *text, id int32, end int, isReply bool) {
	p := &q.e.match.patterns[id]
	from := end - int(p.length)
	if !p.inURL && (p.word && t.withinWord(from) && !q.e.match.behindHead(t, p, from) || t.maskedAt(p, from, end)) ||
		t.marks[from]&markTail != 0 && q.e.match.names.of(id)&ofTail == 0 ||
		t.marks[from]&t.marks[end-1]&markGreet != 0 {
		return
	}
	if p.greets { // noted before what is shorter and ends with it: "sender"
		for i := from; i < end; i++ {
			t.marks[i] |= markGreet
		}
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
	if p.provider >= 0 && (t.from < 0 || s.last > t.seen[t.fromWords].last ||
		s.last == t.seen[t.fromWords].last && id < t.fromWords) {
		t.from, t.fromWords = p.provider, id
	}
	if p.wrapper >= 0 && isReply {
		t.unwrap(&q.e.set.Wrappers[p.wrapper], from, end)
	}
}

// codes settles which codes the reply is judged by. The remote server's own
// reply is the better witness; X.0.0 never beats a code that says something.
func (q *inquest) codes(inner, whole reply.Reply) {
	ev := q.ev
	q.code = inner.Code
	reported := ev.Status
	if reported == whole.Status && inner.Status != whole.Status {
		reported = reply.Status{} // the wrapper's
	}
	if q.code == 0 {
		q.code = ev.SMTPCode
	}
	if norm := q.reply.norm; q.code == 0 && len(norm) == len(" 550 ") {
		q.code = rules.AnyCode(string(norm[1:4])) // the published table holds some that no server should send
	}
	q.status = inner.Status
	switch {
	case !q.status.Generic() || reported.Class == 0:
	case !reported.Generic():
		q.status = reported
	case q.status.Class == 0 && inner.Code == 0:
		// Beside a code of the server's own, the reporting MTA writes X.0.0 if
		// the server gave no enhanced code.
		q.status = reported
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
