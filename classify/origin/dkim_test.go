package origin

import (
	"bytes"
	"context"
	"crypto"
	"crypto/ed25519"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"encoding/base64"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/emersion/go-msgauth/dkim"
)

// testKeys are made once: RSA keys are expensive.
var testKeys = sync.OnceValue(func() map[string]crypto.Signer {
	r, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		panic(err)
	}
	e := ed25519.NewKeyFromSeed(bytes.Repeat([]byte{7}, 32))
	return map[string]crypto.Signer{"rsa": r, "ed": e}
})

func public(name string) crypto.PublicKey { return testKeys()[name].Public() }

// dkimJudge knows the keys as files.
func dkimJudge(t testing.TB) *Judge {
	return judgeOf(t, Options{DKIM: []DKIMKey{{"example.org", "rsa", public("rsa")}, {"example.org", "ed", public("ed")}}})
}

const mailHeader = "Received: from app.example.org (app.example.org [192.0.2.7])\r\n\tby mail.example.org with ESMTP id 1\r\n\tfor <u@example.com>; Fri, 27 Nov 2026 21:59:58 +0000\r\n" +
	"From:  Example   News <news@example.org>\r\nTo: U <u@example.com>,\r\n  \"V, v\" <V@example.com>\r\nCc: w@example.net\r\nSubject: News\r\n\tof  the week  \r\nDate: Fri, 27 Nov 2026 21:59:59 +0000\r\nMessage-ID: <1234@mail.example.org>\r\n"

const mailBody = "Hello,  there. \r\n\r\n\tAnd\tgood bye.\r\n\r\n\r\n"

var mailFields = []string{"From", "To", "Cc", "Subject", "Date", "Message-ID"}

// signedBy returns header and body as go-msgauth signs them.
func signedBy(t testing.TB, key string, o dkim.SignOptions, header, body string) (string, string) {
	t.Helper()
	o.Domain, o.Selector, o.Signer = "example.org", key, testKeys()[key]
	if o.HeaderKeys == nil {
		o.HeaderKeys = mailFields
	}
	var b bytes.Buffer
	if err := dkim.Sign(&b, strings.NewReader(header+"\r\n"+body), &o); err != nil {
		t.Fatal(err)
	}
	h, body, _ := strings.Cut(b.String(), "\r\n\r\n")
	return h + "\r\n", body
}

// signBy signs a header itself, with any tags. %s in them stands for the hash of the
// body.
func signBy(t testing.TB, key, tags, header, body string) string {
	t.Helper()
	sum := &bodyHash{hash: sha256.New(), left: -1}
	if _, l, ok := strings.Cut(tags, "l="); ok {
		fmt.Sscanf(l, "%d", &sum.left)
	}
	sum.add([]byte(body), !strings.Contains(tags, "/relaxed"))
	field := "DKIM-Signature: " + strings.ReplaceAll(tags, "%s", base64.StdEncoding.EncodeToString(sum.hash.Sum(nil))) + "; b="
	h := parseHeader([]byte(field + "\r\n" + header))
	s := signature{field: &h.fields[0], at: len(h.fields[0].value), end: len(h.fields[0].value), simple: !strings.Contains(tags, "c=relaxed")}
	_, list, _ := strings.Cut(tags, "h=")
	list, _, _ = strings.Cut(list, ";")
	s.headers = strings.Split(strings.ToLower(list), ":")
	digest, _ := s.hash(&h)
	opts, data := crypto.SignerOpts(crypto.SHA256), digest
	if key == "ed" {
		opts = crypto.Hash(0)
	}
	sig, err := testKeys()[key].Sign(rand.Reader, data, opts)
	if err != nil {
		t.Fatal(err)
	}
	return field + base64.StdEncoding.EncodeToString(sig) + "\r\n" + header
}

// go-msgauth signs, we verify; and go-msgauth agrees.
func TestDKIMSecondOpinion(t *testing.T) {
	j, now := dkimJudge(t), time.Now() // go-msgauth writes it into t=
	for _, key := range []string{"rsa", "ed"} {
		for _, hc := range []dkim.Canonicalization{"simple", "relaxed"} {
			for _, bc := range []dkim.Canonicalization{"simple", "relaxed"} {
				for name, body := range map[string]string{"usual": mailBody, "empty": "", "lines": "\r\n\r\n", "no end": "Hello"} {
					header, body := signedBy(t, key, dkim.SignOptions{HeaderCanonicalization: hc, BodyCanonicalization: bc,
						HeaderKeys: append([]string{"Reply-To", "from"}, mailFields...)}, mailHeader, body)
					for _, m := range []*Message{
						{Header: []byte(header)},
						{Header: []byte(header), Body: []byte(body), WholeBody: true},
						{Header: []byte(strings.ReplaceAll(header, "\r\n", "\n")), Body: []byte(strings.ReplaceAll(body, "\r\n", "\n")), WholeBody: true},
					} {
						got := j.Examine(t.Context(), m, now).Of(Recipient{Final: "U@example.com"})
						if got.Origin != Ours || got.Proof != ProofDKIM || !got.Bound || strings.Contains(got.Why, "its body is") != (len(m.Body) > 0) {
							t.Errorf("%s %s/%s, body %s: %+v\n%s", key, hc, bc, name, got, m.Header)
						}
					}
					// What was signed was changed a little.
					if got := j.Examine(t.Context(), &Message{Header: []byte(strings.Replace(header, "week", "weeks", 1))}, now).Of(Recipient{Final: "u@example.com"}); got.Origin != Unproven {
						t.Errorf("%s %s/%s: changed: %+v", key, hc, bc, got)
					}
					if got := j.Examine(t.Context(), &Message{Header: []byte(header), Body: []byte(body + "x"), WholeBody: true}, now).Of(Recipient{Final: "u@example.com"}); got.Origin != Unproven {
						t.Errorf("%s %s/%s: body changed: %+v", key, hc, bc, got)
					}
				}
			}
		}
	}
}

// The example of RFC 8463 appendix A.3.
func TestDKIMExample(t *testing.T) {
	const message = "DKIM-Signature: v=1; a=ed25519-sha256; c=relaxed/relaxed;\r\n d=football.example.com; i=@football.example.com;\r\n q=dns/txt; s=brisbane; t=1528637909; h=from : to :\r\n subject : date : message-id : from : subject : date;\r\n bh=2jUSOH9NhtVGCQWNr9BrIAPreKQjO6Sn7XIkfJVOzv8=;\r\n b=/gCrinpcQOoIfuHNQIbq4pgh9kyIK3AQUdt9OdqQehSwhEIug4D11Bus\r\n Fa3bT3FY5OsU7ZbnKELq+eXdp1Q1Dw==\r\n" +
		"From: Joe SixPack <joe@football.example.com>\r\nTo: Suzie Q <suzie@shopping.example.net>\r\nSubject: Is dinner ready?\r\nDate: Fri, 11 Jul 2003 21:00:37 -0700 (PDT)\r\nMessage-ID: <20030712040037.46341.5F8J@football.example.com>\r\n"
	key, err := parseRecord("v=DKIM1; k=ed25519; p=11qYAYKxCrfVS/7TyWQHOg7hcvPapiMlrwIaaPcHURo=")
	if err != nil {
		t.Fatal(err)
	}
	j := judgeOf(t, Options{DKIM: []DKIMKey{{"football.example.com", "brisbane", key}}})
	got := j.Examine(t.Context(), &Message{Header: []byte(message), Body: []byte("Hi.\r\n\r\nWe lost the game.  Are you hungry yet?\r\n\r\nJoe.\r\n"), WholeBody: true}, time.Unix(1528640000, 0)).
		Of(Recipient{Final: "suzie@shopping.example.net"})
	if got.Proof != ProofDKIM || !got.Bound {
		t.Errorf("%+v", got)
	}
}

// What a signature may say, and what an attacker may try.
func TestDKIM(t *testing.T) {
	const good = "v=1; a=rsa-sha256; c=relaxed/relaxed; d=example.org; s=rsa; t=1795816700; h=from:to:cc:subject:date:message-id; bh=%s"
	rcpt := "u@example.com"
	for _, tt := range []struct {
		name   string
		tags   string
		change func(string) string
		body   string // "" if none came back
		rcpt   string
		key    string
		later  time.Duration
		origin Origin
		bound  bool
		why    string
	}{
		{name: "good", tags: good, origin: Ours, bound: true},
		{name: "in Cc", tags: good, rcpt: "W@example.net", origin: Ours, bound: true},
		{name: "another field on top", tags: good, change: func(h string) string { return "To: victim@example.com\r\n" + h }, origin: Ours, bound: true},
		{name: "fields gone that are not signed", tags: good, change: func(h string) string { return h[:strings.Index(h, "Received")] + h[strings.Index(h, "From:"):] }, origin: Ours, bound: true},
		{name: "relaxed: folded anew", tags: good, change: func(h string) string { return strings.Replace(h, "of  the", "of\r\n \tthe", 1) }, origin: Ours, bound: true},
		{name: "relaxed: names in other case", tags: good, change: func(h string) string { return strings.Replace(h, "Subject:", "SUBJECT :", 1) }, origin: Ours, bound: true},
		{name: "oversigned", tags: strings.Replace(good, "h=from", "h=from:from:reply-to:list-id", 1), origin: Ours, bound: true},
		{name: "subdomain in i=", tags: good + "; i=jo@news.example.org", origin: Ours, bound: true},
		{name: "not expired", tags: good + "; x=1795816900", origin: Ours, bound: true},
		{name: "part of the body", tags: good + "; l=13", body: mailBody + "A list's footer.\r\n", origin: Ours, bound: true},
		{name: "without a time, by Date", tags: strings.Replace(good, "t=1795816700; ", "", 1), origin: Ours, bound: true},
		{name: "ed25519", tags: strings.NewReplacer("rsa-sha256", "ed25519-sha256", "s=rsa", "s=ed").Replace(good), key: "ed", origin: Ours, bound: true},
		{name: "To is not signed", tags: strings.Replace(good, "to:cc:", "", 1), origin: Ours},

		{name: "sent back for another recipient", tags: good, rcpt: "victim@example.com", origin: Ours, why: "no To or Cc that it covers names the recipient"},
		{name: "for another recipient, who stands in a To on top", tags: good, rcpt: "victim@example.com",
			change: func(h string) string { return "To: victim@example.com\r\n" + h }, origin: Ours, why: "no To or Cc that it covers names the recipient"},
		{name: "for another recipient, who stands in a To below", tags: good, rcpt: "victim@example.com", change: func(h string) string { return h + "To: victim@example.com\r\n" }, why: "does not fit the header"},
		{name: "oversigned, and added", tags: strings.Replace(good, "h=from", "h=from:to:reply-to", 1), change: func(h string) string { return "Reply-To: x@example.net\r\n" + h }, why: "does not fit the header"},
		{name: "no body is covered", tags: good + "; l=0", body: "Something else\r\n", why: "covers no body"},
		{name: "no body is covered, and none came", tags: good + "; l=0", why: "covers no body"},
		{name: "shorter than l=", tags: good + "; l=13", body: "Hello\r\n", why: "does not fit the body"},
		{name: "another body", tags: good, body: "Something else\r\n", why: "does not fit the body"},
		{name: "simple: folded anew", tags: strings.Replace(good, "relaxed/", "simple/", 1), change: func(h string) string { return strings.Replace(h, "of  the", "of the", 1) }, why: "does not fit the header"},
		{name: "a signed field is gone", tags: good, change: func(h string) string { return strings.Replace(h, "Cc: w@example.net\r\n", "", 1) }, why: "does not fit the header"},
		{name: "expired", tags: good + "; x=1795816750", later: time.Minute, why: "has expired"},
		{name: "old", tags: good, later: DefaultMaxAge, why: "older than max_age"},
		{name: "old by Date", tags: strings.Replace(good, "t=1795816700; ", "", 1), later: DefaultMaxAge, why: "older than max_age"},
		{name: "from the future", tags: good, later: -time.Hour, why: "from the future"},
		{name: "x before t", tags: good + "; x=1795816600", later: -3 * time.Minute, why: "malformed"},
		{name: "i= elsewhere", tags: good + "; i=jo@notexample.org", why: "identity"},
		{name: "another domain", tags: strings.Replace(good, "d=example.org", "d=example.net", 1), why: "no DKIM signature of ours"},
		{name: "a subdomain", tags: strings.Replace(good, "d=example.org", "d=evil.example.org", 1), why: "no DKIM signature of ours"},
		{name: "another selector", tags: strings.Replace(good, "s=rsa", "s=old", 1), why: "selector that is not configured"},
		{name: "From is not signed", tags: strings.Replace(good, "h=from:", "h=", 1), why: "does not cover From"},
		{name: "sha1", tags: strings.Replace(good, "rsa-sha256", "rsa-sha1", 1), why: "another algorithm"},
		{name: "key of another algorithm", tags: strings.Replace(good, "rsa-sha256", "ed25519-sha256", 1), why: "does not fit the header"},
		{name: "a tag twice", tags: good + "; d=example.org", why: "no DKIM signature of ours"},
		{name: "no version", tags: strings.Replace(good, "v=1; ", "", 1), why: "malformed"},
		{name: "another version", tags: strings.Replace(good, "v=1", "v=2", 1), why: "no DKIM signature of ours"},
		{name: "canonicalization", tags: strings.Replace(good, "relaxed/relaxed", "nofws", 1), why: "canonicalization"},
		{name: "bh is short", tags: strings.Replace(good, "bh=%s", "bh=AAAA", 1), why: "malformed"},
		{name: "negative length", tags: good + "; l=-1", why: "malformed"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			key := tt.key
			if key == "" {
				key = "rsa"
			}
			header := signBy(t, key, tt.tags, mailHeader, mailBody)
			if tt.change != nil {
				header = tt.change(header)
			}
			m := &Message{Header: []byte(header), Body: []byte(tt.body), WholeBody: tt.body != ""}
			r := Recipient{Final: rcpt}
			if tt.rcpt != "" {
				r.Final = tt.rcpt
			}
			got := dkimJudge(t).Examine(t.Context(), m, now.Add(tt.later)).Of(r)
			want := Result{Origin: Unproven, Why: got.Why}
			if tt.origin == Ours {
				want.Origin, want.Proof, want.Bound = Ours, ProofDKIM, tt.bound
				if tt.bound {
					want.Recipient = r.Final
				}
			}
			if got != want || !strings.Contains(got.Why, tt.why) {
				t.Errorf("%+v\n%s", got, header)
			}
		})
	}
}

// A list of ours signs what strangers write into To, and a web site mails to whatever name
// somebody signed up with. Neither names anybody to whom the message has gone.
func TestWhoWroteTo(t *testing.T) {
	const good = "v=1; a=rsa-sha256; c=relaxed/relaxed; d=example.org; s=rsa; t=1795816700; h=from:to:cc:subject:date:message-id; bh=%s"
	const from, to = "Example   News <news@example.org>", "U <u@example.com>,"
	for _, tt := range []struct {
		name, from, to string
		rcpt           string
		bound          bool
	}{
		{"the author is ours", from, to, "u@example.com", true},
		{"the author is of a subdomain", "news@lists.Example.org", to, "u@example.com", true},
		{"the author is of the domain above", "news@org", to, "u@example.com", true},
		{"the author is a stranger", "Mallory <m@evil.example>", to, "u@example.com", false},
		{"one of two authors is a stranger", "News <news@example.org>, m@evil.example", to, "u@example.com", false},
		{"the author's domain only ends like ours", "m@notexample.org", to, "u@example.com", false},
		{"an encoded name", from, "=?utf-8?q?J=C3=B6,victim@example.net,?= <u@example.com>,", "u@example.com", true},
		{"an encoded name with a victim", from, "=?utf-8?q?J=C3=B6,victim@example.net,?= <u@example.com>,", "victim@example.net", false},
		{"a quoted name with a victim", from, `"J, victim@example.net, " <u@example.com>,`, "victim@example.net", false},
		{"a comment with a victim", from, `u@example.com (J, victim@example.net, ),`, "victim@example.net", false},
		{"a comment with a victim in angle brackets", from, `u@example.com (<victim@example.net>),`, "victim@example.net", false},
		{"a comment behind the address", from, `<u@example.com> (<victim@example.net>),`, "victim@example.net", false},
		{"a comment with angle brackets", from, `u@example.com (<victim@example.net>),`, "u@example.com", true},
		{"a local part with a victim", from, `u."<victim@example.net>"@example.com,`, "victim@example.net", false},
		{"the author cannot be read", `m."<news@example.org>"@evil.example`, to, "u@example.com", false},
		{"there is no author", "Mallory", to, "u@example.com", false},
		{"an author far behind", "news@example.org" + strings.Repeat(" ", maxFrom) + ", m@evil.example", to, "u@example.com", false},
		{"no encoded word", from, `=?victim@example.net, U <u@example.com>,`, "u@example.com", true},
	} {
		t.Run(tt.name, func(t *testing.T) {
			header := signBy(t, "rsa", good, strings.NewReplacer(from, tt.from, to, tt.to).Replace(mailHeader), mailBody)
			got := dkimJudge(t).Examine(t.Context(), &Message{Header: []byte(header)}, now).Of(Recipient{Final: tt.rcpt})
			if got.Origin != Ours || got.Bound != tt.bound || !tt.bound && got.Recipient != "" {
				t.Errorf("%+v\n%s", got, header)
			}
		})
	}
}

// Only a few signatures are verified, and any valid one counts.
func TestManySignatures(t *testing.T) {
	const tags = "v=1; a=rsa-sha256; c=relaxed/relaxed; d=example.org; s=rsa; h=from:to; bh=%s"
	good := signBy(t, "rsa", tags, mailHeader, mailBody)
	bad := "DKIM-Signature: v=1; a=rsa-sha256; d=example.org; s=rsa; h=from:to; bh=" + base64.StdEncoding.EncodeToString(make([]byte, 32)) + "; b=AAAA\r\n"
	other := strings.ReplaceAll(bad, "d=example.org", "d=example.net")
	for _, tt := range []struct {
		before string
		want   Origin
	}{{bad, Ours}, {strings.Repeat(bad, maxSignatures-1), Ours}, {strings.Repeat(bad, maxSignatures), Unproven},
		{strings.Repeat(other, maxSeen-1), Ours}, {strings.Repeat(other, 10_000), Unproven}} {
		got := dkimJudge(t).Examine(t.Context(), &Message{Header: []byte(tt.before + good)}, now).Of(Recipient{Final: "u@example.com"})
		if got.Origin != tt.want {
			t.Errorf("%d signatures before it: %+v", strings.Count(tt.before, "\n"), got)
		}
	}
}

// A ticket that says to whom a message went is not outdone by a signature that does not.
func TestTicketAndDKIM(t *testing.T) {
	k := keysOf(t, line("key", 1))
	j := judgeOf(t, Options{Keys: k, DKIM: []DKIMKey{{"example.org", "rsa", public("rsa")}}})
	const tags = "v=1; a=rsa-sha256; c=relaxed/relaxed; d=example.org; s=rsa; h=from:to; bh=%s"
	m := outgoing()
	many := outgoing()
	for i := range 30 {
		many.Recipients = append(many.Recipients, fmt.Sprintf("%d@example.com", i))
	}
	header := signBy(t, "rsa", tags, mailHeader, mailBody)
	for _, tt := range []struct {
		name   string
		ticket string
		rcpt   string
		want   Result
	}{
		{"replayed", k.Sign(m, now, 0), "v@example.com", Result{Origin: Unproven}},
		{"its own", k.Sign(m, now, 0), "u@example.com", Result{Ours, ProofTicket, true, "u@example.com", ""}},
		{"many", k.Sign(many, now, 0), "v@example.com", Result{Ours, ProofDKIM, true, "v@example.com", ""}},
		{"many, and a stranger", k.Sign(many, now, 0), "victim@example.com", Result{Ours, ProofTicket, false, "", ""}},
		{"a bad one", k.Sign(m, now.Add(-DefaultMaxAge*2), 0), "v@example.com", Result{Ours, ProofDKIM, true, "v@example.com", ""}},
	} {
		got := j.Examine(context.Background(), &Message{Header: []byte("X-Bounce-Ticket: " + tt.ticket + "\r\n" + header)}, now).Of(Recipient{Final: tt.rcpt})
		tt.want.Why = got.Why
		if got != tt.want {
			t.Errorf("%s: %+v", tt.name, got)
		}
	}
}
