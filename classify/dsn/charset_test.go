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
