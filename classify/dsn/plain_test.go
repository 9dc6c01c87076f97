package dsn

import (
	"strings"
	"testing"
)

// A report that is not written just as RFC 3464 has it is ambiguous: programs that strike
// addresses may find u@example.net in one place, and somebody else in another.
func TestAmbiguous(t *testing.T) {
	const message = `Return-Path: <>
From: MAILER-DAEMON@mx.example.net
Subject: Undelivered Mail Returned to Sender
MIME-Version: 1.0
Content-Type: multipart/report; report-type=delivery-status; boundary="b (1)"

--b (1)
Content-Type: text/plain

It failed.
--b (1)
Content-Type: message/delivery-status

Reporting-MTA: dns; mx.example.net
X-Note: a
 b

Final-Recipient: rfc822; u@example.net
Original-Recipient: rfc822;
 u@example.net
Action: failed
Status: 5.1.1
Diagnostic-Code: smtp; 550 5.1.1 No such user here,
	at all

--b (1)
Content-Type: message/rfc822

From: a@example.org
Message-ID: <1@example.org>

Hello
--b (1)--
`
	group := func(fields string) string { return "Final-Recipient: rfc822; v@example.net\n" + fields + "\n" }
	const (
		final  = "Final-Recipient: rfc822; u@example.net\n"
		orig   = "Original-Recipient: rfc822;\n u@example.net\n"
		action = "Action: failed\n"
		typ    = "Content-Type: message/delivery-status\n"
		last   = "--b (1)--\n"
		top    = "MIME-Version: 1.0\n"
	)
	recipient := func(value string) []string { return []string{final, "Final-Recipient: " + value + "\n"} }
	for name, tt := range map[string]struct {
		change []string // old, new
		want   bool
	}{
		"plain":                     {nil, false},
		"CRLF":                      {[]string{"\n", "\r\n"}, false},
		"of an mbox":                {[]string{"Return-Path", "From mx Sat Nov 28 08:00:00 2026\nReturn-Path"}, false},
		"delayed":                   {[]string{"failed\n", "DELAYED\n"}, false},
		"a comment":                 {[]string{"failed\n", "failed (for good)\n"}, false},
		"in angle brackets":         {recipient("RFC822;<u@example.net>"), false},
		"punctuation":               {[]string{final, "Final-Recipient: rfc822; o'u+x=y_z@example.net\n"}, false},
		"more empty lines":          {[]string{final, "\n\n" + final}, false},
		"two groups":                {[]string{final, group("Action: failed\n") + final}, false},
		"the same, as the actual":   {[]string{action, action + "X-Actual-Recipient: rfc822; u@example.net\n"}, false},
		"a multipart around it":     {[]string{top, "Content-Type: multipart/mixed; boundary=o\n" + top, "Content-Type: multipart/report", "\n--o\nContent-Type: multipart/report", last, last + "--o--\n"}, false},
		"another type":              {[]string{typ, "Content-Type: message/global-delivery-status\n"}, true},
		"a type with a comment":     {[]string{typ, "Content-Type: message/delivery-status (x)\n"}, true},
		"a text":                    {[]string{typ, "Content-Type: text/plain\n"}, true},
		"two types":                 {[]string{typ, typ + "Content-Type: text/plain\n"}, true},
		"base64":                    {[]string{typ, typ + "Content-Transfer-Encoding: base64\n", "Reporting-MTA: dns; mx.example.net\n", "UmVwb3J0aW5nLU1UQTogZG5zOyBteA==\n"}, true},
		"an action nobody knows":    {[]string{"failed\n", "undeliverable\n"}, true},
		"a short one":               {[]string{"failed\n", "fail\n"}, true},
		"an encoded one":            {[]string{"failed\n", "=?utf-8?q?failed?=\n"}, true},
		"one on the next line":      {[]string{"Action: failed\n", "Action:\n failed\n"}, true},
		"a comment before it":       {[]string{"failed\n", "(x) failed\n"}, true},
		"none":                      {[]string{action, ""}, true},
		"only delivered":            {[]string{"failed\n", "delivered\n"}, true},
		"another beside it":         {recipient("rfc822; u@example.net, v@example.net"), true},
		"behind a semicolon":        {recipient("rfc822; u@example.net; v@example.net"), true},
		"before an equals sign":     {recipient("rfc822; v@example.net=x@example.net"), true},
		"a name":                    {recipient("rfc822; v@example.net <u@example.net>"), true},
		"a comment in the address":  {recipient("rfc822; (v@example.net) u@example.net"), true},
		"a route":                   {recipient("rfc822; @v.example.net:u@example.net"), true},
		"a group":                   {recipient("rfc822; x:v@example.net,u@example.net;"), true},
		"quoted":                    {recipient(`rfc822; "u"@example.net`), true},
		"no type":                   {recipient("u@example.net"), true},
		"another type of address":   {recipient("utf-8; u@example.net"), true},
		"letters beyond ASCII":      {recipient("rfc822; ü@example.net"), true},
		"an encoded word":           {recipient("rfc822; =?utf-8?q?u?=@example.net"), true},
		"Original-Recipient":        {[]string{orig, "Original-Recipient: rfc822; v@example.net <u@example.net>\n"}, true},
		"twice":                     {[]string{final, final + "Final-Recipient: rfc822; v@example.net\n"}, true},
		"another actual one":        {[]string{action, action + "X-Actual-Recipient: rfc822; v@example.net\n"}, true},
		"a group without Final":     {[]string{final, "Original-Recipient: rfc822; u@example.net\nAction: failed\n\n" + final}, true},
		"a line that is no field":   {[]string{final, "words\n" + final}, true},
		"a space before the colon":  {[]string{final, "Final-Recipient : rfc822; u@example.net\n"}, true},
		"a group that is indented":  {[]string{final, " " + final}, true},
		"a line of spaces":          {[]string{final, "  \n" + final}, true},
		"a form feed":               {[]string{action, action + "X-Note: a\fb\n"}, true},
		"lone CRs":                  {[]string{action, "Action: failed\rX: y\n"}, true},
		"the wrong boundary":        {[]string{`boundary="b (1)"`, "boundary=c"}, true},
		"two boundaries":            {[]string{`boundary="b (1)"`, `boundary=c; boundary="b (1)"`}, true},
		"a boundary in pieces":      {[]string{`boundary="b (1)"`, `boundary*0="b (1)"`}, true},
		"a boundary in a comment":   {[]string{`boundary="b (1)"`, `(boundary=c) boundary="b (1)"`}, true},
		"an open boundary":          {[]string{`boundary="b (1)"`, `boundary="b (1)`}, true},
		"a header that ends early":  {[]string{top, "no field\n" + top}, true},
		"a field with a space":      {[]string{top, "X-Note : y\n" + top}, true},
		"a report below From":       {[]string{last, "--b (1)\nFrom x y\n" + typ + "\n" + group(action) + last}, true},
		"a report before the parts": {[]string{"--b (1)\nContent-Type: text", typ + "\n" + group(action) + "--b (1)\nContent-Type: text"}, true},
		"a report in a digest":      {[]string{last, "--b (1)\nContent-Type: multipart/digest; boundary=d\n\n--d\n\n" + typ + "\n" + group(action) + "--d--\n" + last}, true},
		"a part without a header":   {[]string{last, "--b (1)\nv@example.net failed\n" + last}, true},
	} {
		msg := message
		for i := 0; i < len(tt.change); i += 2 {
			if !strings.Contains(msg, tt.change[i]) {
				t.Fatalf("%s: %q is not in the message", name, tt.change[i])
			}
			n := 1
			if tt.change[i] == "\n" {
				n = -1
			}
			msg = strings.Replace(msg, tt.change[i], tt.change[i+1], n)
		}
		r := Reader{}.WithSource().Read(t.Context(), []byte(msg), Limits{})
		if r.Ambiguous != tt.want || r.Truncated || len(r.Recipients) == 0 {
			t.Errorf("%s: ambiguous %v, want %v, of %+v", name, r.Ambiguous, tt.want, r.Recipients)
		}
		if r = Read(t.Context(), []byte(msg), Limits{}); tt.want && r.Ambiguous && !strings.Contains(name, "digest") {
			t.Errorf("%s: nobody asked", name)
		}
	}
}
