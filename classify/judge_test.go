package classify

import (
	"context"
	"encoding/json"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/bounce-milter/bounce-milter/classify/dsn"
	"github.com/bounce-milter/bounce-milter/classify/reply"
)

// A reply of 300 octets, as a large provider writes them.
const longReply = "550-5.7.26 The MAIL FROM domain [example.org] has an SPF record with a hard fail\r\n" +
	"550-5.7.26 policy (-all) but it fails to pass SPF checks with the ip: [192.0.2.7].\r\n" +
	"550-5.7.26 To best protect our users from spam and phishing, the message has\r\n" +
	"550 5.7.26 been blocked. See https://support.google.com/mail/?p=MailFrom - gsmtp"

const oneLineReply = "host mx1.mail.example.com[192.0.2.7] said: 550 5.1.1 <somebody@example.com>: Recipient address rejected: " +
	"User unknown in virtual mailbox table; please check the spelling of the address and try to send your message again later, " +
	"see https://postmaster.example.com/errors?code=5.1.1 for more information (in reply to RCPT TO command)"

func TestJudgeAllocates(t *testing.T) {
	e := builtIn(t)
	for _, reply := range []string{longReply, oneLineReply, "550 5.1.1 User unknown", "554 5.9.9", ""} {
		ev := Evidence{Reply: reply, RemoteMTA: "mx.example.com", ReportingMTA: "mail.example.org",
			Recipient: "somebody.with.a.long.name@mail.example.com", Sender: "bounces@example.org", Author: "news@example.org"}
		e.Judge(&ev)
		if n := testing.AllocsPerRun(200, func() { e.Judge(&ev) }); n > 2 {
			t.Errorf("%.0f allocations for %q", n, reply)
		}
	}
}

// BenchmarkJudge: 4 µs are the bound for 300 octets.
func BenchmarkJudge(b *testing.B) {
	e := builtIn(b)
	for _, c := range []struct{ name, reply string }{{"lines", longReply}, {"line", oneLineReply},
		{"short", "550 5.1.1 User unknown"}, {"bare", "550 5.1.1"}} {
		b.Run(c.name, func(b *testing.B) {
			ev := Evidence{Reply: c.reply, RemoteMTA: "mx.example.com", ReportingMTA: "mail.example.org"}
			b.ReportAllocs()
			b.SetBytes(int64(len(c.reply)))
			for b.Loop() {
				e.Judge(&ev)
			}
		})
	}
}

// BenchmarkExamples judges all examples in turn: the state that one of them
// leaves in the caches helps the next one little.
func BenchmarkExamples(b *testing.B) {
	e := builtIn(b)
	var all []Evidence
	octets := 0
	for _, r := range e.set.Rules {
		r.NeedExamples()
		for _, x := range r.Examples {
			all = append(all, Evidence{Reply: x.Reply, Notice: x.Notice, RemoteMTA: x.RemoteMTA})
			octets += len(x.Reply) + len(x.Notice)
		}
	}
	b.SetBytes(int64(octets / len(all)))
	for i := 0; b.Loop(); i++ {
		e.Judge(&all[i%len(all)])
	}
}

// hostile are replies that nobody should send.
var hostile = map[string]string{
	"a megabyte of words":   "550 5.1.1 User unknown " + strings.Repeat("user unknown but mailbox full ", 35000),
	"a megabyte of at":      strings.Repeat("@", 1<<20),
	"a megabyte of dots":    strings.Repeat("a.", 1<<19),
	"a megabyte of schemes": strings.Repeat("http://", 150000),
	"brackets":              strings.Repeat("<", 1<<19) + strings.Repeat("@>", 1<<18),
	"10,000 codes":          strings.Repeat("550 5.1.1 ", 10000),
	"10,000 wrappers":       strings.Repeat("said: 550 ", 10000),
	"NUL and control":       "550\x00 5.1.1\x01 user\x00unknown\x1b[31m\x7f",
	"broken UTF-8":          "550 5.1.1 Empf\xe4nger \xff\xfe\xc3 unbekannt",
	"only code-like":        strings.Repeat("5.1.1.1 554.30 4.16.55.1 ", 4000),
	"one long word":         strings.Repeat("x", 1<<20),
	"astral":                strings.Repeat("𝕌𝕊𝔼ℝ", 50000),
}

// TestHostile: each of them is answered.
func TestHostile(t *testing.T) {
	e := builtIn(t)
	for name, reply := range hostile {
		t.Run(name, func(t *testing.T) {
			x := e.Explain(&Evidence{Reply: reply, Notice: reply, RemoteMTA: reply[:min(len(reply), 5000)]})
			wellFormed(t, e, x.Recipient)
		})
	}
}

// BenchmarkHostile measures the time that each of them takes, which is at most milliseconds.
func BenchmarkHostile(b *testing.B) {
	e := builtIn(b)
	for name, reply := range hostile {
		b.Run(name, func(b *testing.B) {
			for b.Loop() {
				e.Judge(&Evidence{Reply: reply, Notice: reply, RemoteMTA: reply[:min(len(reply), 5000)]})
			}
		})
	}
}

// wellFormed checks what must be true of every verdict.
func wellFormed(t *testing.T, e *Engine, r Recipient) {
	t.Helper()
	if !slices.Contains(Categories(), r.Category) || !slices.Contains(Types(), r.Type) || !slices.Contains(Rungs(), r.Evidence) {
		t.Errorf("verdict out of bounds: %+v", r)
	}
	if _, ok := e.Reason(r.Reason); !ok {
		t.Errorf("unknown reason %q", r.Reason)
	}
	if !slices.Contains(e.Providers(), r.Provider) {
		t.Errorf("unknown provider %q", r.Provider)
	}
}

// FuzzJudge checks that, for any input, the engine answers within its bounds, gives the same
// verdict twice, and explains the verdict that it gave.
func FuzzJudge(f *testing.F) {
	for _, s := range []string{longReply, oneLineReply, "550 5.0.350 Remote server returned an error -> 552 5.2.2 full",
		"550 permanent failure for one or more recipients (u@example.com:blocked)", "<@>", "@[", "\"@\"", "://", "a.b.",
		"550-5.1.1 x\r\n550 5.1.1 y", "said: '550", "５５０ Ｕｓｅｒ", "«550» “user” ‘unknown’"} {
		f.Add(s, "notice "+s, "mx.example.com", "5.1.1", 550)
	}
	e := builtIn(f)
	f.Fuzz(func(t *testing.T, said, notice, host, status string, code int) {
		ev := Evidence{Reply: said, Notice: notice, RemoteMTA: host, ReportingMTA: host, Status: reply.ParseStatus(status), SMTPCode: code,
			Recipient: "u@" + host, Sender: host, Author: "news@" + notice}
		r := e.ClassifyReply(&ev)
		wellFormed(t, e, r)
		if again := e.Judge(&ev); again != (Verdict{r.Category, r.Type, r.Reason, r.Provider, r.Rule, r.Evidence}) {
			t.Fatalf("%+v, then %+v", r, again)
		}
		x := e.Explain(&ev)
		if !reflect.DeepEqual(x.Recipient, r) {
			t.Fatalf("explained as %+v, judged %+v", x.Recipient, r)
		}
		won := 0
		for _, s := range x.Ladder {
			if s.Won {
				won++
			}
		}
		if won != 1 || x.Why == "" || x.Advice == "" || utf8.ValidString(said) && !utf8.ValidString(x.Words) {
			t.Fatalf("explanation %+v", x)
		}
		if r.Type != Hard && letsGo.MatchString(x.Advice) {
			t.Fatalf("%s, and %s", r.Type, x.Advice)
		}
		if _, err := json.Marshal(x); err != nil {
			t.Fatal(err)
		}
		ev.Action = dsn.ActionDelayed
		if v := e.Judge(&ev); v.Type != Soft {
			t.Fatalf("a delay is %s", v.Type)
		}
	})
}

// TestReplyIsParsedOnce judges a reply as the reading of a message hands it on, and
// as it is parsed from its text: the verdict is the same.
func TestReplyIsParsedOnce(t *testing.T) {
	e := builtIn(t)
	paths, err := filepath.Glob("dsn/testdata/*/*.eml")
	if err != nil || len(paths) == 0 {
		t.Fatalf("no messages: %v", err)
	}
	for _, p := range paths {
		raw, err := os.ReadFile(p)
		if err != nil {
			t.Fatal(err)
		}
		e.message(context.Background(), raw, func(ev Evidence, _ bool) {
			if said := ev.reported.Reply(); said.Text != ev.Reply {
				t.Errorf("%s: the reply %q is not handed on, but %q", p, ev.Reply, said.Text)
			}
			handed := e.Judge(&ev)
			ev.reported = nil
			if again := e.Judge(&ev); again != handed {
				t.Errorf("%s: %+v, but %+v parsed from %q", p, handed, again, ev.Reply)
			}
		})
	}
}
