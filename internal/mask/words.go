package mask

import (
	"strings"

	"github.com/bounce-milter/bounce-milter/internal/ascii"
	"golang.org/x/net/publicsuffix"
)

// isDelimiter reports whether an octet ends a word.
func isDelimiter(c byte) bool {
	return c <= ' ' || c == 0x7f || strings.IndexByte("<>()[]{}\"'`,;|", c) >= 0
}

// atSigns are the forms of an "@": plain, in a URL, in a URL within another URL, in HTML, as the
// beginning of \x{40} (RFC 6533 section 3), and the wide and small ones of East Asian keyboards.
var atSigns = [...]string{"@", "%40", "%2540", "&#64", "&#064", "&#x40", "&#x040", "&commat", `\x`, "\uFF20", "\uFE6B"}

// atSign returns where in w the first "@" stands in any of its forms, -1 if nowhere.
func atSign(w string) int {
	first := -1
	for _, form := range atSigns {
		if i := strings.Index(w, form); i >= 0 && (first < 0 || i < first) {
			first = i
		}
	}
	return first
}

// isHost reports whether a word is a host name or a domain: labels of which the last is a
// top-level domain. "The mailbox is full.It will …" has none: a capital letter after the dot
// begins a sentence.
func isHost(w string) bool {
	if len(w) > 255 || strings.IndexByte(w, '.') <= 0 {
		return false
	}
	labels := strings.Split(w, ".")
	for _, l := range labels {
		if l == "" {
			return false
		}
		for i := range len(l) {
			if c := l[i]; !ascii.IsAlnum(c) && c != '-' && c != '_' && c < 0x80 {
				return false
			}
		}
	}
	last := labels[len(labels)-1]
	before := labels[len(labels)-2]
	if len(labels) == 2 && isUpper(last[0]) && !isUpper(before[len(before)-1]) && len(last) < 4 {
		return false
	}
	return isTLD(lower(last))
}

// isTLD reports whether a label is a top-level domain, or one of those that are set aside for
// examples and for use at home (RFC 2606, 6761, 6762, 8375).
func isTLD(label string) bool {
	switch label {
	case "example", "test", "invalid", "localhost", "local", "localdomain", "internal", "intranet",
		"lan", "corp", "home", "arpa", "onion", "alt", "private":
		return true
	}
	if len(label) < 2 || len(label) > 63 || ascii.IsDigit(label[0]) {
		return false
	}
	_, icann := publicsuffix.PublicSuffix(label)
	return icann
}

// isPath reports whether a word is a URL without its scheme: a host name and a path.
func isPath(w string) bool {
	host, _, ok := strings.Cut(w, "/")
	if !ok {
		return false
	}
	host, _, _ = strings.Cut(host, ":")
	return isHost(host) || isIP(host)
}

// person are the keys whose values name somebody, as in "cn=jo" of X.500 and "s=jo" of
// X.400.
var person = map[string]bool{
	"cn": true, "uid": true, "s": true, "g": true, "i": true, "user": true, "username": true, "login": true, "account": true,
	"mailbox": true, "recipient": true, "rcpt": true, "sender": true, "to": true, "from": true, "name": true,
}

func isSeparator(r rune) bool { return r == '.' || r == '_' || r == '-' }

// isBangPath reports whether a word is an address of UUCP, "host!jo".
func isBangPath(w string) bool {
	i := strings.IndexByte(w, '!')
	return i > 0 && i < len(w)-1 && isLetter(w[i-1]) && isLetter(w[i+1])
}

// isXtext reports whether a word is an address with an at sign as in xtext (RFC 3461
// section 4) or UTF-7.
func isXtext(w string) bool {
	for _, at := range []string{"+40", "+AEA-"} {
		if i := strings.Index(w, at); i > 0 && isHost(w[i+len(at):]) {
			return true
		}
	}
	return false
}

// isAccount reports whether a word is a user with a domain of Windows, `CORP\jo`, or the
// path of a file, which often names one.
func isAccount(w string) bool {
	if w[0] == '/' {
		return strings.IndexByte(w[1:], '/') > 0
	}
	i := strings.IndexByte(w, '\\')
	if i <= 0 || i == len(w)-1 || !isLetter(w[i+1]) {
		return false
	}
	// "said\nthis" is the end of a line.
	return w[i-1] == ':' || isLetter(w[i-1]) && (w[:i] == strings.ToUpper(w[:i]) || strings.IndexByte("nrt", w[i+1]) < 0)
}

// isVERP reports whether a word is an address within another one, as in
// "bounces+carla=example.com".
func isVERP(w string) bool {
	i := strings.LastIndexByte(w, '=')
	return i > 0 && isHost(w[i+1:])
}

// isNumber reports whether a word has nothing but digits and what stands between them.
func isNumber(w string) bool {
	digits := false
	for i := range len(w) {
		switch c := w[i]; {
		case ascii.IsDigit(c):
			digits = true
		case c != '.' && c != '-' && c != '+':
			return false
		}
	}
	return digits
}

// technical are words of letters and digits that name no person and no message.
var technical = map[string]bool{
	"ipv4": true, "ipv6": true, "smtputf8": true, "8bitmime": true, "7bit": true, "8bit": true, "utf8": true, "utf-8": true,
	"base64": true, "md5": true, "sha1": true, "sha256": true, "x509": true, "rfc822": true, "rfc2822": true,
	"rfc5321": true, "rfc5322": true, "rfc821": true, "tls1": true, "tlsv1": true, "sslv3": true, "office365": true,
	"o365": true, "mx1": true, "mx2": true, "win32": true, "http2": true, "1st": true, "2nd": true, "3rd": true, "postgrey1": true,
}

// isID reports whether a word looks as if a machine made it: letters and digits mixed, or a
// long word with capitals in the middle. Short ones in capitals, such as "S3140", are a
// provider's codes and stay.
func isID(w string) bool {
	digits, small, capitals, turns := 0, 0, 0, 0
	for i := range len(w) {
		switch c := w[i]; {
		case ascii.IsDigit(c):
			digits++
		case isUpper(c):
			capitals++
			if i > 0 && w[i-1] >= 'a' && w[i-1] <= 'z' {
				turns++
			}
		case ascii.IsAlpha(c):
			small++
		case c >= 0x80:
			return digits > 0 && len(w) > 4
		}
	}
	switch {
	case digits > 0 && small+capitals > 0:
		if technical[lower(w)] || isMeasure(w) {
			return false
		}
		return small > 0 && len(w) >= 4 || len(w) >= 7
	case digits == 0:
		return turns > 1 && len(w) >= 12 || len(w) >= 40
	}
	return false
}

// isMeasure reports whether a word is a number with its unit or ending: "10MB", "4th".
func isMeasure(w string) bool {
	i := 0
	for i < len(w) && ascii.IsDigit(w[i]) {
		i++
	}
	switch lower(w[i:]) {
	case "kb", "mb", "gb", "kib", "mib", "gib", "k", "m", "g", "s", "ms", "h", "d", "sec", "secs", "min", "mins",
		"hours", "days", "bytes", "st", "nd", "rd", "th", "bit":
		return i > 0
	}
	return false
}

func isUpper(c byte) bool { return c >= 'A' && c <= 'Z' }

// isLetter reports whether an octet makes a word longer.
func isLetter(c byte) bool { return ascii.IsAlnum(c) || c >= 0x80 }

// lower returns s with ASCII letters in lower case. Offsets stay the same.
func lower(s string) string {
	for i := range len(s) {
		if isUpper(s[i]) {
			b := []byte(s)
			for ; i < len(b); i++ {
				if isUpper(b[i]) {
					b[i] |= 0x20
				}
			}
			return string(b)
		}
	}
	return s
}
