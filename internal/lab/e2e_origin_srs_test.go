//go:build e2e

package lab

import (
	"fmt"
	"strings"
	"testing"
)

// A forwarder with SRS sends mail on, in its own name: to a server that refuses it, and to
// one that takes it and bounces it later. Bounces come back to the forwarder's address, and
// through it.
func init() {
	relayStarts["forward"] = func(l *Lab, back, next string) (string, func() string, error) {
		srs, err := l.StartSRS("forward-srs", "forward.test")
		if err != nil {
			return "", nil, err
		}
		ports, err := FreePorts(1)
		if err != nil {
			return "", nil, err
		}
		last, err := l.StartPostfix("forward-last", PostfixConfig{Services: []Service{{Name: "in"}}, Main: fmt.Sprintf("myhostname = mx.last.test\nvirtual_mailbox_domains =\n"+
			"transport_maps = inline:{ forward.test=smtp:[127.0.0.1]:%d }\nrelayhost = [127.0.0.1]:%s\n", ports[0], port(next))})
		if err != nil {
			return "", nil, err
		}
		p, err := l.StartPostfix("forward", PostfixConfig{Services: []Service{{Name: "in", Port: ports[0]}}, Main: srs + fmt.Sprintf("myhostname = mx.forward.test\nvirtual_mailbox_domains =\n"+
			"virtual_alias_domains = forward.test\nvirtual_alias_maps = inline:{ now@forward.test=nobody@refuses.test, later@forward.test=nobody@last.test }\n"+
			"transport_maps = inline:{ lab.test=smtp:[127.0.0.1]:%[1]s, .lab.test=smtp:[127.0.0.1]:%[1]s, last.test=smtp:[127.0.0.1]:%[2]s }\nrelayhost = [127.0.0.1]:%[3]s\n", port(back), port(last.Addr("in")), port(next))})
		if err != nil {
			return "", nil, err
		}
		return p.Addr("in"), func() string { return p.Log() + last.Log() }, nil
	}
}

// SRS changes the envelope sender behind the daemon, and the bounce comes back to an address
// that the daemon has never seen. The ticket is valid all the same, and so is its binding.
func TestOriginWithSRS(t *testing.T) {
	t.Parallel()
	w := newOriginWorldWith(t, func(l *Lab) (string, error) { return l.StartSRS("srs", "mx.lab.test") }, "postfix", "forward")
	noTicket := func(s string) string { return oldTicket.ReplaceAllString(s, "") }

	t.Run("on the way out and back", func(t *testing.T) {
		t.Parallel()
		from, box := w.p.Mailbox()
		const to = "nobody@postfix.test"
		w.submit(t, "signed behind us", Mail{From: from, To: []string{to}, Data: news(from, to)})
		m := delivered(t, box, 1)[0]
		if got := claim(t, m); got != "ours by ticket, bound" || m.Tags("X-Bounce-Result")[0].Params()["went-to"] != to {
			t.Errorf("it is %s\n%s", got, m.Raw)
		}
		// What the milter was told, and what it was not: the rewritten sender was on the wire.
		local, _, _ := strings.Cut(from, "@")
		if !strings.Contains(string(m.Raw), "=lab.test="+local+"@mx.lab.test") {
			t.Errorf("nothing says that the sender was rewritten:\n%s", m.Raw)
		}
		if got := w.again(t, changed(m.Raw, noTicket)); got != "ours by dkim, bound" {
			t.Errorf("without the ticket it is %s", got)
		}
		if got := w.again(t, renamed(changed(m.Raw, func(s string) string { return s }), to, "victim@postfix.test")); got != "unproven" {
			t.Errorf("forged for another recipient it is %s", got)
		}
	})
	for _, alias := range []string{"now@forward.test", "later@forward.test"} {
		t.Run("a forwarder, "+alias, func(t *testing.T) {
			t.Parallel()
			from, box := w.p.Mailbox()
			w.submit(t, "signed behind us", Mail{From: from, To: []string{alias}, Data: news(from, alias)})
			m := delivered(t, box, 1)[0]
			// It speaks of the address behind the alias too, which proves nothing.
			for what, raw := range map[string][]byte{
				"ours by ticket": changed(m.Raw, func(s string) string { return s }),
				"ours by dkim":   changed(m.Raw, noTicket),
			} {
				if got := w.again(t, raw); got != what {
					t.Errorf("it is %s, want %s\n%s", got, what, raw)
				}
			}
			p := m.Tags("X-Bounce-Result")[0].Params()
			if p["went-to"] != alias || p["bound"] != "no" {
				t.Errorf("went to %q, bound %s, want %s and no:\n%s", p["went-to"], p["bound"], alias, m.Raw)
			}
		})
	}
}
