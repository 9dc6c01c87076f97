package dsn

import (
	"testing"

	"golang.org/x/text/encoding/charmap"
	"golang.org/x/text/encoding/japanese"
	"golang.org/x/text/encoding/korean"
	"golang.org/x/text/encoding/simplifiedchinese"
	"golang.org/x/text/encoding/traditionalchinese"
)

// TestDecodeCharset decodes every charset that bounces come in, under its own
// label, under labels that are wrong, and under none.
func TestDecodeCharset(t *testing.T) {
	const (
		ja = "宛先のユーザーが見つかりません"
		zh = "收件人不存在"
		tw = "收件人不存在，郵件退回"
		ko = "받는 사람을 찾을 수 없습니다"
		ru = "Пользователь не найден"
		de = "Empfänger unbekannt, Postfach überfüllt"
	)
	enc := func(b []byte, err error) []byte {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
		return b
	}
	tests := []struct {
		label string
		in    []byte
		want  string
	}{
		{"iso-2022-jp", enc(japanese.ISO2022JP.NewEncoder().Bytes([]byte(ja))), ja},
		{"us-ascii", enc(japanese.ISO2022JP.NewEncoder().Bytes([]byte(ja))), ja},
		{"utf-8", enc(japanese.ISO2022JP.NewEncoder().Bytes([]byte(ja))), ja},
		{"", enc(japanese.ISO2022JP.NewEncoder().Bytes([]byte(ja))), ja},
		{"cp50220", enc(japanese.ISO2022JP.NewEncoder().Bytes([]byte(ja))), ja},
		{"shift_jis", enc(japanese.ShiftJIS.NewEncoder().Bytes([]byte(ja))), ja},
		{"cp932", enc(japanese.ShiftJIS.NewEncoder().Bytes([]byte(ja))), ja},
		{"", enc(japanese.ShiftJIS.NewEncoder().Bytes([]byte(ja))), ja},
		{"euc-jp", enc(japanese.EUCJP.NewEncoder().Bytes([]byte(ja))), ja},
		{"gb2312", enc(simplifiedchinese.GBK.NewEncoder().Bytes([]byte(zh))), zh},
		{"gbk", enc(simplifiedchinese.GBK.NewEncoder().Bytes([]byte(zh))), zh},
		{"gb18030", enc(simplifiedchinese.GB18030.NewEncoder().Bytes([]byte(zh))), zh},
		{"big5", enc(traditionalchinese.Big5.NewEncoder().Bytes([]byte(tw))), tw},
		{"cp950", enc(traditionalchinese.Big5.NewEncoder().Bytes([]byte(tw))), tw},
		{"euc-kr", enc(korean.EUCKR.NewEncoder().Bytes([]byte(ko))), ko},
		{"ks_c_5601-1987", enc(korean.EUCKR.NewEncoder().Bytes([]byte(ko))), ko},
		{"koi8-r", enc(charmap.KOI8R.NewEncoder().Bytes([]byte(ru))), ru},
		{"windows-1251", enc(charmap.Windows1251.NewEncoder().Bytes([]byte(ru))), ru},
		{"iso-8859-5", enc(charmap.ISO8859_5.NewEncoder().Bytes([]byte(ru))), ru},
		{"iso-8859-1", enc(charmap.ISO8859_1.NewEncoder().Bytes([]byte(de))), de},
		{"latin1", enc(charmap.ISO8859_1.NewEncoder().Bytes([]byte(de))), de},
		{"iso-8859-15", enc(charmap.ISO8859_15.NewEncoder().Bytes([]byte(de))), de},
		{"windows-1252", enc(charmap.Windows1252.NewEncoder().Bytes([]byte(de))), de},
		{"us-ascii", enc(charmap.Windows1252.NewEncoder().Bytes([]byte(de))), de},
		{"x-no-such-charset", enc(charmap.Windows1252.NewEncoder().Bytes([]byte(de))), de},
		{"us-ascii", []byte(ru), ru},
		{"iso-8859-1", []byte(ru), ru},
		{"x-no-such-charset", []byte(ko), ko},
		{"utf-8", []byte("caf\xe9"), "caf\uFFFD"},
	}
	for _, tt := range tests {
		if got := decodeCharset(tt.in, tt.label); got != tt.want {
			t.Errorf("%q: got %q, want %q", tt.label, got, tt.want)
		}
	}
}

func TestPartText(t *testing.T) {
	tests := []struct{ name, header, body, want string }{
		{"plain", "Content-Type: text/plain\n", "a\r\nb\rc\x00d", "a\nb\ncd"},
		{"base64", "Content-Transfer-Encoding: base64\n", "bm8gc3Vj\r\naCB1c2Vy", "no such user"},
		{"base64 cut short", "Content-Transfer-Encoding: BASE64\n", "bm8gc3VjaCB1c2V", "no such u"},
		{"base64 that is none", "Content-Transfer-Encoding: base64\n", "!no such user!", "!no such user!"},
		{"quoted-printable", "Content-Transfer-Encoding: quoted-printable\n", "no such=\nuser=20=C3=A9", "no suchuser é"},
		{"broken quoted-printable", "Content-Transfer-Encoding: quoted-printable\n", "100=% sure", "100=% sure"},
		{"HTML", "Content-Type: text/html\n", "<html><head><title>x</title><style>p{}</style></head><body><p>No such&nbsp;user</p>\n<p>u@example.com<br>550&#32;5.1.1 &lt;u&gt;</p><script>var x</script></body></html>",
			"No such user\n\nu@example.com\n550 5.1.1 <u>\n\n"},
		{"HTML labelled plain", "Content-Type: text/plain\n", "<!DOCTYPE html><html><body>No <b>such</b> user</body></html>", "No such user"},
	}
	for _, tt := range tests {
		h, _ := readHeader(nil, []byte(tt.header), DefaultLimits, false)
		p := part{header: h, kind: parseMediaType(h.raw("Content-Type")), body: []byte(tt.body)}
		if got := p.text(); got != tt.want {
			t.Errorf("%s: got %q, want %q", tt.name, got, tt.want)
		}
	}
}

func TestDecodeWords(t *testing.T) {
	tests := []struct{ in, want string }{
		{" plain \r\n", "plain"},
		{"a\r\n b\r\n\t c", "a b c"},
		{"=?utf-8?q?caf=C3=A9?=", "café"},
		{"=?ISO-2022-JP?B?GyRCMnE1RCRONUQ7dk8/GyhC?=", "会議の議事録"},
		{"=?koi8-r?B?5M/L1c3FztTZ?= x", "Документы x"},
		{"=?no-such?q?x?=", "=?no-such?q?x?="},
		{"=?utf-8?q?", "=?utf-8?q?"},
		{"caf\xe9", "café"},
		{"a\x00b\tc\x7f", "ab c"},
		{"=?utf-8?q?a=0D=0AX-Forged:_b=00?=", "a  X-Forged: b"},
		{"\x1b$B08@h\x1b(B x", "宛先 x"},
		{"\x1b[31mred", "[31mred"},
		{"", ""},
	}
	for _, tt := range tests {
		if got := decodeWords([]byte(tt.in)); got != tt.want {
			t.Errorf("decodeWords(%q) = %q, want %q", tt.in, got, tt.want)
		}
	}
}
