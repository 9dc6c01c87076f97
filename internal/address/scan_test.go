package address

import (
	"strings"
	"testing"
)

func TestIn(t *testing.T) {
	tests := []struct{ in, want string }{
		{"", ""},
		{"u@example.com", "u@example.com"},
		{"<u@example.com>: no", "u@example.com <>"},
		{"(u@example.com) \"v@example.com\" 'w@example.com'.", "u@example.com v@example.com w@example.com"},
		{"write to u@example.com, v@example.net.", "u@example.com v@example.net"},
		{"rfc822;u+tag=x@example.com", "u+tag=x@example.com"},
		{`"a b"@example.com`, `"a b"@example.com`},
		{"u@[192.0.2.1] x", "u@[192.0.2.1]"},
		{"宛先u@example.jp様", "u@example.jp"},
		{"<用户@例子.广告>", "用户@例子.广告 <>"},
		{"@ @@ a@ @b a@-", ""},
		{"a@b@c.example", "a@b"},
		{"****@example.com", "****@example.com"},
		{"*u@example.com*", "u@example.com"},
		{"mailto:u@example.com?subject=x", "u@example.com"},
		{"see http://spam.example/login?ada@example.com", ""},
		{"https://spam.example/a/b/c,d;ada@example.com u@example.com", "u@example.com"},
		{"ftp:u@example.com", "u@example.com"},
		{"u@example.com<mailto:u@example.com>", "u@example.com u@example.com"},
	}
	for _, tt := range tests {
		var got []string
		for a := range In([]byte(tt.in)) {
			s := tt.in[a.Start:a.End]
			if a.Angle {
				s += " <>"
			}
			got = append(got, s)
		}
		if s := strings.Join(got, " "); s != tt.want {
			t.Errorf("%q: got %q, want %q", tt.in, s, tt.want)
		}
	}
}
