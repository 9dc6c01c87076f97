// Package reply reads the replies of SMTP servers: the codes of a reply in whatever
// form it reaches a reader, and the plain form of its words.
//
// A reply (RFC 5321 section 4.2) has a code of three digits, often an enhanced status
// code after it (RFC 2034; the codes are those of RFC 3463, registered by RFC 5248), and
// words. Servers, logs and notices wrap it in words of their own, join its lines and
// repeat its codes. [Parse] finds the codes all the same, and returns the words on one
// line. What a reply means is the business of package classify.
//
// Every octet may have been written by a stranger: nothing here panics or costs more
// than linear time.
package reply

import (
	"strings"

	"github.com/bounce-milter/bounce-milter/internal/ascii"
)

// Reply is a parsed reply.
type Reply struct {
	Code   int    // three-digit code (RFC 5321 section 4.2), 0 if none was found
	Status Status // most specific enhanced code (RFC 3463), zero if none was found
	Text   string // the reply on one line, without codes repeated on each of its lines
}

// Parse reads a reply in any form that servers, logs and notices give it:
// "550 5.1.1 …", "550-5.7.26 … 550 5.7.26 …" (RFC 5321 section 4.2.1, on several lines
// or joined into one), "smtp; 550 …", "host x said: 550 …",
// "sorry, no mailbox here (#5.1.1)", "error 540-'…". If a reply contains another one,
// Parse takes the pair of codes with the most specific enhanced code.
//
// QUIRK: Google repeats the codes on every line of a reply, and Postfix joins the lines;
// qmail and IronPort put "#" before the enhanced code; Barracuda puts a word between the
// two codes. Exchange Online (5.0.350), Amazon SES and IronPort (5.1.0) wrap the remote
// server's reply into one of their own.
//
// Digits in addresses, in longer dotted numbers and in versions are not codes.
// Full-width digits and typographic spaces count as plain ones: "５５０",
// "550 5.1.1". Parse allocates only if Text or the plain form differs from s.
func Parse(s string) Reply {
	sc := scan{s: s, multi: -1}
	sc.run()
	r := Reply{Code: sc.code(), Status: sc.status, Text: sc.text()}
	if sc.wide {
		// Take the codes from the plain form, but keep the words as they came, for people.
		if p := plain(s); p != s {
			sc = scan{s: p, multi: -1}
			sc.run()
			r.Code, r.Status = sc.code(), sc.status
		}
	}
	return r
}

// text folds white space and removes the repeated codes of a multiline reply.
func (sc *scan) text() string {
	s := strings.TrimFunc(sc.s, ascii.IsBlank)
	if sc.multi < 0 && (!sc.blank || isOneLine(s)) {
		return s
	}
	// After a first line "550-…" the codes may repeat anywhere; after "550 …"
	// only at the beginning of a line.
	// QUIRK: MDaemon and old Lotus Domino write every line of a long reply with
	// a space instead of a hyphen, which RFC 5321 section 4.2.1 forbids.
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
	var room [512]byte // most replies fit, and then cost only one allocation
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
			if len(word) < next-i { // a code was removed: remove its enhanced code as well
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

// wordAt returns the beginning of s up to white space.
func wordAt(s string) string {
	i := 0
	for i < len(s) && octets[s[i]] != blank {
		i++
	}
	return s[:i]
}

// isOneLine reports whether s has no control characters and no two spaces in a row, and so
// needs no folding.
func isOneLine(s string) bool {
	for i := 0; i < len(s); i++ {
		if s[i] < ' ' || s[i] == 0x7f || s[i] == ' ' && i+1 < len(s) && s[i+1] == ' ' {
			return false
		}
	}
	return true
}
