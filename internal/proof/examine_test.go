package proof

import (
	"fmt"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/bounce-milter/bounce-milter/classify"
	"github.com/bounce-milter/bounce-milter/classify/dsn"
	"github.com/bounce-milter/bounce-milter/classify/origin"
	"github.com/bounce-milter/bounce-milter/internal/verp"
)

var now = time.Date(2026, 11, 28, 12, 0, 0, 0, time.UTC)

// examiner knows example.org and one key. change may be nil.
func examiner(t *testing.T, change func(*Options)) *Examiner {
	t.Helper()
	o := options(t)
	if change != nil {
		change(&o)
	}
	e, err := Open(o)
	if err != nil {
		t.Fatal(err)
	}
	return e
}

// header is that of a message of a site, written as it went out at now.
func header(site string, more ...string) *dsn.Source {
	return &dsn.Source{Header: []byte(strings.Join(append(more, "Received: from app."+site+" (app."+site+" [192.0.2.7])", "\tby mail."+site+"; Sat, 28 Nov 2026 11:00:00 +0000",
		"From: News <news@"+site+">", "To: U <u@example.com>", "Date: Sat, 28 Nov 2026 11:00:00 +0000", "Message-ID: <1@mail."+site+">", "X-Mailer: news", ""), "\r\n"))}
}

// bounce speaks of recipients, each as "final" or "final original".
func bounce(s *dsn.Source, rcpts ...string) *classify.Result {
	res := &classify.Result{Kind: dsn.KindDSN, Returned: dsn.Returned{Source: s}}
	for _, r := range rcpts {
		final, original, _ := strings.Cut(r, " ")
		res.Recipients = append(res.Recipients, classify.Recipient{Address: final, Original: original, Action: dsn.ActionFailed, Type: classify.Hard})
	}
	return res
}

// found writes what was found about a recipient.
func found(f Finding) string {
	return strings.TrimSpace(strings.Join([]string{string(f.Origin), string(f.Proof), map[bool]string{true: "bound"}[f.Bound], f.WentTo}, " "))
}

func TestExamine(t *testing.T) {
	e := examiner(t, nil)
	ticket := func(rcpts ...string) *dsn.Source {
		m := &origin.Mail{Sender: "b@example.org", From: "news@example.org", MessageID: "<1@mail.example.org>", Recipients: rcpts}
		return header("example.org", origin.TicketField+": "+e.Keys.Sign(m, now, 0))
	}
	mac := func(m verp.Match) verp.Match { m.MAC = e.Keys.VERP(m.Signed); return m }
	local, here := Envelope{Local: true}, Envelope{Host: "MX1.example.net"}
	passed := header("spam.example", "Received: from host.spam.example by mx1.example.net; Sat, 28 Nov 2026 11:00:01 +0000")
	whole := bounce(ticket("u@example.com"), "u@example.com")
	cut, more, nested := *whole, *whole, *whole
	cut.Truncated, more.Dropped, nested.Ambiguous = true, 1, true
	for name, tt := range map[string]struct {
		res   *classify.Result
		env   Envelope
		want  string // of the recipient that the headers describe
		bound bool   // the report as a whole
	}{
		"ours":                        {whole, Envelope{}, "ours ticket bound u@example.com", true},
		"ours, in other letters":      {bounce(ticket("U@example.com"), "u@Example.com"), Envelope{}, "ours ticket bound u@Example.com", true},
		"ours, both named":            {bounce(ticket("u@example.com", "list@example.com"), "u@example.com list@example.com"), Envelope{}, "ours ticket bound u@example.com", true},
		"an alias":                    {bounce(ticket("list@example.com"), "u@inner.example list@example.com"), Envelope{}, "ours ticket  list@example.com", false},
		"read in part":                {&cut, Envelope{}, "ours ticket bound u@example.com", false},
		"more than were read":         {&more, Envelope{}, "ours ticket bound u@example.com", false},
		"one of two":                  {bounce(ticket("u@example.com"), "u@example.com", "v@example.com"), Envelope{}, "ours ticket bound u@example.com", false},
		"two of two":                  {bounce(ticket("u@example.com", "v@example.com"), "u@example.com", "v@example.com"), Envelope{}, "ours ticket bound u@example.com", true},
		"nobody named":                {bounce(ticket("u@example.com")), Envelope{}, "ours ticket", false},
		"nobody named but by VERP":    {bounce(ticket("u@example.com")), Envelope{VERP: verp.Match{Address: "v@example.com"}}, "unproven", false},
		"a recipient without address": {bounce(ticket("u@example.com"), ""), Envelope{}, "ours ticket", false},
		"one named, one without":      {bounce(ticket("u@example.com"), "v@example.com", ""), Envelope{}, "unproven", false},
		"VERP names whom we wrote to": {bounce(ticket("list@example.com"), "u@inner.example"), Envelope{VERP: verp.Match{Address: "list@example.com"}}, "ours ticket  list@example.com", false},
		"VERP names a victim":         {bounce(ticket("u@example.com"), "u@example.com"), Envelope{VERP: verp.Match{Address: "v@example.com"}}, "ours ticket  u@example.com", false},
		"VERP names the same":         {bounce(ticket("u@example.com"), "u@example.com"), Envelope{VERP: verp.Match{Address: "U@example.com"}}, "ours ticket bound u@example.com", true},
		"VERP names a blind copy":     {bounce(ticket("u@example.com", "v@example.com"), "u@example.com"), Envelope{VERP: verp.Match{Address: "v@example.com"}}, "ours ticket bound u@example.com", true},
		"another report within":       {&nested, Envelope{}, "ours ticket bound u@example.com", false},
		"local, VERP of a stranger":   {bounce(nil, "u@example.com"), Envelope{Local: true, VERP: verp.Match{Address: "v@example.com"}}, "ours local", false},
		"local, VERP":                 {bounce(nil, "u@example.com"), Envelope{Local: true, VERP: verp.Match{Address: "u@example.com"}}, "ours local bound u@example.com", true},
		"VERP with a MAC":             {bounce(nil, "u@example.com"), Envelope{VERP: mac(verp.Match{Address: "u@example.com", Signed: "b-{mac}+u=example.com@example.org"})}, "ours verp bound u@example.com", true},
		"VERP with a token":           {bounce(nil, "u@example.com"), Envelope{VERP: mac(verp.Match{Token: "7", Signed: "t-{mac}-7@example.org"})}, "ours verp", false},
		"VERP with a wrong MAC":       {bounce(nil, "u@example.com"), Envelope{VERP: verp.Match{Address: "u@example.com", MAC: "0a", Signed: "b-{mac}+u=example.com@example.org"}}, "unproven", false},
		"local":                       {bounce(nil, "u@example.com"), local, "ours local bound u@example.com", true},
		"local, ORCPT of a stranger":  {bounce(nil, "u@example.com v@example.com"), local, "ours local  u@example.com", false},
		"nothing came back":           {bounce(nil, "u@example.com"), Envelope{}, "unproven", false},
		"foreign":                     {bounce(header("spam.example"), "u@example.com"), here, "foreign", false},
		"foreign, shortened":          {bounce(header("spam.example"), "u@example.com"), Envelope{Shortened: true}, "unproven", false},
		"it has been here":            {bounce(passed, "u@example.com"), here, "unproven", false},
	} {
		t.Run(name, func(t *testing.T) {
			r := e.Examine(t.Context(), tt.res, tt.env, now)
			if got := found(r.Message); got != tt.want || r.Bound != tt.bound || r.Message.Why == "" {
				t.Errorf("%s, bound %v, want %s, %v: %s", got, r.Bound, tt.want, tt.bound, r.Message.Why)
			}
			if len(r.Each) != len(tt.res.Recipients) || len(r.Events()) != max(1, len(r.Each)) {
				t.Errorf("%d findings, %d events", len(r.Each), len(r.Events()))
			}
			if msg := r.Action(tt.res); msg.Bound != tt.bound || msg.Origin != r.Message.Origin || len(msg.Origins) != len(r.Each) {
				t.Errorf("actions go by %+v", msg)
			}
		})
	}
	for _, kind := range []dsn.Kind{dsn.KindNone, dsn.KindAutoReply, dsn.KindDisposition} {
		res := &classify.Result{Kind: kind}
		if r := e.Examine(t.Context(), res, local, now); r != nil || Unproven(res, "") != nil || r.Events() != nil || r.Action(res).Origin != "" {
			t.Errorf("%s: %+v", kind, r)
		}
	}
}

// Mail that our servers or keys are named by is never foreign, though they are not of our
// domains.
func TestNeverForeign(t *testing.T) {
	strangers := bounce(header("spam.example"), "u@example.com")
	for name, change := range map[string]func(*Options){
		"hosts":    func(o *Options) { o.Hosts = []string{"app.spam.example"} },
		"networks": func(o *Options) { o.Networks = prefixes("192.0.2.0/28") },
		"DKIM":     func(o *Options) { o.DKIM = []DKIM{{Domain: "spam.example", DNS: true}} },
		"domains":  func(o *Options) { o.Domains = append(o.Domains, "Spam.Example") },
	} {
		if r := examiner(t, change).Examine(t.Context(), strangers, Envelope{}, now); r.Message.Origin != origin.Unproven {
			t.Errorf("%s: %+v", name, r.Message)
		}
	}
	// After ticket_since and max_age, what came back whole and without a ticket is foreign.
	for days, want := range map[int]origin.Origin{-15: origin.Foreign, -13: origin.Unproven, 1: origin.Unproven} {
		res := bounce(header("other.example", "Received: from relay.example by list.example; Sat, 28 Nov 2026 11:00:00 +0000"), "u@example.com")
		res.Returned.Source.Header = []byte(strings.ReplaceAll(string(res.Returned.Source.Header), "From: News <news@other.example>", "From: News <news@example.org>"))
		e := examiner(t, func(o *Options) { o.TicketSince = now.AddDate(0, 0, days) })
		if r := e.Examine(t.Context(), res, Envelope{}, now); r.Message.Origin != want {
			t.Errorf("%d days: %+v", days, r.Message)
		}
	}
}

// A complaint claims for the whole message only what holds for all that it names.
func TestComplaint(t *testing.T) {
	e := examiner(t, nil)
	m := &origin.Mail{From: "news@example.org", MessageID: "<1@mail.example.org>", Recipients: []string{"u@example.com"}}
	for rcpts, want := range map[string]string{"u@example.com": "ours ticket bound u@example.com", "u@example.com v@example.com": "unproven", "v@example.com u@example.com": "unproven", "": "ours ticket"} {
		res := &classify.Result{Kind: dsn.KindFeedback, Feedback: &dsn.Feedback{Recipients: strings.Fields(rcpts)},
			Returned: dsn.Returned{Source: header("example.org", origin.TicketField+": "+e.Keys.Sign(m, now, 0))}}
		r := e.Examine(t.Context(), res, Envelope{}, now)
		if got := found(r.Message); got != want || r.Bound != strings.Contains(want, "bound") {
			t.Errorf("%q: %s, want %s", rcpts, got, want)
		}
	}
}

// What holds for the whole message is found out once, however many recipients a report
// names.
func TestManyRecipients(t *testing.T) {
	e := examiner(t, nil)
	const recipients, header64 = 1000, 64 << 10
	var list []string
	for i := range recipients {
		list = append(list, fmt.Sprintf("u%d@example.com v%d@example.net", i, i))
	}
	res := bounce(header("spam.example", "X-Long: "+strings.Repeat("a b ", header64/4)), list...)
	for _, host := range []string{"mx1.example.net", "mail.spam.example"} {
		var before, after runtime.MemStats
		runtime.ReadMemStats(&before)
		r := e.Examine(t.Context(), res, Envelope{Host: host}, now)
		runtime.ReadMemStats(&after)
		if want := map[bool]origin.Origin{true: origin.Unproven, false: origin.Foreign}[strings.Contains(host, "spam")]; r.Each[recipients-1].Origin != want {
			t.Errorf("%s: %+v, want %s", host, r.Each[recipients-1], want)
		}
		if n := after.TotalAlloc - before.TotalAlloc; n > 100*header64 {
			t.Errorf("%s: allocated %d octets for a header of %d", host, n, header64)
		}
	}
}

// A report as a whole is bound only if no place of it that a list manager may read names
// somebody else.
func TestNamedAside(t *testing.T) {
	e := examiner(t, nil)
	engine, err := classify.New(classify.Options{ReturnedSource: true})
	if err != nil {
		t.Fatal(err)
	}
	m := &origin.Mail{Sender: "b@example.org", From: "news@example.org", MessageID: "<1@mail.example.org>", Recipients: []string{"u@example.com", "u2@example.com"}}
	ticket := origin.TicketField + ": " + e.Keys.Sign(m, now, 0)
	many := "" // ways to write one address
	for i := range 32 {
		many += "<u@example.com" + strings.Repeat(".", i+1) + ">\n"
	}
	many += "<v@example.net>\n"
	const parts = "--b\n\n%s\n\n--b\nContent-Type: message/delivery-status\n\nReporting-MTA: dns; mx.example.com\n\nFinal-Recipient: rfc822; u@example.com\n" +
		"Action: failed\nStatus: 5.1.1\n\n--b\nContent-Type: message/rfc822\n\n"
	for name, tt := range map[string]struct {
		words, field string
		want         bool
	}{
		"words alone":             {"It failed, says postmaster@example.com.", "", true},
		"like Postfix":            {"<u@example.com>: host mx.example.com said: 550 no such user", "", true},
		"a victim as Postfix":     {"<v@example.net>: host mx.example.net said: 550 no such user", "", false},
		"a victim as Exim":        {"failed:\n\n  v@example.net\n    host mx.example.net: 550 no such user", "", false},
		"a victim as Sendmail":    {"   ----- The following addresses had permanent fatal errors -----\n<v@example.net>", "", false},
		"another recipient":       {"<U2@example.com>: no such user", "", true},
		"the list itself":         {"<bounces@example.org> sent this", "", true},
		"the Message-ID":          {"Message-ID:\n <1@mail.example.org>", "", true},
		"a header that is quoted": {"spf=pass\n smtp.mailfrom=b@example.org", "", true},
		"X-Failed-Recipients":     {"It failed.", "u@example.com, v@example.net", false},
		"more than are looked at": {many, "", false},
		"the same recipient":      {"It failed.", "U@example.com", true},
	} {
		t.Run(name, func(t *testing.T) {
			head := "Return-Path: <>\nFrom: MAILER-DAEMON@mx.example.com\nTo: v@example.net\nSubject: Undelivered\n"
			if tt.field != "" {
				head += "X-Failed-Recipients: " + tt.field + "\n"
			}
			raw := head + "MIME-Version: 1.0\nContent-Type: multipart/report; report-type=delivery-status; boundary=b\n\n" +
				fmt.Sprintf(parts, tt.words) + ticket + "\nFrom: news@example.org\nMessage-ID: <1@mail.example.org>\n\nHello\n--b--\n"
			res := engine.Classify(t.Context(), []byte(raw))
			r := e.Examine(t.Context(), &res, Envelope{To: []string{"bounces@example.org"}}, now)
			if len(r.Each) != 1 || !r.Each[0].Bound || r.Bound != tt.want {
				t.Errorf("bound %v, want %v: %+v, aside %q", r.Bound, tt.want, r.Each, res.Aside)
			}
		})
	}
}
