package reply

import (
	"strings"

	"github.com/bounce-milter/bounce-milter/internal/ascii"
)

// ParseCode reads a reply code and nothing else: 4yz, 5yz, and the 2yz that servers send
// (RFC 5321 section 4.2.3). It returns 0 for anything else.
func ParseCode[T ~string | ~[]byte](s T) int {
	if len(s) != 3 || !isCode(s) {
		return 0
	}
	return number(s)
}

// LeadingCode returns the reply code that s begins with, 0 if there is none. Beside the
// codes of [ParseCode] it accepts 334 and 354, which appear in SMTP dialogues.
//
// The same characters end a code wherever it stands. A hyphen does, except before digits
// alone, as in "550-599" or "550-1234567": that is more likely a range or a part of a
// number than the first line of a reply whose text is a number.
func LeadingCode[T ~string | ~[]byte](s T) int {
	if len(s) < 3 || !isCode(s) && !isPrompt(s) || !endsCode(s, 3) {
		return 0
	}
	return number(s)
}

// number reads the three digits that s begins with.
func number[T ~string | ~[]byte](s T) int {
	return int(s[0]-'0')*100 + int(s[1]-'0')*10 + int(s[2]-'0')
}

// areDigits reports whether s begins with three digits.
func areDigits[T ~string | ~[]byte](s T) bool {
	return ascii.IsDigit(s[0]) && ascii.IsDigit(s[1]) && ascii.IsDigit(s[2])
}

// isCode reports whether the first three octets of s may be a reply code for success,
// transient failure or permanent failure (RFC 5321 section 4.2.1).
func isCode[T ~string | ~[]byte](s T) bool {
	if !areDigits(s) {
		return false
	}
	switch s[0] {
	case '4', '5':
		return true
	case '2':
		switch number(s) {
		case 211, 214, 220, 221, 235, 250, 251, 252, 253:
			return true
		}
	}
	return false
}

// isPrompt reports whether s begins with a code that asks the client for more: 334 or 354.
func isPrompt[T ~string | ~[]byte](s T) bool {
	return areDigits(s) && (number(s) == 334 || number(s) == 354)
}

// endsCode reports whether a reply code may end before s[i].
func endsCode[T ~string | ~[]byte](s T, i int) bool {
	if i >= len(s) {
		return true
	}
	if s[i] == '-' { // a line of a multiline reply, or a range, or part of a telephone number
		n := i + 1 // "550-5.7.1 …" and "521-192.0.2.7 …" are replies
		for n < len(s) && n < i+4 && ascii.IsDigit(s[n]) {
			n++
		}
		return n == i+1 || n < len(s) && s[n] == '.'
	}
	return strings.IndexByte(" \t\r\n,;:.\"')]}>#(<[_*!|", s[i]) >= 0
}

// codePlace reports whether the reply code n may stand at s[at] (ok), and whether that
// place alone makes it a code (strong). A weak place needs an enhanced code after it.
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
		case c == ':' && (n == 587 || n == 465): // the port of a submission server
			return false, false
		case strings.IndexByte("#([{:;=\"'<>|\n\r,", c) >= 0:
			return c != ',', true
		}
		// Some languages have no spaces: "邮件投递失败550 Mail content denied".
		return at+4 < len(s) && s[at+3] == ' ' && ascii.IsAlpha(s[at+4]), c >= 0x80
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
		// QUIRK: "MAIL+RCPT 550 No such user": chasquid names the command that was refused.
		return i < maxCommands && at+4 < len(s) && s[at+3] == ' ' && !ascii.IsDigit(s[at+4]), true
	}
	return false, true
}

// maxCommands is how many octets at the beginning may hold SMTP commands; after them,
// "mail" or "data" is an ordinary word.
const maxCommands = 24
