package dsn

import (
	"bytes"
	"io"
	"strings"
	"unicode/utf8"

	"github.com/bounce-milter/bounce-milter/internal/ascii"
	"github.com/emersion/go-message"
	"golang.org/x/net/html"
	"golang.org/x/text/encoding/japanese"
)

// maxText bounds the octets of words that are read of one message, after
// decoding: more than any notice has.
const maxText = 64 << 10

// decoded returns the body of a part with its transfer encoding (RFC 2045
// section 6) undone, at most limit octets of it. Without an encoding that is
// the body itself, no copy.
func (p *part) decoded(limit int) []byte {
	body := p.body
	switch enc := p.encoding(); enc {
	case "quoted-printable":
		// A soft line break is at least every 76 octets, "=3D" is one octet.
		body = body[:min(len(body), 4*limit)]
		if !p.work.Take(len(body) + 20) {
			return nil
		}
		return decodeQuotedPrintable(body, limit)
	case "base64":
		// Decoding no more than is wanted: four octets make three, and there
		// are line ends.
		body = body[:min(len(body), 4*limit)]
		if !p.work.Take(len(body) + 200) {
			return nil
		}
		var h message.Header
		h.Set("Content-Transfer-Encoding", enc)
		e, err := message.New(h, bytes.NewReader(body))
		if err != nil && !message.IsUnknownCharset(err) && !message.IsUnknownEncoding(err) {
			return body[:min(len(body), limit)]
		}
		var out bytes.Buffer
		out.Grow(min(len(body), limit) + bytes.MinRead)
		// Whatever was decoded before an error is of use.
		io.Copy(&out, io.LimitReader(e.Body, int64(limit)))
		if out.Len() == 0 && len(body) > 0 {
			// QUIRK: plain text that is labelled base64; spam filters which
			// rewrote the part and kept its header.
			return body[:min(len(body), limit)]
		}
		return out.Bytes()
	case "x-uuencode", "uuencode", "x-uue":
		return nil
	}
	return body[:min(len(body), limit)]
}

// decodeQuotedPrintable undoes the encoding of RFC 2045 section 6.7, up to limit
// octets. What is no part of the encoding stands for itself.
//
// QUIRK: "=" that nobody encoded, trailing white space, octets above 0x7f: home-made
// senders, and gateways that add a footer.
func decodeQuotedPrintable(b []byte, limit int) []byte {
	out := make([]byte, 0, min(len(b), limit))
	for len(b) > 0 && len(out) < limit {
		line, ends := b, false
		if i := bytes.IndexByte(b, '\n'); i >= 0 {
			line, b, ends = b[:i], b[i+1:], true
		} else {
			b = nil
		}
		line = bytes.TrimRight(line, " \t\r")
		line, soft := bytes.CutSuffix(line, []byte("="))
		for i := 0; i < len(line); i++ {
			c := line[i]
			if c == '=' && i+2 < len(line) {
				if hi, lo := hexDigit(upper(line[i+1])), hexDigit(upper(line[i+2])); hi >= 0 && lo >= 0 {
					c, i = byte(hi<<4|lo), i+2
				}
			}
			out = append(out, c)
		}
		if ends && !soft {
			out = append(out, '\n')
		}
	}
	return out[:min(len(out), limit)]
}

func upper(c byte) byte {
	if 'a' <= c && c <= 'z' {
		c -= 'a' - 'A'
	}
	return c
}

// encoding returns the transfer encoding in lower case, "" if there is none.
func (p *part) encoding() string {
	raw := p.header.raw("Content-Transfer-Encoding")
	if raw == nil {
		return ""
	}
	enc := strings.ToLower(strings.TrimSpace(string(raw)))
	if i := strings.IndexAny(enc, " ;("); i >= 0 {
		enc = enc[:i]
	}
	return enc
}

// identity reports whether the body stands in the message as it is, in a
// charset that has ASCII's letters.
func (p *part) identity() bool {
	switch p.encoding() {
	case "", "7bit", "8bit", "binary":
		return !strings.HasPrefix(p.kind.charset, "utf-16")
	}
	return false
}

// text returns a part as words: UTF-8, lines that end with LF, of HTML only what
// a reader sees. At most maxText octets are looked at.
func (p *part) text() string {
	b := p.decoded(maxText)
	if !p.work.Take(len(b) + 20) {
		return ""
	}
	s := decodeCharset(b, p.kind.charset)
	if strings.IndexByte(s, '\r') >= 0 {
		s = strings.ReplaceAll(s, "\r\n", "\n")
		s = strings.ReplaceAll(s, "\r", "\n")
	}
	if hasNoise(s) {
		s = strings.Map(func(r rune) rune {
			if isNoise(r) {
				return -1
			}
			return r
		}, s)
	}
	if p.kind.name == "text/html" || p.kind.text() && startsAsHTML(s) {
		if !p.work.Take(4 * len(s)) {
			return ""
		}
		s = htmlText(s)
	}
	return s
}

// hasNoise reports whether s may hold what isNoise finds.
func hasNoise(s string) bool {
	for i := 0; i < len(s); i++ {
		if c := s[i]; c < ' ' && c != '\n' && c != '\t' || c == 0x7f || c == 0xef {
			return true
		}
	}
	return false
}

// isNoise reports whether r is a control character that no text has.
func isNoise(r rune) bool {
	return r < ' ' && r != '\n' && r != '\t' || r == 0x7f || r == 0xfeff
}

// decodeCharset returns b, which is labelled as being in a charset, in UTF-8.
func decodeCharset(b []byte, label string) string {
	t := tables()
	if name, ok := t.charset[label]; ok {
		label = name
	}
	// QUIRK: ISO-2022-JP labelled us-ascii, utf-8 or Shift_JIS, or not at all:
	// ezweb, docomo, and Postfix with Japanese bounce templates.
	escaped := bytes.Contains(b, []byte("\x1b$"))
	if escaped && label != "iso-2022-kr" && label != "hz-gb-2312" && !strings.HasPrefix(label, "iso-2022-cn") {
		label = "iso-2022-jp"
	}
	switch {
	case !escaped && ascii.Only(b) && label != "hz-gb-2312" && !strings.HasPrefix(label, "utf-16"):
		return string(b)
	case label == "iso-2022-jp":
		if d, err := japanese.ISO2022JP.NewDecoder().Bytes(b); err == nil {
			return string(d)
		}
	case utf8.Valid(b) && (t.noCharset[label] || strings.HasPrefix(label, "utf-8") || strings.HasPrefix(label, "windows-125") || strings.HasPrefix(label, "iso-8859-")):
		// QUIRK: UTF-8 labelled us-ascii or with a charset of the locale: qmail,
		// Exim, scripts. Text of an eight-bit charset is hardly ever valid UTF-8.
		return string(b)
	case !t.noCharset[label]:
		if d, err := decodeAs(label, b); err == nil && utf8.Valid(d) {
			return string(d)
		}
	}
	return toUTF8(string(b))
}

// startsAsHTML reports whether a text is HTML although its label says plain.
//
// QUIRK: ticket systems and some web hosters' panels.
func startsAsHTML(s string) bool {
	s = strings.TrimLeft(s[:min(len(s), 512)], " \t\n\uFEFF")
	if len(s) < 6 || s[0] != '<' {
		return false
	}
	s = strings.ToLower(s[:min(len(s), 16)])
	return strings.HasPrefix(s, "<html") || strings.HasPrefix(s, "<!doctype html")
}

// htmlText returns the words of HTML, a line for every block.
func htmlText(s string) string {
	z := html.NewTokenizer(strings.NewReader(s))
	z.SetMaxBuf(maxText)
	b := make([]byte, 0, len(s)/2)
	hidden := 0
	for {
		switch z.Next() {
		case html.ErrorToken:
			return string(b)
		case html.TextToken:
			if hidden == 0 {
				b = appendWords(b, string(z.Text()))
			}
		case html.StartTagToken, html.SelfClosingTagToken:
			name, _ := z.TagName()
			switch string(name) {
			case "script", "style", "title", "head":
				hidden++
			case "body":
				hidden = 0
			default:
				b = appendBreak(b, string(name))
			}
		case html.EndTagToken:
			name, _ := z.TagName()
			switch string(name) {
			case "script", "style", "title", "head":
				hidden = max(0, hidden-1)
			default:
				b = appendBreak(b, string(name))
			}
		}
	}
}

// appendWords appends a piece of running text, white space folded.
func appendWords(b []byte, s string) []byte {
	for _, r := range s {
		if r == ' ' || r == '\t' || r == '\n' || r == '\r' || r == '\u00a0' {
			if len(b) > 0 && b[len(b)-1] != ' ' && b[len(b)-1] != '\n' {
				b = append(b, ' ')
			}
			continue
		}
		b = utf8.AppendRune(b, r)
	}
	return b
}

// appendBreak ends the line where a tag of that name does; paragraphs and
// tables are set apart by an empty line.
func appendBreak(b []byte, tag string) []byte {
	lines := 0
	switch tag {
	case "br": // two of them are an empty line
		if lines = 1; len(b) > 0 && b[len(b)-1] == '\n' {
			lines = 2
		}
	case "tr", "li", "div", "dt", "dd", "pre", "blockquote", "hr":
		lines = 1
	case "p", "table", "ul", "ol", "h1", "h2", "h3", "h4", "h5", "h6":
		lines = 2
	case "td", "th":
		return appendWords(b, " ")
	}
	if lines == 0 || len(b) == 0 {
		return b
	}
	for len(b) > 0 && b[len(b)-1] == ' ' {
		b = b[:len(b)-1]
	}
	have := 0
	for have < len(b) && b[len(b)-1-have] == '\n' {
		have++
	}
	for ; have < lines; have++ {
		b = append(b, '\n')
	}
	return b
}
