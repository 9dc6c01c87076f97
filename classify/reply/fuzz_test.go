package reply

import (
	"strings"
	"testing"
)

// FuzzParse parses a reply; what it finds must stand in the reply.
func FuzzParse(f *testing.F) {
	for _, s := range []string{"550 5.1.1 no", "550-5.7.1 a\r\n550-5.7.1 b\r\n550 5.7.1 c", "smtp; 550-a 550 b", "(#5.1.1)",
		"421, \"4.7.0\", x", "554 30 (554.30)", "4.16.55.1", "550", "550-", "error 540-'x", "５５０ ５．１．１ x", "550\u00a05.1.1‐x", "\xa0550 «５.1.1»", "{\"smtp_code\":550}"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		r := Parse(s)
		if !strings.Contains(plain(s), r.Status.String()) {
			t.Errorf("status %s", r.Status)
		}
		if r.Code != 0 && (r.Code < 200 || r.Code > 599) {
			t.Errorf("code %d", r.Code)
		}
		if len(r.Text) > len(s) || strings.ContainsAny(r.Text, "\r\n\x00") || strings.Contains(r.Text, "  ") {
			t.Errorf("text %q", r.Text)
		}
	})
}

// FuzzStatus looks for an enhanced code; what it finds must stand in the text, and
// be read again as it is written.
func FuzzStatus(f *testing.F) {
	for _, s := range []string{"5.1.1", "5.7.606 (banned)", "5.1.1.", "status 4.2.2, not 5.01.1", "2.0.0-x", "5.1.1.1", ""} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		st := FindStatus(s)
		if !strings.Contains(s, st.String()) || st != ParseStatus(st.String()) {
			t.Errorf("%q: status %s", s, st)
		}
		if st := ParseStatus(s); st.Class != 0 && st.String() != s {
			t.Errorf("%q is read as %s", s, st)
		}
	})
}
