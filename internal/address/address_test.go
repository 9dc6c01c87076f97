package address

import "testing"

func TestIsMailbox(t *testing.T) {
	for _, s := range []string{"u@example.com", "u@localhost", "u@[192.0.2.1]", `"a b"@example.com`, "a@b@example.com", "用户@例え.example"} {
		if !IsMailbox(s) {
			t.Errorf("%q is a mailbox", s)
		}
	}
	for _, s := range []string{"", "u", "@example.com", "u@", "|cmd u@example.com", "/var/mail/u@example.com", "a b@example.com", "u@a b", `"a@example.com`} {
		if IsMailbox(s) {
			t.Errorf("%q is no mailbox", s)
		}
	}
}

func TestSingle(t *testing.T) {
	for field, want := range map[string]string{
		"":                                        "",
		"u@example.com":                           "u@example.com",
		"Jo <U@Example.com>":                      "U@Example.com",
		`"u@example.com" <u@example.com>`:         "u@example.com",
		`"v@example.com" <u@example.com>`:         "",
		"A <a@example.com>, B <b@example.com>":    "",
		"undisclosed-recipients:;":                "",
		"no address":                              "",
		"bounce+u=example.net@lists.example.com ": "bounce+u=example.net@lists.example.com",
	} {
		if got := Single(field); got != want {
			t.Errorf("%q: %q, want %q", field, got, want)
		}
	}
}
