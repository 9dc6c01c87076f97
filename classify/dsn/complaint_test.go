package dsn

import (
	"context"
	"fmt"
	"os"
	"strings"
	"testing"
)

func TestIsRecipient(t *testing.T) {
	for _, a := range []string{"jo@example.com", "x@example.com", "xx@example.com", "deadbeef@example.com", "a=b=@example.com",
		"Jo.Smith+tag=1@example.com", "1234567890123456@example.com", "redacted.jo@example.com", `"a b"@example.com`} {
		if !isRecipient(a) {
			t.Errorf("%q names somebody", a)
		}
	}
	for _, a := range []string{"", "redacted", "redacted@", "redacted@example.com", "REDACTED@example.com", "[redacted]@example.com", "j***@example.com",
		"xxxx@example.com", "jo@redacted.invalid", "jo@invalid", "d41d8cd98f00b204e9800998ecf8427e@example.com",
		"D41D8CD98F00B204E9800998ECF8427E0000@example.com", "2jmj7l5rSw0yVb/vlWAYkK/YBwk=@example.com", "QHFvcUwvKnBwdGoxKFdxVQ==@example.com",
		"undisclosed-recipients:;"} {
		if isRecipient(a) {
			t.Errorf("%q names nobody", a)
		}
	}
}

func TestReadIP(t *testing.T) {
	for value, want := range map[string]string{
		"192.0.2.7": "192.0.2.7", " [192.0.2.7] ": "192.0.2.7", "192.0.2.7 (mx.example)": "192.0.2.7", "::ffff:192.0.2.7": "192.0.2.7",
		"2001:DB8::1": "2001:db8::1", "IPv6:2001:db8::1": "2001:db8::1", "fe80::1%eth0": "fe80::1",
		"": "", "192.0.2.256": "", "192.0.2": "", "mx.example.com": "", "192.0.2.7; type=hard": "192.0.2.7", "0192.0.2.7": "",
	} {
		if got := readIP(value); got != want {
			t.Errorf("readIP(%q) = %q, want %q", value, got, want)
		}
	}
}

func TestReadFeedbackType(t *testing.T) {
	for value, want := range map[string]FeedbackType{
		"abuse": FeedbackAbuse, " Abuse ": FeedbackAbuse, "abuse; x=y": FeedbackAbuse, "not-spam (moved)": FeedbackNotSpam, "ham": FeedbackNotSpam,
		"auth-failure": FeedbackAuthFailure, "phishing": FeedbackFraud, "": FeedbackOther, "something-new": FeedbackOther, "abuse fraud": FeedbackOther,
	} {
		if got := readFeedbackType(value); got != want {
			t.Errorf("%q is %q, want %q", value, got, want)
		}
	}
}

// Fields of a returned message are noted under the names by which they were asked for,
// decoded, and bounded.
func TestReturning(t *testing.T) {
	raw, err := os.ReadFile("testdata/report/feedback-yahoo.eml")
	if err != nil {
		t.Fatal(err)
	}
	rd := Reader{}.Returning("list-ID", "X-None", "Feedback-ID", "X-Listmonk-Campaign")
	got := fmt.Sprint(rd.Read(context.Background(), raw, Limits{}).Returned.Fields)
	const want = "[{list-ID Neues aus dem Café <news.sender.example>} {Feedback-ID 2026-09:news:sender} {X-Listmonk-Campaign 0b9b7b3e-3a2e-4c59-9d25-c4a8d0b1f001}]"
	if got != want {
		t.Errorf("noted %s\nwant  %s", got, want)
	}
	if f := Read(context.Background(), raw, Limits{}).Returned.Fields; f != nil {
		t.Errorf("noted unasked: %v", f)
	}
	long := strings.Replace(string(raw), "Feedback-ID: ", "Feedback-ID: "+strings.Repeat("ü", 2000)+"\x01\x7f", 1)
	f := Reader{}.Returning("Feedback-ID").Read(context.Background(), []byte(long), Limits{}).Returned.Fields
	if len(f) != 1 || len(f[0].Value) != maxNotedOctets || strings.ContainsFunc(f[0].Value, func(r rune) bool { return r != 'ü' }) {
		t.Errorf("a long field is noted as %q", f)
	}
}

// Fields above the first Received alone say where a message was delivered.
func TestDeliveredTo(t *testing.T) {
	const bounce = "From: MAILER-DAEMON@mx.example.com\r\nContent-Type: multipart/report; report-type=delivery-status; boundary=b\r\n\r\n" +
		"--b\r\nContent-Type: message/delivery-status\r\n\r\nReporting-MTA: dns; mx.example.com\r\n\r\n" +
		"Final-Recipient: rfc822; gone@example.com\r\nAction: failed\r\nStatus: 5.1.1\r\n\r\n--b--\r\n"
	for top, want := range map[string]string{
		"": "[]",
		"Return-Path: <>\r\nX-Original-To: <a@example.org>\r\nDelivered-To: b@example.org\r\nReceived: x\r\n": "[a@example.org b@example.org]",
		"Envelope-to: a@example.org\r\nReceived: x\r\nDelivered-To: forged@example.org\r\n":                   "[a@example.org]",
		"Received: x\r\nX-Original-To: forged@example.org\r\n":                                                "[]",
		"Delivered-To: none\r\nDelivered-To: a@example.org\r\n":                                               "[a@example.org]",
		strings.Repeat("Delivered-To: a@example.org\r\n", 100):                                                fmt.Sprint(strings.Fields(strings.Repeat("a@example.org ", 10))),
	} {
		if got := fmt.Sprint(Read(context.Background(), []byte(top+bounce), Limits{}).DeliveredTo); got != want {
			t.Errorf("%q: %s, want %s", top, got, want)
		}
	}
}
