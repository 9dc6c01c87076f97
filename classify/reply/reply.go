// Package reply reads what SMTP servers say: one reply in any shape in which it
// comes down to a reader, its codes, and the plain form of its words.
//
// A reply (RFC 5321 section 4.2) has a code of three digits, often an enhanced
// status code behind it (RFC 2034, with the codes of RFC 3463 that RFC 5248
// registers), and words. Servers, logs and notices wrap it in words of their own,
// join its lines and repeat its codes; [Parse] finds the codes all the same and
// gives the words on one line. What a reply means is the business of package
// classify.
//
// Every octet may have been written by a stranger: nothing here panics or costs
// more than linear time.
package reply

import (
	"strings"

	"github.com/bounce-milter/bounce-milter/internal/ascii"
)

// Reply is one reply, read.
type Reply struct {
	Code   int    // three-digit code (RFC 5321 section 4.2), 0 where none was found
	Status Status // most specific enhanced code (RFC 3463), zero where none was found
	Text   string // the reply on one line, without the codes that repeat on every line of it
}

// Parse reads a reply in any shape that servers, logs and notices give
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
// dotted numbers, of versions. Codes in
// typography count as plain ones (see [Plain]): "５５０", "550 5.1.1". Parse
// allocates only when Text differs from s, or its plain form does.
func Parse(s string) Reply {
	sc := scan{s: s, multi: -1}
	sc.run()
	r := Reply{Code: sc.code(), Status: sc.status, Text: sc.text()}
	if sc.wide {
		// The codes are those of the plain form; people see the words as they came.
		if p := plain(s); p != s {
			sc = scan{s: p, multi: -1}
			sc.run()
			r.Code, r.Status = sc.code(), sc.status
		}
	}
	return r
}

// text folds white space and takes the repeated codes of a reply of many
// lines out.
func (sc *scan) text() string {
	s := strings.TrimFunc(sc.s, ascii.IsBlank)
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
		status = statusAt(strings.TrimLeft(sc.s[from+4:], " "))
	} else if len(s) > 4 && isCode(s) && s[3] == ' ' {
		from, code, status = 0, s[:3], statusAt(strings.TrimLeft(s[4:], " "))
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
		if c := sc.s[i]; ascii.IsBlank(rune(c)) {
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
	for i < len(s) && octets[s[i]] != blank {
		i++
	}
	return s[:i]
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
