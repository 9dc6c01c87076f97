package notice

import "testing"

// TestIsAutoReply has what programs really set in a header; the words in all
// languages are in testdata/notice-autoreply.
func TestIsAutoReply(t *testing.T) {
	tests := []struct {
		name string
		h    fields
		text string
		want bool
	}{
		{"nothing", fields{"From", "u@example.com", "Subject", "Hello"}, "Hello", false},
		{"RFC 3834", fields{"Auto-Submitted", "auto-replied"}, "", true},
		{"RFC 3834 with a parameter", fields{"Auto-Submitted", "Auto-Replied; owner-email=\"u@example.com\""}, "", true},
		{"Dovecot's Sieve", fields{"Auto-Submitted", "auto-replied (vacation)", "Precedence", "bulk", "X-Sieve", "Pigeonhole Sieve"}, "", true},
		{"RFC 3834 no", fields{"Auto-Submitted", "no", "Subject", "Hello"}, "", false},
		{"cron", fields{"Auto-Submitted", "auto-generated", "Subject", "Cron <root@mx> backup"}, "done", false},
		{"monitoring by Exchange", fields{"Auto-Submitted", "auto-generated", "X-Auto-Response-Suppress", "All", "Subject", "Alert: disk"}, "disk full", false},
		{"Exchange", fields{"Auto-Submitted", "auto-generated", "X-Auto-Response-Suppress", "All", "Subject", "Automatic reply: Hello"}, "", true},
		{"Exchange in an unknown language", fields{"Auto-Submitted", "auto-generated", "X-Auto-Response-Suppress", "All", "Subject", "Ag fás: Hello",
			"X-MS-Exchange-Generated-Message-Source", "Mailbox Rules Agent"}, "", true},
		{"Exchange, by its words", fields{"Auto-Submitted", "auto-generated", "X-Auto-Response-Suppress", "DR, OOF", "Subject", "Hello"}, "Ich bin im Urlaub.", true},
		{"Gmail", fields{"Precedence", "bulk", "X-Autoreply", "yes", "Subject", "Re: Hello"}, "", true},
		{"cPanel", fields{"X-Autorespond", "", "Precedence", "auto_reply"}, "", true},
		{"a field that is there and empty", fields{"X-Autorespond", ""}, "", true},
		{"misspelt", fields{"Preference", "auto_reply"}, "", true},
		{"Lotus", fields{"Subject", "AUTO: Jane is out of the office (returning 11/09/2026)", "X-Mailer", "Lotus Domino Out of Office Agent"}, "", true},
		{"vacation(1)", fields{"Subject", "away from my mail", "Precedence", "bulk"}, "", true},
		{"FirstClass", fields{"X-FC-Machine-Generated", "true"}, "", true},
		{"Mirapoint", fields{"X-POST-MessageClass", "9; Autoresponder"}, "", true},
		{"iCloud", fields{"X-Apple-Action", "VACATION"}, "", true},
		{"newsletter about holidays", fields{"Subject", "Vacation deals", "List-Unsubscribe", "<https://x.example>", "Precedence", "bulk"}, "Away until May? Book now, when I return", false},
		{"a person's holiday", fields{"Subject", "Urlaub"}, "Ich bin ab morgen im Urlaub.", false},
		{"a person answers one", fields{"Subject", "Re: Automatic reply: Hello", "In-Reply-To", "<1@x.example>"}, "Thanks.", false},
		{"a person quotes one", fields{"Subject", "Vacation", "In-Reply-To", "<1@x.example>"}, "Really?\n> I am out of the office\n", false},
		{"mailing list", fields{"Auto-Submitted", "auto-generated", "List-Id", "<x.example>"}, "", false},
		{"aggregate report", fields{"Auto-Submitted", "auto-replied", "Subject", "Report domain: x.example Submitter: y.example"}, "", false},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			if got := builtIn().IsAutoReply(tt.h, tt.text); got != tt.want {
				t.Errorf("got %v", got)
			}
		})
	}
}

func TestNoticeAbout(t *testing.T) {
	const sendmail = "   ----- The following addresses had permanent fatal errors -----\n<u@example.com>\n<v@example.net>\n\n" +
		"   ----- Transcript of session follows -----\n... while talking to mx.example.com.:\n>>> RCPT To:<u@example.com>\n" +
		"<<< 550 5.1.1 no such user\n... while talking to mx.example.net.:\n>>> RCPT To:<v@example.net>\n<<< 452 4.2.2 full\n"
	tests := []struct{ name, text, addr, want string }{
		{"dialogue", sendmail, "u@example.com", "550 5.1.1 no such user"},
		{"second in the dialogue", sendmail, "V@EXAMPLE.NET", "452 4.2.2 full"},
		{"Postfix", "I'm sorry.\n\n<u@example.com>: host mx.example.com[192.0.2.1] said: 550 5.7.1\n    no relaying (in reply to RCPT TO command)\n", "u@example.com", "550 5.7.1 no relaying"},
		{"words", "<u@example.com>:\nSorry, no mailbox here by that name.\n", "u@example.com", "Sorry, no mailbox here by that name."},
		{"one of two has no reply", "<u@example.com>:\nno such user\n\n<v@example.net>:\n550 5.1.1 gone\n", "u@example.com", "no such user"},
		{"returned message", "--- Below this line is a copy of the message.\n\n<u@example.com>:\n550 no\n", "u@example.com", ""},
		{"nothing", "", "u@example.com", ""},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			if got := noticeAbout(tt.text, tt.addr); got != tt.want {
				t.Errorf("got %q, want %q", got, tt.want)
			}
		})
	}
}

func TestWhereTheReturnedMessageBegins(t *testing.T) {
	tests := []struct{ name, text, want string }{
		{"none", "<u@example.com>:\nno such user\n", ""},
		{"empty", "", ""},
		{"a phrase", "no\n\n--- Below this line is a copy of the message.\n\nSubject: x\n", "Subject: x\n"},
		{"a phrase, then nothing", "no\n--- Below this line is a copy of the message.", ""},
		{"a header", "no\n\nSubject: x\nReceived: y\n\nbody", "Subject: x\nReceived: y\n\nbody"},
		{"both", "no\nOriginal message follows.\n\nReceived: y\n", "Received: y\n"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			got := ""
			if n := builtIn().Read(tt.text, nil); n.rest > 0 {
				got = tt.text[n.rest:]
			}
			if got != tt.want {
				t.Errorf("got %q, want %q", got, tt.want)
			}
		})
	}
}
