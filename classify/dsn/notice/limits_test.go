package notice

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

var bounceHeader = fields{"From", "MAILER-DAEMON@example.net", "Subject", "failure notice", "Return-Path", "<>"}

// hostileTexts are what strangers might write to make reading expensive. Each
// fills all that is read of a notice.
var hostileTexts = map[string]string{
	"recipients":                  strings.Repeat("<u00@x.example>:\nno\n\n", 5000),
	"recipients, listed":          "The following addresses failed:\n" + strings.Repeat("a@b.example\n", 5000),
	"at signs":                    strings.Repeat("@", 1<<17),
	"local parts":                 strings.Repeat("a", 1<<17) + "@b.example",
	"addresses":                   strings.Repeat("a@b@c@d.e ", 1<<14),
	"brackets":                    strings.Repeat("[a.b", 1<<15),
	"quotation marks":             strings.Repeat("\"a\"@b.example\"", 1<<13),
	"phrases":                     strings.Repeat("remote host said: host ", 1<<13),
	"hosts":                       strings.Repeat("[192.0.2.1] does not like recipient ", 1<<12),
	"half phrases":                strings.Repeat("the following recipien ", 1<<13),
	"dialogue":                    strings.Repeat(">>> RCPT TO:<u@b.example>\n<<< 550 no\n", 1<<12),
	"replies":                     strings.Repeat("550-5.1.1 no\n", 1<<13),
	"replies of one":              strings.Repeat("<<< 550-no\n", 1<<13),
	"codes, addresses over lines": strings.Repeat("550 \"a\nb\"@c.example\n550 u@[192.0.2.1\n550 ]\n", 1<<12),
	"codes":                       strings.Repeat(": 550 ", 1<<15),
	"header":                      strings.Repeat("X-A: b\n", 1<<14),
	"lines":                       strings.Repeat("a\n", 1<<16),
	"no line end":                 strings.Repeat("could not be delivered to ", 1<<13),
	"empty lines":                 strings.Repeat("\n", 1<<18),
	"not UTF-8":                   strings.Repeat("\xff\xfe<u@b.example>:\n\xe3\x81\n", 1<<13),
	"signs":                       strings.Repeat("-=*>|", 1<<15),
	"Kelvin signs":                strings.Repeat("\u212a\u0130", 1<<14),
}

// TestNoticeHostile reads them; what it keeps is bounded. BenchmarkNoticeHostile
// shows the time.
func TestNoticeHostile(t *testing.T) {
	for name, text := range hostileTexts {
		t.Run(name, func(t *testing.T) {
			for _, text := range []string{text, "The following addresses failed:\n<v@b.example>:\n550 no\n" + text} {
				rs, _ := listed(bounceHeader, text, 100000)
				noticeAbout(text, "w@b.example")
				builtIn().IsAutoReply(bounceHeader, text)
				for _, r := range rs {
					if len(r.Diagnostic) > MaxEvidence+8 || len(r.Words) > MaxEvidence {
						t.Fatalf("kept %d and %d octets", len(r.Diagnostic), len(r.Words))
					}
				}
			}
		})
	}
}

// BenchmarkNoticeHostile reads texts made to be dear.
func BenchmarkNoticeHostile(b *testing.B) {
	for name, text := range hostileTexts {
		text = "The following addresses failed:\n<v@b.example>:\n550 no\n" + text
		b.Run(strings.ReplaceAll(name, " ", "-"), func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				listed(bounceHeader, text, 100000)
				noticeAbout(text, "w@b.example")
			}
		})
	}
}

// FuzzNotice reads any text as a notice, with and without the header of a
// bounce.
func FuzzNotice(f *testing.F) {
	paths, err := filepath.Glob("../testdata/notice*/*.eml")
	if err != nil || len(paths) == 0 {
		f.Fatalf("no seeds: %v", err)
	}
	for _, path := range paths {
		raw, err := os.ReadFile(path)
		if err != nil {
			f.Fatal(err)
		}
		_, body, _ := strings.Cut(strings.ReplaceAll(string(raw), "\r\n", "\n"), "\n\n")
		f.Add("failure notice", "", body)
		f.Add("Re: hello", "u@example.com, v@example.com", body)
	}
	f.Add("failure notice", "", "<u@b.example>:\nno\n--- Original message follows.\nTo: v@b.example")
	for _, format := range noticeFormats(f) {
		for _, e := range format.Example {
			f.Add(e.Subject, e.Failed, e.Text)
		}
	}
	f.Fuzz(func(t *testing.T, subject, failed, text string) {
		h := fields{"From", "MAILER-DAEMON@example.net", "Subject", subject, "X-Failed-Recipients", failed, "Return-Path", "<>"}
		rs, _ := listed(h, text, manyRecipients)
		for _, r := range rs {
			checkNoticed(t, text, r)
			noticeAbout(text, r.Address)
		}
		builtIn().IsAutoReply(h, text)
		noticeAbout(text, "u@example.com")
		n := builtIn().Read(text, nil)
		if len(n.orig) != len(n.low) {
			t.Fatalf("folded to %d and %d octets", len(n.orig), len(n.low))
		}
	})
}

// checkNoticed reports what no recipient may have.
func checkNoticed(t *testing.T, text string, r Recipient) {
	t.Helper()
	switch {
	case r.SMTPCode != 0 && (r.SMTPCode < 400 || r.SMTPCode > 599):
		t.Errorf("code %d", r.SMTPCode)
	case strings.ContainsAny(r.Diagnostic+r.Words+r.Address, "\r\n"):
		t.Errorf("a line end in %+v", r)
	case !strings.Contains(text, r.Status.String()):
		t.Errorf("status %s is not in the text", r.Status)
	}
}
