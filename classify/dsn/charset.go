package dsn

import (
	"bytes"
	"errors"
	"io"
	"strings"
	"sync"
	"unicode/utf8"

	"github.com/bounce-milter/bounce-milter/internal/ascii"
	"golang.org/x/text/encoding"
	"golang.org/x/text/encoding/charmap"
	"golang.org/x/text/encoding/htmlindex"
	"golang.org/x/text/encoding/ianaindex"
	"golang.org/x/text/encoding/japanese"
)

// encodings holds the encoding of every label that was asked for and is known,
// in lower case: no more than the registries have.
var encodings sync.Map

var errCharset = errors.New("charset is unknown")

// encodingOf returns the encoding that a label names: by IANA's registry, by the
// aliases in it that begin with "cs", or by the Encoding Standard. It is nil
// where none does.
func encodingOf(label string) encoding.Encoding {
	label = strings.ToLower(strings.TrimSpace(label))
	if e, ok := encodings.Load(label); ok {
		return e.(encoding.Encoding)
	}
	if label == "" || len(label) > 64 {
		return nil
	}
	if label == "ansi_x3.110-1983" {
		return charmap.ISO8859_1 // mostly, see RFC 1345
	}
	e, _ := ianaindex.MIME.Encoding(label)
	if e == nil {
		e, _ = ianaindex.MIME.Encoding("cs" + label)
	}
	if e == nil {
		e, _ = htmlindex.Get(label)
	}
	if e != nil {
		encodings.Store(label, e)
	}
	return e
}

// decodeAs returns b, which is in the charset of that label, in UTF-8. A decoder
// that reads from a stream costs a hundred times as much as the few octets of
// an encoded word.
func decodeAs(label string, b []byte) ([]byte, error) {
	e := encodingOf(label)
	if e == nil {
		return nil, errCharset
	}
	return e.NewDecoder().Bytes(b)
}

// decodeWord is decodeAs for package mime.
func decodeWord(label string, r io.Reader) (io.Reader, error) {
	b, err := io.ReadAll(r)
	if err != nil {
		return nil, err
	}
	if b, err = decodeAs(label, b); err != nil {
		return nil, err
	}
	return bytes.NewReader(b), nil
}

// toUTF8 returns s as valid UTF-8. Octets whose charset nobody named are
// guessed at; what remains unreadable becomes U+FFFD.
func toUTF8(s string) string {
	if ascii.Only(s) && strings.IndexByte(s, 0x1b) < 0 || utf8.ValidString(s) && strings.IndexByte(s, 0x1b) < 0 {
		return s
	}
	d, err := guessCharset([]byte(s)).NewDecoder().String(s)
	if err != nil {
		return strings.ToValidUTF8(s, "\uFFFD")
	}
	return d
}

// guessCharset says in which charset b probably is, given that it is not UTF-8.
//
// QUIRK: ezweb, docomo and other Japanese carriers send ISO-2022-JP, Shift_JIS
// or EUC-JP that is labelled us-ascii, or not at all.
func guessCharset(b []byte) encoding.Encoding {
	if bytes.IndexByte(b, 0x1b) >= 0 && (bytes.Contains(b, []byte("\x1b$")) || bytes.Contains(b, []byte("\x1b("))) {
		return japanese.ISO2022JP
	}
	if looksShiftJIS(b) {
		return japanese.ShiftJIS
	}
	// A superset of ISO 8859-1, which web standards read for it as well.
	return charmap.Windows1252
}

// looksShiftJIS reports whether the octets above ASCII come in pairs of
// Shift_JIS that stand for kana: a Western text does not hold 0x82 or 0x83,
// low quotation marks and the florin sign, often and always before a letter.
func looksShiftJIS(b []byte) bool {
	pairs, kana := 0, 0
	for i := 0; i < len(b); i++ {
		c := b[i]
		switch {
		case c < 0x80 || 0xa1 <= c && c <= 0xdf: // ASCII, half-width kana
			continue
		case i+1 < len(b) && b[i+1] >= 0x40 && b[i+1] != 0x7f && b[i+1] <= 0xfc && c != 0xa0 && c <= 0xfc && c != 0x80:
			pairs++
			if c == 0x82 || c == 0x83 {
				kana++
			}
			i++
		default:
			return false
		}
	}
	return kana > 0 && kana*4 >= pairs
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
