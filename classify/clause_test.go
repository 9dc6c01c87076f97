package classify

import (
	"strings"
	"testing"
)

// TestClause judges by the embedded rules: words call the recipient's address dead
// only where the clause is about the recipient.
func TestClause(t *testing.T) {
	e, err := New(Options{})
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		reply  string
		kind   Type
		reason string
	}{
		{"550 The sender doesn't have an account with us", Block, "sender-rejected"},
		{"550 unknown user in MAIL FROM", Block, "sender-rejected"},
		{"550 cannot verify sender: no such user", Block, "sender-rejected"},
		{"550 Dear sender, the mailbox does not exist", Hard, "unknown-recipient"},
		{"550 Returned to sender: no such user", Hard, "unknown-recipient"},
		{"550 MAIL FROM <news@example.org> RCPT TO <u@example.com>: user unknown", Hard, "unknown-recipient"},
		{"550 The certificate of the domain is not valid", Soft, "tls-required"},
		{"550 no certificate, user unknown", Hard, "unknown-recipient"},
		{"550 Invalid user database", Soft, "server-error"},
		{"550 domain example.com is unknown", Hard, "unknown-domain"},
		{"550 Invalid settings for the domain", Soft, "server-error"},
		{"550 mailbox for u@example.com is currently not known", Hard, "unknown-recipient"},
		{"550 Mailbox for joe does not exist", Hard, "unknown-recipient"},
		{"550 user joe is not known to us", Hard, "unknown-recipient"},
		{"550 user rule is not known", Block, "unknown"},
		{"550 unable to locate the user", Hard, "unknown-recipient"},
		{"550 u@example.com is not active any more", Hard, "inactive-mailbox"},
		{"550 the hedgehog is not active any more", Block, "unknown"},
		{"550 this mailbox. The rule is unknown", Block, "unknown"},
		{"550 Recipient ok, but the session is not known here", Block, "unknown"},
		{"550 joe is not known here", Hard, "unknown-recipient"},
		{"550 We do not say whether the user is unknown", Block, "unknown"},
		{"550 The user is unknown. Write to us if that is wrong", Hard, "unknown-recipient"},
		{"550 <u@example.com>: this token has moved", Block, "unknown"},
		{"550 This user has moved to u@example.net", Hard, "recipient-moved"},
		{"554 5.7.1 <u@example.com>: Recipient address rejected: only blue ones", Block, "policy"},
		{"550 5.1.1 <u@example.com>: Recipient address rejected: only blue ones", Hard, "unknown-recipient"},
		{"550 <u@example.com>: Recipient address rejected: only blue ones", Block, "unknown"},
		{"554 5.7.1 <u@example.com>: Recipient address rejected: Mailbox full", Soft, "mailbox-full"},
	} {
		v := e.Judge(&Evidence{Reply: c.reply})
		if v.Type != c.kind || v.Reason != c.reason {
			t.Errorf("%s: %s, %s by %s; want %s, %s", c.reply, v.Type, v.Reason, v.Rule, c.kind, c.reason)
		}
	}
}

// TestWordsOfCodes: codes place words that nobody understood and do not explain
// them; without words, or with a signature alone, they keep their gist.
func TestWordsOfCodes(t *testing.T) {
	e, err := New(Options{})
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		reply  string
		kind   Type
		reason string
	}{
		{"550 5.1.1", Hard, "unknown-recipient"},
		{"550 5.1.1 <u@example.com>", Hard, "unknown-recipient"},
		{"550 5.1.1 https://mail.example.com/answer/1 ab1cd23pbd.45 - gsmtp", Hard, "unknown-recipient"},
		{"550 5.1.1 hedgehogs", Block, "unknown"},
		{"550 hedgehogs", Block, "unknown"},
		{"450 hedgehogs", Soft, "unknown"},
		{"451 4.3.0 Igel", Soft, "unknown"},
	} {
		v := e.Judge(&Evidence{Reply: c.reply})
		if v.Type != c.kind || v.Reason != c.reason || v.Category == Unclassified {
			t.Errorf("%s: %s, %s, %s by %s; want %s, %s", c.reply, v.Category, v.Type, v.Reason, v.Rule, c.kind, c.reason)
		}
	}
}

// TestClauseIsBounded: places beyond the bound and long gaps change nothing but
// that no rule that needs them matches.
func TestClauseIsBounded(t *testing.T) {
	e, err := New(Options{})
	if err != nil {
		t.Fatal(err)
	}
	long := "550 " + strings.Repeat("sender ", 500) + "user unknown"
	if v := e.Judge(&Evidence{Reply: long}); v.Type == Hard {
		t.Errorf("%s by %s", v.Type, v.Rule)
	}
	apart := "550 mailbox " + strings.Repeat("is ", 100) + "not known"
	if v := e.Judge(&Evidence{Reply: apart}); v.Reason != "unknown" {
		t.Errorf("%s by %s", v.Reason, v.Rule)
	}
}

// TestHostsNamed: a host that is not the recipient's domain is a mail exchanger that
// points nowhere; of its own domain Exim means the user.
func TestHostsNamed(t *testing.T) {
	e, err := New(Options{})
	if err != nil {
		t.Fatal(err)
	}
	const postfix = "Host or domain name not found. Name service error for name="
	for _, c := range []struct {
		ev     Evidence
		kind   Type
		reason string
	}{
		{Evidence{Reply: postfix + "mx9.example.com type=A: Host not found", Recipient: "u@example.com"}, Soft, "mx-unreachable"},
		{Evidence{Reply: postfix + "Example.com type=A: Host not found", Recipient: "u@example.com"}, Hard, "unknown-domain"},
		{Evidence{Reply: postfix + "example.com type=A: Host not found"}, Hard, "unknown-domain"},
		{Evidence{Reply: "550 5.1.2 <u@example.com>... Host unknown (Name server: mx9.example.com.: host not found)", Recipient: "u@example.com"}, Soft, "mx-unreachable"},
		{Evidence{Notice: "Unrouteable address", Recipient: "u@example.com", ReportingMTA: "mail.example.com"}, Hard, "unknown-recipient"},
		{Evidence{Notice: "Unrouteable address", Recipient: "u@ample.com", ReportingMTA: "example.com"}, Hard, "unknown-domain"},
	} {
		v := e.Judge(&c.ev)
		if v.Type != c.kind || v.Reason != c.reason {
			t.Errorf("%+v: %s, %s by %s; want %s, %s", c.ev, v.Type, v.Reason, v.Rule, c.kind, c.reason)
		}
	}
}
