package classify

import "testing"

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
		ev := Evidence{Reply: tt.reply, Recipient: tt.recipient, Senders: [2]string{tt.sender, tt.author}}
		v := e.Judge(&ev)
		if v.Reason != tt.want {
			t.Errorf("%s: %q is %s by %s, want %s", tt.name, tt.reply, v.Reason, v.Rule, tt.want)
		}
	}
}
