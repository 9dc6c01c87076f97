package dsn

import "testing"

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
