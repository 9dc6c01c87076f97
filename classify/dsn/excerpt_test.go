package dsn

import (
	"bytes"
	"context"
	"fmt"
	"strings"
	"testing"
)

// longReport returns a report whose notice and Diagnostic-Code quote a reply of so
// many lines.
func longReport(lines int, end string) []byte {
	reply := "550-5.7.1 this mail looks like spam\n"
	var more strings.Builder
	for i := range lines {
		fmt.Fprintf(&more, "    550-5.7.1 line %d of very many\n", i)
	}
	notice, field := "    "+reply+more.String(), " smtp; "+reply+more.String()
	s := "From: MAILER-DAEMON@relay.example.net\nContent-Type: multipart/report; report-type=delivery-status; boundary=\"b1\"\n\n" +
		"--b1\nContent-Type: text/plain\n\nYour mail could not be delivered to\n\n  jo@example.com\n" + notice + "    550 5.7.1 so it was refused\n" +
		"--b1\nContent-Type: message/delivery-status\n\nReporting-MTA: dns; relay.example.net\n\n" +
		"Final-Recipient: rfc822; jo@example.com\nAction: failed\nStatus: 5.7.1\nDiagnostic-Code:" + field + " 550 5.7.1 so it was refused\n" +
		"--b1\nContent-Type: message/rfc822\n\nMessage-ID: <1@sender.example>\nFrom: ada@sender.example\n\n" + strings.Repeat("hello\n", lines) + "--b1--\n"
	return []byte(strings.ReplaceAll(s, "\n", end))
}

// TestExcerpt checks that an excerpt of a long message has its first and last lines and the fields
// after it, and no more octets than allowed.
func TestExcerpt(t *testing.T) {
	for _, end := range []string{"\n", "\r\n"} {
		raw := longReport(5000, end)
		for _, limit := range []int{4 << 10, 64 << 10, len(raw) - 1} {
			got := Excerpt(raw, limit)
			if len(got) > limit {
				t.Errorf("%d octets of %d allowed", len(got), limit)
			}
			for _, want := range []string{"this mail looks like spam", "so it was refused", "Final-Recipient: rfc822; jo@example.com", "Message-ID: <1@"} {
				if !bytes.Contains(got, []byte(want)) {
					t.Errorf("limit %d, lines end with %q: %q is lost", limit, end, want)
				}
			}
			r := Read(context.Background(), raw, Limits{Octets: limit})
			if len(r.Recipients) != 1 || r.Kind != KindDSN || !r.Truncated {
				t.Fatalf("limit %d: %+v", limit, r)
			}
			if c := &r.Recipients[0]; c.Address != "jo@example.com" || c.SMTPCode != 550 || !strings.Contains(c.Diagnostic, "looks like spam") {
				t.Errorf("limit %d: %+v", limit, c)
			}
		}
		if short := longReport(1, end); !bytes.Equal(Excerpt(short, len(short)), short) {
			t.Error("a short message was changed")
		}
	}
}

// TestAwaits checks that a report is awaited until its fields have arrived.
func TestAwaits(t *testing.T) {
	raw := longReport(10, "\r\n")
	fields := bytes.Index(raw, []byte("Final-Recipient"))
	for _, tt := range []struct {
		name string
		raw  []byte
		want bool
	}{
		{"the notice alone", raw[:fields-200], true},
		{"the fields as well", raw[:fields], false},
		{"no report", []byte("Content-Type: text/plain\r\n\r\nhello"), false},
		{"no boundary", []byte("Content-Type: multipart/report; report-type=delivery-status\r\n\r\nhello"), false},
		{"nothing", nil, false},
	} {
		if got := Awaits(tt.raw); got != tt.want {
			t.Errorf("%s: %v", tt.name, got)
		}
	}
}

func FuzzExcerpt(f *testing.F) {
	f.Add(longReport(100, "\r\n"), 1000)
	f.Add(longReport(100, "\n"), 10)
	f.Add([]byte("Content-Type: multipart/mixed; boundary=x\n\n--x\n--x\n--x--\n--x"), 3)
	f.Fuzz(func(t *testing.T, raw []byte, limit int) {
		limit = min(max(limit, 0), 1<<20)
		if got := Excerpt(raw, limit); len(got) > max(limit, 0) && len(got) > len(raw) || len(raw) > limit && len(got) > limit {
			t.Errorf("%d octets of %d, %d allowed", len(got), len(raw), limit)
		}
		Awaits(raw)
	})
}
