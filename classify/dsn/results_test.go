package dsn

import (
	"fmt"
	"strings"
	"testing"
)

// TestHasDialogue looks for an answer of 550 in a report's words, whatever form
// they are in.
func TestHasDialogue(t *testing.T) {
	part := func(fields, body string) string { return "--b\n" + fields + "\n" + body + "\n" }
	tests := []struct {
		name, parts string
		want        bool
	}{
		{"words alone", part("", "The host said: 550 no.\n"), false},
		{"a transcript", part("", "... while talking to mx.example.com:\n>>> DATA\n<<< 550 no\n"), true},
		{"a line that answers", part("Content-Type: text/plain; charset=us-ascii\n", "It said:\n550-no\n550 such user\n"), true},
		{"another code", part("", "It said:\n551 no\n"), false},
		{"the first line of a second part", part("", "It said") + part("", "550 no"), true},
		{"quoted-printable", part("Content-Transfer-Encoding: quoted-printable\n", "It said:=0A=35=35=30 no"), true},
		{"base64", part("Content-Transfer-Encoding: base64\n", "eAo1NTAgbm8K"), true},
		{"base64 without", part("Content-Transfer-Encoding: base64\n", "eAo1NTEgbm8K"), false},
		{"HTML alone", part("Content-Type: text/html\n", "<p>It said:<p>550 no"), true},
		{"HTML beside words", part("", "It said nothing.") + part("Content-Type: text/html\n", "<p>It said:<p>550 no"), false},
		{"HTML that is called text", part("", "\n <html><p>It said:<p>550 no</html>"), true},
		{"an attachment", part("", "See the log.") + part("Content-Disposition: attachment\n", "x\n550 no"), false},
		{"the returned message", part("", "See below.") + part("Content-Type: message/rfc822\n", "Subject: x\n\nx\n550 no"), false},
	}
	for _, tt := range tests {
		for _, end := range []string{"\n", "\r\n"} {
			raw := strings.ReplaceAll("Content-Type: multipart/report; boundary=b\n\n"+tt.parts+"--b--\n", "\n", end)
			h, body := readHeader(nil, []byte(raw), DefaultLimits(), false)
			r := reading{lim: DefaultLimits(), top: h, tree: tree{lim: DefaultLimits()}}
			r.tree.walk(h, body, 0, false)
			if got := r.hasDialogue(550); got != tt.want {
				t.Errorf("%s (%q): %t", tt.name, end, got)
			}
		}
	}
}

// TestMayHaveDialogue compares the look into the octets with the words: it misses no
// dialogue that they hold.
func TestMayHaveDialogue(t *testing.T) {
	for name, raw := range fixtures(t) {
		h, body := readHeader(nil, normalize(raw), DefaultLimits(), false)
		r := reading{lim: DefaultLimits(), top: mendHeader(h), tree: tree{lim: DefaultLimits()}}
		r.tree.walk(r.top, body, 0, false)
		for code := 400; code < 600; code++ {
			answer := fmt.Sprint(code)
			if may := r.mayHaveDialogue(answer); !may && (strings.Contains(r.words(), "<<<") || strings.Contains(r.words(), "\n"+answer)) {
				t.Errorf("%s: the words hold a dialogue with %s", name, answer)
			}
		}
	}
}

// A report in an attached message is not read with the report around it, and is said to be
// there.
func TestNested(t *testing.T) {
	const top = "Return-Path: <>\nFrom: MAILER-DAEMON@mx.example.net\nMIME-Version: 1.0\nContent-Type: multipart/report; report-type=delivery-status; boundary=b\n\n--b\n\nIt failed.\n"
	const fields = "--b\nContent-Type: message/delivery-status\n\nReporting-MTA: dns; mx.example.net\n\nFinal-Recipient: rfc822; u@example.net\nAction: failed\nStatus: 5.1.1\n\n"
	const inner = "From: a@example.org\nMIME-Version: 1.0\nContent-Type: multipart/mixed; boundary=i\n\n--i\nContent-Type: message/Delivery-Status\n\nFinal-Recipient: rfc822; victim@example.net\nAction: failed\nStatus: 5.1.1\n\n--i--\n"
	for name, tt := range map[string]struct {
		msg  string
		want bool
	}{
		"none":                         {top + fields + "--b\nContent-Type: message/rfc822\n\nFrom: a@example.org\nX-A: b-status-delivery\n\nHello - a delivery -status.\n--b--\n", false},
		"in the returned message":      {top + fields + "--b\nContent-Type: message/rfc822\n\n" + inner + "--b--\n", true},
		"in another message":           {top + fields + "--b\nContent-Type: message/rfc822\n\nFrom: a@example.org\n\nHi\n--b\nContent-Type: message/rfc822\n\n" + inner + "--b--\n", true},
		"in a message of another":      {top + fields + "--b\nContent-Type: message/news\n\n" + inner + "--b--\n", true},
		"in a text":                    {top + fields + "--b\nContent-Type: text/plain\n\n" + inner + "--b--\n", false},
		"second fields, which we read": {top + fields + fields + "--b--\n", false},
	} {
		r := Read(t.Context(), []byte(tt.msg), Limits{})
		if len(r.Recipients) != 1 || r.Recipients[0].Address != "u@example.net" || r.Ambiguous != tt.want {
			t.Errorf("%s: nested %v, want %v, of %+v", name, r.Ambiguous, tt.want, r.Recipients)
		}
	}
}
