package mailbox

import (
	"bufio"
	"bytes"
	"fmt"
	"io"
	"math/rand/v2"
	"regexp"
	"strings"
	"testing"
)

// readMbox splits text, as a file that can seek or as a stream.
func readMbox(text string, seek bool, limit int) (msgs []string, octets int64, err error) {
	m := mboxReader{br: bufio.NewReaderSize(strings.NewReader(text), peekSize), max: limit}
	if seek {
		m.at = strings.NewReader(text)
	}
	for {
		raw, err := m.next()
		if err == io.EOF {
			return msgs, m.off, nil
		}
		if err != nil {
			return msgs, m.off, err
		}
		msgs = append(msgs, string(raw))
	}
}

var (
	quoteO  = regexp.MustCompile(`(?m)^From `)
	quoteRD = regexp.MustCompile(`(?m)^(>*From )`)
)

// dialects write one message with its framing.
var dialects = map[string]func(header, body string) string{
	"mboxo": func(h, b string) string { return h + "\n" + quoteO.ReplaceAllString(b, ">From ") + "\n" },
	"mboxrd": func(h, b string) string {
		return h + "\n" + quoteRD.ReplaceAllString(b, ">$1") + "\n"
	},
	"mboxcl": func(h, b string) string {
		b = quoteRD.ReplaceAllString(b, ">$1")
		return fmt.Sprintf("%sContent-Length: %d\n\n%s\n", h, len(b), b)
	},
	"mboxcl2": func(h, b string) string {
		return fmt.Sprintf("%sContent-Length: %d\n\n%s\n", h, len(b), b)
	},
}

var contentLength = regexp.MustCompile(`(?m)^Content-Length: \d+\n`)

// What is written in a dialect is read back as it was.
func TestDialects(t *testing.T) {
	pieces := []string{"hello\n", "\n", "From here on it gets\n", "From a@example.com Mon Nov 23 10:00:00 2026\n",
		"Subject: a field in the text\n", "Content-Length: 3\n", strings.Repeat("long ", 20) + "\n"}
	for name, write := range dialects {
		t.Run(name, func(t *testing.T) {
			rnd := rand.New(rand.NewPCG(1, 2))
			for range 300 {
				var mbox strings.Builder
				var want []string
				for n := range 1 + rnd.IntN(4) {
					header := fmt.Sprintf("Subject: %d\n", n)
					var body strings.Builder
					for range rnd.IntN(8) {
						body.WriteString(pieces[rnd.IntN(len(pieces))])
					}
					if (name == "mboxrd" || name == "mboxcl") && rnd.IntN(2) == 0 {
						body.WriteString(">>From quoted\n")
					}
					fmt.Fprintf(&mbox, "From x@example.com Mon Nov 23 10:00:0%d 2026\n%s", n, write(header, body.String()))
					want = append(want, header+"\n"+body.String())
				}
				for _, seek := range []bool{true, false} {
					got, octets, err := readMbox(mbox.String(), seek, 1<<20)
					if err != nil || octets != int64(mbox.Len()) {
						t.Fatalf("%v, %d octets of %d", err, octets, mbox.Len())
					}
					for i := range got {
						got[i] = contentLength.ReplaceAllStringFunc(got[i], func(l string) string {
							if strings.Index(got[i], l) < strings.Index(got[i], "\n\n") {
								return ""
							}
							return l
						})
					}
					if fmt.Sprintf("%q", got) != fmt.Sprintf("%q", want) {
						t.Fatalf("seek %v\nmbox %q\ngot  %q\nwant %q", seek, mbox.String(), got, want)
					}
				}
			}
		})
	}
}

func TestMboxOddities(t *testing.T) {
	const from = "From a@example.com Mon Nov 23 10:00:00 2026\n"
	tests := []struct {
		name, in string
		want     []string
	}{
		{"only a From line", from, []string{""}},
		{"header alone", from + "A: b", []string{"A: b"}},
		{"no blank line at the end", from + "A: b\n\nx\n", []string{"A: b\n\nx\n"}},
		{"message without text", from + "A: b\n\n" + from + "C: d\n\n", []string{"A: b\n\n", "C: d\n\n"}},
		{"sender alone", from + "A: b\n\nx\n\nFrom MAILER-DAEMON\nC: d\n\ny\n", []string{"A: b\n\nx\n", "C: d\n\ny\n"}},
		{"zone and remote", from + "A: b\n\nx\n\nFrom u@example.com  Mon Nov 23 10:00 CET 2026 remote from host\nC: d\n\n",
			[]string{"A: b\n\nx\n", "C: d\n\n"}},
		{"text that begins with From", from + "A: b\n\nx\n\nFrom then on, at 10:00 in 2026,\nit: rained\n",
			[]string{"A: b\n\nx\n\nFrom then on, at 10:00 in 2026,\nit: rained\n"}},
		{"From line in the text, no header after it", from + "A: b\n\nx\n\n" + from + "is how it began\n",
			[]string{"A: b\n\nx\n\n" + from + "is how it began\n"}},
		{"no blank line before", from + "A: b\n\nx\n" + from + "C: d\n\n", []string{"A: b\n\nx\n" + from + "C: d\n"}},
		{"Content-Length that lies", from + "Content-Length: 3\n\nlonger than that\n\n" + from + "C: d\n\n",
			[]string{"Content-Length: 3\n\nlonger than that\n", "C: d\n\n"}},
		{"Content-Length beyond the end", from + "Content-Length: 9223372036854775807\n\nx\n\n" + from + "C: d\n\n",
			[]string{"Content-Length: 9223372036854775807\n\nx\n", "C: d\n\n"}},
		{"negative Content-Length", from + "Content-Length: -1\n\nx\n", []string{"Content-Length: -1\n\nx\n"}},
		{"Content-Length over a From line", from + "content-length: 47\n\nx\n\n" + from + "\n" + from + "C: d\n\n",
			[]string{"content-length: 47\n\nx\n\n" + from, "C: d\n\n"}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			for _, seek := range []bool{true, false} {
				got, _, err := readMbox(tt.in, seek, 1<<20)
				if err != nil || fmt.Sprintf("%q", got) != fmt.Sprintf("%q", tt.want) {
					t.Errorf("seek %v: got %q, %v\nwant %q", seek, got, err, tt.want)
				}
			}
		})
	}
}

func FuzzMbox(f *testing.F) {
	const from = "From a@example.com Mon Nov 23 10:00:00 2026\n"
	f.Add([]byte(from + "Subject: x\n\ntext\n\n" + from + "Subject: y\r\n\r\n>From z\n"))
	f.Add([]byte(from + "Content-Length: 5\n\nFrom \n\n" + from))
	f.Add([]byte(from + "Content-Length: 99999999999999999999\n\n"))
	f.Add([]byte("From \n\n\n\nFrom x@y\n\n>>From "))
	f.Add([]byte("From"))
	f.Add(bytes.Repeat([]byte("From a@b\n\n"), 50))
	f.Fuzz(func(t *testing.T, in []byte) {
		if len(in) > peekSize/2 {
			return // beyond, a stream trusts Content-Length less than a file
		}
		file, octets, err := readMbox(string(in), true, 256)
		if err != nil || octets != int64(len(in)) {
			t.Fatalf("%v, read %d octets of %d", err, octets, len(in))
		}
		stream, _, _ := readMbox(string(in), false, 256)
		if fmt.Sprintf("%q", file) != fmt.Sprintf("%q", stream) {
			t.Fatalf("as a file %q, as a stream %q", file, stream)
		}
		for _, msg := range file {
			if len(msg) > 256 {
				t.Fatalf("message of %d octets over the bound", len(msg))
			}
		}
	})
}
