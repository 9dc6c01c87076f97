package origin

import (
	"strings"
	"testing"

	"github.com/bounce-milter/bounce-milter/classify/dsn"
)

// Only the returned message counts, wherever else a ticket stands in the bounce.
func TestOnlyTheReturnedMessage(t *testing.T) {
	k := keysOf(t, line("key", 1))
	j := judgeOf(t, Options{Keys: k})
	m := outgoing()
	ours := headerOf(m, k.Sign(m, now, 0)) + "\nHello\n"
	theirs := headerOf(m) + "\nHello\n"
	const top = "Return-Path: <>\nFrom: MAILER-DAEMON@mx.example.com\nTo: news@example.org\nContent-Type: multipart/report; report-type=delivery-status; boundary=b\n"
	const status = "--b\nContent-Type: message/delivery-status\n\nReporting-MTA: dns; mx.example.com\n\nFinal-Recipient: rfc822; u@example.com\nAction: failed\nStatus: 5.1.1\n\n"
	nested := func(typ, inner string) string {
		return "From: news@example.org\nMessage-ID: <1234@mail.example.org>\nContent-Type: multipart/mixed; boundary=i\n\n--i\nContent-Type: " + typ + "\n\n" + inner + "\n--i--\n"
	}
	for _, tt := range []struct {
		name, msg string
		want      Origin
	}{
		{"returned", top + "\n--b\n\nIt failed.\n" + status + "--b\nContent-Type: message/rfc822\n\n" + ours + "\n--b--\n", Ours},
		{"its header", top + "\n--b\n\nIt failed.\n" + status + "--b\nContent-Type: text/rfc822-headers\n\n" + ours[:strings.Index(ours, "\n\n")+1] + "\n--b--\n", Ours},
		{"no final boundary", top + "\n--b\n\nIt failed.\n" + status + "--b\nContent-Type: message/rfc822\n\n" + ours, Ours},
		{"on the bounce itself", strings.Replace(ours, "\n\nHello\n", "\n", 1) + top + "\n--b\n\nIt failed.\n" + status + "--b\nContent-Type: message/rfc822\n\n" + theirs + "\n--b--\n", Unproven},
		{"in the words", top + "\n--b\n\nIt failed.\n\n" + ours + status + "--b\nContent-Type: message/rfc822\n\n" + theirs + "\n--b--\n", Unproven},
		{"in the body of the returned message", top + "\n--b\n\nIt failed.\n" + status + "--b\nContent-Type: message/rfc822\n\n" + theirs + ours + "\n--b--\n", Unproven},
		{"in a message in the returned message", top + "\n--b\n\nIt failed.\n" + status + "--b\nContent-Type: message/rfc822\n\n" + nested("message/rfc822", ours) + "\n--b--\n", Unproven},
		{"in a part of the returned message", top + "\n--b\n\nIt failed.\n" + status + "--b\nContent-Type: message/rfc822\n\n" + nested("text/plain", ours) + "\n--b--\n", Unproven},
		{"in the fields of a part", top + "\n--b\n\nIt failed.\n" + status + "--b\nContent-Type: message/rfc822\n" + ours[:strings.Index(ours, "\n\n")+1] + "\n" + theirs + "\n--b--\n", Unproven},
		{"in a second attachment", top + "\n--b\n\nIt failed.\n" + status + "--b\nContent-Type: message/rfc822\n\n" + theirs + "\n--b\nContent-Type: message/rfc822\n\n" + ours + "\n--b--\n", Unproven},
		{"among the fields of the report", top + "\n--b\n\nIt failed.\n" + status + ours + "\n--b--\n", Unproven},
	} {
		t.Run(tt.name, func(t *testing.T) {
			rep := dsn.Reader{}.WithSource().Read(t.Context(), []byte(tt.msg), dsn.Limits{})
			if rep.Kind != dsn.KindDSN {
				t.Fatalf("kind %s", rep.Kind)
			}
			msg := &Message{}
			if s := rep.Returned.Source; s != nil {
				msg.Header, msg.Cut, msg.Body, msg.WholeBody = s.Header, s.Cut, s.Body, s.Whole
			}
			if got := j.Examine(t.Context(), msg, now).Of(Recipient{Final: "u@example.com"}); got.Origin != tt.want {
				t.Errorf("%+v", got)
			}
		})
	}
}
