package jetstream

import (
	"strings"
	"testing"

	"github.com/bounce-milter/bounce-milter/classify"
	"github.com/bounce-milter/bounce-milter/classify/dsn"
	"github.com/bounce-milter/bounce-milter/internal/event"
)

func TestSubject(t *testing.T) {
	bounce := &event.Record{Source: event.SourceMilter, Host: "mx1.example.org", Kind: dsn.KindDSN}
	bounce.Category, bounce.Type, bounce.Provider = classify.MailboxFull, classify.Soft, "google"
	complaint := &event.Record{Source: event.SourceMilter, Host: "mx1.example.org", Kind: dsn.KindFeedback}
	hostile := &event.Record{Kind: "a.b", Host: "x.*.>. \r\nPUB y" + strings.Repeat("é", 100)}
	hostile.Category, hostile.Type, hostile.Provider = "a *", ">", "ü.{kind}"
	for _, tt := range []struct{ template, bounce, complaint, hostile, wildcard string }{
		{"bounces.{category}", "bounces.mailbox-full", "bounces.feedback", "bounces.a__", "bounces.*"},
		{"{host}.b.{kind}.{type}", "mx1_example_org.b.dsn.soft", "mx1_example_org.b.feedback.feedback",
			"x________PUB_y" + strings.Repeat("_", 25) + ".b.a_b._", "*.b.*.*"},
		{"b-{provider}{source}.all", "b-googlemilter.all", "b-othermilter.all", "b-___kind_none.all", "*.all"},
		{"bounces", "bounces", "bounces", "bounces", "bounces"},
	} {
		s, err := parseSubject(tt.template)
		if err != nil {
			t.Fatal(err)
		}
		for r, want := range map[*event.Record]string{bounce: tt.bounce, complaint: tt.complaint, hostile: tt.hostile} {
			if got := s.forRecord(r); got != want {
				t.Errorf("%s: %q, want %q", tt.template, got, want)
			}
		}
		if got := s.wildcard(); got != tt.wildcard {
			t.Errorf("%s: a stream takes %q, want %q", tt.template, got, tt.wildcard)
		}
	}
}

// A subject has exactly the parts of its template, whatever the record contains.
func FuzzSubject(f *testing.F) {
	f.Add("bounces.{category}.{host}", "mailbox-full", "mx1.example.org")
	f.Add("{kind}{type}.{provider}", ">", "* .\r\n")
	f.Fuzz(func(t *testing.T, template, a, b string) {
		s, err := parseSubject(template)
		if err != nil {
			return
		}
		r := &event.Record{Kind: dsn.Kind(b), Host: a, Source: event.Source(b)}
		r.Category, r.Type, r.Provider = classify.Category(a), classify.Type(b), b
		got := s.forRecord(r)
		if strings.Count(got, ".") != strings.Count(template, ".") || strings.Contains("."+got+".", "..") {
			t.Errorf("%q has other parts than %q", got, template)
		}
		if i := strings.IndexFunc(got, func(r rune) bool { return r != '.' && !isPlain(r) }); i >= 0 {
			t.Errorf("%q has %q", got, got[i:])
		}
	})
}
