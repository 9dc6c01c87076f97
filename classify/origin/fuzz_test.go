package origin

import (
	"strings"
	"testing"
)

// FuzzTicket verifies whatever it is given: only what was signed is ours, and what it says
// about a ticket never has a stranger's text in it.
func FuzzTicket(f *testing.F) {
	k := keysOf(f, line("key", 1))
	m := outgoing()
	good := k.Sign(m, now, 0)
	for _, s := range []string{good, strings.ReplaceAll(good, "\n\t", ""), good[:50], "", "v=1", "v=1; k=key; t=-1; m=AAAAAAAAAAA; r=; h=AAAAAAAAAAAAAAAAAAAAAA", "v=1;;;=;v=", strings.Repeat("r=A;", 40)} {
		f.Add(s)
	}
	j := judgeOf(f, Options{Keys: k})
	want, _ := parseTicket([]byte(good))
	f.Fuzz(func(t *testing.T, value string) {
		value = strings.ReplaceAll(strings.ReplaceAll(value, "\r", ""), "\n", "\n\t")
		e := j.Examine(t.Context(), &Message{Header: []byte(headerOf(m, value))}, now)
		got := e.Of(Recipient{Final: "u@example.com"})
		if got.Origin == Ours {
			// The same ticket, in whatever form.
			if parsed, why := parseTicket([]byte(value)); why != "" || parsed != want {
				t.Errorf("%q is taken for a ticket of ours: %+v", value, got)
			}
		}
		parsed, why := parseTicket([]byte(value))
		if why != "" {
			return
		}
		if again, why := parseTicket([]byte(parsed.write())); why != "" || again != parsed {
			t.Errorf("%q is read anew as %q: %s", parsed, again, why)
		}
	})
}

// FuzzSignature reads whatever header and body it is given: a changed message is never
// ours.
func FuzzSignature(f *testing.F) {
	const tags = "v=1; a=ed25519-sha256; c=relaxed/simple; d=example.org; s=ed; i=@example.org; t=1795816700; x=1795899999; h=from:to:cc:subject:date:message-id:from; bh=%s"
	good := signBy(f, "ed", tags, mailHeader, mailBody)
	for _, s := range []string{good, strings.ReplaceAll(good, "\r\n", "\n"), strings.Replace(good, "relaxed", "simple", 1), strings.Replace(good, "bh=", "l=3; bh=", 1), mailHeader, strangers, "", ":", " x", "DKIM-Signature: v=1; d=example.org\n", "DKIM-Signature:\n b=;d=example.org;s=ed"} {
		f.Add(s, mailBody, true)
	}
	j := judgeOf(f, Options{Keys: keysOf(f, line("key", 1)), TicketsSince: now.AddDate(-1, 0, 0), DKIM: []DKIMKey{{"example.org", "ed", public("ed")}}})
	h := parseHeader([]byte(good))
	s, why := parseSignature(&h.fields[0])
	if why != "" {
		f.Fatal(why)
	}
	_, fields := s.hash(&h)
	canon := func(list []*field) string {
		var b []byte
		for _, f := range list {
			b = append(appendRelaxed(b, f.name, f.raw), '\n')
		}
		return string(b)
	}
	want := canon(fields)
	f.Fuzz(func(t *testing.T, header, body string, whole bool) {
		e := j.Examine(t.Context(), &Message{Header: []byte(header), Body: []byte(body), WholeBody: whole}, now)
		for _, v := range e.dkim {
			if got := canon(v.fields); got != want {
				t.Errorf("signed is\n%s\nand taken for signed is\n%s", want, got)
			}
		}
		e.Of(Recipient{Final: header, Original: body})
	})
}

// FuzzRecord reads key records, and files of keys.
func FuzzRecord(f *testing.F) {
	for _, s := range []string{"v=DKIM1; p=", "v=DKIM1; k=ed25519; p=11qYAYKxCrfVS/7TyWQHOg7hcvPapiMlrwIaaPcHURo=", "a \"b;c\" ; \"p=\"", "-----BEGIN PUBLIC KEY-----\nAAAA\n-----END PUBLIC KEY-----\n"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		if key, err := parseRecord(s); err == nil && key == nil {
			t.Error("neither a key nor an error")
		}
		ParsePublicKey([]byte(s))
		ParseKeys([]byte(s))
	})
}

// FuzzAuthors reads fields with addresses.
func FuzzAuthors(f *testing.F) {
	for _, s := range []string{"a@b", `"a@b, c" <jo@example.org>`, "team: a@x, b@y;", "(((", `"\`, "<<@>>,", "ü@ü.example"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		for a := range authors(s) {
			if len(a) <= maxAddress && canonical(a) != a {
				t.Errorf("%q: %q becomes %q", s, a, canonical(a))
			}
		}
	})
}
