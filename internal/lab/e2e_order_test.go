//go:build e2e

package lab

import (
	"strings"
	"testing"
)

// Beside a real OpenDKIM, in the order of our recipe, a signature stays valid that
// OpenDKIM makes before the daemon adds its headers, and a sender's is verified before
// the daemon removes what it covers. In the other order that one fails.
func TestOrderBesideOpenDKIM(t *testing.T) {
	l := newLab(t)
	key := newKey(t)
	start := func(name, conf string) *OpenDKIM {
		o, err := l.StartOpenDKIM(name, key, conf)
		if err != nil {
			t.Fatal(err)
		}
		showOnFailure(t, name, o.Log)
		return o
	}
	// A signer that covers our headers too, were they there, and one that has no client
	// of its own, so that it verifies everything.
	signer := start("signer", "Mode s\nSignHeaders *,+x-bounce-type,+x-bounce-category\n")
	verifier := start("verifier", "Mode v\nInternalHosts 192.0.2.1\nAlwaysAddARHeader yes\n")
	ports, err := FreePorts(1)
	if err != nil {
		t.Fatal(err)
	}
	ours := Loopback(ports[0])
	daemon, err := l.StartDaemon("daemon", DaemonConfig{Bin: bin, Listen: []string{"inet:" + ours}})
	if err != nil {
		t.Fatal(err)
	}
	remote, err := l.StartRemote(refuse)
	if err != nil {
		t.Fatal(err)
	}
	// The recipe beside one or the other, and its value of smtpd_milters.
	order := func(o *OpenDKIM) string {
		return packaged(t, "postfix/opendkim.cf", "127.0.0.1:8891", o.Addr, "127.0.0.1:8894", ours)
	}
	_, verify, _ := strings.Cut(order(verifier), "\nsmtpd_milters =")
	verify, _, _ = strings.Cut(verify, "\nnon_smtpd_milters")
	verify = strings.Join(strings.Fields(verify), " ")
	p, err := l.StartPostfix("pf", PostfixConfig{
		Services: []Service{
			{Name: "signed"},
			{Name: "signed alone", Milters: "inet:" + signer.Addr},
			{Name: "verified", Milters: verify},
			{Name: "verified last", Milters: "{ inet:" + ours + ", default_action=accept }, inet:" + verifier.Addr},
			{Name: "stripped", Milters: verify, Options: []string{"cleanup_service_name = stripping_cleanup"}},
		},
		Remote: remote.Addr, Main: order(signer),
		Master: "stripping_cleanup unix n - n - 0 cleanup\n" + "  -o { " + strings.ReplaceAll(strings.TrimSpace(recipe(t)), "\n", " }\n  -o { ") + " }\n",
	})
	if err != nil {
		t.Fatal(err)
	}
	showOnFailure(t, "postfix", p.Log)
	showOnFailure(t, "bounce-milter", daemon.Log)
	t.Cleanup(func() { noRaces(t, daemon) })

	// verdict is what the verifier says of a message that comes in at a service.
	verdict := func(t *testing.T, service string, m Message) string {
		t.Helper()
		to, box := p.Mailbox()
		send(t, p.Addr(service), Mail{To: []string{to}, Data: m.Raw})
		return delivered(t, box, 1)[0].Get("Authentication-Results")
	}
	t.Run("signed", func(t *testing.T) {
		from, box := p.Mailbox()
		send(t, p.Addr("signed"),
			Mail{From: "ann@remote.test", To: []string{"fine@remote.test"}, Data: Ordinary("s1", "fine@remote.test", nil, 500)},
			Mail{From: from, To: []string{"nobody@remote.test"}, Data: Ordinary("s2", "nobody@remote.test", nil, 500)})
		got, err := remote.Wait("fine@remote.test", 1)
		if err != nil {
			t.Fatal(err)
		}
		own := delivered(t, box, 1)[0]
		tagged(t, own, "invalid-address", "hard", "unknown-recipient", "failed")
		for name, m := range map[string]Message{"ordinary mail": got[0].Message, "Postfix's own bounce": own} {
			if v := verdict(t, "verified", m); !strings.Contains(v, "dkim=pass") {
				t.Errorf("%s: %s", name, v)
			}
		}
	})
	t.Run("verified", func(t *testing.T) {
		send(t, p.Addr("signed alone"), Mail{To: []string{"relayed@remote.test"},
			Data: Bounce("v1", "relayed@remote.test", []string{"X-Bounce-Type: soft"}, unknownUser)})
		got, err := remote.Wait("relayed@remote.test", 1)
		if err != nil {
			t.Fatal(err)
		}
		for service, want := range map[string]string{"verified": "dkim=pass", "verified last": "dkim=fail", "stripped": "dkim=fail"} {
			if v := verdict(t, service, got[0].Message); !strings.Contains(v, want) {
				t.Errorf("%s: %s, want %s", service, v, want)
			}
		}
	})
}

// Beside a real rspamd, in the order of our recipe, both do their work, and a bounce that
// Postfix makes arrives even if rspamd would refuse it. If rspamd is shown those too, the
// message that bounces stays in the queue.
func TestOrderBesideRspamd(t *testing.T) {
	l := newLab(t)
	rspamd, err := l.StartRspamd("rspamd")
	if err != nil {
		t.Fatal(err)
	}
	showOnFailure(t, "rspamd", rspamd.Log)
	ports, err := FreePorts(1)
	if err != nil {
		t.Fatal(err)
	}
	ours := Loopback(ports[0])
	daemon, err := l.StartDaemon("daemon", DaemonConfig{Bin: bin, Listen: []string{"inet:" + ours}})
	if err != nil {
		t.Fatal(err)
	}
	showOnFailure(t, "bounce-milter", daemon.Log)
	t.Cleanup(func() { noRaces(t, daemon) })
	remote, err := l.StartRemote(refuse)
	if err != nil {
		t.Fatal(err)
	}
	start := func(name, more string) *Postfix {
		p, err := l.StartPostfix(name, PostfixConfig{
			Services: []Service{{Name: "in"}, {Name: "unscanned", Milters: "inet:" + ours}}, Remote: remote.Addr,
			Main: packaged(t, "postfix/rspamd.cf", "127.0.0.1:11332", rspamd.Addr, "127.0.0.1:8894", ours) + more,
		})
		if err != nil {
			t.Fatal(err)
		}
		showOnFailure(t, name, p.Log)
		return p
	}
	spam := func(id, to string) []byte { return append(Ordinary(id, to, nil, 100), GTUBE+"\n"...) }

	p := start("pf", "")
	to, box := p.Mailbox()
	send(t, p.Addr("in"), Mail{To: []string{to}, Data: Bounce("r1", to, []string{"X-Bounce-Type: soft"}, unknownUser)},
		Mail{From: "ann@remote.test", To: []string{to}, Data: Ordinary("r2", to, nil, 100)})
	for _, m := range delivered(t, box, 2) {
		if m.Get("X-Spamd-Bar") == "" {
			t.Errorf("rspamd did not see\n%s", head(m))
		}
		if m.Get("Message-Id") == "<r1@mx.remote.test>" {
			tagged(t, m, "invalid-address", "hard", "unknown-recipient", "failed")
		} else if tags := m.Tags("X-Bounce-"); len(tags) > 0 {
			t.Errorf("ordinary mail is tagged: %v", tags)
		}
	}
	if err := SendAll(p.Addr("in"), Mail{From: "ann@remote.test", To: []string{to}, Data: spam("r3", to)}); err == nil {
		t.Error("rspamd refuses nothing")
	}
	// The message comes in unseen by rspamd, and its bounce returns it.
	send(t, p.Addr("unscanned"), Mail{From: to, To: []string{"nobody@remote.test"}, Data: spam("r4", "nobody@remote.test")})
	own := delivered(t, box, 3)[2]
	tagged(t, own, "invalid-address", "hard", "unknown-recipient", "failed")
	if own.Get("X-Spamd-Bar") != "" || !strings.Contains(string(own.Raw), GTUBE) {
		t.Errorf("it is not the bounce that only bounce-milter saw:\n%s", head(own))
	}
	p.Stop()

	p = start("both", "non_smtpd_milters = $smtpd_milters\n")
	to, box = p.Mailbox()
	send(t, p.Addr("unscanned"), Mail{From: to, To: []string{"nobody@remote.test"}, Data: spam("r5", "nobody@remote.test")})
	err = Until("rspamd to refuse Postfix's own bounce", func() (bool, error) {
		return strings.Contains(p.Log(), "milter-reject: END-OF-MESSAGE from localhost"), nil
	})
	if err != nil {
		t.Fatal(err)
	}
	queued(t, p, 1) // the one that bounced
	in(t, box, "the mailbox")
}
