package dsn

import "testing"

func TestReadAddress(t *testing.T) {
	tests := []struct{ in, want string }{
		{"rfc822; u@example.com", "u@example.com"},
		{"RFC822;u@example.com", "u@example.com"},
		{"rfc/822; u@example.com", "u@example.com"},
		{"u@example.com", "u@example.com"},
		{"<u@example.com>", "u@example.com"},
		{"rfc822; <u@example.com>", "u@example.com"},
		{"rfc822; Jo Kern <u@example.com>", "u@example.com"},
		{`rfc822; "Kern, Jo" <u@example.com>`, "u@example.com"},
		{"rfc822; u@example.com (Jo Kern)", "u@example.com"},
		{"rfc822; u@example.com, ", "u@example.com"},
		{"rfc822; 'u@example.com'", "u@example.com"},
		{"rfc822; mailto:u@example.com", "u@example.com"},
		{"SMTP:u@example.com", "u@example.com"},
		{"rfc822; @relay.example.net:u@example.com", "u@example.com"},
		{"rfc822; @a.example,@b.example:u@example.com", "u@example.com"},
		{`rfc822; "a b"@example.com`, `"a b"@example.com`},
		{`rfc822; "a;b (c)"@example.com`, `"a;b (c)"@example.com`},
		{"rfc822; |/usr/bin/filter", "|/usr/bin/filter"},
		{"rfc822; @mx.example.org", "@mx.example.org"},
		{"x400; /S=KERN/G=JO/", "/S=KERN/G=JO/"},
		{"utf-8; δοκιμή@παράδειγμα.example", "δοκιμή@παράδειγμα.example"},
		{`utf-8; pel\x{E9}@example.com`, "pelé@example.com"},
		{`utf-8; \x{1F600}@example.com`, "😀@example.com"},
		{`utf-8; a\x{D800}b\x{}c\x{0A}d@example.com`, `a\x{D800}b\x{}c\x{0A}d@example.com`},
		{`rfc822; pel\x{E9}@example.com`, "pelé@example.com"},
		{"rfc822; u+2Btag@example.com", "u+tag@example.com"},
		{"rfc822; u+3Dv@example.com", "u=v@example.com"},
		{"rfc822; u+tag@example.com", "u+tag@example.com"},
		{"rfc822; u+2B@example.com", "u+2B@example.com"}, // a tag, rather than an escape
		{"rfc822; u+40example.com", "u@example.com"},
		{"rfc822; ((((", ""},
		{"", ""},
		{";", ""},
	}
	for _, tt := range tests {
		if got := readAddress(tt.in); got != tt.want {
			t.Errorf("readAddress(%q) = %q, want %q", tt.in, got, tt.want)
		}
	}
}

func TestDecodeXtext(t *testing.T) {
	tests := []struct{ in, want string }{
		{"plain", "plain"},
		{"a+2Bb+3Dc+20d", "a+b=c d"},
		{"a+b", "a+b"},           // never was xtext
		{"a+2b", "a+2b"},         // xtext has upper case only
		{"a+0Ab", "a+0Ab"},       // would be a line end
		{"a+2B+", "a+2B+"},       // cut short
		{"a+FFb", "a+FFb"},       // no UTF-8
		{"a+C3+A9b", "a\u00e9b"}, // UTF-8
	}
	for _, tt := range tests {
		if got := decodeXtext(tt.in); got != tt.want {
			t.Errorf("decodeXtext(%q) = %q, want %q", tt.in, got, tt.want)
		}
	}
}
