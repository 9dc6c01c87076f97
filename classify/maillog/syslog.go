package maillog

import (
	"strings"

	"github.com/bounce-milter/bounce-milter/internal/ascii"
)

// logLine is a line, taken apart.
type logLine struct {
	stamp   stamp
	host    string
	program string
	pid     string
	message string
	piece   piece // of a line that was split
}

// readSyslog takes a line of a log file apart:
//
//	<22>Nov 28 01:11:15 host postfix/smtp[123]: message       RFC 3164, priority or not
//	<22>1 2026-11-28T01:11:15.1+01:00 host app 123 - - message RFC 5424
//	2026-11-28T01:11:15.1+01:00 host postfix/smtp[123]: message rsyslog, journalctl
//	2026-11-28 01:11:15 1tG9oF-00000000Yh1-2X1A => …          Exim's own log
//	4XyZ1k: to=<…>, …                                         journalctl -o cat
func readSyslog(s string) (l logLine, ok bool) {
	s = skipLabel(s)
	rest, pri := cutPriority(s)
	if after, ok := strings.CutPrefix(rest, "1 "); ok && pri {
		return readRFC5424(after)
	}
	for range 2 { // QUIRK: docker logs -t writes a time stamp before that of the line
		st, after := cutStamp(rest)
		if st.kind == noStamp {
			break
		}
		if rest = after; l.stamp.kind == noStamp || !l.stamp.dated() {
			l.stamp = st
		}
	}
	l.message = rest
	if l.stamp.kind != noStamp && !startsExim(rest) {
		l.cutTag(rest)
	} else if l.stamp.kind == noStamp {
		l.cutBareTag(rest)
	}
	l.skipID()
	l.message, l.piece = cutPiece(l.message)
	if l.program == "" && l.host == "" && startsExim(l.message) {
		l.program = "exim"
	}
	return l, true
}

// skipLabel skips what docker compose writes before each line: "mail-1  | ".
func skipLabel(s string) string {
	if i := strings.IndexByte(s[:min(len(s), 64)], '|'); i > 0 && i+1 < len(s) && s[i+1] == ' ' && s[i-1] == ' ' {
		if name := strings.TrimRight(s[:i], " "); !strings.ContainsAny(name, " \t<[") {
			return s[i+2:]
		}
	}
	return s
}

// cutPriority cuts the priority off: "<22>" (RFC 5424 section 6.2.1).
func cutPriority(s string) (rest string, ok bool) {
	for i := 1; i < len(s) && i < 5 && s[0] == '<'; i++ {
		if s[i] == '>' && i > 1 {
			return s[i+1:], true
		}
		if !ascii.IsDigit(s[i]) {
			break
		}
	}
	return s, false
}

// readRFC5424 reads the rest of a line after its version (RFC 5424 section 6).
func readRFC5424(s string) (l logLine, ok bool) {
	when, s := cutWord(s)
	l.stamp, _ = cutStamp(when)
	l.host, s = cutWord(s)
	l.program, s = cutWord(s)
	l.pid, s = cutWord(s)
	_, s = cutWord(s) // message id
	for _, v := range []*string{&l.host, &l.program, &l.pid} {
		if *v == "-" {
			*v = ""
		}
	}
	if after, ok := strings.CutPrefix(s, "-"); ok {
		s = after
	} else {
		for strings.HasPrefix(s, "[") { // structured data: values may have "]" only escaped
			i, quoted := 1, false
			for i < len(s) && (quoted || s[i] != ']') {
				switch {
				case s[i] == '\\' && quoted:
					i++
				case s[i] == '"':
					quoted = !quoted
				}
				i++
			}
			s = s[min(i+1, len(s)):]
		}
	}
	s = strings.TrimPrefix(strings.TrimPrefix(s, " "), "\ufeff")
	l.message, l.piece = cutPiece(s)
	return l, true
}

// maxTagWords is how many words may stand before the tag: the name of the host and, in
// some logs, facility and level.
const maxTagWords = 3

// cutTag cuts host and tag off: "host postfix/smtp[123]: ".
func (l *logLine) cutTag(s string) {
	rest := s
	for i := range maxTagWords {
		var word string
		if word, rest = cutWord(rest); word == "" {
			return
		}
		if tag, ok := strings.CutSuffix(word, ":"); ok && tag != "" {
			l.setTag(tag)
			l.message = rest
			return
		}
		if i == 0 || strings.HasPrefix(l.host, "<") { // QUIRK: FreeBSD's syslogd -v: "<mail.info> host …"
			l.host = word
		}
	}
}

// cutBareTag cuts a tag off a line without a time stamp, if it has one.
func (l *logLine) cutBareTag(s string) {
	if word, rest := cutWord(s); strings.HasSuffix(word, "]:") {
		l.setTag(word[:len(word)-1])
		l.message = rest
	}
}

func (l *logLine) setTag(tag string) {
	l.program = tag
	if i := strings.LastIndexByte(tag, '['); i > 0 && strings.HasSuffix(tag, "]") {
		l.program, l.pid = tag[:i], tag[i+1:len(tag)-1]
	}
}

// skipID skips what Solaris writes before a message: "[ID 801593 mail.info] ".
func (l *logLine) skipID() {
	if strings.HasPrefix(l.message, "[ID ") {
		if _, after, ok := strings.Cut(l.message, "] "); ok {
			l.message = after
		}
	}
}

// cutWord cuts the first word off, and the spaces after it.
func cutWord(s string) (word, rest string) {
	i := strings.IndexByte(s, ' ')
	if i < 0 {
		return s, ""
	}
	word, rest = s[:i], s[i+1:]
	for strings.HasPrefix(rest, " ") {
		rest = rest[1:]
	}
	return word, rest
}
