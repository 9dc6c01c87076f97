package dsn

import (
	"bytes"
	"mime"
	"strings"

	"github.com/bounce-milter/bounce-milter/internal/ascii"
	"github.com/bounce-milter/bounce-milter/internal/work"
)

// header is the header of a message or of a part, or a group of fields of a report. It
// points into the message's octets and decodes a value only when asked for it, because
// most are never needed.
type header []headerField

// headerField is an undecoded field of a message.
type headerField struct {
	name  []byte // without white space around it
	value []byte // folds included
}

// countedHeader is a header whose values take from a work budget when they are read.
type countedHeader struct {
	header
	work *work.Budget
}

// Get returns the value of the first field of that name, unfolded and with its
// encoded-words decoded; "" if there is none.
func (h countedHeader) Get(name string) string {
	h.work.Take(len(h.header)/4 + 1)
	return decodeCounted(h.raw(name), h.work)
}

// Values returns the values of all fields of that name, like Get.
func (h countedHeader) Values(name string) []string {
	h.work.Take(len(h.header)/4 + 1)
	var vs []string
	for i := range h.header {
		if ascii.EqualFold(h.header[i].name, name) {
			vs = append(vs, decodeCounted(h.header[i].value, h.work))
		}
	}
	return vs
}

// raw returns the undecoded value of the first field of that name, nil if there is none.
func (h header) raw(name string) []byte {
	for i := range h {
		if ascii.EqualFold(h[i].name, name) {
			return h[i].value
		}
	}
	return nil
}

// readHeader reads fields (RFC 5322 section 2.2) up to an empty line, a line that is not
// a field, or the end. It returns them, appended to dst, and what follows. It skips
// fields beyond the limits, and cuts fields that are too long.
//
// With group set it reads a group of a report, which a line of white space ends as well;
// in the header of a message such a line only continues a field (RFC 5322 section 4.2).
func readHeader(dst header, b []byte, lim Limits, group bool) (h header, rest []byte) {
	h = dst
	start := -1 // of the current field's value, -1 if the field is skipped
	for pos := 0; pos < len(b); {
		line, next := cutLine(b[pos:])
		end, after := pos+len(line), len(b)-len(next)
		if len(line) == 0 {
			return h, next
		}
		if line[0] == ' ' || line[0] == '\t' {
			// QUIRK: Exchange 2003 and Japanese gateways separate the groups of a
			// report by a line of spaces.
			if group && len(bytes.TrimLeft(line, " \t")) == 0 {
				return h, next
			}
			if start >= 0 {
				h[len(h)-1].value = b[start:min(end, start+lim.FieldLength)]
			}
			pos = after
			continue
		}
		n, colon := fieldName(line)
		if n == 0 {
			return h, b[pos:]
		}
		if len(h)-len(dst) < lim.HeaderFields {
			if h == nil {
				h = make(header, 0, 4) // most parts have no more
			}
			start = pos + colon + 1
			h = append(h, headerField{name: line[:n], value: b[start:min(end, start+lim.FieldLength)]})
		} else {
			start = -1
		}
		pos = after
	}
	return h, nil
}

// fieldName returns the length of the field name at the beginning of line, and the index
// of its colon; 0 if line is not a field.
//
// QUIRK: a space before the colon ("Final-Recipient : ", "Action :") is allowed by RFC
// 822, and old X.400 gateways and mail appliances still write it.
func fieldName(line []byte) (n, colon int) {
	for n < len(line) && line[n] > ' ' && line[n] < 0x7f && line[n] != ':' {
		n++
	}
	colon = n
	for colon < len(line) && (line[colon] == ' ' || line[colon] == '\t') {
		colon++
	}
	if n == 0 || n > 76 || colon >= len(line) || line[colon] != ':' {
		return 0, 0
	}
	return n, colon
}

// cutLine returns the first line of b without its line end, and what follows it. A line
// ends with LF or CRLF; normalize has turned lone CRs into LF before.
func cutLine(b []byte) (line, rest []byte) {
	i := bytes.IndexByte(b, '\n')
	if i < 0 {
		line, rest = b, nil
	} else {
		line, rest = b[:i], b[i+1:]
	}
	if n := len(line); n > 0 && line[n-1] == '\r' {
		line = line[:n-1]
	}
	return line, rest
}

// unfold returns a field's value on one line, without control characters.
func unfold(b []byte) string { return withoutControls(fold(b), false) }

// fold replaces every run of white space with a line end in it by one space, and drops
// white space around b.
func fold(b []byte) string {
	b = bytes.TrimSpace(b)
	if bytes.IndexByte(b, '\n') < 0 && bytes.IndexByte(b, '\r') < 0 {
		return string(b)
	}
	out := make([]byte, 0, len(b))
	for i := 0; i < len(b); {
		if b[i] != '\r' && b[i] != '\n' {
			out = append(out, b[i])
			i++
			continue
		}
		for len(out) > 0 && (out[len(out)-1] == ' ' || out[len(out)-1] == '\t') {
			out = out[:len(out)-1]
		}
		for i < len(b) && (b[i] == ' ' || b[i] == '\t' || b[i] == '\r' || b[i] == '\n') {
			i++
		}
		out = append(out, ' ')
	}
	return string(out)
}

// withoutControls removes control characters from a value and turns white space into
// spaces. Encoded-words, base64 and JSON can contain line ends, which would forge fields
// wherever the value is written. With escape set ESC stays, because ISO-2022-JP needs it
// as long as the charset is not known.
func withoutControls(s string, escape bool) string {
	bad := func(c byte) bool { return c < ' ' && !(escape && c == 0x1b) || c == 0x7f }
	i := 0
	for i < len(s) && !bad(s[i]) {
		i++
	}
	if i == len(s) {
		return s
	}
	out := append(make([]byte, 0, len(s)), s[:i]...)
	for ; i < len(s); i++ {
		switch c := s[i]; {
		case !bad(c):
			out = append(out, c)
		case c == '\t' || c == '\n' || c == '\r':
			out = append(out, ' ')
		}
	}
	return string(out)
}

// wordDecoder decodes encoded-words in every registered charset.
var wordDecoder = mime.WordDecoder{CharsetReader: decodeWord}

// wordUnits is the work of decoding one encoded-word, in addition to that for its octets.
const wordUnits = 40

// decodeCounted is decodeWords with a work budget. Once that is spent, encoded-words stay
// as they are.
func decodeCounted(b []byte, w *work.Budget) string {
	if s := bytes.TrimSpace(b); isPlain(s) {
		w.Take(len(b))
		return string(s)
	}
	units := 2*len(b) + wordUnits*bytes.Count(b, []byte("=?"))
	if !ascii.Only(b) {
		units += 6 * len(b) // every later step handles it character by character
	}
	if !w.Take(units) {
		return withoutControls(toUTF8(withoutControls(fold(b), true)), false)
	}
	return decodeWords(b)
}

// isPlain reports whether a field's value needs no decoding: it is one line of ASCII
// without encoded-words, as most are.
func isPlain(b []byte) bool {
	for i, c := range b {
		if c < ' ' || c >= 0x7f || c == '?' && i > 0 && b[i-1] == '=' {
			return false
		}
	}
	return true
}

// decodeWords returns a field's value unfolded, with its encoded-words (RFC 2047) decoded,
// in valid UTF-8. What cannot be decoded stays as it is.
func decodeWords(b []byte) string {
	s := withoutControls(fold(b), true)
	if strings.Contains(s, "=?") {
		if d, err := wordDecoder.DecodeHeader(s); err == nil {
			s = d
		}
	}
	return withoutControls(toUTF8(s), false)
}
