package origin

import (
	"fmt"
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
