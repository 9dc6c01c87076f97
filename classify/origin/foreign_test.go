package origin

import (
	"net/netip"
	"strings"
	"testing"
	"time"
)

// Backscatter: the returned message is a stranger's in whole.
const strangers = "Return-Path: <news@example.org>\nReceived: from mx.filter.example.net (localhost [127.0.0.1])\n\tby mx.example.net (Postfix) with ESMTP id 4AB\n\t(envelope-from <news@example.org>)\n\tfor <u@example.net>; Fri, 27 Nov 2026 20:00:02 +0000\n" +
	"Received: from pc7.dialup.example.com (pc7.dialup.example.com [203.0.113.9])\n\tby mx.filter.example.net with SMTP; Fri, 27 Nov 2026 20:00:00 +0000\n" +
	"From: Prize <winner@lottery.example.com>\nTo: u@example.net\nSubject: You won\nDate: Fri, 27 Nov 2026 20:00:00 +0000\nMessage-ID: <77@pc7.dialup.example.com>\nX-Mailer: Something 6.0\n"

func TestForeign(t *testing.T) {
	k := keysOf(t, line("key", 1))
	since := now.Add(-60 * 24 * time.Hour)
	drop := func(name string) func(string) string {
		return func(h string) string {
			i := strings.Index(h, "\n"+name+":") + 1
			return h[:i] + h[i+strings.IndexByte(h[i:], '\n')+1:]
		}
	}
	add := func(fields string) func(string) string { return func(h string) string { return fields + h } }
	swap := func(old, new string) func(string) string {
		return func(h string) string { return strings.ReplaceAll(h, old, new) }
	}
	ours := swap("winner@lottery.example.com", "news@example.org") // its author is forged
	for _, tt := range []struct {
		name   string
		change func(string) string
		cut    bool
		since  time.Time
		want   Origin
		why    string
	}{
		{name: "another site", want: Foreign, why: "of another site"},
		{name: "another site, all of ours have tickets", since: since, want: Foreign, why: "all of our mail has a ticket"},
		{name: "forged author, all of ours have tickets", change: ours, since: since, want: Foreign, why: "all of our mail has a ticket"},
		{name: "somebody else's ticket", change: add("X-Bounce-Ticket: v=1; k=theirs; t=1795816800; m=AAAAAAAAAAA; r=; h=AAAAAAAAAAAAAAAAAAAAAA\n"), since: since, want: Unproven},

		{name: "forged author", change: ours, want: Unproven},
		{name: "forged author, tickets not for long enough", change: ours, since: now.Add(-DefaultMaxAge), want: Unproven},
		{name: "older than our tickets", change: func(h string) string {
			return strings.Replace(ours(h), "Date: Fri, 27 Nov 2026", "Date: Fri, 4 Sep 2026", 1)
		}, since: since, want: Unproven},
		{name: "no Date", change: drop("Date"), since: since, want: Unproven},
		{name: "a Date that is none", change: swap("Date: Fri, 27", "Date: 27-"), since: since, want: Foreign, why: "of another site"},
		{name: "X- fields dropped", change: drop("X-Mailer"), since: since, want: Unproven},
		{name: "no Message-ID", change: drop("Message-ID"), since: since, want: Unproven},
		{name: "no From", change: drop("From"), since: since, want: Unproven},
		{name: "no Received", change: func(h string) string { return h[strings.Index(h, "From:"):] }, since: since, want: Unproven},
		{name: "cut", cut: true, since: since, want: Unproven},
		{name: "a line that is no field", change: add("garbage\n"), since: since, want: Unproven},
		{name: "our Message-ID", change: swap("77@pc7.dialup.example.com", "77@mail.example.org"), want: Unproven},
		{name: "a Message-ID without a site", change: swap("77@pc7.dialup.example.com", "77@localhost"), want: Unproven},
		{name: "our host", change: swap("pc7.dialup.example.com [203", "mail.example.org [203"), since: since, want: Unproven},
		{name: "our host in another domain", change: swap("by mx.filter.example.net with", "by relay.hoster.example with"), since: since, want: Unproven},
		{name: "our address", change: swap("203.0.113.9", "198.51.100.200"), since: since, want: Unproven},
		{name: "our address, IPv6", change: swap("203.0.113.9", "IPv6:2001:db8::5"), since: since, want: Unproven},
		{name: "our list", change: add("List-Id: News <news.lists.example.org>\n"), since: since, want: Unproven},
		{name: "sent on from here", change: add("Resent-From: jo@example.org\n"), since: since, want: Unproven},
		{name: "our signature, broken", change: add("DKIM-Signature: v=1; d=example.org; s=s; b=x\n"), since: since, want: Unproven},
		{name: "no host in Received", change: swap("from pc7.dialup.example.com (pc7.dialup.example.com [203.0.113.9])\n\tby mx.filter.example.net with SMTP", "(qmail 1 invoked by uid 0)"), want: Unproven},
	} {
		t.Run(tt.name, func(t *testing.T) {
			j := judgeOf(t, Options{Keys: k, TicketsSince: tt.since, Hosts: []string{"relay.hoster.example"},
				Networks: []netip.Prefix{netip.MustParsePrefix("198.51.100.0/24"), netip.MustParsePrefix("2001:db8::/64")}})
			h := strangers
			if tt.change != nil {
				if h = tt.change(h); h == strangers {
					t.Fatal("nothing was changed")
				}
			}
			got := j.Examine(t.Context(), &Message{Header: []byte(h), Cut: tt.cut}, now).Of(Recipient{Final: "u@example.net"})
			if got.Origin != tt.want || got.Proof != "" || got.Bound || !strings.Contains(got.Why, tt.why) {
				t.Errorf("%+v", got)
			}
		})
	}
}

func TestLocalAndVERP(t *testing.T) {
	k := keysOf(t, line("key", 1))
	j := judgeOf(t, Options{Keys: k})
	for _, tt := range []struct {
		name string
		m    Message
		want Result
	}{
		{"local", Message{Local: true, Header: []byte(strangers)}, Result{Ours, ProofLocal, true, "u@example.net", ""}},
		{"local, nothing came back", Message{Local: true}, Result{Ours, ProofLocal, true, "u@example.net", ""}},
		{"local, to the VERP address of that recipient", Message{Local: true, VERP: "U@example.net"}, Result{Ours, ProofLocal, true, "u@example.net", ""}},
		{"local, to the VERP address of another", Message{Local: true, VERP: "victim@example.net"}, Result{Origin: Ours, Proof: ProofLocal}},
		{"VERP", Message{VERP: "u@alias.example", VERPProved: true}, Result{Ours, ProofVERP, true, "u@alias.example", ""}},
		{"VERP without a proof", Message{VERP: "u@alias.example"}, Result{Origin: Unproven}},
		{"a proof of nobody", Message{VERPProved: true}, Result{Origin: Unproven}},
	} {
		got := j.Examine(t.Context(), &tt.m, now).Of(Recipient{Final: "u@example.net"})
		if tt.want.Why = got.Why; got != tt.want || got.Why == "" {
			t.Errorf("%s: %+v", tt.name, got)
		}
	}
	// Who sends a message may write what he likes into ORCPT, unless its ticket names it.
	m := outgoing()
	local := j.Examine(t.Context(), &Message{Local: true, Header: []byte(headerOf(m, k.Sign(m, now, 0)))}, now)
	for _, tt := range []struct {
		of    Recipient
		proof Proof
		bound bool
	}{
		{Recipient{Original: "victim@example.com"}, ProofLocal, false},
		{Recipient{Original: "u@example.com"}, ProofTicket, true},
		{Recipient{Final: "u@example.net", Original: "u@example.com"}, ProofLocal, true},
		{Recipient{}, ProofLocal, false},
	} {
		if got := local.Of(tt.of); got.Origin != Ours || got.Proof != tt.proof || got.Bound != tt.bound {
			t.Errorf("local, %+v: %+v", tt.of, got)
		}
	}
	none := judgeOf(t, Options{})
	if got := none.Examine(t.Context(), &Message{Header: []byte(mailHeader)}, now).Of(Recipient{Final: "u@example.net"}); got.Origin != Unproven || !strings.Contains(got.Why, "configured") {
		t.Errorf("%+v", got)
	}
}

// What a message may cost is bounded.
func TestWork(t *testing.T) {
	k := keysOf(t, line("key", 1))
	m := outgoing()
	h := headerOf(m, k.Sign(m, now, 0))
	j := judgeOf(t, Options{Keys: k, Work: 100})
	if got := j.Examine(t.Context(), &Message{Header: []byte(h)}, now).Of(Recipient{Final: "u@example.com"}); got.Origin != Unproven || !strings.Contains(got.Why, "too long") {
		t.Errorf("%+v", got)
	}
	j = judgeOf(t, Options{DKIM: []DKIMKey{{"example.org", "rsa", public("rsa")}}})
	signed := signBy(t, "rsa", "v=1; a=rsa-sha256; c=relaxed/relaxed; d=example.org; s=rsa; h=from:to; bh=%s", mailHeader, mailBody)
	if got := j.Examine(t.Context(), &Message{Header: []byte(signed), Body: make([]byte, 1<<20)}, now).Of(Recipient{Final: "u@example.com"}); got.Origin != Unproven || !strings.Contains(got.Why, "too long") {
		t.Errorf("%+v", got)
	}
}
