package dsn

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// closedToTheDaemon lists fixtures that are recognised in a file without a
// Return-Path, though the daemon would not look at them if a sender stood in the
// envelope. It is empty: add one only with the reason.
var closedToTheDaemon = map[string]string{}

// TestGateOpensToFixtures holds every fixture that is recognised to the gate, as
// if it had come from an ordinary envelope sender where it does not say.
func TestGateOpensToFixtures(t *testing.T) {
	paths, err := filepath.Glob("testdata/*/*.eml")
	if err != nil || len(paths) < 100 {
		t.Fatalf("%d fixtures, %v", len(paths), err)
	}
	for _, path := range paths {
		raw, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		if Read(t.Context(), raw, Limits{}).Kind == KindNone {
			continue
		}
		h, _ := readHeader(nil, normalize(raw), DefaultLimits(), false)
		var g Gate
		g.Field([]byte("Return-Path"), []byte("<someone@example.org>"))
		if h.raw("Return-Path") != nil {
			g = Gate{}
		}
		for i := range h {
			g.Field(h[i].name, h[i].value)
		}
		switch why := closedToTheDaemon[filepath.Base(path)]; {
		case g.Open() && why != "":
			t.Errorf("%s: open, though listed as closed: %s", path, why)
		case !g.Open() && why == "":
			t.Errorf("%s: recognised, but closed to the daemon", path)
		}
	}
}

func TestGate(t *testing.T) {
	tests := []struct {
		name   string
		header string
		want   bool
	}{
		{"nothing known", "Subject: lunch", true},
		{"ordinary mail", "Return-Path: <ann@example.org>\nFrom: Ann <ann@example.org>\nSubject: lunch\nIn-Reply-To: <1@example.org>", false},
		{"newsletter", "Return-Path: <bounces+1@news.example>\nFrom: News <news@news.example>\nList-Unsubscribe: <https://news.example/u>\nPrecedence: bulk\nSubject: This week", false},
		{"null sender", "Return-Path: <>\nFrom: Ann <ann@example.org>", true},
		{"null sender of Courier", "Return-Path: <@>", true},
		{"daemon as envelope sender", "Return-Path: <MAILER-DAEMON@mx.example>", true},
		{"daemon by name of another", "Return-Path: <list-owner@example.org>\nFrom: MAILER-DAEMON@mx.example (Mail Delivery System)", true},
		{"report", "Return-Path: <a@example.org>\nContent-Type: Multipart/Report;\n report-type=feedback-report", true},
		{"the second of two", "Return-Path: <a@example.org>\nContent-Type: text/plain\nContent-Type: multipart/report", false},
		{"Subject of a bounce", "Return-Path: <a@example.org>\nSubject: Undelivered Mail Returned to Sender", true},
		{"the same in an encoded word", "Return-Path: <a@example.org>\nSubject: =?utf-8?q?Undelivered=20Mail?=", true},
		{"folded", "Return-Path: <a@example.org>\nSubject:\n\tUndelivered\n Mail", true},
		{"failed recipients", "Return-Path: <a@example.org>\nX-Failed-Recipients: u@example.com", true},
		{"vacation(1)", "Return-Path: <vac@example.org>\nFrom: vac@example.org\nSubject: away from my mail\nPrecedence: bulk", true},
		{"answered by a program", "Return-Path: <a@example.org>\nAuto-Submitted: auto-replied", true},
		{"Amazon SNS", "Return-Path: <1@amazonses.example>\nFrom: T <no-reply@sns.amazonaws.com>\nSubject: AWS Notification Message", true},
		{"complaint", "Return-Path: <s@example.org>\nFrom: staff@hotmail.com\nSubject: complaint about message from 192.0.2.1", true},
	}
	for _, tt := range tests {
		var g Gate
		h, _ := readHeader(nil, []byte(tt.header+"\n\n"), DefaultLimits(), false)
		for i := range h {
			g.Field(h[i].name, h[i].value)
		}
		if g.Open() != tt.want {
			t.Errorf("%s: open is %v", tt.name, g.Open())
		}
	}
}

// ordinaryHeader is a typical header of ordinary mail.
var ordinaryHeader = func() header {
	h, _ := readHeader(nil, []byte("Return-Path: <ann@example.org>\n"+strings.Repeat("Received: from a.example (a.example [192.0.2.1])\n\tby b.example; Mon, 1 Jan 2024 00:00:00 +0000\n", 6)+
		"DKIM-Signature: v=1; a=rsa-sha256; d=example.org\nFrom: Ann Example <ann@example.org>\nTo: bob@example.net\nSubject: Lunch on Thursday?\nDate: Mon, 1 Jan 2024 00:00:00 +0000\n"+
		"Message-ID: <1@example.org>\nMIME-Version: 1.0\nContent-Type: text/plain; charset=utf-8\nIn-Reply-To: <0@example.net>\nReferences: <0@example.net>\nX-Mailer: Example 1.0\n\n"), DefaultLimits(), false)
	return h
}()

func TestGateAllocatesNothing(t *testing.T) {
	notices()
	if n := testing.AllocsPerRun(100, func() {
		if ordinaryHeader.opens(notices()) {
			t.Error("open to ordinary mail")
		}
	}); n > 0 {
		t.Errorf("%v allocations", n)
	}
}

func BenchmarkGate(b *testing.B) {
	b.ReportAllocs()
	for b.Loop() {
		ordinaryHeader.opens(notices())
	}
}
