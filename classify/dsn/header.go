package dsn

import (
	"bytes"
	"mime"
	"strings"

	"github.com/bounce-milter/bounce-milter/internal/ascii"
	"github.com/bounce-milter/bounce-milter/internal/work"
)

// header is the header of a message or of a part, or one group of fields of
// a status report. It points into the message's octets and reads a value only
// when asked for it: most are never wanted.
type header []headerField

// headerField is one field as it stands in the message.
type headerField struct {
	name  []byte // without white space around it
	value []byte // folds included
}

// countedHeader is a header whose reading is taken from a budget of work.
type countedHeader struct {
	header
	work *work.Budget
}

// Get returns the value of the first field of that name, unfolded and with its
// encoded words decoded; "" if there is none.
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

// raw returns the first field of that name as it stands, nil if there is none.
func (h header) raw(name string) []byte {
	for i := range h {
		if ascii.EqualFold(h[i].name, name) {
			return h[i].value
		}
	}
	return nil
}

// readHeader reads fields (RFC 5322 section 2.2) up to an empty line, a line
// that is no field, or the end, and returns what follows. Fields beyond the
// limits are passed over, what is too long of one is cut.
//
// With group set it reads a group of a status report, which a line of white
// space ends as well; in a message's header such a line only continues a field
// (RFC 5322 section 4.2).
func readHeader(dst header, b []byte, lim Limits, group bool) (h header, rest []byte) {
	h = dst
	start := -1 // of the present field's value, -1 if it is passed over
	for pos := 0; pos < len(b); {
		line, next := cutLine(b[pos:])
		end, after := pos+len(line), len(b)-len(next)
		if len(line) == 0 {
			return h, next
		}
		if line[0] == ' ' || line[0] == '\t' {
			// QUIRK: Exchange 2003 and Japanese gateways part the groups of a
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
				h = make(header, 0, 4) // a part has no more, most often
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

// fieldName returns the length of the field name that line begins with and
// where its colon is; 0 if line is no field.
//
// QUIRK: a space before the colon ("Final-Recipient : ", "Action :") is
// allowed by RFC 822 and still sent by old X.400 gateways and MTA-in-a-box
// appliances.
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

// cutLine returns the first line of b without its end, and what follows it.
// A line ends with LF or CRLF; a lone CR was made LF before (see normalize).
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

// fold makes one space of every run of white space that holds a line end, and
// drops white space around b.
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

// withoutControls takes control characters out of a value and makes white space spaces:
// encoded words, base64 and JSON can hold line ends, which would forge fields
// wherever the value is written. ESC stays while the charset is not known, for
// ISO-2022-JP needs it.
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

// wordDecoder decodes encoded words in every charset that is registered.
var wordDecoder = mime.WordDecoder{CharsetReader: decodeWord}

// wordUnits is the work of decoding one encoded word, beside its octets.
const wordUnits = 40

// decodeCounted is decodeWords. Once the work is spent, encoded words stay as
// they are.
func decodeCounted(b []byte, w *work.Budget) string {
	if s := bytes.TrimSpace(b); isPlain(s) {
		w.Take(len(b))
		return string(s)
	}
	units := 2*len(b) + wordUnits*bytes.Count(b, []byte("=?"))
	if !ascii.Only(b) {
		units += 6 * len(b) // whatever is done with it goes by characters
	}
	if !w.Take(units) {
		return withoutControls(toUTF8(withoutControls(fold(b), true)), false)
	}
	return decodeWords(b)
}

// isPlain reports whether a field's value says what it means: one line of ASCII
// without encoded words, as most are.
func isPlain(b []byte) bool {
	for i, c := range b {
		if c < ' ' || c >= 0x7f || c == '?' && i > 0 && b[i-1] == '=' {
			return false
		}
	}
	return true
}

// decodeWords returns a field's value unfolded, its encoded words (RFC 2047)
// decoded, in valid UTF-8. What cannot be decoded stays as it is.
func decodeWords(b []byte) string {
	s := withoutControls(fold(b), true)
	if strings.Contains(s, "=?") {
		if d, err := wordDecoder.DecodeHeader(s); err == nil {
			s = d
		}
	}
	return withoutControls(toUTF8(s), false)
}
