package dsn

import (
	"context"
	"fmt"
	"strings"
	"testing"
)

func TestParseMediaType(t *testing.T) {
	tests := []struct {
		in   string
		want mediaType
	}{
		{"text/plain", mediaType{name: "text/plain"}},
		{"Text/Plain; charset=UTF-8", mediaType{name: "text/plain", charset: "utf-8"}},
		{"multipart/report; report-type=delivery-status;\r\n\tboundary=\"a b\"", mediaType{name: "multipart/report", reportType: "delivery-status", boundary: "a b"}},
		{"multipart/report; boundary=a/b=c; report-type=\"Delivery-Status\"", mediaType{name: "multipart/report", reportType: "delivery-status", boundary: "a/b=c"}},
		{"multipart/mixed;boundary=\"a\\\"b\"", mediaType{name: "multipart/mixed", boundary: "a\"b"}},
		{"multipart/mixed; boundary=\"never closed", mediaType{name: "multipart/mixed", boundary: "never closed"}},
		{"multipart/report boundary=x", mediaType{name: "multipart/report", boundary: "x"}},
		{"multipart/mixed; ; x; boundary = y", mediaType{name: "multipart/mixed", boundary: "y"}},
		{"text/plain (a comment); charset=x", mediaType{name: "text/plain", charset: "x"}},
		{"", mediaType{}},
		{";;;=", mediaType{}},
	}
	for _, tt := range tests {
		if got := parseMediaType([]byte(tt.in)); got != tt.want {
			t.Errorf("parseMediaType(%q)\n got %+v\nwant %+v", tt.in, got, tt.want)
		}
	}
}

// TestWalk cuts messages into leaves, written as type:body with "*" for what
// stands aside.
func TestWalk(t *testing.T) {
	tests := []struct {
		name, in string
		want     []string
	}{
		{"no MIME", "\nhello\n", []string{":hello\n"}},
		{"two parts", "Content-Type: multipart/mixed; boundary=b\n\npreamble\n--b\n\none\n--b\nContent-Type: text/html\n\ntwo\n--b--\nepilogue", []string{":one", "text/html:two"}},
		{"no final boundary", "Content-Type: multipart/mixed; boundary=b\n\n--b\n\none\n--b\n\ntwo\n", []string{":one", ":two\n"}},
		{"white space after the boundary", "Content-Type: multipart/mixed; boundary=b\n\n--b  \n\none\n--b--  \n", []string{":one"}},
		{"a boundary within a line", "Content-Type: multipart/mixed; boundary=b\n\nx--b\n --b--b\n--b\n\none --b--b\n--b-- --b\ntwo --b\n--b--\n", []string{":one --b--b\n--b-- --b\ntwo --b"}},
		{"a longer boundary is another", "Content-Type: multipart/mixed; boundary=b\n\n--b\n\none\n--bb\n--b--\n", []string{":one\n--bb"}},
		{"another boundary than announced", "Content-Type: multipart/mixed; boundary=x\n\n--b1\nContent-Type: text/plain\n\none\n--b1--\n", []string{"text/plain:one"}},
		{"no boundary at all", "Content-Type: multipart/mixed; boundary=x\n\none\n", []string{":one\n"}},
		{"alternatives", "Content-Type: multipart/alternative; boundary=b\n\n--b\nContent-Type: text/plain\n\none\n--b\nContent-Type: text/html\n\ntwo\n--b--\n", []string{"text/plain:one", "*text/html:two"}},
		{"attachment", "Content-Type: multipart/mixed; boundary=b\n\n--b\nContent-Disposition: attachment; filename=x\n\none\n--b--\n", []string{"*:one"}},
		{"nested", "Content-Type: multipart/mixed; boundary=b\n\n--b\nContent-Type: multipart/mixed; boundary=c\n\n--c\n\none\n--b\n\ntwo\n--b--\n", []string{":one", ":two"}},
		{"a returned message is not cut", "Content-Type: multipart/mixed; boundary=b\n\n--b\nContent-Type: message/rfc822\n\nContent-Type: multipart/mixed; boundary=c\n\n--c\n\none\n--c--\n--b--\n",
			[]string{"message/rfc822:Content-Type: multipart/mixed; boundary=c\n\n--c\n\none\n--c--"}},
	}
	for _, tt := range tests {
		for _, crlf := range []bool{false, true} {
			in, want := tt.in, strings.Join(tt.want, "|")
			if crlf {
				in, want = strings.ReplaceAll(in, "\n", "\r\n"), strings.ReplaceAll(want, "\n", "\r\n")
			}
			h, body := readHeader(nil, []byte(in), DefaultLimits(), false)
			w := tree{lim: DefaultLimits()}
			w.walk(h, body, 0, false)
			var got []string
			for _, p := range w.parts {
				side := ""
				if p.side {
					side = "*"
				}
				got = append(got, fmt.Sprintf("%s%s:%s", side, p.kind.name, p.body))
			}
			if strings.Join(got, "|") != want {
				t.Errorf("%s:\n got %q\nwant %q", tt.name, got, want)
			}
		}
	}
}

func TestNormalize(t *testing.T) {
	tests := []struct{ in, want string }{
		{"a\nb\n", "a\nb\n"},
		{"a\r\nb\r\n", "a\r\nb\r\n"},
		{"a\rb\r\rc", "a\nb\n\nc"},
		{"a\r\r\nb\r\r\n", "a\nb\n"},
		{"a\r\nb\rc\r\r\nd\n", "a\nb\nc\n\nd\n"},
		{"\r\n\nFrom x Thu Sep  3\na: b\n", "a: b\n"},
		{">From x Thu Sep  3\na: b\n", "a: b\n"},
		{"\ufeffa: b\n", "a: b\n"},
		{"", ""},
	}
	for _, tt := range tests {
		if got := string(normalize([]byte(tt.in))); got != tt.want {
			t.Errorf("normalize(%q) = %q, want %q", tt.in, got, tt.want)
		}
	}
}

// TestKinds reads small messages of every kind and of none.
func TestKinds(t *testing.T) {
	const person = "From: Ada Berg <ada@sender.example>\nTo: help@example.org\nMessage-ID: <1@sender.example>\n"
	const fields = "Reporting-MTA: dns; mx.example.net\n\nFinal-Recipient: rfc822; jo@example.com\nAction: failed\nStatus: 5.1.1\n"
	const daemon = "Return-Path: <>\nFrom: MAILER-DAEMON@mx.example.net\n"
	tests := []struct {
		name string
		in   string
		want Kind
	}{
		{"report", daemon + "Content-Type: message/delivery-status\n\n" + fields, KindDSN},
		{"fields in words", daemon + "Subject: failure\n\nSorry.\n\n" + fields, KindDSN},
		{"a person quotes the fields", person + "Subject: why?\n\nWhat is this?\n\n" + fields, KindNone},
		{"a person attaches the fields", person + "Subject: Fwd: failure\nUser-Agent: Mail\nContent-Type: multipart/mixed; boundary=b\n\n--b\n\nsee\n--b\nContent-Type: message/delivery-status\n\n" + fields + "\n--b--\n", KindNone},
		{"receipt", person + "Content-Type: multipart/report; report-type=disposition-notification; boundary=b\n\n--b\n\nread\n--b\nContent-Type: message/disposition-notification\n\nDisposition: x; displayed\n--b--\n", KindDisposition},
		{"abuse report", "From: fbl@isp.example\nContent-Type: multipart/mixed; boundary=b\n\n--b\n\nabuse\n--b\nContent-Type: message/feedback-report\n\nFeedback-Type: abuse\n--b--\n", KindFeedback},
		{"abuse report in words", "From: fbl@isp.example\nSubject: abuse\n\nAn abuse report\n\nFeedback-Type: abuse\nUser-Agent: x\nVersion: 1\n", KindFeedback},
		{"vacation", "Return-Path: <>\nFrom: jo@example.com\nSubject: Re: x\nAuto-Submitted: auto-replied (vacation)\n\nI am away.\n", KindAutoReply},
		{"TLS report", "From: tls@isp.example\nContent-Type: multipart/report; report-type=tlsrpt; boundary=b\n\n--b\n\nA report.\n--b\nContent-Type: application/tlsrpt+gzip\n\nx\n--b--\n", KindNone},
		{"letter", person + "Subject: hello\n\nHow are you?\n", KindNone},
		{"nothing", "", KindNone},
	}
	for _, tt := range tests {
		if got := Read(context.Background(), []byte(tt.in), Limits{}).Kind; got != tt.want {
			t.Errorf("%s: got %s, want %s", tt.name, got, tt.want)
		}
	}
}
