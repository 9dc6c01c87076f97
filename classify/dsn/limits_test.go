package dsn

import (
	"context"
	"encoding/base64"
	"fmt"
	"runtime"
	"strings"
	"testing"
)

// wide are limits that let everything in, so that what bounds the cost is the
// reader and not the octets it looks at. The depth stays: every level may look
// at the octets again.
var wide = Limits{Octets: 1 << 30, Parts: 1 << 20, HeaderFields: 1 << 20, FieldLength: 1 << 20, Recipients: 1 << 20}

// reportOf returns a report with the given words and status part.
func reportOf(words, status string) string {
	return "Return-Path: <>\nFrom: MAILER-DAEMON@mx.example.net\nTo: ada@sender.example\n" +
		"Subject: Undelivered Mail Returned to Sender\nMIME-Version: 1.0\n" +
		"Content-Type: multipart/report; report-type=delivery-status; boundary=\"b\"\n\n" +
		"--b\nContent-Type: text/plain\n\n" + words + "\n--b\nContent-Type: message/delivery-status\n\n" +
		"Reporting-MTA: dns; mx.example.net\n\n" + status + "\n--b--\n"
}

// hostile are messages made to be expensive to read, of about n times their usual
// size, and how large n is meant to be.
var hostile = []struct {
	name string
	n    int
	make func(n int) string
}{
	{"recipients", 100_000, func(n int) string {
		var b strings.Builder
		for i := range n {
			fmt.Fprintf(&b, "Final-Recipient: rfc822; u%d@example.com\nAction: failed\nStatus: 5.1.1\n\n", i)
		}
		return reportOf("no", b.String())
	}},
	{"recipients without an empty line", 100_000, func(n int) string {
		return reportOf("no", strings.Repeat("Final-Recipient: rfc822; u@example.com\nAction: failed\n", n))
	}},
	{"recipients named in words alone", 2000, func(n int) string {
		var words, status strings.Builder
		for i := range n {
			fmt.Fprintf(&words, "<u%d@example.com>: 550 5.1.1 no such user\n", i)
			fmt.Fprintf(&status, "Final-Recipient: rfc822; u%d@example.com\nAction: failed\nStatus: 5.0.0\n\n", i)
		}
		return reportOf(words.String(), status.String())
	}},
	{"nested boundaries", 100_000, func(n int) string {
		var b strings.Builder
		b.WriteString("From: MAILER-DAEMON@mx.example.net\nContent-Type: multipart/mixed; boundary=\"b0\"\n\n")
		for i := range n {
			fmt.Fprintf(&b, "--b%d\nContent-Type: multipart/mixed; boundary=\"b%d\"\n\n", i, i+1)
		}
		return b.String()
	}},
	{"parts", 100_000, func(n int) string {
		return "From: MAILER-DAEMON@mx.example.net\nContent-Type: multipart/mixed; boundary=b\n\n" + strings.Repeat("--b\n\nx\n", n)
	}},
	{"boundaries that are none", 100_000, func(n int) string {
		return "From: MAILER-DAEMON@mx.example.net\nContent-Type: multipart/mixed; boundary=b\n\n" + strings.Repeat("--b-\n--\n --b\n", n)
	}},
	{"hyphens in lines", 100_000, func(n int) string {
		return "From: MAILER-DAEMON@mx.example.net\nContent-Type: multipart/mixed; boundary=\"" + strings.Repeat("-", 68) + "\"\n\n" +
			strings.Repeat("x"+strings.Repeat("-", 99)+"\n", n/10) + strings.Repeat("-", n)
	}},
	{"long header line", 1 << 20, func(n int) string {
		return "From: MAILER-DAEMON@mx.example.net\nSubject: " + strings.Repeat("x", n) + "\n\nfailed\n"
	}},
	{"folded header", 100_000, func(n int) string {
		return "From: MAILER-DAEMON@mx.example.net\nSubject: x\n" + strings.Repeat(" fold =?utf-8?q?x?=\n", n) + "\nfailed\n"
	}},
	{"header fields", 100_000, func(n int) string {
		return "From: MAILER-DAEMON@mx.example.net\n" + strings.Repeat("Received: x\n", n) + "\nfailed\n"
	}},
	{"begun encoded words", 1 << 19, func(n int) string {
		return "From: " + strings.Repeat("=?", n/2) + "\nSubject: " + strings.Repeat("=?utf-8?q?=?", n/12) + "\n\nfailed\n"
	}},
	{"base64 bomb", 4 << 20, func(n int) string {
		zeros := base64.StdEncoding.EncodeToString(make([]byte, n))
		return "From: MAILER-DAEMON@mx.example.net\nContent-Type: text/html\nContent-Transfer-Encoding: base64\n\n" + zeros
	}},
	{"base64 status", 1 << 20, func(n int) string {
		status := strings.Repeat("Final-Recipient: rfc822; u@example.com\n\n", n/40)
		return "Content-Type: message/delivery-status\nContent-Transfer-Encoding: base64\n\n" + base64.StdEncoding.EncodeToString([]byte(status))
	}},
	{"unbalanced comments", 1 << 20, func(n int) string {
		return reportOf("no", "Final-Recipient: rfc822; "+strings.Repeat("(", n)+"\nAction: failed"+strings.Repeat("(", n)+"\nStatus: 5.1.1 "+strings.Repeat("(\\", n/2)+"\n")
	}},
	{"extension fields", 100_000, func(n int) string {
		return reportOf("no", "Final-Recipient: rfc822; u@example.com\n"+strings.Repeat("X-A: b\n", n))
	}},
	{"lines run together", 1 << 19, func(n int) string {
		return reportOf("no", "Final-Recipient: rfc822; u@example.com "+strings.Repeat("Action: Status: ", n/16)+"\n")
	}},
	{"colons", 1 << 19, func(n int) string {
		return reportOf("no", "Diagnostic-Code: smtp; "+strings.Repeat(":", n)+"\n")
	}},
	{"line ends", 1 << 20, func(n int) string {
		return "From: MAILER-DAEMON@mx.example.net\r\r" + strings.Repeat("\r\n\r", n/3)
	}},
	{"digits", 1 << 19, func(n int) string {
		return reportOf("u@example.com: "+strings.Repeat("550-5.1.1 ", n/10), "Diagnostic-Code: smtp; "+strings.Repeat("550-550 5.1.1 ", n/14)+"\n")
	}},
	{"tags", 1 << 19, func(n int) string {
		return "From: MAILER-DAEMON@mx.example.net\nContent-Type: text/html\n\n" + strings.Repeat("<p", n/4) + strings.Repeat("<table><tr><td>", n/30)
	}},
	{"nested messages", 100_000, func(n int) string {
		return "From: MAILER-DAEMON@mx.example.net\n" + strings.Repeat("Content-Type: message/rfc822\n\n", n)
	}},
	{"JSON", 1 << 19, func(n int) string {
		return "From: no-reply@sns.amazonaws.com\n\n{\"notificationType\":" + strings.Repeat("[", n)
	}},
}

// TestCostIsBounded reads messages made to be dear, within the default limits:
// 20 MB at most, whatever their size.
func TestCostIsBounded(t *testing.T) {
	for _, h := range hostile {
		t.Run(h.name, func(t *testing.T) {
			raw := []byte(h.make(h.n))
			if n := allocated(func() { Read(context.Background(), raw, Limits{}) }); n > 20<<20 {
				t.Errorf("%d octets allocated for %d read", n, len(raw))
			}
		})
	}
}

// TestMemoryIsLinear reads them without limits at two sizes: sixteen times the
// octets must cost about sixteen times the memory; quadratic cost would be 256
// times as much. BenchmarkGrowth shows the same for time.
func TestMemoryIsLinear(t *testing.T) {
	if testing.Short() {
		return // takes seconds and tests nothing but cost
	}
	for _, h := range hostile {
		t.Run(h.name, func(t *testing.T) {
			small, large := []byte(h.make(h.n/128)), []byte(h.make(h.n/8))
			a, b := allocated(func() { Read(context.Background(), small, wide) }), allocated(func() { Read(context.Background(), large, wide) })
			if b > 60*a+1<<20 {
				t.Errorf("memory: %d octets for %d, %d for %d", a, len(small), b, len(large))
			}
		})
	}
}

// BenchmarkGrowth reads hostile messages at two sizes without limits. Linear
// cost shows as the same number of nanoseconds an octet at both.
func BenchmarkGrowth(b *testing.B) {
	for _, h := range hostile {
		for _, part := range []int{128, 8} {
			raw := []byte(h.make(h.n / part))
			b.Run(fmt.Sprintf("%s/%d", strings.ReplaceAll(h.name, " ", "-"), len(raw)), func(b *testing.B) {
				for b.Loop() {
					Read(context.Background(), raw, wide)
				}
				b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/float64(len(raw)), "ns/octet")
			})
		}
	}
}

// returning returns a report with a returned message of a size.
func returning(size int) []byte {
	body := strings.Repeat("The quick brown fox jumps over the lazy dog, again and again and again.\r\n", size/73)
	return []byte(strings.ReplaceAll(strings.TrimSuffix(reportOf("<jo@example.com>: user unknown",
		"Final-Recipient: rfc822; jo@example.com\nAction: failed\nStatus: 5.1.1\n"), "--b--\n"), "\n", "\r\n") +
		"--b\r\nContent-Type: message/rfc822\r\n\r\nMessage-ID: <x@sender.example>\r\n\r\n" + body + "\r\n--b--\r\n")
}

// TestReturnedMessageCostsNothing compares the memory of a report that returns
// 5 MB with that of one that returns 256 KB; BenchmarkReturned the time.
func TestReturnedMessageCostsNothing(t *testing.T) {
	small, large := returning(256<<10), returning(5<<20)
	for _, raw := range [][]byte{small, large} {
		if r := Read(context.Background(), raw, Limits{}); len(r.Recipients) != 1 || r.Returned.MessageID != "x@sender.example" {
			t.Fatalf("got %+v", r)
		}
	}
	a, b := allocated(func() { Read(context.Background(), small, Limits{}) }), allocated(func() { Read(context.Background(), large, Limits{}) })
	if float64(b) > 1.5*float64(a) {
		t.Errorf("memory: %d octets with 256 KB, %d with 5 MB", a, b)
	}
}

// BenchmarkReturned reads reports that return 256 KB and 5 MB.
func BenchmarkReturned(b *testing.B) {
	for _, size := range []int{256 << 10, 5 << 20} {
		raw := returning(size)
		b.Run(fmt.Sprintf("%dKB", size>>10), func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				Read(context.Background(), raw, Limits{})
			}
		})
	}
}

// TestLimits reads a message that is beyond each limit.
func TestLimits(t *testing.T) {
	group := func(i int) string {
		return fmt.Sprintf("Final-Recipient: rfc822; u%d@example.com\nAction: failed\nStatus: 5.1.1\nDiagnostic-Code: smtp; 550 5.1.1 no\n\n", i)
	}
	three := reportOf("no", group(1)+group(2)+group(3))
	r := Read(context.Background(), []byte(three), Limits{Recipients: 2})
	if len(r.Recipients) != 2 || r.Dropped != 1 {
		t.Errorf("recipients: got %d, dropped %d", len(r.Recipients), r.Dropped)
	}
	r = Read(context.Background(), []byte(three), Limits{Octets: strings.Index(three, "u3@")})
	if len(r.Recipients) < 2 || !r.Truncated {
		t.Errorf("octets: got %d, truncated %v", len(r.Recipients), r.Truncated)
	}
	r = Read(context.Background(), []byte(three), Limits{Parts: 1})
	if !r.Truncated {
		t.Errorf("parts: not truncated")
	}
	deep := "From: MAILER-DAEMON@mx.example.net\nContent-Type: multipart/mixed; boundary=a\n\n--a\nContent-Type: multipart/mixed; boundary=c\n\n--c\n\nx\n--c--\n--a--\n"
	if r = Read(context.Background(), []byte(deep), Limits{Depth: 1}); !r.Truncated {
		t.Errorf("depth: not truncated")
	}
	long := reportOf("no", "Final-Recipient: rfc822; u@example.com\nAction: failed\nStatus: 5.1.1\nDiagnostic-Code: smtp; 550 5.1.1 "+strings.Repeat("x", 5000)+"\n")
	if r = Read(context.Background(), []byte(long), Limits{FieldLength: 100}); len(r.Recipients) != 1 || len(r.Recipients[0].Diagnostic) > 100 {
		t.Errorf("field length: got %+v", r.Recipients)
	}
	fields := "X-A: b\nX-B: c\n" + three
	if r = Read(context.Background(), []byte(fields), Limits{HeaderFields: 2}); r.Kind == KindDSN {
		t.Errorf("header fields: read more than two")
	}
}

// TestReadKeepsNothing writes over the message after it was read.
func TestReadKeepsNothing(t *testing.T) {
	for name, raw := range fixtures(t) {
		own := append([]byte(nil), raw...)
		r := Read(context.Background(), own, Limits{})
		want := fmt.Sprintf("%+v", *r)
		for i := range own {
			own[i] = 'X'
		}
		if got := fmt.Sprintf("%+v", *r); got != want {
			t.Errorf("%s: the report changed with the buffer", name)
		}
	}
}

// allocated returns the octets that f allocates.
func allocated(f func()) uint64 {
	f() // what is built once does not count
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	f()
	runtime.ReadMemStats(&after)
	return after.TotalAlloc - before.TotalAlloc
}

// BenchmarkHostile reads messages made to be dear, within the default limits.
func BenchmarkHostile(b *testing.B) {
	for _, h := range hostile {
		raw := []byte(h.make(h.n))
		b.Run(strings.ReplaceAll(h.name, " ", "-"), func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				Read(context.Background(), raw, Limits{})
			}
		})
	}
}
