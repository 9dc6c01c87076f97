package classify

import (
	"fmt"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/bounce-milter/bounce-milter/classify/dsn"
	"github.com/bounce-milter/bounce-milter/classify/reply"
)

// TestWrapped passes every example of every rule on as other servers would: a
// refusal means the same whoever quotes it, in capitals or not.
func TestWrapped(t *testing.T) {
	ways := []struct{ name, before, after string }{
		{"Postfix", "host mx.example.net[192.0.2.9] said: ", ""},
		{"Exim", "SMTP error from remote mail server after RCPT TO:<u@example.com>: host mx.example.net [192.0.2.9]: ", ""},
		{"a field", "smtp; ", ""},
		{"Exchange", "550 5.0.350 Remote server returned an error -> ", ""},
		{"Google", "The response from the remote server was: ", ""},
		{"qmail", "192.0.2.9 does not like recipient. Remote host said: ", " Giving up on 192.0.2.9."},
		{"Barracuda", "550 permanent failure for one or more recipients (u@example.com:", ")"},
		{"Sendmail", "... while talking to mx.example.net.: >>> RCPT To:<u@example.com> <<< ", ""},
		{".NET", "Mailbox unavailable. The server response was: ", ""},
		{"PHPMailer", "SMTP Error: data not accepted.SMTP server error: DATA END command failed Detail: ", ". SMTP code: 550"},
		{"Nodemailer", "Error: Can't send mail - all recipients were rejected: ", ""},
		{"msmtp", "msmtp: recipient address u@example.com not accepted by the server msmtp: server message: ", " msmtp: could not send mail"},
		{"Exim's log", "R=dnslookup T=remote_smtp H=mx.example.net [192.0.2.9]: SMTP error from remote mail server after end of data: ", ""},
		{"Amazon", "5.1.0 - Unknown address error ", " (delivery attempts: 0)"},
	}
	e := builtIn(t)
	for _, r := range e.match.rules {
		r.NeedExamples()
		for _, ex := range r.Examples {
			if len(ex.Reply) < 4 || !startsWithCode([]byte(ex.Reply)) || ex.Notice != "" {
				continue // words of the reporting server itself are not quoted
			}
			ev := Evidence{Reply: ex.Reply, Status: reply.ParseStatus(ex.Status), SMTPCode: ex.Code, Action: dsn.Action(ex.Action),
				RemoteMTA: ex.RemoteMTA, ReportingMTA: ex.ReportingMTA}
			provider := exampleProvider(r, ex)
			want, _ := e.judgeExample(&ev, provider)
			for _, w := range ways {
				ev.Reply = w.before + ex.Reply + w.after
				if got, _ := e.judgeExample(&ev, provider); got.reason != want.reason {
					t.Errorf("as %s quotes it: %q is %s by %s, alone %s by %s", w.name, ev.Reply, got.reason, got.by, want.reason, want.by)
				}
			}
			ev.Reply = escaped(ex.Reply)
			if got, _ := e.judgeExample(&ev, provider); got.reason != want.reason {
				t.Errorf("as Exim escapes it: %q is %s by %s, else %s by %s", ev.Reply, got.reason, got.by, want.reason, want.by)
			}
			ev.Reply = strings.ToUpper(ex.Reply)
			if got, _ := e.judgeExample(&ev, provider); got.reason != want.reason {
				t.Errorf("in capitals: %q is %s by %s, else %s by %s", ex.Reply, got.reason, got.by, want.reason, want.by)
			}
		}
	}
}

// escaped writes the octets beyond ASCII as Exim does.
func escaped(s string) string {
	var b strings.Builder
	for i := range len(s) {
		if s[i] < utf8.RuneSelf {
			b.WriteByte(s[i])
		} else {
			fmt.Fprintf(&b, "\\%03o", s[i])
		}
	}
	return b.String()
}

func TestUnescaped(t *testing.T) {
	for _, tt := range []struct{ in, want string }{
		{"550 user unknown", "550 user unknown"},
		{`550 Empf\303\244nger unbekannt`, "550 Empfänger unbekannt"},
		{`550 Empf\344nger`, "550 Empf\xe4nger"},
		{`\346\202\250`, "您"},
		{`C:\new\3 files`, `C:\new\3 files`},
		{`\38\39 \3`, `\38\39 \3`},
		{`\303`, "\xc3"},
		{`\\303\1`, "\\\xc3\\1"},
	} {
		if got := unescaped(tt.in); got != tt.want {
			t.Errorf("%q is read as %q, want %q", tt.in, got, tt.want)
		}
	}
}
