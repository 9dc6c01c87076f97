package maillog

import (
	"iter"
	"strings"
	"time"

	"github.com/bounce-milter/bounce-milter/classify/reply"
)

// appendSendmail reads a line of Sendmail:
//
//	4AS1BFxx012345: to=<u@x>,<v@x>, delay=00:00:02, xdelay=00:00:01, mailer=esmtp, pri=120000, relay=mx.x. [192.0.2.1], dsn=5.1.1, stat=User unknown
//	4AS1BFxx012345: 4AS1BGxx012346: DSN: Cannot send message for 5 days
//	4AS1BFxx012345: ruleset=check_rcpt, arg1=<u@x>, relay=c.example [192.0.2.7], reject=550 5.7.1 <u@x>... Relaying denied
func appendSendmail(dst []Entry, l *logLine) []Entry {
	id, s, ok := cutQueueID(l.message)
	if !ok {
		return dst
	}
	e := Entry{Format: Sendmail, QueueID: id}
	switch {
	case strings.HasPrefix(s, "to="):
		list, rest, ok := cutList(s[len("to="):])
		if !ok || !e.readStat(rest) {
			return dst
		}
		return e.forEach(dst, list)
	case isReturn(s):
		_, e.Words, _ = strings.Cut(s, ": ")
		_, e.Words, _ = strings.Cut(e.Words, ": ")
		e.Result = Expired
		return append(dst, e)
	case strings.HasPrefix(s, "ruleset="):
		e.Result = Refused
		fields, words, ok := strings.Cut(s, ", reject=")
		if !ok {
			return dst
		}
		for fields != "" {
			var f string
			f, fields, _ = strings.Cut(fields, ", ")
			switch key, v, _ := strings.Cut(f, "="); key {
			case "arg1":
				e.Recipient = strings.Trim(v, "<>")
			case "relay":
				e.Relay, e.RelayAddress = readSendmailRelay(v)
			}
		}
		if !strings.HasPrefix(s, "ruleset=check_rcpt,") {
			e.Recipient = ""
		}
		e.Words, e.Status = words, reply.Parse(words).Status
		return append(dst, e)
	}
	return dst
}

// isReturn reports whether Sendmail gave up a message and returned it: the id of the report,
// its kind, and why.
func isReturn(s string) bool {
	_, s, ok := cutQueueID(s)
	if !ok {
		return false
	}
	kind, why, _ := strings.Cut(s, ": ")
	return (kind == "DSN" || kind == "return to sender") && strings.HasPrefix(why, gaveUpWords)
}

// gaveUpWords begin the reason that Sendmail gives when it returns a message that it tried
// for too long.
const gaveUpWords = "Cannot send message for "

// unquoted goes through the octets of s outside quotation marks, with their places.
func unquoted(s string) iter.Seq2[int, byte] {
	return func(yield func(int, byte) bool) {
		quoted := false
		for i := 0; i < len(s); i++ {
			switch c := s[i]; {
			case c == '\\' && quoted:
				i++
			case c == '"':
				quoted = !quoted
			case quoted:
			case !yield(i, c):
				return
			}
		}
	}
}

// cutList cuts the list of recipients off: "<u@x>,<v@x>, ", "u@x, ", `"|/bin/cmd", `.
func cutList(s string) (list, rest string, ok bool) {
	deep := 0
	for i, c := range unquoted(s) {
		switch c {
		case '<':
			deep++
		case '>':
			deep--
		case ',':
			if deep <= 0 && strings.HasPrefix(s[i:], ", ") {
				return s[:i], s[i+2:], true
			}
		}
	}
	if i := strings.Index(s, ", "); i >= 0 { // a quotation mark that nothing closes
		return s[:i], s[i+2:], true
	}
	return "", s, false
}

// readStat reads the fields behind the recipients, and reports whether they tell of an
// attempt. Sendmail says by its enhanced code what became of it; a stranger may have
// written what follows stat=.
func (e *Entry) readStat(s string) bool {
	for s != "" {
		key, v, rest, ok := cutField(s)
		if !ok {
			return false
		}
		switch key {
		case "delay":
			e.Delay = days(v)
		case "relay":
			e.Relay, e.RelayAddress = readSendmailRelay(v)
		case "dsn":
			e.Status = reply.ParseStatus(v)
		case "reply":
			// It ends where Sendmail's own words begin.
			i := strings.LastIndex(s, ", stat=")
			if i < 0 {
				return false
			}
			e.Reply = strings.TrimPrefix(s[:i], "reply=")
			return e.setStat(s[i+len(", stat="):])
		case "stat":
			return e.setStat(s[len("stat="):])
		}
		s = rest
	}
	return false
}

func (e *Entry) setStat(words string) bool {
	e.Words = words
	deferred := strings.HasPrefix(words, "Deferred")
	switch class := e.Status.Class; {
	case strings.HasPrefix(words, "queued"): // no attempt yet
		return false
	case class == 2, class == 0 && strings.HasPrefix(words, "Sent"):
		e.Result = Sent
		return true
	case class == 4, class == 0 && deferred:
		e.Result = Deferred
	default:
		e.Result = Bounced
	}
	if after, ok := strings.CutPrefix(words, "Deferred: "); ok {
		words = after
	}
	if e.Reply == "" && reply.LeadingCode(words) != 0 {
		e.Reply = words
	}
	return true
}

// forEach appends an entry for each recipient of a list.
func (e *Entry) forEach(dst []Entry, list string) []Entry {
	list = strings.TrimSuffix(list, " [more]") // a list too long for one line; the next line goes on
	for n := 0; list != "" && n < maxRecipients; n++ {
		var one string
		one, list = cutRecipient(list)
		one = strings.TrimSpace(one)
		if strings.HasPrefix(one, "<") && strings.HasSuffix(one, ">") {
			one = one[1 : len(one)-1]
		}
		if one = unquoteLocal(one); one == "" {
			continue
		}
		r := *e
		r.Recipient = one
		dst = append(dst, r)
	}
	return dst
}

// cutRecipient cuts the first recipient of a list off.
func cutRecipient(s string) (one, rest string) {
	for i, c := range unquoted(s) {
		if c == ',' {
			return s[:i], s[i+1:]
		}
	}
	return s, ""
}

// readSendmailRelay reads "mx.example.com. [192.0.2.1]".
func readSendmailRelay(v string) (host, addr string) {
	host, addr, found := strings.Cut(v, "[")
	host = strings.TrimRight(host, ". ")
	if !found {
		if !strings.Contains(host, ".") {
			return "", "" // "local"
		}
		return host, ""
	}
	addr, _, _ = strings.Cut(addr, "]")
	addr = strings.TrimPrefix(addr, "IPv6:")
	if host == "" {
		host = addr
	}
	return host, addr
}

// days reads a delay as Sendmail writes it: "1+02:03:04", "00:00:02".
func days(v string) time.Duration {
	d := 0
	if before, after, ok := strings.Cut(v, "+"); ok {
		d, v = number(before), after
	}
	if !isClock(v) || len(v) != 8 || d < 0 || d > 10000 {
		return 0
	}
	seconds := d*86400 + number(v[:2])*3600 + number(v[3:5])*60 + number(v[6:8])
	return time.Duration(seconds) * time.Second
}
