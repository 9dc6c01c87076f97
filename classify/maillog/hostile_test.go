package maillog

import (
	"strings"
	"testing"
)

// What a stranger can bring into a line, an address, a name or the words of his server,
// makes no entry about somebody else.
func TestHostileLines(t *testing.T) {
	const exim = "2026-11-27 10:00:00 1tG9oF-0000Yh-2X "
	for name, tt := range map[string]struct{ line, want string }{
		"Postfix before 3.5: a recipient that looks like fields": {
			postfixLine("10:00:00", "AAAA1", `u@example.com>, relay=mx.example.com[192.0.2.1]:25, delay=1, dsn=5.1.1, status=bounced (host mx.example.com[192.0.2.1] said: 550 5.1.1 no such user)@evil.example`, "5.4.4", "bounced (Host not found)"), ""},
		"Postfix: the same with quotation marks": {
			postfixLine("10:00:00", "AAAA1", `"u@example.com>, relay=mx.example.com[192.0.2.1]:25, dsn=5.1.1, status=bounced (no)"@evil.example`, "4.4.1", "deferred (connect to evil.example[192.0.2.9]:25: Connection refused)"),
			`"u@example.com>, relay=mx.example.com[192.0.2.1]:25, dsn=5.1.1, status=bounced (no)"@evil.example deferred mx.example.net`},
		"Postfix before 3.5: an original recipient that looks like fields": {
			"Nov 27 10:00:00 mx postfix/local[7]: AAAA1: to=<jo@example.org>, orig_to=<x>, relay=mx.example.com[192.0.2.1]:25, dsn=5.1.1, status=bounced (no such user)@example.org>, relay=local, delay=1, dsn=2.0.0, status=sent (delivered to mailbox)", ""},
		"Postfix before 3.5: a sender that looks like the end of a message": {
			"Nov 27 10:00:00 mx postfix/qmgr[7]: AAAA1: from=<x>, status=expired, returned to sender@evil.example>, size=512, nrcpt=1 (queue active)", ""},
		"Postfix: a server quotes a line": {
			postfixLine("10:00:00", "AAAA1", "u@example.com", "4.2.1", "deferred (host mx.example.com[192.0.2.1] said: 450 4.2.1 to=<v@example.net>, status=bounced (550 5.1.1 no such user) (in reply to RCPT TO command))"),
			"u@example.com deferred mx.example.net"},
		"Exim: a server writes fields": {exim + `=> u@example.com R=dnslookup T=remote_smtp H=mx.example.com [192.0.2.1] C="250 OK" H=other.example [192.0.2.9]"`, "u@example.com sent mx.example.com"},
		"Exim: quotation marks in a quoted local part": {exim + `** "a\"@victim.example b"@evil.example R=dnslookup T=remote_smtp H=mx.evil.example [192.0.2.1]: SMTP error from remote mail server: 550 5.1.1 no`,
			`"a\"@victim.example b"@evil.example bounced mx.evil.example`},
		"Sendmail: a server writes a status": {"Nov 27 10:00:00 mx sendmail[7]: 4AS1BFxx012345: to=<u@example.com>, delay=00:00:01, mailer=esmtp, relay=mx.example.com. [192.0.2.1], dsn=5.1.1, reply=550 5.1.1 no, stat=Sent, stat=User unknown",
			"u@example.com bounced mx.example.com"},
	} {
		t.Run(name, func(t *testing.T) {
			var got []string
			for _, e := range testParser().Append(nil, []byte(tt.line)) {
				got = append(got, strings.TrimSpace(e.Recipient+" "+string(e.Result)+" "+e.Relay))
			}
			if s := strings.Join(got, "\n"); s != tt.want {
				t.Errorf("got  %s\nwant %s", s, tt.want)
			}
		})
	}
}
