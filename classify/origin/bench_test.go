package origin

import (
	"fmt"
	"net/netip"
	"strings"
	"testing"
)

func BenchmarkSign(b *testing.B) {
	k := keysOf(b, line("key", 1))
	for _, n := range []int{1, 20} {
		m := outgoing()
		for i := range n - 1 {
			m.Recipients = append(m.Recipients, fmt.Sprintf("user%d@example.com", i))
		}
		b.Run(fmt.Sprint(n), func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				k.Sign(m, now, 0)
			}
		})
	}
}

func BenchmarkVerify(b *testing.B) {
	k := keysOf(b, line("key", 1))
	m := outgoing()
	rsaTags := "v=1; a=rsa-sha256; c=relaxed/relaxed; d=example.org; s=rsa; h=from:to:cc:subject:date:message-id; bh=%s"
	edTags := "v=1; a=ed25519-sha256; c=relaxed/relaxed; d=example.org; s=ed; h=from:to:cc:subject:date:message-id; bh=%s"
	j := judgeOf(b, Options{Keys: k, DKIM: []DKIMKey{{"example.org", "rsa", public("rsa")}, {"example.org", "ed", public("ed")}}})
	for _, bb := range []struct{ name, header string }{
		{"ticket", "X-Bounce-Ticket: " + k.Sign(m, now, 0) + "\r\n" + mailHeader},
		{"rsa", signBy(b, "rsa", rsaTags, mailHeader, mailBody)},
		{"ed25519", signBy(b, "ed", edTags, mailHeader, mailBody)},
		{"nothing", strangers},
	} {
		msg := &Message{Header: []byte(bb.header)}
		b.Run(bb.name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				j.Examine(b.Context(), msg, now).Of(Recipient{Final: "u@example.com"})
			}
		})
	}
}

// BenchmarkHostile examines what a stranger may write into 64 KiB of header.
func BenchmarkHostile(b *testing.B) {
	k := keysOf(b, line("key", 1))
	o := Options{Keys: k, TicketsSince: now.AddDate(-1, 0, 0), DKIM: []DKIMKey{{"example.org", "rsa", public("rsa")}}}
	for i := range 2000 {
		o.Domains = append(o.Domains, fmt.Sprintf("d%d.example.org", i))
	}
	for i := range 100 {
		o.Networks = append(o.Networks, netip.MustParsePrefix(fmt.Sprintf("10.%d.0.0/16", i)))
	}
	j := judgeOf(b, o)
	const size = 64 << 10
	fill := func(unit string) string { return strings.Repeat(unit, size/len(unit)) }
	ticket := k.Sign(outgoing(), now.AddDate(0, -1, 0), 0)
	signature := "DKIM-Signature: v=1; a=rsa-sha256; d=example.org; s=rsa; h=from" + strings.Repeat(":x", maxSigned-1) + "; bh=" + strings.Repeat("A", 43) + "=; b=AAAA\n"
	for name, header := range map[string]string{
		"fields":      fill("X:\n"),
		"tickets":     fill("X-Bounce-Ticket: " + ticket + "\n"),
		"small ones":  fill("X-Bounce-Ticket:\n"),
		"a long one":  "X-Bounce-Ticket: v=1; r=" + fill("A") + "\n",
		"tags":        "X-Bounce-Ticket: " + fill("a=;") + "\n",
		"signatures":  fill(signature),
		"signed":      signature + signature + signature + fill("X:\n"),
		"hosts":       strangers + "Received: " + fill("a.b ") + "\n",
		"labels":      strangers + "Received: " + fill("a.") + "\n",
		"long hosts":  strangers + "Received: " + fill(strings.Repeat("a.", 125)+"b ") + "\n",
		"addresses":   strangers + "Received: " + fill("10.9 11.1.1.1 ") + "\n",
		"IDNA":        strangers + "Received: " + fill("ü.b ") + "\n",
		"a long IDNA": strangers + "Received: " + fill("ü.") + "\n",
		"authors":     "From: " + fill("a@b,") + "\n",
		"comments":    "From: " + fill("(") + "\n",
		"folds":       "From: " + fill("\n ") + "\n",
		"a date":      "Date: " + fill("(") + "\n" + strangers,
	} {
		msg := &Message{Header: []byte(header)}
		r := Recipient{Final: fill("a@b "), Original: fill("(")}
		b.Run(name, func(b *testing.B) {
			for b.Loop() {
				j.Examine(b.Context(), msg, now).Of(r)
			}
		})
	}
}
