package origin

import (
	"bytes"
	"strings"

	"github.com/bounce-milter/bounce-milter/internal/ascii"
)

// maxFields is how many fields of a header are looked at.
const maxFields = 20_000

// field is a field of a header as it came.
type field struct {
	raw   []byte // the whole field with its folds, without the last line end
	name  []byte
	value []byte // behind the colon
}

// header is a returned header, from top to bottom.
type header struct {
	fields []field
	broken bool // something in it is no field, or there are too many
}

// parseHeader splits a header into fields (RFC 5322 section 2.2).
func parseHeader(b []byte) (h header) {
	h.fields = make([]field, 0, 32)
	start := -1
	end := func(to int) {
		if start < 0 {
			return
		}
		raw := bytes.TrimRight(b[start:to], "\r\n")
		start = -1
		colon := bytes.IndexByte(raw, ':')
		name := bytes.TrimRight(raw[:max(colon, 0)], " \t")
		if len(name) == 0 || bytes.ContainsAny(name, " \t\r\n") || len(h.fields) == maxFields {
			h.broken = true
			return
		}
		h.fields = append(h.fields, field{raw: raw, name: name, value: raw[colon+1:]})
	}
	for at := 0; at < len(b); {
		next := len(b)
		if i := bytes.IndexByte(b[at:], '\n'); i >= 0 {
			next = at + i + 1
		}
		line := bytes.TrimRight(b[at:next], "\r\n")
		if len(line) == 0 {
			end(at)
			return h
		}
		if line[0] != ' ' && line[0] != '\t' {
			end(at)
			start = at
		} else if start < 0 {
			h.broken = true
		}
		at = next
	}
	end(len(b))
	return h
}

// first returns the value of the first field of a name, unfolded; "" if there is none.
func (h *header) first(name string) string {
	for i := range h.fields {
		if ascii.EqualFold(h.fields[i].name, name) {
			return unfold(h.fields[i].value)
		}
	}
	return ""
}

func (h *header) has(name string) bool {
	for i := range h.fields {
		if ascii.EqualFold(h.fields[i].name, name) {
			return true
		}
	}
	return false
}

// unfold removes the line ends of a value and the white space around it (RFC 5322
// section 2.2.3).
func unfold(value []byte) string {
	s := strings.TrimSpace(string(value))
	if !strings.ContainsAny(s, "\r\n") {
		return s
	}
	return strings.NewReplacer("\r", "", "\n", "").Replace(s)
}

// tag is "name=value" in a list, with white space around both dropped.
type tag struct {
	name, value string
	at, end     int // of the value in the text, white space included
}

// maxTags is how many tags a list may have.
const maxTags = 32

// tags reads a list of tags (RFC 6376 section 3.2). ok is false if it has a name twice, or
// something that is no tag.
func tags(s string) (list []tag, ok bool) {
	list = make([]tag, 0, 12)
	for at := 0; at < len(s); {
		end := len(s)
		if i := strings.IndexByte(s[at:], ';'); i >= 0 {
			end = at + i
		}
		part := s[at:end]
		if name, value, found := strings.Cut(part, "="); found {
			t := tag{strings.Trim(name, wsp), strings.Trim(value, wsp), at + len(name) + 1, end}
			if !isTagName(t.name) || len(list) == maxTags {
				return nil, false
			}
			for _, other := range list {
				if other.name == t.name {
					return nil, false
				}
			}
			list = append(list, t)
		} else if strings.Trim(part, wsp) != "" {
			return nil, false
		}
		at = end + 1
	}
	return list, true
}

const wsp = " \t\r\n"

func isTagName(s string) bool {
	for i := 0; i < len(s); i++ {
		if !ascii.IsAlnum(s[i]) && s[i] != '_' {
			return false
		}
	}
	return s != "" && ascii.IsAlpha(s[0])
}

// get returns the value of a tag, "" if the list does not have it.
func get(list []tag, name string) (string, bool) {
	for _, t := range list {
		if t.name == name {
			return t.value, true
		}
	}
	return "", false
}
