package dsn

import "testing"

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
		h, _ := readHeader(nil, []byte(tt.header), DefaultLimits(), false)
		p := part{header: h, kind: parseMediaType(h.raw("Content-Type")), body: []byte(tt.body)}
		if got := p.words(); got != tt.want {
			t.Errorf("%s: got %q, want %q", tt.name, got, tt.want)
		}
	}
}
