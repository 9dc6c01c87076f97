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

// encodings caches the encoding of every known label that was asked for, in lower case.
// It cannot grow beyond the registries.
var encodings sync.Map

var errCharset = errors.New("charset is unknown")

// encodingOf returns the encoding that a label names in IANA's registry, in its aliases
// that begin with "cs", or in the Encoding Standard; nil if it is in none of these.
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

// decodeAs converts b from the charset of that label to UTF-8. It does so in one piece:
// for the few octets of an encoded-word, a decoder that reads from a stream would cost a
// hundred times as much.
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

// toUTF8 returns s as valid UTF-8. It guesses the charset if s is not UTF-8; what cannot
// be decoded becomes U+FFFD.
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

// guessCharset returns the charset that b probably is in, given that it is not UTF-8.
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
	// A superset of ISO 8859-1; web standards use it in its place too.
	return charmap.Windows1252
}

// looksShiftJIS reports whether the octets above ASCII come in pairs of Shift_JIS, at
// least a quarter of them kana. In Western text the first octets of kana, 0x82 and 0x83
// (a low quotation mark and the florin sign), are rare and do not always come before a
// letter.
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

// decodeCharset converts b, whose label names a charset, to UTF-8.
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
	case utf8.Valid(b) && (t.noCharset[label] || strings.HasPrefix(label, "utf-8") ||
		strings.HasPrefix(label, "windows-125") || strings.HasPrefix(label, "iso-8859-")):
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
