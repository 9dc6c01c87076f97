package dsn

import (
	"bytes"
	"io"
	"strings"

	"github.com/emersion/go-message"
)

// maxText bounds the octets of words that are read in one message, after decoding. No
// notice has as many.
const maxText = 64 << 10

// decoded returns at most limit octets of the body of a part, decoded from its transfer
// encoding (RFC 2045 section 6). Without an encoding this is the body itself, not a copy.
func (p *part) decoded(limit int) []byte {
	body := p.body
	switch enc := p.encoding(); enc {
	case "quoted-printable":
		// "=3D" is three octets for one, and there are soft line breaks.
		body = body[:min(len(body), 4*limit)]
		if !p.work.Take(len(body) + 20) {
			return nil
		}
		return decodeQuotedPrintable(body, limit)
	case "base64":
		// Decode no more than is needed: four octets make three, and there are
		// line ends.
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
		// What was decoded before an error is still useful.
		io.Copy(&out, io.LimitReader(e.Body, int64(limit)))
		if out.Len() == 0 && len(body) > 0 {
			// QUIRK: plain text labelled base64: spam filters that rewrite a
			// part and keep its header.
			return body[:min(len(body), limit)]
		}
		return out.Bytes()
	case "x-uuencode", "uuencode", "x-uue":
		return nil
	}
	return body[:min(len(body), limit)]
}

// decodeQuotedPrintable decodes the encoding of RFC 2045 section 6.7, up to limit octets.
// What is not valid in this encoding stands for itself.
//
// QUIRK: "=" that is not encoded, trailing white space, octets above 0x7f: home-made
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

// identity reports whether the body needs no decoding and its charset contains ASCII.
func (p *part) identity() bool {
	switch p.encoding() {
	case "", "7bit", "8bit", "binary":
		return !strings.HasPrefix(p.kind.charset, "utf-16")
	}
	return false
}

// words returns a part as words: in UTF-8, with LF as line end, and for HTML only what a
// reader sees. It reads at most maxText octets.
func (p *part) words() string {
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
	if p.kind.name == "text/html" || p.kind.isWords() && startsAsHTML(s) {
		if !p.work.Take(4 * len(s)) {
			return ""
		}
		s = htmlText(s)
	}
	return s
}

// hasNoise reports whether s may contain characters for which isNoise is true.
func hasNoise(s string) bool {
	for i := 0; i < len(s); i++ {
		if c := s[i]; c < ' ' && c != '\n' && c != '\t' || c == 0x7f || c == 0xef {
			return true
		}
	}
	return false
}

// isNoise reports whether r is a control character that text does not need.
func isNoise(r rune) bool {
	return r < ' ' && r != '\n' && r != '\t' || r == 0x7f || r == 0xfeff
}
