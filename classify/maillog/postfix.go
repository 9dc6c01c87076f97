package maillog

import (
	"strings"

	"github.com/bounce-milter/bounce-milter/classify/reply"
	"github.com/bounce-milter/bounce-milter/internal/ascii"
)

// appendPostfix reads a line of Postfix:
//
//	4XyZ1k: to=<u@x>, orig_to=<v@y>, relay=mx.x[192.0.2.1]:25, delay=2.1, delays=0/0/1/1, dsn=5.1.1, status=bounced (words)
//	4XyZ1k: from=<s@z>, status=expired, returned to sender
//	NOQUEUE: reject: RCPT from c.example[192.0.2.7]: 554 5.7.1 words; from=<s@z> to=<u@x> proto=ESMTP helo=<h>
func appendPostfix(dst []Entry, l *logLine) []Entry {
	id, s, ok := cutQueueID(l.message)
	if !ok {
		return dst
	}
	e := Entry{Format: Postfix, QueueID: id}
	switch {
	case strings.HasPrefix(s, "to=<"):
		if !e.readAttempt(s) || isQuotation(e.Words) {
			return dst
		}
	case strings.HasPrefix(s, "from=<"):
		if e.Words = gaveUp(s); e.Words == "" {
			return dst
		}
		e.Result = Expired
	case strings.HasPrefix(s, "reject: "), strings.HasPrefix(s, "milter-reject: "):
		e.readRefusal(s)
	default:
		return dst
	}
	return append(dst, e)
}

// cutQueueID cuts a queue id off: "4XyZ1k: ".
func cutQueueID(s string) (id, rest string, ok bool) {
	n := 0
	for n < len(s) && n < 32 && (ascii.IsAlnum(s[n]) || s[n] == '-' || s[n] == '_') {
		n++
	}
	if n < 5 || !strings.HasPrefix(s[n:], ": ") {
		return "", s, false
	}
	return s[:n], s[n+2:], true
}

// readAttempt reads the fields of an attempt, and reports whether there was one.
func (e *Entry) readAttempt(s string) bool {
	for s != "" {
		key, v, rest, ok := cutField(s)
		if !ok {
			return false
		}
		switch key {
		case "to":
			e.Recipient = v
		case "orig_to":
			e.Original = v
		case "relay":
			e.Relay, e.RelayAddress = readRelay(v)
		case "delay":
			e.Delay = duration(v)
		case "dsn":
			e.Status = reply.ParseStatus(v)
		case "status":
			// The rest is of the remote server.
			word, words := cutStatus(s[len("status="):])
			return e.setStatus(word, words)
		}
		s = rest
	}
	return false
}

// isQuotation reports whether the words of an attempt go on with the fields of another.
//
// QUIRK: Postfix before 3.5 writes an address without the quotation marks that it needs.
// So "u@x>, relay=y, status=bounced (no such user)"@z, which is an address (RFC 5321 section
// 4.1.2), looks like an attempt for u@x. A line that can be read in two ways is believed in
// neither.
func isQuotation(words string) bool {
	_, after, ok := strings.Cut(words, ">, relay=")
	return ok && strings.Contains(after, ", status=")
}

// setStatus sets what the status field says: its word, and the words in brackets.
func (e *Entry) setStatus(word, words string) bool {
	e.Words = words
	switch word {
	case "sent":
		e.Result = Sent
		if e.isFilter(words) {
			e.Result = Passed
		}
	case "deferred", "SOFTBOUNCE": // with soft_bounce = yes, what else would have bounced
		e.Result = Deferred
	case "bounced":
		e.Result = Bounced
	case "expired":
		e.Result = Expired
	case "undeliverable":
		e.Result = Probed
	default: // "deliverable": nothing failed, and nothing was delivered
		return false
	}
	if e.Result != Sent {
		e.readWords()
	}
	return true
}

// isFilter reports whether a server on the same machine put the message into a queue:
// then it was a content filter, or another instance of Postfix.
func (e *Entry) isFilter(words string) bool {
	return (strings.HasPrefix(e.RelayAddress, "127.") || e.RelayAddress == "::1") && strings.Contains(words, "queued as ")
}

// cutStatus splits "bounced (words)". The last bracket is absent if the line was cut.
func cutStatus(s string) (word, words string) {
	n := 0
	for n < len(s) && (ascii.IsAlpha(s[n]) || s[n] == '-') {
		n++
	}
	word, words = s[:n], strings.TrimLeft(s[n:], " ,")
	if strings.HasPrefix(words, "(") {
		words = strings.TrimSuffix(words[1:], ")")
	}
	return word, words
}

// cutField cuts "key=value, " off. A value in angle brackets ends with them; an address
// in it may have a quoted-string, which holds any octet (RFC 5321 section 4.1.2).
func cutField(s string) (key, v, rest string, ok bool) {
	n := 0
	for n < len(s) && (ascii.IsAlnum(s[n]) || s[n] == '_') {
		n++
	}
	if n == len(s) || s[n] != '=' {
		return "", "", "", false
	}
	key, s = s[:n], s[n+1:]
	if strings.HasPrefix(s, "<") {
		end := bracketEnd(s)
		if end < 0 {
			return "", "", "", false
		}
		v = unquoteLocal(s[1:end])
		_, rest, _ = strings.Cut(s[end+1:], ", ") // Sendmail: "ctladdr=<u@x> (0/0), "
		return key, v, rest, true
	}
	v, rest, _ = strings.Cut(s, ", ")
	return key, v, rest, true
}

// bracketEnd returns the index of the ">" that ends an address in angle brackets, and a
// field; -1 if there is none.
func bracketEnd(s string) int {
	i := 1
	if i < len(s) && s[i] == '"' {
		for i++; i < len(s) && s[i] != '"'; i++ {
			if s[i] == '\\' {
				i++
			}
		}
	}
	if i >= len(s) {
		return -1
	}
	// Without quotation marks (Postfix before 3.5), the first bracket that ends a field.
	for {
		n := strings.IndexByte(s[i:], '>')
		if n < 0 {
			return -1
		}
		if i += n; i+1 == len(s) || s[i+1] == ',' || s[i+1] == ' ' || s[i+1] == ':' {
			return i
		}
		i++
	}
}

// unquoteLocal removes quotation marks that an address does not need.
func unquoteLocal(a string) string {
	if len(a) < 2 || a[0] != '"' {
		return a
	}
	i := strings.LastIndex(a, `"@`)
	if i < 2 || strings.ContainsFunc(a[1:i], func(r rune) bool {
		return r <= ' ' || r == 0x7f || strings.ContainsRune(`"\()<>[]:;@,`, r)
	}) || strings.HasPrefix(a[1:i], ".") || strings.HasSuffix(a[1:i], ".") || strings.Contains(a[1:i], "..") {
		return a
	}
	return a[1:i] + a[i+1:]
}

// readRelay reads "mx.example.com[192.0.2.1]:25". If the relay is not a host ("local",
// "none", "mail.example.com[private/lmtp]"), it keeps the name alone, or nothing.
func readRelay(v string) (host, addr string) {
	host, addr, found := strings.Cut(v, "[")
	if !found {
		if !strings.Contains(host, ".") {
			return "", "" // the name of a transport
		}
		return host, ""
	}
	addr, _, _ = strings.Cut(addr, "]")
	if strings.Contains(addr, "/") { // a socket
		addr = ""
	}
	if host == "" {
		host = addr
	}
	return host, strings.TrimPrefix(addr, "IPv6:")
}

// gaveUp returns what Postfix says if it gave up a message: "from=<s@z>, status=expired,
// returned to sender", since 3.5 also "force-expired"; "" if it did not.
func gaveUp(s string) string {
	_, _, rest, ok := cutField(s)
	said, found := strings.CutPrefix(rest, "status=")
	if word, _ := cutStatus(said); !ok || !found || word != "expired" && word != "force-expired" {
		return ""
	}
	if strings.Contains(said, ">, size=") { // a sender without quotation marks, see isQuotation
		return ""
	}
	return said
}

// readRefusal reads what smtpd, cleanup or postscreen says about mail that it refused.
func (e *Entry) readRefusal(s string) {
	e.Result = Refused
	_, s, _ = strings.Cut(s, ": ")
	what, rest, _ := strings.Cut(s, ": ")
	if i := strings.Index(what, " from "); i >= 0 {
		e.Relay, e.RelayAddress = readRelay(what[i+len(" from "):])
	}
	words, fields, _ := strings.Cut(rest, "; from=<")
	e.Words = words
	e.Status = reply.Parse(words).Status
	if i := strings.Index(fields, "to=<"); i >= 0 {
		if end := bracketEnd(fields[i+len("to="):]); end > 0 {
			e.Recipient = unquoteLocal(fields[i+len("to=<") : i+len("to=")+end])
		}
	}
}

// readWords finds the remote server's answer in what Postfix says about an attempt, and
// the server where it was not reached.
func (e *Entry) readWords() {
	s := strings.TrimPrefix(e.Words, "delivery temporarily suspended: ")
	for _, lead := range [...]string{"host ", "connect to ", "lost connection with ", "conversation with ", "timed out while "} {
		after, ok := strings.CutPrefix(s, lead)
		if !ok {
			continue
		}
		name, rest, _ := strings.Cut(after, " ")
		name = strings.TrimSuffix(name, ":")
		if !strings.HasSuffix(name, "]") && !strings.Contains(name, "]:") {
			return
		}
		if host, addr := readRelay(name); e.Relay == "" {
			e.Relay, e.RelayAddress = host, addr
		}
		for _, verb := range [...]string{"said: ", "refused to talk to me: "} {
			if lead == "host " && strings.HasPrefix(rest, verb) {
				e.Reply = withoutPhase(rest[len(verb):])
			}
		}
		return
	}
}

// withoutPhase cuts off the command that the server replied to: "(in reply to RCPT TO
// command)".
func withoutPhase(s string) string {
	if strings.HasSuffix(s, ")") {
		if i := strings.LastIndex(s, " (in reply to "); i >= 0 {
			return s[:i]
		}
	}
	return s
}
