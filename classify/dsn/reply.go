package dsn

import "strings"

// Reply is what a server's bare reply says in numbers.
type Reply struct {
	Code   int    // three-digit code (RFC 5321 section 4.2), 0 where none was found
	Status string // most specific enhanced code (RFC 3463), "" where none was found
	Text   string // the reply on one line, without the codes that repeat on every line of it
}

// ParseReply reads a reply in any shape that servers, logs and notices give
// it: "550 5.1.1 …", "550-5.7.26 … 550 5.7.26 …" (RFC 5321 section 4.2.1, on
// as many lines as you like or on one), "smtp; 550 …", "host x said: 550 …",
// "sorry, no mailbox here (#5.1.1)", "error 540-'…". Where a reply lies within
// another, the pair with the most specific enhanced code is taken.
//
// QUIRK: Google repeats the codes on every line of a reply, and Postfix joins
// the lines; qmail and IronPort put "#" before the code; Barracuda puts a word
// between the two. Exchange Online (5.0.350), Amazon SES and IronPort (5.1.0)
// wrap the remote server's reply into one of their own.
//
// Digits that only look like codes make none: parts of addresses, of longer
// dotted numbers, of versions. ParseReply allocates only when Text differs
// from s.
func ParseReply(s string) Reply {
	sc := replyScan{s: s, multi: -1}
	sc.run()
	r := Reply{Code: sc.first, Status: sc.status}
	if sc.paired != 0 {
		r.Code = sc.paired
	}
	r.Text = sc.text()
	return r
}

// replyScan is one pass over a reply.
type replyScan struct {
	s string

	first  int // first code seen; one that refuses is preferred
	paired int // code that the chosen status stands beside, 0 where it stands alone
	status string
	rank   int // of status

	prev     int // the number just before the present one, 0 if it was no code
	prevEnd  int // where that number ends
	prevWeak bool

	multi int  // where the first line of a reply of many lines begins, -1 if none does
	blank bool // control characters, or two spaces in a row: text has to be folded
}

// Kinds of octets in a reply, 0 for most.
const (
	replyDigit = 1 + iota
	replyBlank
)

var replyOctets = func() (t [256]uint8) {
	for c := range t {
		if isDigit(byte(c)) {
			t[c] = replyDigit
		} else if isBlank(rune(c)) {
			t[c] = replyBlank
		}
	}
	return t
}()

// run visits every number of the text.
func (sc *replyScan) run() {
	s := sc.s
	for i := 0; i < len(s); {
		switch replyOctets[s[i]] {
		case 0:
			i++
			continue
		case replyBlank:
			if s[i] != ' ' || i+1 < len(s) && s[i+1] == ' ' {
				sc.blank = true
			}
			i++
			continue
		}
		end := i + 1
		for end < len(s) && (isDigit(s[end]) || s[end] == '.') {
			end++
		}
		tok := s[i:end]
		for tok[len(tok)-1] == '.' { // the end of a sentence
			tok = tok[:len(tok)-1]
		}
		switch after := i + len(tok); {
		case isCode(tok) && endsCode(s, after):
			sc.code(tok, i, after)
		case isEnhanced(tok) && endsEnhanced(s, after):
			sc.enhanced(tok, i)
		}
		i = end
	}
}

// code weighs a number that has the form of a reply code.
func (sc *replyScan) code(tok string, at, after int) {
	n := int(tok[0]-'0')*100 + int(tok[1]-'0')*10 + int(tok[2]-'0')
	strong, ok := codePlace(sc.s, at, n)
	if !ok {
		return
	}
	sc.prev, sc.prevEnd, sc.prevWeak = n, after, !strong
	if strong {
		sc.accept(n, at, after)
	}
}

func (sc *replyScan) accept(n, at, after int) {
	if sc.first == 0 || sc.first < 400 && n >= 400 {
		sc.first = n
	}
	if sc.multi < 0 && after < len(sc.s) && sc.s[after] == '-' {
		sc.multi = at
	}
}

// enhanced weighs a number that has the form of an enhanced status code.
func (sc *replyScan) enhanced(tok string, at int) {
	beside := sc.prev != 0 && onlyGlue(sc.s[sc.prevEnd:at])
	if beside && sc.prevWeak {
		// Words, then a code, then an enhanced code: the pair makes the code good.
		if tok[0] != '2' && sc.prev >= 400 {
			sc.accept(sc.prev, sc.prevEnd-3, sc.prevEnd)
		} else {
			beside = false
		}
	}
	sc.prevWeak = false
	if !beside && !sc.standsAlone(tok, at) {
		sc.prev = 0
		return
	}
	pair := 0
	if beside {
		pair = sc.prev
	}
	sc.prev = 0
	rank := statusRank(tok)
	if rank <= sc.rank {
		return
	}
	sc.status, sc.rank = tok, rank
	if sc.first < 400 || pair >= 400 && rank > rankGeneric {
		sc.paired = pair
	}
}

// standsAlone reports whether an enhanced code may stand at a place where no
// reply code goes before it.
func (sc *replyScan) standsAlone(tok string, at int) bool {
	subject := tok[2 : 2+strings.IndexByte(tok[2:], '.')]
	if len(subject) != 1 || subject > "7" { // RFC 3463 section 3 ends there
		return false
	}
	i := at
	for i > 0 && (sc.s[i-1] == ' ' || sc.s[i-1] == '\t') {
		i--
	}
	if i == 0 {
		return true
	}
	switch c := sc.s[i-1]; {
	case strings.IndexByte("#([{:;=\"'<>|\n\r,", c) >= 0:
		return tok[0] != '2' || i == at || sc.first == 0
	case i == at: // glued to something else
		return false
	case tok[0] == '2':
		return false
	case sc.first != 0 && sc.first/100 != int(tok[0]-'0'):
		return false
	}
	// A version of some software ("version 5.1.1", "v 4.7.0").
	switch strings.ToLower(lastWord(sc.s[:i])) {
	case "version", "ver", "v", "release", "build", "section", "rfc":
		return false
	}
	return true
}

// rankGeneric is the rank of X.0.0, rankDetail that of a code which tells a detail.
const (
	rankGeneric = 2
	rankDetail  = 5
)

// statusRank says how much an enhanced code tells: a detail of a subject more
// than a subject, a subject more than "other" (RFC 3463 section 3.1), success
// nothing.
func statusRank(code string) int {
	if code == "" {
		return 0
	}
	dot := strings.IndexByte(code[2:], '.') + 2
	subject, detail := code[2:dot], code[dot+1:]
	switch {
	case code[0] == '2':
		return 1
	case subject == "0" && detail == "0":
		return rankGeneric
	case subject == "0":
		return 3
	case detail == "0":
		return 4
	}
	return rankDetail
}

// isCode reports whether three digits may be a reply code: of success, of
// transient or of permanent failure (RFC 5321 section 4.2.1).
func isCode(t string) bool {
	if len(t) != 3 || !isDigit(t[1]) || !isDigit(t[2]) {
		return false
	}
	switch t[0] {
	case '4', '5':
		return true
	case '2':
		switch t {
		case "211", "214", "220", "221", "235", "250", "251", "252", "253":
			return true
		}
	}
	return false
}

// isEnhanced reports whether t is class "." subject "." detail of RFC 3463
// section 2 without needless zeros.
func isEnhanced(t string) bool {
	if len(t) < 5 || len(t) > 9 || t[1] != '.' || t[0] != '2' && t[0] != '4' && t[0] != '5' {
		return false
	}
	n, dots := 0, 0
	for i := 2; i < len(t); i++ {
		if t[i] != '.' {
			if n == 1 && t[i-1] == '0' || n == 3 {
				return false
			}
			n++
			continue
		}
		if n == 0 {
			return false
		}
		n = 0
		dots++
	}
	return dots == 1 && n > 0
}

// endsCode reports whether a reply code may end before s[i].
func endsCode(s string, i int) bool {
	if i >= len(s) {
		return true
	}
	if s[i] == '-' { // a line of many, not a range or a part of a telephone number
		n := i + 1 // "550-5.7.1 …", "521-192.0.2.7 …"
		for n < len(s) && n < i+4 && isDigit(s[n]) {
			n++
		}
		return n == i+1 || n < len(s) && s[n] == '.'
	}
	return strings.IndexByte(" \t\r\n,;:.\"')]}>#(<_*!|", s[i]) >= 0
}

// endsEnhanced reports whether an enhanced code may end before s[i].
func endsEnhanced(s string, i int) bool {
	if i >= len(s) {
		return true
	}
	switch c := s[i]; {
	case c == '.':
		return i+1 >= len(s) || s[i+1] == ' ' || s[i+1] == '.' || s[i+1] == '\n' || s[i+1] == '\r'
	case c == '-': // "5.7.1-…" but no range
		return i+1 >= len(s) || !isDigit(s[i+1])
	case c >= 0x80:
		return true
	}
	return !isAlnum(s[i]) && s[i] != '@' && s[i] != '/' && s[i] != '_'
}

// codePlace reports whether a reply code may stand at s[at], and whether that
// place alone makes it one. A weak place needs an enhanced code to follow.
func codePlace(s string, at, n int) (strong, ok bool) {
	i := at
	for i > 0 && (s[i-1] == ' ' || s[i-1] == '\t') {
		i--
	}
	if i == 0 {
		return true, true
	}
	c := s[i-1]
	if i == at {
		switch {
		case c == ':' && (n == 587 || n == 465): // a port
			return false, false
		case strings.IndexByte("#([{:;=\"'<>|\n\r,", c) >= 0:
			return c != ',', true
		}
		// Scripts without spaces: "邮件投递失败550 Mail content denied".
		return at+4 < len(s) && s[at+3] == ' ' && isAlpha(s[at+4]), c >= 0x80
	}
	if strings.IndexByte("([{:;=\"'<>|\n\r", c) >= 0 {
		return true, true
	}
	if end := at + 3; end+1 < len(s) {
		// "problem 554-'…'"; "refused - 550 No such user"
		if s[end] == '-' && (s[end+1] == '\'' || s[end+1] == '"') {
			return true, true
		}
		if c == '-' && s[end] == ' ' && ('A' <= s[end+1] && s[end+1] <= 'Z' || s[end+1] == '<') {
			return true, true
		}
	}
	switch strings.ToLower(lastWord(s[:i])) {
	case "error", "code", "reply", "response", "smtp", "status":
		return true, true
	case "mail", "rcpt", "data", "bdat", "helo", "ehlo", "lhlo", "starttls", "quit", "closing", "dialing":
		// QUIRK: "MAIL+RCPT 550 No such user": chasquid says after which command.
		return i < maxCommands && at+4 < len(s) && s[at+3] == ' ' && !isDigit(s[at+4]), true
	}
	return false, true
}

// maxCommands is how far from the beginning the commands that were answered may
// reach; farther on these are words.
const maxCommands = 24

// onlyGlue reports whether nothing but signs stands between a reply code and
// an enhanced code: "550-5.7.1", "550 #5.1.0", `421, "4.7.0"`.
func onlyGlue(s string) bool {
	if len(s) == 0 || len(s) > 6 {
		return false
	}
	for i := 0; i < len(s); i++ {
		if strings.IndexByte(" \t-,\"'#([<:_", s[i]) < 0 {
			return false
		}
	}
	return true
}

// lastWord returns the letters that s ends with.
func lastWord(s string) string {
	i := len(s)
	for i > 0 && isAlpha(s[i-1]) && len(s)-i < 16 {
		i--
	}
	return s[i:]
}

// text folds white space and takes the repeated codes of a reply of many
// lines out.
func (sc *replyScan) text() string {
	s := strings.TrimFunc(sc.s, isBlank)
	if sc.multi < 0 && (!sc.blank || isOneLine(s)) {
		return s
	}
	// A first line "550-…" lets the codes repeat anywhere after it, "550 …"
	// only where a line begins.
	// QUIRK: some servers write every line of a long reply with a space
	// instead of a hyphen (RFC 5321 section 4.2.1 forbids it); MDaemon and
	// old Lotus Domino do.
	from, code, status := len(sc.s), "", ""
	if sc.multi >= 0 {
		from, code = sc.multi, sc.s[sc.multi:sc.multi+3]
		status = enhancedAt(sc.s[from+4:])
	} else if len(s) > 4 && isCode(s[:3]) && s[3] == ' ' {
		from, code, status = 0, s[:3], enhancedAt(s[4:])
		if sc.s[0] != s[0] {
			from = strings.Index(sc.s, s)
		}
	}
	var room [512]byte // most replies fit, and cost one allocation then
	b := room[:0]
	if len(s) > len(room) {
		b = make([]byte, 0, len(s))
	}
	newline := false
	for i := 0; i < len(sc.s); {
		if c := sc.s[i]; isBlank(rune(c)) {
			newline = newline || c == '\n' || c == '\r'
			i++
			continue
		}
		word := wordAt(sc.s[i:])
		next := i + len(word)
		if i > from && len(word) >= 3 && word[0] == code[0] && strings.HasPrefix(word, code) {
			switch {
			case len(word) == 3 && (sc.multi >= 0 || newline):
				word = ""
				if sc.multi >= 0 && !newline { // the last line
					from = len(sc.s)
				}
			case len(word) > 3 && word[3] == '-' && sc.multi >= 0:
				word = word[4:]
			}
			if len(word) < next-i { // a code was taken out, the enhanced code goes with it
				rest := sc.s[next-len(word):]
				if n := len(rest) - len(strings.TrimLeft(rest, " \t")); status != "" && wordAt(rest[n:]) == status {
					word, next = "", next-len(word)+n+len(status)
				}
			}
		}
		newline = false
		if len(b) > 0 && word != "" {
			b = append(b, ' ')
		}
		b = append(b, word...)
		i = next
	}
	return string(b)
}

// wordAt returns what s begins with, up to white space.
func wordAt(s string) string {
	i := 0
	for i < len(s) && replyOctets[s[i]] != replyBlank {
		i++
	}
	return s[:i]
}

// isBlank reports whether r is white space or a control character of ASCII.
func isBlank(r rune) bool { return r <= ' ' || r == 0x7f }

// enhancedAt returns the enhanced code that s begins with, "" if it does not.
func enhancedAt(s string) string {
	s = strings.TrimLeft(s, " ")
	end := 0
	for end < len(s) && (isDigit(s[end]) || s[end] == '.') {
		end++
	}
	if isEnhanced(s[:end]) {
		return s[:end]
	}
	return ""
}

// isOneLine reports whether s needs no folding: no control characters, no two
// spaces in a row.
func isOneLine(s string) bool {
	for i := 0; i < len(s); i++ {
		if s[i] < ' ' || s[i] == 0x7f || s[i] == ' ' && i+1 < len(s) && s[i+1] == ' ' {
			return false
		}
	}
	return true
}

func isDigit(c byte) bool { return '0' <= c && c <= '9' }
func isAlpha(c byte) bool { return 'a' <= c|0x20 && c|0x20 <= 'z' }
func isAlnum(c byte) bool { return isDigit(c) || isAlpha(c) }
