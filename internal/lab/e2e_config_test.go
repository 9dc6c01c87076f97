//go:build e2e

package lab

import (
	"path/filepath"
	"strings"
	"testing"
)

// reconfigure gives the daemon other top-level keys and reloads it.
func reconfigure(t *testing.T, d *Daemon, top string) {
	t.Helper()
	cfg := d.cfg
	cfg.Top = top
	if err := d.Configure(cfg); err != nil {
		t.Fatal(err)
	}
	if taken, err := d.Reload(); err != nil || !taken {
		t.Fatalf("the reload was not taken: %v", err)
	}
}

// The ways of changing less: observing, and trusting an upstream relay.
func TestModes(t *testing.T) {
	p := newPair(t)
	forged := []string{"X-Bounce-Category: dmarc"}

	t.Run("observe", func(t *testing.T) {
		reconfigure(t, p.daemon, `mode = "observe"`)
		before := scrape(t, p.daemon)
		to, box := p.postfix.Mailbox()
		send(t, p.postfix.Addr("direct"),
			Mail{To: []string{to}, Data: Bounce("observed", to, forged, unknownUser)},
			Mail{From: "ann@remote.test", To: []string{to}, Data: Ordinary("observed2", to, nil, 100)})
		for _, m := range delivered(t, box, 2) {
			if tags := m.Tags("X-Bounce-"); m.Get("Message-Id") == "<observed@mx.remote.test>" && (len(tags) != 1 || tags[0].Value != "dmarc") {
				t.Errorf("a message that is only observed has %v", tags)
			}
		}
		counted(t, p.daemon, before,
			count(1, "messages_total", `kind="dsn"`),
			count(1, "bounces_total", `category="invalid-address"`),
			count(0, "errors_total"))
	})

	t.Run("trusted relay", func(t *testing.T) {
		reconfigure(t, p.daemon, `trusted_networks = ["127.0.0.0/8"]`)
		to, box := p.postfix.Mailbox()
		send(t, p.postfix.Addr("direct"), Mail{From: "ann@remote.test", To: []string{to}, Data: Ordinary("trusted", to, forged, 100)})
		if got := delivered(t, box, 1)[0].Get("X-Bounce-Category"); got != "dmarc" {
			t.Errorf("a trusted relay's category arrived as %q", got)
		}
	})

	t.Run("sender that is not null", func(t *testing.T) {
		reconfigure(t, p.daemon, "")
		to, box := p.postfix.Mailbox()
		send(t, p.postfix.Addr("direct"), Mail{From: "MAILER-DAEMON@mx.remote.test", To: []string{to}, Data: Bounce("daemon", to, nil, unknownUser)})
		tagged(t, delivered(t, box, 1)[0], "invalid-address", "hard", "unknown-recipient", "failed")
	})
}

// The recipes for Postfix that we package do what they say: headers that the
// daemon adds steer a message, and header_checks takes forged ones off, with
// forged_headers = "keep", but not ours.
func TestPostfixRecipes(t *testing.T) {
	root, err := ModuleRoot()
	if err != nil {
		t.Fatal(err)
	}
	recipes := filepath.Join(root, "packaging", "postfix")
	l := newLab(t)
	remote, err := l.StartRemote(refuse)
	if err != nil {
		t.Fatal(err)
	}
	ports, err := FreePorts(1)
	if err != nil {
		t.Fatal(err)
	}
	spec := "inet:" + Loopback(ports[0])
	daemon, err := l.StartDaemon("daemon", DaemonConfig{Bin: bin, Listen: []string{spec}, Top: `forged_headers = "keep"`})
	if err != nil {
		t.Fatal(err)
	}
	postfix, err := l.StartPostfix("pf", PostfixConfig{
		Services:   []Service{{Name: "smtp", Milters: "{ " + spec + ", default_action=accept }"}},
		OwnBounces: "{ " + spec + ", default_action=accept }",
		Remote:     remote.Addr,
		Main: "milter_header_checks = regexp:" + recipes + "/bounce_routing.regexp\n" +
			"header_checks = regexp:" + recipes + "/strip_bounce_headers.regexp\nnested_header_checks =\n",
	})
	if err != nil {
		t.Fatal(err)
	}
	showOnFailure(t, "postfix", postfix.Log)
	showOnFailure(t, "bounce-milter", daemon.Log)

	forged := []string{"X-Bounce-Type: hard", "X-Bounce-Category: dmarc", "X-Other: kept"}
	to, box := postfix.Mailbox()
	send(t, postfix.Addr("smtp"),
		Mail{From: "ann@remote.test", To: []string{to}, Data: Ordinary("r1", to, forged, 100)},
		Mail{To: []string{to}, Data: Bounce("r2", to, forged, overQuota)},
		Mail{To: []string{to}, Data: Bounce("r3", to, forged, unknownUser)},
		Mail{From: to, To: []string{"nobody@remote.test"}, Data: Ordinary("r4", "nobody@remote.test", nil, 100)},
	)
	for _, m := range delivered(t, box, 2) {
		if m.Get("X-Other") != "kept" {
			t.Errorf("another field is gone:\n%s", head(m))
		}
		if m.Get("Message-Id") == "<r2@mx.remote.test>" {
			tagged(t, m, "mailbox-full", "soft", "mailbox-full", "failed")
		} else if tags := m.Tags("X-Bounce-"); len(tags) > 0 {
			t.Errorf("forged fields are left: %v", tags)
		}
	}
	// The report about an address that will not work, and the bounce that
	// Postfix made of another, went to whom the recipe names.
	redirected, err := remote.Wait("bounces-hard@example.com", 2)
	if err != nil {
		t.Fatal(err)
	}
	for _, m := range redirected {
		tagged(t, m.Message, "invalid-address", "hard", "unknown-recipient", "failed")
		if strings.Contains(head(m.Message), "dmarc") {
			t.Errorf("a forged field is left:\n%s", head(m.Message))
		}
	}
}
