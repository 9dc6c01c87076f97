package maillog

import (
	"bytes"

	"github.com/bounce-milter/bounce-milter/internal/ascii"
)

// isCandidate reports whether a line may be about a delivery. It is fast, and lets few other
// lines through. Nearly every line of a log has a tag with a process id, and the octets
// behind the tag decide.
func isCandidate(line []byte) bool {
	if len(line) < 20 {
		return false
	}
	if ascii.IsDigit(line[0]) && line[4] == '-' && line[10] == ' ' { // perhaps Exim's own log
		if n := eximID(line[20:]); n > 0 {
			return isEximFlag(line[20+n+1:])
		}
	}
	if i := bytes.IndexByte(line, ']'); i > 0 && i+2 < len(line) && line[i+1] == ':' && line[i+2] == ' ' && line[0] != '{' {
		from := i
		for from > 0 && ascii.IsDigit(line[from-1]) {
			from--
		}
		if from < i && from > 0 && line[from-1] == '[' {
			return isCandidateMessage(line[i+3:])
		}
	}
	return mayTell(line) || line[0] == '{' && hasListed(line)
}

// hasListed reports whether an entry of the journal has its message as a list of numbers,
// as it does if the message is not UTF-8.
func hasListed(line []byte) bool {
	_, after, found := bytes.Cut(line, []byte(`"MESSAGE"`))
	return found && bytes.HasPrefix(bytes.TrimLeft(after, " :"), []byte("["))
}

// isCandidateMessage looks at the beginning of a message: a queue id and a field, or what
// Exim writes.
func isCandidateMessage(m []byte) bool {
	n := 0
	for n < len(m) && n < 32 && (ascii.IsAlnum(m[n]) || m[n] == '-' || m[n] == '_') {
		n++
	}
	switch {
	case n+3 >= len(m):
		return false
	case n >= 5 && m[n] == ':' && m[n+1] == ' ':
		switch rest := m[n+2:]; rest[0] {
		case 't':
			return bytes.HasPrefix(rest, []byte("to="))
		case 'f':
			return bytes.HasPrefix(rest, []byte("from=<")) && bytes.HasSuffix(bytes.TrimRight(rest, "\r\n"), []byte("returned to sender"))
		case 'r':
			return bytes.HasPrefix(rest, []byte("reject: ")) || bytes.HasPrefix(rest, []byte("ruleset="))
		case 'm':
			return bytes.HasPrefix(rest, []byte("milter-reject: "))
		default:
			return bytes.Contains(rest[:min(len(rest), 64)], []byte(gaveUpWords))
		}
	case n == 0:
		return m[0] == '[' // a piece of a line, or what Solaris writes there
	case m[n] == ' ' && eximID(m) == n:
		return isEximFlag(m[n+1:])
	case m[n] == '=': // H=
		return bytes.Contains(m, []byte(" rejected "))
	case m[n] == ' ' && ascii.IsDigit(m[0]) && n == 10: // Exim's own time stamp
		return mayTell(m)
	}
	return false
}

// isEximFlag reports whether what follows an id of Exim's is about a delivery or a
// refusal.
func isEximFlag(rest []byte) bool {
	if len(rest) < 2 {
		return false
	}
	switch rest[0] {
	case '*', '=', '-', '>':
		return true
	case 'C':
		return bytes.HasPrefix(rest, []byte("Completed"))
	case 'H':
		return bytes.Contains(rest, []byte(" rejected "))
	}
	return false
}

// words are such that every line about a delivery has one of them; those of Exim include the
// spaces around them.
var words = [...][]byte{[]byte("status="), []byte("stat="), []byte("reject"), []byte("=> "), []byte("** "), []byte("== "), []byte("-> "),
	[]byte(">> "), []byte("Completed"), []byte("]: ["), []byte(gaveUpWords)}

// mayTell reports whether a line has one of the words, wherever it stands.
func mayTell(line []byte) bool {
	for _, w := range words {
		if bytes.Contains(line, w) {
			return true
		}
	}
	return false
}
