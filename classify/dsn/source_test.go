package dsn

import (
	"strings"
	"testing"
)

// Source is what came back, octet by octet, and only of the returned message.
func TestSource(t *testing.T) {
	const header = "Received: from a.example.org\r\n\tby mx.example.net; Fri, 2 Jan 2026 03:04:05 +0000\r\nFROM : Jo  <jo@example.org>\r\nMessage-ID:\r\n <1@example.org>\r\n"
	const fields = "Reporting-MTA: dns; mx.example.net\n\nFinal-Recipient: rfc822; u@example.net\nAction: failed\nStatus: 5.1.1\n"
	report := func(parts ...string) string {
		return "Return-Path: <>\nFrom: MAILER-DAEMON@mx.example.net\nMIME-Version: 1.0\nContent-Type: multipart/report; report-type=delivery-status; boundary=b\n\n--b\n\nIt failed.\n--b\nContent-Type: message/delivery-status\n\n" +
			fields + "\n" + strings.Join(parts, "\n")
	}
	for _, tt := range []struct {
		name, msg, header, body string
		cut, whole              bool
	}{
		{name: "whole", msg: report("--b\nContent-Type: message/rfc822\n\n"+header+"\r\nHello\r\n\r\n", "--b--\n"),
			header: header, body: "Hello\r\n\r\n", whole: true},
		{name: "no end", msg: report("--b\nContent-Type: message/rfc822\n\n" + header + "\r\nHello\r\n"),
			header: header, body: "Hello\r\n"},
		{name: "header", msg: report("--b\nContent-Type: text/rfc822-headers\n\n"+header, "--b--\n"), header: header},
		{name: "header and an empty line", msg: report("--b\nContent-Type: message/rfc822\n\n"+header+"\r\n", "--b--\n"), header: header},
		{name: "a line that is no field", msg: report("--b\nContent-Type: message/rfc822\n\n"+header+"no field\r\nX: y\r\n\r\nHello\r\n", "--b--\n"), header: header, cut: true},
		{name: "quoted-printable", msg: report("--b\nContent-Type: message/global\nContent-Transfer-Encoding: quoted-printable\n\nFrom: J=C3=B6\nX: a=\nb\n\nHi=21", "--b--\n"),
			header: "From: Jö\nX: ab\n", body: "Hi!", whole: true},
		{name: "the first of two", msg: report("--b\nContent-Type: message/rfc822\n\nFrom: a@example.org\n\nHi\n", "--b\nContent-Type: message/rfc822\n\nFrom: b@example.org\n\nHi\n", "--b--\n"),
			header: "From: a@example.org\n", body: "Hi\n", whole: true},
		{name: "a message in the returned message", msg: report("--b\nContent-Type: message/rfc822\n\nFrom: a@example.org\nContent-Type: multipart/mixed; boundary=i\n\n--i\nContent-Type: message/rfc822\n\nX-Bounce-Ticket: t\n\n--i--", "--b--\n"),
			header: "From: a@example.org\nContent-Type: multipart/mixed; boundary=i\n", body: "--i\nContent-Type: message/rfc822\n\nX-Bounce-Ticket: t\n\n--i--", whole: true},
		{name: "none", msg: report("--b--\n")},
		{name: "in a text", msg: "Return-Path: <>\nFrom: MAILER-DAEMON@mx.example.net\nSubject: failure notice\n\nHi. This is the qmail-send program at mx.example.net.\nI'm afraid I wasn't able to deliver your message to the following addresses.\n\n<u@example.net>:\nSorry, no mailbox here by that name. (#5.1.1)\n\n--- Below this line is a copy of the message.\n\nReturn-Path: <jo@example.org>\nFrom: jo@example.org\nX-Bounce-Ticket: v=1;\n k=a\n\nHello\n",
			header: "Return-Path: <jo@example.org>\nFrom: jo@example.org\nX-Bounce-Ticket: v=1;\n k=a\n", cut: true},
		{name: "long", msg: report("--b\nContent-Type: message/rfc822\n\nFrom: a@example.org\n"+strings.Repeat("X: yyyyyyy\n", 9000)+"\nHi\n", "--b--\n"),
			header: ("From: a@example.org\n" + strings.Repeat("X: yyyyyyy\n", 9000))[:maxSource] + "\n", cut: true},
	} {
		t.Run(tt.name, func(t *testing.T) {
			if s := Read(t.Context(), []byte(tt.msg), Limits{}).Returned.Source; s != nil {
				t.Errorf("nobody asked for %q", s.Header)
			}
			s := Reader{}.WithSource().Read(t.Context(), []byte(tt.msg), Limits{}).Returned.Source
			if s == nil {
				s = &Source{}
			}
			if string(s.Header) != tt.header || string(s.Body) != tt.body || s.Cut != tt.cut || s.Whole != tt.whole {
				t.Errorf("header %q\nbody %q\ncut %v, whole %v", s.Header, s.Body, s.Cut, s.Whole)
			}
		})
	}
}
