package classify

import "testing"

// TestNeverHard judges replies that must not remove an address from a list.
func TestNeverHard(t *testing.T) {
	e := builtIn(t)
	const sender = "news@example.org"
	for _, ev := range []Evidence{
		{Reply: "550 5.1.1 <news@example.org>: User unknown (in reply to MAIL FROM command)"},
		{Reply: "host mx.example.com[192.0.2.9] said: 550 unknown host (in reply to EHLO command)"},
		{Reply: "SMTP error from remote mail server after MAIL FROM:<news@example.org>: 550 no such user here"},
		{Reply: "host mx.example.com[192.0.2.9] refused to talk to me: 550 User unknown"},
		{Reply: "550 news@example.org: account has been suspended", Recipient: "u@example.com", Sender: sender},
		{Reply: "550 5.1.1 <news@example.org> gnarf (example.org)", Recipient: "u@example.com", Sender: sender},
		{Reply: "550 Absenderadresse unbekannt"},
		{Reply: "550 5.7.1 Relaying is now disabled for your IP"},
		{Reply: "550 MAILFROM address does not exist"},
		{Reply: "550 mailbox unavailable: hostblocked"},
		{Reply: "550 A valid address is required in the From header"},
		{Reply: "550 5.7.1 sender not a member of domain example.com"},
		{Reply: "554 5.5.1 Error: no valid recipients"},
		{Reply: "550 The message to the user was not found in the expected form"},
		{Reply: "550 Mailbox cache not found, will be built again"},
		{Reply: "550 You're not known to this user"},
		{Reply: "550 The mailbox is being moved to another machine"},
		{Reply: "550 5.7.1 unknown users were written to from your network before"},
		{Reply: "550 Der Empfänger hat Ihre Adresse nicht in seinem Adressbuch gefunden"},
		{Reply: "550 Le message a été supprimé par un filtre du destinataire"},
		{Reply: "550 Usuario o contraseña inválidos"},
		{Reply: "550 Недействительный адрес в заголовке To"},
		{Reply: "550 用户配置错误"},
	} {
		if v := e.Judge(&ev); v.Type == Hard {
			t.Errorf("%q is hard: %s by %s", ev.Reply, v.Reason, v.Rule)
		}
	}
	// A host that takes no mail says so in its greeting (RFC 7504 section 3).
	if v := e.Judge(&Evidence{Reply: "host mx.example.com[192.0.2.9] refused to talk to me: 521 example.com does not accept mail"}); v.Reason != "no-mailbox" || v.Type != Hard {
		t.Errorf("a host without mailboxes is %s, %s", v.Reason, v.Type)
	}
}

// TestGreeting judges replies that address the reader as a sender.
func TestGreeting(t *testing.T) {
	e := builtIn(t)
	for reply, want := range map[string]string{
		"550 5.1.1 Sorry sender, the user you wrote to does not exist": "unknown-recipient",
		"550 Dear sender, our server takes no letters on Sundays":      "unknown",
		"550 The sender was refused":                                   "sender-rejected",
	} {
		if v := e.Judge(&Evidence{Reply: reply}); v.Reason != want {
			t.Errorf("%q is %s by %s, want %s", reply, v.Reason, v.Rule, want)
		}
	}
}

// TestHostOfNotice judges notices by whether the host in them is the recipient's domain.
func TestHostOfNotice(t *testing.T) {
	e := builtIn(t)
	for notice, want := range map[string]string{
		"u@example.com: lookup mx7.example.com.: no such host": "mx-unreachable",
		"u@example.com: lookup example.com.: no such host":     "unknown-domain",
	} {
		if v := e.Judge(&Evidence{Notice: notice, Recipient: "u@example.com", Action: "failed"}); v.Reason != want {
			t.Errorf("%q is %s by %s, want %s", notice, v.Reason, v.Rule, want)
		}
	}
}

// TestParties judges replies that name the sender, or only seem to.
func TestParties(t *testing.T) {
	e := builtIn(t)
	tests := []struct {
		name, reply, sender, author, recipient, want string
	}{
		{"the sender's domain", "553 mail.example.org does not exist", "news@mail.example.org", "", "u@example.com", "sender-domain-dns"},
		{"the author's domain", "553 example.org does not exist", "bounce@lists.example.net", "news@example.org", "u@example.com", "sender-domain-dns"},
		{"in capitals, with a dot", "553 MAIL.EXAMPLE.ORG. does not exist", "News@Mail.Example.Org", "", "u@example.com", "sender-domain-dns"},
		{"the recipient's domain", "553 domain example.com does not exist", "news@example.org", "", "u@example.com", "unknown-domain"},
		{"the domain of both", "553 domain example.com does not exist", "news@example.com", "", "u@example.com", "unknown-domain"},
		{"a domain below the sender's", "553 domain mail.example.org does not exist", "news@example.org", "", "u@example.com", "unknown-domain"},
		{"nobody is known", "553 domain mail.example.org does not exist", "", "", "", "unknown-domain"},
		{"the sender's address", "550 <news@example.org>: User unknown", "news@example.org", "", "u@example.com", "sender-rejected"},
		{"the recipient's address", "550 <u@example.com>: User unknown", "news@example.org", "", "u@example.com", "unknown-recipient"},
		{"the recipient, then the sender", "550 <u@example.com>: User unknown (from <news@example.org>)", "news@example.org", "", "u@example.com", "unknown-recipient"},
		{"the sender apart from the words", "550 User unknown, message of <news@example.org> refused", "news@example.org", "", "u@example.com", "unknown-recipient"},
		{"mail to oneself", "550 <u@example.com>: User unknown", "u@example.com", "", "u@example.com", "unknown-recipient"},
		{"the inner reply counts", "host mx.example.org said: 550 <u@example.com>: User unknown", "news@mx.example.org", "", "u@example.com", "unknown-recipient"},
	}
	for _, tt := range tests {
		ev := Evidence{Reply: tt.reply, Recipient: tt.recipient, Sender: tt.sender, Author: tt.author}
		v := e.Judge(&ev)
		if v.Reason != tt.want {
			t.Errorf("%s: %q is %s by %s, want %s", tt.name, tt.reply, v.Reason, v.Rule, tt.want)
		}
	}
}
