package maillog

import (
	"strings"
	"time"

	"github.com/bounce-milter/bounce-milter/classify/reply"
	"github.com/bounce-milter/bounce-milter/internal/ascii"
)

// eximID returns the length of the message id that s begins with, 0 if there is none:
// "1tG9oF-0000Yh-2X", and since 4.97 "1tG9oF-00000000Yh1-2X1A".
func eximID[T ~string | ~[]byte](s T) int {
	for _, parts := range [...][3]int{{6, 11, 4}, {6, 6, 2}} {
		n := parts[0] + parts[1] + parts[2] + 2
		if len(s) <= n || s[n] != ' ' || s[parts[0]] != '-' || s[parts[0]+1+parts[1]] != '-' {
			continue
		}
		good := true
		for i := range n {
			good = good && (ascii.IsAlnum(s[i]) || i == parts[0] || i == parts[0]+1+parts[1])
		}
		if good {
			return n
		}
	}
	return 0
}

// startsExim reports whether a message begins as those of Exim do.
func startsExim(s string) bool {
	s = skipPID(s)
	return eximID(s) > 0 || strings.HasPrefix(s, "H=")
}

// skipPID skips the process id that Exim writes with the log selector +pid: "[123] ".
func skipPID(s string) string {
	if strings.HasPrefix(s, "[") {
		if n := digits(s[1:]); n > 0 && strings.HasPrefix(s[1+n:], "] ") {
			return s[n+3:]
		}
	}
	return s
}

// appendExim reads a line of Exim's main log:
//
//	1tG9oF-0000Yh-2X ** u@x <v@y> R=dnslookup T=remote_smtp H=mx.x [192.0.2.1]: SMTP error from remote mail server after RCPT TO:<u@x>: 550 5.1.1 words
//	1tG9oF-0000Yh-2X == u@x R=dnslookup T=remote_smtp defer (111): Connection refused
//	1tG9oF-0000Yh-2X => u@x R=dnslookup T=remote_smtp H=mx.x [192.0.2.1] C="250 OK"
//	1tG9oF-0000Yh-2X Completed
//	H=c.example [192.0.2.7] F=<s@z> rejected RCPT <u@x>: words
func appendExim(dst []Entry, l *logLine) []Entry {
	s := l.message
	if st, rest := cutStamp(s); st.kind != noStamp { // in syslog, a stamp of its own
		s = rest
		if !l.stamp.dated() {
			l.stamp = st
		}
	}
	s = skipPID(s)
	e := Entry{Format: Exim}
	n := eximID(s)
	if n > 0 {
		e.QueueID, s = s[:n], s[n+1:]
	}
	flag, rest, _ := strings.Cut(s, " ")
	switch {
	case n == 0 || flag == "H=" || strings.HasPrefix(flag, "H="):
		if !e.readEximRefusal(s) {
			return dst
		}
	case flag == "Completed":
		e.Result = Done
	case flag == "**":
		e.Result = Bounced
	case flag == "==":
		e.Result = Deferred
	case flag == "=>", flag == "->", flag == ">>":
		e.Result = Sent
	default:
		return dst
	}
	if e.Result != Refused && e.Result != Done && !e.readDelivery(rest) {
		return dst
	}
	return append(dst, e)
}

// readDelivery reads what stands behind the flag: the recipient, fields, and after a
// colon why the attempt failed.
func (e *Entry) readDelivery(s string) bool {
	failed := e.Result != Sent
	s, ended := e.readEximRecipient(s)
	if e.Recipient == "" {
		return false
	}
	deferred := false
	for s != "" && !ended {
		var f string
		f, s, ended = cutEximField(s, failed)
		key, v, _ := strings.Cut(f, "=")
		switch key {
		case "H":
			if e.Relay != "" { // in the words of a server, or the name in its certificate
				continue
			}
			e.Relay = strings.Trim(v, "()")
			if strings.HasPrefix(s, "(") { // the name that it gave in its greeting
				_, s, _ = strings.Cut(s, " ")
			}
			if !ended && strings.HasPrefix(s, "[") {
				f, s, ended = cutEximField(s, failed)
				e.RelayAddress, _, _ = strings.Cut(f[1:], "]")
			}
		case "C":
			e.Words = strings.Trim(v, `"`)
		case "QT":
			e.Delay = eximTime(v)
		case "defer":
			deferred = true
		default:
			if deferred && notYet[f] {
				e.Result = Waiting
			}
		}
	}
	if !failed {
		return true
	}
	s = strings.TrimLeft(s, " ")
	for _, field := range [...]string{" DT=", " QT="} { // QUIRK: behind the reason, with the log selector +deliver_time
		if i := strings.LastIndex(s, field); i >= 0 && eximTime(s[i+len(field):]) > 0 {
			s = s[:i]
		}
	}
	e.Words = strings.ReplaceAll(s, `\n`, " ") // a reply of many lines
	e.Reply = eximReply(e.Words)
	if e.Relay == "" {
		e.Relay, e.RelayAddress = eximHost(e.Words)
	}
	e.Status = reply.Parse(e.Reply).Status
	if strings.HasSuffix(e.Words, "retry timeout exceeded") {
		e.Result = Expired
	}
	return true
}

// notYet are the codes with which Exim says that the time of the next attempt has not come:
// to route, to deliver here, to try any host of the domain, to use the transport.
var notYet = map[string]bool{"(-51)": true, "(-52)": true, "(-53)": true, "(-56)": true}

// readEximRecipient reads the recipient: "u@x", "u@x <v@y>", "u <u@x>" (local), "|command
// <u@x>", "u@x:" before the reason.
func (e *Entry) readEximRecipient(s string) (rest string, ended bool) {
	end := strings.IndexByte(s, ' ')
	switch {
	case s == "":
		return "", true
	case s[0] == '"':
		if end = quoteEnd(s); end > 0 {
			end += strings.IndexByte(s[end:]+" ", ' ')
		}
	case s[0] == '|' || s[0] == '/' || s[0] == ':': // a command or a path may have spaces
		if end = strings.Index(s, " <"); end < 0 {
			end = strings.Index(s, " R=")
		}
	}
	if end < 0 || end > len(s) {
		end = len(s)
	}
	e.Recipient, rest = s[:end], strings.TrimPrefix(s[end:], " ")
	if who, ok := strings.CutSuffix(e.Recipient, ":"); ok {
		e.Recipient, ended = who, true
	}
	// The addresses that it came from: in brackets the first, in parentheses between.
	for !ended && (strings.HasPrefix(rest, "<") || strings.HasPrefix(rest, "(")) {
		closing := ">"
		if rest[0] == '(' {
			closing = ")"
		}
		i := strings.Index(rest, closing)
		if rest[0] == '<' {
			i = bracketEnd(rest)
		}
		if i < 0 {
			break
		}
		if rest[0] == '<' {
			e.Original = unquoteLocal(rest[1:i])
		}
		rest = rest[i+1:]
		if after, ok := strings.CutPrefix(rest, ":"); ok {
			rest, ended = after, true
		}
		rest = strings.TrimPrefix(rest, " ")
	}
	e.Recipient = unquoteLocal(e.Recipient)
	if !strings.Contains(e.Recipient, "@") && strings.Contains(e.Original, "@") {
		e.Recipient, e.Original = e.Original, ""
	}
	return rest, ended
}

// quoteEnd returns the index of the quotation mark that ends a quoted-string at the beginning
// of s, -1 if none does.
func quoteEnd(s string) int {
	for i := 1; i < len(s); i++ {
		switch s[i] {
		case '\\':
			i++
		case '"':
			return i
		}
	}
	return -1
}

// cutEximField cuts the next field off. If the line tells a failure, one that ends with a
// colon is the last, and the reason follows.
func cutEximField(s string, failed bool) (f, rest string, ended bool) {
	i := 0
	for i < len(s) && s[i] != ' ' {
		if s[i] == '"' {
			for i++; i < len(s) && s[i] != '"'; i++ {
				if s[i] == '\\' {
					i++
				}
			}
		}
		i++
	}
	i = min(i, len(s))
	f, rest = s[:i], strings.TrimLeft(s[i:], " ")
	if failed && strings.HasSuffix(f, ":") {
		return f[:len(f)-1], rest, true
	}
	return f, rest, false
}

// eximHost finds the server in a reason: "…: host mx.example.com [192.0.2.1]: 451 …".
func eximHost(s string) (host, addr string) {
	_, after, found := strings.Cut(s, ": host ")
	host, after, _ = strings.Cut(after, " [")
	addr, _, closed := strings.Cut(after, "]: ")
	if !found || !closed || strings.ContainsAny(host, " :<>") || strings.ContainsAny(addr, " <>") {
		return "", ""
	}
	return host, addr
}

// maxBrackets is how many addresses are skipped in the words before a reply.
const maxBrackets = 8

// eximReply finds the remote server's answer in a reason: it follows the colon behind the
// command that was refused.
func eximReply(s string) string {
	brackets := 0
	for i := 0; i < len(s); i++ {
		switch s[i] {
		case '<': // the address in the command
			if brackets++; brackets > maxBrackets {
				continue
			}
			if n := bracketEnd(s[i:min(len(s), i+maxValue)]); n > 0 {
				i += n
			}
		case ':':
			if rest := strings.TrimLeft(s[i+1:], " "); reply.LeadingCode(rest) != 0 {
				return rest
			}
		}
	}
	if reply.LeadingCode(s) != 0 {
		return s
	}
	return ""
}

// readEximRefusal reads a line about mail that Exim refused.
func (e *Entry) readEximRefusal(s string) bool {
	i := strings.Index(s, " rejected ")
	if i < 0 || !strings.HasPrefix(s, "H=") {
		return false
	}
	e.Result = Refused
	name, rest, _ := strings.Cut(s[len("H="):], " ")
	e.Relay = strings.Trim(name, "()")
	if strings.HasPrefix(rest, "(") {
		_, rest, _ = strings.Cut(rest, " ")
	}
	if strings.HasPrefix(rest, "[") {
		e.RelayAddress, _, _ = strings.Cut(rest[1:], "]")
	}
	what := s[i+len(" rejected "):]
	if after, ok := strings.CutPrefix(what, "RCPT <"); ok {
		if end := bracketEnd("<" + after); end > 0 {
			e.Recipient, what = unquoteLocal(after[:end-1]), after[end:]
		}
	}
	_, e.Words, _ = strings.Cut(what, ": ")
	if e.Words == "" {
		e.Words = strings.TrimLeft(what, ": ")
	}
	e.Words = strings.ReplaceAll(e.Words, `\n`, " ")
	return true
}

// eximTime reads a time as Exim writes it: "1w2d3h4m5s", "0.250s".
func eximTime(s string) time.Duration {
	var sum time.Duration
	for s != "" {
		n := 0
		for n < len(s) && (ascii.IsDigit(s[n]) || s[n] == '.') {
			n++
		}
		if n == 0 || n > 9 || n == len(s) {
			return 0
		}
		d := duration(s[:n])
		switch s[n] {
		case 'w':
			d *= 7 * 24 * 3600
		case 'd':
			d *= 24 * 3600
		case 'h':
			d *= 3600
		case 'm':
			d *= 60
		case 's':
		default:
			return 0
		}
		sum += min(d, 10*365*24*time.Hour)
		s = s[n+1:]
	}
	return sum
}
