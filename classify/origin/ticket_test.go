package origin

import (
	"strings"
	"testing"
	"time"
)

var now = time.Date(2026, 11, 27, 22, 0, 0, 0, time.UTC)

// outgoing is the message of most tests.
func outgoing() *Mail {
	return &Mail{Sender: "news@example.org", MessageID: "<1234@mail.example.org>", From: "Example News <news@example.org>", Recipients: []string{"u@example.com"}}
}

// headerOf returns the header of a message with these tickets.
func headerOf(m *Mail, tickets ...string) string {
	var b strings.Builder
	for _, t := range tickets {
		b.WriteString("X-Bounce-Ticket: " + t + "\n")
	}
	b.WriteString("From: " + m.From + "\n")
	if m.MessageID != "" {
		b.WriteString("Message-ID: " + m.MessageID + "\n")
	}
	b.WriteString("Subject: News\n")
	return b.String()
}

func judgeOf(t testing.TB, o Options) *Judge {
	t.Helper()
	if o.Domains == nil {
		o.Domains = []string{"example.org"}
	}
	j, err := New(o)
	if err != nil {
		t.Fatal(err)
	}
	return j
}

func TestTicketForm(t *testing.T) {
	k := keysOf(t, line("key-1", 1))
	m := outgoing()
	m.Recipients = nil
	for i := range 20 {
		m.Recipients = append(m.Recipients, "user"+string(rune('a'+i))+"@example.com")
	}
	for _, value := range []string{k.Sign(outgoing(), now, 0), k.Sign(m, now, 0), k.Sign(m, now, 19)} {
		if !strings.HasPrefix(value, "v=1; k=key-1; t=1795816800; m=") {
			t.Errorf("ticket %q", value)
		}
		for i, l := range strings.Split(value, "\n") {
			if len(l) > 76 || i > 0 && (l[0] != '\t' || len(l) < 2) {
				t.Errorf("line %q", l)
			}
		}
	}
	if got, _ := parseTicket([]byte(k.Sign(m, now, 19))); got.recipients != "" {
		t.Error("more than max_bound recipients are named")
	}
	// Neither the order of recipients nor whether there is one more shows.
	one, _ := parseTicket([]byte(k.Sign(outgoing(), now, 0)))
	two := outgoing()
	two.Recipients = append(two.Recipients, "blind@example.com")
	blind, _ := parseTicket([]byte(k.Sign(two, now, 0)))
	if len(one.recipients) != len(blind.recipients) {
		t.Errorf("a blind copy shows: %d and %d octets", len(one.recipients), len(blind.recipients))
	}
	swapped := outgoing()
	swapped.Recipients = []string{"blind@example.com", "u@example.com"}
	if k.Sign(swapped, now, 0) != k.Sign(two, now, 0) {
		t.Error("the order of recipients shows")
	}
	// The same recipient is another digest in another message.
	other := outgoing()
	other.MessageID = "<5678@mail.example.org>"
	next, _ := parseTicket([]byte(k.Sign(other, now, 0)))
	for at := 0; at < len(one.recipients); at += digestSize {
		if strings.Contains(next.recipients, one.recipients[at:at+digestSize]) {
			t.Error("a recipient can be recognised in another message")
		}
	}
}

// What happens to a message on its way, and what an attacker may try.
func TestTicket(t *testing.T) {
	k := keysOf(t, line("new", 3), line("old", 1))
	old, retired := keysOf(t, line("old", 1)), keysOf(t, line("retired", 7))
	impostor := keysOf(t, line("new", 9))
	m := outgoing()
	ticket := k.Sign(m, now, 0)
	many := outgoing()
	for i := range 25 {
		many.Recipients = append(many.Recipients, strings.Repeat("x", i+1)+"@example.com")
	}
	noID := outgoing()
	noID.MessageID = ""
	unqualified := outgoing()
	unqualified.From = "root (Charlie Root)"
	sender := []string{"News@EXAMPLE.org"}
	rcpt := Recipient{Final: "u@example.com"}

	for _, tt := range []struct {
		name   string
		header string
		rcpt   Recipient
		verp   string
		to     []string
		later  time.Duration
		origin Origin
		bound  string
		why    string
	}{
		{name: "as it was", header: headerOf(m, ticket), rcpt: rcpt, to: sender, origin: Ours, bound: "u@example.com", why: "came back to its envelope sender"},
		{name: "to somewhere else", header: headerOf(m, ticket), rcpt: rcpt, to: []string{"x@example.org"}, origin: Ours, bound: "u@example.com", why: "another address than its envelope sender"},
		{name: "another key of ours", header: headerOf(m, old.Sign(m, now, 0)), rcpt: rcpt, origin: Ours, bound: "u@example.com"},
		{name: "address in other case", header: headerOf(m, ticket), rcpt: Recipient{Final: "<U@Example.COM.>"}, origin: Ours, bound: "<U@Example.COM.>"},
		{name: "CRLF", header: strings.ReplaceAll(headerOf(m, ticket), "\n", "\r\n"), rcpt: rcpt, origin: Ours, bound: "u@example.com"},
		{name: "unfolded", header: headerOf(m, strings.ReplaceAll(ticket, "\n\t", "")), rcpt: rcpt, origin: Ours, bound: "u@example.com"},
		{name: "unfolded with spaces", header: headerOf(m, strings.ReplaceAll(ticket, "\n\t", "  ")), rcpt: rcpt, origin: Ours, bound: "u@example.com"},
		{name: "folded anew", header: headerOf(m, strings.ReplaceAll(strings.ReplaceAll(ticket, "\n\t", ""), "=", "=\r\n    ")), rcpt: rcpt, origin: Ours, bound: "u@example.com"},
		{name: "name in other case", header: strings.Replace(headerOf(m, ticket), "X-Bounce-Ticket", "x-bounce-ticket", 1), rcpt: rcpt, origin: Ours, bound: "u@example.com"},
		{name: "From encoded anew", header: strings.Replace(headerOf(m, ticket), "Example News <news@example.org>", "=?utf-8?Q?Example,_News?=\n <NEWS@example.org> (comment)", 1), rcpt: rcpt, origin: Ours, bound: "u@example.com"},
		{name: "From decoded", header: strings.Replace(headerOf(m, ticket), "Example News", "News, Example", 1), rcpt: rcpt, origin: Ours, bound: "u@example.com"},
		{name: "Message-ID folded", header: strings.Replace(headerOf(m, ticket), "Message-ID: ", "Message-Id:\n\t", 1), rcpt: rcpt, origin: Ours, bound: "u@example.com"},
		{name: "alias", header: headerOf(m, ticket), rcpt: Recipient{Final: "someone@example.net", Original: "u@example.com"}, origin: Ours, bound: "u@example.com"},
		{name: "alias by VERP", header: headerOf(m, ticket), rcpt: Recipient{Final: "someone@example.net"}, verp: "u@example.com", origin: Ours, bound: "u@example.com"},
		{name: "two tickets", header: headerOf(m, retired.Sign(m, now, 0), ticket), rcpt: rcpt, origin: Ours, bound: "u@example.com"},
		{name: "more than max_bound", header: headerOf(many, k.Sign(many, now, 0)), rcpt: rcpt, origin: Ours, why: "names no recipient"},
		{name: "no Message-ID", header: headerOf(noID, k.Sign(noID, now, 0)), rcpt: rcpt, origin: Ours, bound: "u@example.com"},
		{name: "Message-ID added later", header: headerOf(m, k.Sign(noID, now, 0)), rcpt: rcpt, origin: Ours, bound: "u@example.com"},
		{name: "domain added to From later", header: strings.Replace(headerOf(unqualified, k.Sign(unqualified, now, 0)), "root (", "root@example.org (", 1), rcpt: rcpt, origin: Ours, bound: "u@example.com"},
		{name: "before it is too old", header: headerOf(m, ticket), rcpt: rcpt, later: DefaultMaxAge, origin: Ours, bound: "u@example.com"},
		{name: "the clocks differ", header: headerOf(m, ticket), rcpt: rcpt, later: -5 * time.Minute, origin: Ours, bound: "u@example.com"},

		{name: "replayed for another recipient", header: headerOf(m, ticket), rcpt: Recipient{Final: "victim@example.com"}, why: "went to other recipients"},
		{name: "replayed, the recipient elsewhere", header: headerOf(m, ticket), rcpt: Recipient{Final: "victim@example.com", Original: "other@example.com"}, why: "went to other recipients"},
		{name: "no recipient", header: headerOf(m, ticket), origin: Ours, why: "names nobody"},
		{name: "old", header: headerOf(m, ticket), rcpt: rcpt, later: DefaultMaxAge + time.Second, why: "older than max_age"},
		{name: "from the future", header: headerOf(m, ticket), rcpt: rcpt, later: -time.Hour, why: "from the future"},
		{name: "retired key", header: headerOf(m, retired.Sign(m, now, 0)), rcpt: rcpt, why: "not in the key file"},
		{name: "name of our key", header: headerOf(m, impostor.Sign(m, now, 0)), rcpt: rcpt, why: "does not fit"},
		{name: "cut", header: headerOf(m, ticket[:len(ticket)-3]), rcpt: rcpt, why: "the ticket is cut"},
		{name: "cut in the middle", header: headerOf(m, ticket[:40]), rcpt: rcpt, why: "the ticket is cut"},
		{name: "empty", header: headerOf(m, ""), rcpt: rcpt, why: "malformed"},
		{name: "another version", header: headerOf(m, strings.Replace(ticket, "v=1", "v=2", 1)), rcpt: rcpt, why: "another version"},
		{name: "twice the same tag", header: headerOf(m, ticket+"; k=new"), rcpt: rcpt, why: "malformed"},
		{name: "another Message-ID", header: strings.Replace(headerOf(m, ticket), "1234@", "1235@", 1), rcpt: rcpt, why: "does not fit"},
		{name: "another From", header: strings.Replace(headerOf(m, ticket), "<news@", "<boss@", 1), rcpt: rcpt, why: "does not fit"},
		{name: "later time", header: headerOf(m, strings.Replace(ticket, "t=1795816800", "t=1795816801", 1)), rcpt: rcpt, why: "does not fit"},
		{name: "recipients taken out", header: headerOf(m, ticket[:strings.Index(ticket, "r=")+2]+";"+ticket[strings.Index(ticket, "h="):]), rcpt: rcpt, why: "does not fit"},
		{name: "no ticket", header: headerOf(m), rcpt: rcpt, why: "has no ticket"},
		{name: "nothing came back", rcpt: rcpt, why: "no header came back"},
		{name: "in the body", header: headerOf(m) + "\n" + headerOf(m, ticket), rcpt: rcpt, why: "has no ticket"},
		{name: "in another field", header: headerOf(m) + "X-Other: y\n X-Bounce-Ticket: " + ticket + "\n", rcpt: rcpt, why: "has no ticket"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			j := judgeOf(t, Options{Keys: k})
			e := j.Examine(t.Context(), &Message{Header: []byte(tt.header), To: tt.to, VERP: tt.verp}, now.Add(tt.later))
			got := e.Of(tt.rcpt)
			want := Result{Origin: Unproven, Why: got.Why}
			if tt.origin == Ours {
				want = Result{Ours, ProofTicket, tt.bound != "", tt.bound, got.Why}
			}
			if got != want || !strings.Contains(got.Why, tt.why) {
				t.Errorf("%+v", got)
			}
		})
	}
}

// Every octet of a ticket counts, and no list of fields looks like another.
func TestTicketOctets(t *testing.T) {
	k := keysOf(t, line("key", 1))
	j := judgeOf(t, Options{Keys: k})
	m := outgoing()
	ticket := strings.ReplaceAll(k.Sign(m, now, 0), "\n\t", "")
	for i := range len(ticket) {
		changed := []byte(ticket)
		changed[i] ^= 1
		if changed[i] <= ' ' || ticket[i] == ' ' {
			continue
		}
		e := j.Examine(t.Context(), &Message{Header: []byte(headerOf(m, string(changed)))}, now)
		if got := e.Of(Recipient{Final: "u@example.com"}); got.Origin != Unproven {
			t.Errorf("octet %d, %q: %+v", i, changed, got)
		}
	}
	h := newMAC([]byte("secret"))
	if a, b := h.of(32, "ab", "c"), h.of(32, "a", "bc"); a == b {
		t.Error("two lists of fields have the same MAC")
	}
}

// Many tickets cost no more than their octets, and a few are looked at closely.
func TestManyTickets(t *testing.T) {
	k := keysOf(t, line("key", 1))
	j := judgeOf(t, Options{Keys: k})
	m := outgoing()
	good := k.Sign(m, now, 0)
	bad := strings.Replace(good, "t=1795816800", "t=1795816000", 1)
	foreign := strings.Replace(good, "k=key", "k=other", 1)
	repeat := func(s string, n int) (list []string) {
		for range n {
			list = append(list, s)
		}
		return list
	}
	for _, tt := range []struct {
		name    string
		tickets []string
		want    Origin
	}{
		{"after a few bad ones", append(repeat(bad, maxTickets-1), good), Ours},
		{"after many bad ones", append(repeat(bad, maxTickets), good), Unproven},
		{"after those of others", append(repeat(foreign, maxForeign-1), good), Ours},
		{"10,000 of others", append(repeat(foreign, 10_000), good), Unproven},
		{"before 10,000", append([]string{good}, repeat(foreign, 10_000)...), Ours},
	} {
		e := j.Examine(t.Context(), &Message{Header: []byte(headerOf(m, tt.tickets...))}, now)
		if got := e.Of(Recipient{Final: "u@example.com"}); got.Origin != tt.want {
			t.Errorf("%s: %+v", tt.name, got)
		}
	}
}

func TestAuthors(t *testing.T) {
	for field, want := range map[string]string{
		"":                                             "",
		"jo@example.org":                               "jo@example.org",
		`"a@b, c" <Jo@Example.ORG>`:                    "jo@example.org",
		`"a\" <x@y.example>" <jo@z.example>`:           "jo@z.example",
		"(x@y.example) jo@example.org (z)":             "jo@example.org",
		"a@x.example, b@y.example":                     "a@x.example b@y.example",
		"team: a@x.example, <b@y.example>;":            "a@x.example b@y.example",
		"Doe, Jo <jo@example.org>":                     "jo@example.org",
		"undisclosed-recipients:;":                     "",
		"=?utf-8?q?J=C3=B6?= <jö@b%C3%BCcher.example>": "jö@b%c3%bccher.example",
		"x@bücher.example":                             "x@xn--bcher-kva.example",
		`"jo"@example.org`:                             "jo@example.org",
		`"j o"@example.org`:                            `"j o"@example.org`,
		"<@relay.example:jo@example.org>":              "jo@example.org",
		"jo@example.org (<x@y.example>)":               "jo@example.org",
		"Jo <jo@example.org> (<x@y.example>)":          "jo@example.org",
		`a."<x@y.example>"@example.org, b@z.example`:   "b@z.example",
		"Jo <jo@example.org":                           "jo@example.org",
		"<x@y.example> <jo@example.org>":               "jo@example.org",
	} {
		var got []string
		for a := range authors(field) {
			got = append(got, a)
		}
		if s := strings.Join(got, " "); s != want {
			t.Errorf("%q: %q, want %q", field, s, want)
		}
	}
}

// A ticket names only the mailboxes to which a message goes, whatever stands in their names.
func TestRecipientsOfTheEnvelope(t *testing.T) {
	k := keysOf(t, line("k", 1))
	for to, named := range map[string]string{
		"u@example.com":                   "u@example.com",
		"<U@Example.com>":                 "u@example.com",
		`"u"@example.com`:                 "u@example.com",
		`"u v"@example.com`:               `"u v"@example.com`,
		"@relay.example:u@example.com":    "u@example.com",
		"u@[IPv6:2001:db8::1]":            "u@[IPv6:2001:db8::1]",
		`a."<u@example.com>"@example.net`: "",
		`"a<u@example.com>"@example.net`:  `"a<u@example.com>"@example.net`,
		"<u@example.com>@example.net":     "",
		"a@example.net(<u@example.com>)":  "",
		"u@example.com a@example.net":     "",
		"mailto:u@example.com":            "",
		"'u@example.com'":                 "",
		`a\<u@example.com>@example.net`:   "",
	} {
		m := outgoing()
		m.Recipients = []string{to}
		header := "From: " + m.From + "\nMessage-ID: " + m.MessageID + "\n" + TicketField + ": " + k.Sign(m, now, 0) + "\n"
		j, err := New(Options{Domains: []string{"example.org"}, Keys: k})
		if err != nil {
			t.Fatal(err)
		}
		e := j.Examine(t.Context(), &Message{Header: []byte(header)}, now)
		for _, a := range []string{"u@example.com", named} {
			if got := e.Of(Recipient{Final: a}); got.Origin != Ours && named != "" && a == named || got.Bound != (a == named && a != "") {
				t.Errorf("%s: %q is %+v", to, a, got)
			}
		}
	}
}

// A message that another server of ours has signed needs no other ticket, unless that one
// says less.
func TestCovers(t *testing.T) {
	k := keysOf(t, line("new", 3), line("old", 1))
	mail := func(change func(*Mail)) *Mail {
		m := outgoing()
		m.Recipients = []string{"u@example.com", "v@example.net"}
		if change != nil {
			change(m)
		}
		return m
	}
	first := k.Sign(mail(nil), now, 0)
	many := mail(func(m *Mail) { m.More = true })
	for _, tt := range []struct {
		name   string
		ticket string
		m      *Mail
		later  time.Duration
		want   bool
	}{
		{name: "as it was", ticket: first, m: mail(nil), want: true},
		{name: "by the other key", ticket: keysOf(t, line("old", 1)).Sign(mail(nil), now, 0), m: mail(nil), want: true},
		{name: "one recipient of two", ticket: first, m: mail(func(m *Mail) { m.Recipients = m.Recipients[1:] }), want: true},
		{name: "Message-ID added since", ticket: k.Sign(mail(func(m *Mail) { m.MessageID = "" }), now, 0), m: mail(nil), want: true},
		{name: "no recipients are named, as here", ticket: k.Sign(many, now, 0), m: many, want: true},
		{name: "a day later", ticket: first, m: mail(nil), later: 24 * time.Hour, want: true},

		{name: "another recipient", ticket: first, m: mail(func(m *Mail) { m.Recipients = append(m.Recipients, "w@example.com") })},
		{name: "another sender", ticket: first, m: mail(func(m *Mail) { m.Sender = "bounces@example.org" })},
		{name: "another Message-ID", ticket: first, m: mail(func(m *Mail) { m.MessageID = "<x@example.org>" })},
		{name: "another author", ticket: first, m: mail(func(m *Mail) { m.From = "ann@example.org" })},
		{name: "no recipients are named", ticket: k.Sign(many, now, 0), m: mail(nil)},
		{name: "older than a day", ticket: first, m: mail(nil), later: 24*time.Hour + time.Second},
		{name: "a stranger's key", ticket: keysOf(t, line("new", 9)).Sign(mail(nil), now, 0), m: mail(nil)},
		{name: "cut", ticket: first[:60], m: mail(nil)},
		{name: "empty", m: mail(nil)},
	} {
		if got := k.Covers(tt.ticket, tt.m, now.Add(tt.later), 0); got != tt.want {
			t.Errorf("%s: %v, want %v", tt.name, got, tt.want)
		}
	}
	if got, _ := parseTicket([]byte(k.Sign(many, now, 0))); got.recipients != "" {
		t.Error("a ticket names some of the recipients")
	}
}
