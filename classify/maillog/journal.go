package maillog

import (
	"encoding/json"
	"strconv"
	"strings"
)

// readJournal reads a line of journalctl -o json: one object whose values are strings,
// null where they are too long, or lists of numbers where they are not UTF-8.
func readJournal(s string) (l logLine, ok bool) {
	s = strings.TrimLeft(s[1:], " ")
	exact := false
	for strings.HasPrefix(s, `"`) {
		key, rest, ok := cutJSONString(s)
		if !ok {
			break
		}
		if rest, ok = strings.CutPrefix(strings.TrimLeft(rest, " "), ":"); !ok {
			break
		}
		raw, rest := cutJSONValue(strings.TrimLeft(rest, " "))
		switch key {
		case "MESSAGE":
			l.message = jsonText(raw)
		case "_HOSTNAME":
			l.host = jsonText(raw)
		case "SYSLOG_IDENTIFIER":
			l.program = jsonText(raw)
		case "SYSLOG_PID", "_PID":
			if l.pid == "" {
				l.pid = jsonText(raw)
			}
		case "__REALTIME_TIMESTAMP":
			if !exact {
				l.stamp = stamp{micros, jsonText(raw)}
			}
		case "_SOURCE_REALTIME_TIMESTAMP": // when the program spoke, not when the journal wrote
			l.stamp, exact = stamp{micros, jsonText(raw)}, true
		}
		s = strings.TrimLeft(strings.TrimPrefix(rest, ","), " ")
	}
	if number(l.stamp.text) < 0 {
		l.stamp = stamp{}
	}
	if l.message == "" {
		return l, false
	}
	l.message, l.piece = cutPiece(strings.TrimRight(l.message, "\r\n"))
	return l, true
}

// cutJSONString cuts a string off, without decoding it.
func cutJSONString(s string) (inner, rest string, ok bool) {
	for i := 1; i < len(s); i++ {
		switch s[i] {
		case '\\':
			i++
		case '"':
			return s[1:i], s[i+1:], true
		}
	}
	return "", "", false
}

// cutJSONValue cuts a value off that is no object.
func cutJSONValue(s string) (raw, rest string) {
	end := ",}"
	switch {
	case strings.HasPrefix(s, `"`):
		inner, rest, ok := cutJSONString(s)
		if !ok {
			return "", ""
		}
		return s[:len(inner)+2], rest
	case strings.HasPrefix(s, "["):
		end = "]"
	}
	i := strings.IndexAny(s, end)
	if i < 0 {
		return "", ""
	}
	if end == "]" {
		i++
	}
	return s[:i], s[i:]
}

// jsonText decodes a value: a string, or a list of octets; "" for all else.
func jsonText(raw string) string {
	switch {
	case strings.HasPrefix(raw, `"`):
		if inner := raw[1 : len(raw)-1]; !strings.Contains(inner, `\`) {
			return inner
		}
		var s string
		if json.Unmarshal([]byte(raw), &s) == nil {
			return s
		}
	case strings.HasPrefix(raw, "["):
		var b []byte
		for f := range strings.FieldsFuncSeq(raw, func(r rune) bool { return r == '[' || r == ']' || r == ',' || r == ' ' }) {
			n, err := strconv.ParseUint(f, 10, 8)
			if err != nil {
				return ""
			}
			b = append(b, byte(n))
		}
		return string(b)
	}
	return ""
}
