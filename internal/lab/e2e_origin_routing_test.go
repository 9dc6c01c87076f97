//go:build e2e

package lab

import (
	"os"
	"regexp"
	"strings"
	"testing"
)

// strangers is mail of another site, whole, as it comes back to us when our address was
// forged on it.
const strangers = "Received: from host.spam.example (host.spam.example [198.51.100.7])\n\tby mx.remote.test with ESMTP id 4711; Mon, 2 Nov 2026 09:59:58 +0000\n" +
	"Date: Mon, 2 Nov 2026 09:59:58 +0000\nFrom: Prizes <win@spam.example>\nTo: u@remote.test\nSubject: You have won\nMessage-ID: <1@spam.example>\nX-Mailer: Bulk 1.0\n\nClick.\n"

// Where [origin] is configured the recipes tell what is proved from what is not, and the
// mail of others from ours. An action refuses the mail of others in the SMTP session, and
// gives only what is bound to a program that removes addresses.
func TestRoutingByOrigin(t *testing.T) {
	t.Parallel()
	root, err := ModuleRoot()
	if err != nil {
		t.Fatal(err)
	}
	page, err := os.ReadFile(root + "/docs/routing.md")
	if err != nil {
		t.Fatal(err)
	}
	_, section, _ := strings.Cut(string(page), "### Only what is proved\n")
	actions := regexp.MustCompile("(?s)```toml\n(.*?)```").FindStringSubmatch(section)
	if actions == nil || !strings.Contains(actions[1], "list-cleaner@example.org") {
		t.Fatal("docs/routing.md does not say how to act by origin")
	}
	key := newKey(t)
	w := newRoutingWorld(t, func(l *Lab) (string, []Service) {
		ports, err := FreePorts(1)
		if err != nil {
			t.Fatal(err)
		}
		tables := originTable(t, l, key, `"lab.test"`, `networks = ["127.0.0.0/8"]`)
		acting, err := l.StartDaemon("acting", DaemonConfig{Bin: bin, Listen: []string{"inet:" + Loopback(ports[0])},
			Tables: tables + strings.ReplaceAll(actions[1], "example.org", "example.com")})
		if err != nil {
			t.Fatal(err)
		}
		showOnFailure(t, "bounce-milter with actions", acting.Log)
		t.Cleanup(func() { noRaces(t, acting) })
		return tables, []Service{{Name: "actions", Milters: "inet:" + Loopback(ports[0]), Options: []string{"cleanup_service_name = plain_cleanup"}}}
	})
	at := func(address string, n int, cases ...string) {
		t.Helper()
		got, err := w.remote.Wait(address, n)
		if err != nil {
			t.Error(err)
		}
		var list []Message
		for _, m := range got {
			list = append(list, m.Message)
		}
		sameCases(t, list, address, cases)
	}

	// Mail of ours goes out, and what its recipient can make of it comes back.
	send(t, w.postfix.Addr("plain"), Mail{From: "news@lab.test", To: []string{"fine@remote.test"}, Args: "BODY=8BITMIME", Data: news("routing", "fine@remote.test")})
	got, err := w.remote.Wait("fine@remote.test", 1)
	if err != nil {
		t.Fatal(err)
	}
	ours := got[0].Raw
	who := func(addresses ...string) (list []Refused) {
		for _, a := range addresses {
			r := asGone
			r.Address = a
			list = append(list, r)
		}
		return list
	}
	reports := func(to string) (list []Mail) {
		for _, r := range []struct {
			name     string
			returned []byte
			refused  []Refused
		}{
			{"proved", ours, who("fine@remote.test")},
			{"replayed", ours, who("victim@remote.test")},
			{"both", ours, who("fine@remote.test", "victim@remote.test")},
			{"invented", []byte("From: news@lab.test\n\nHello.\n"), who("victim@remote.test")},
			{"foreign", []byte(strangers), who("u@remote.test")},
		} {
			data := append([]byte("X-Case: "+r.name+"\n"), Returning(r.name, to, r.returned, r.refused...)...)
			list = append(list, Mail{To: []string{to}, Args: "BODY=8BITMIME", Data: data})
		}
		return list
	}

	t.Run("milter_header_checks", func(t *testing.T) {
		to, box := w.postfix.Mailbox()
		send(t, w.postfix.Addr("routing"), reports(to)...)
		at("bounces-hard@example.com", 4, "proved", "replayed", "both", "invented")
		queued(t, w.postfix, 1)
		if n, err := w.postfix.Held(); err != nil || n != 1 {
			t.Errorf("%d messages are on hold, want 1 (%v)", n, err)
		}
		in(t, box, "the mailbox")
	})
	t.Run("a transport, and procmail", func(t *testing.T) {
		to, box := w.postfix.Mailbox()
		send(t, w.postfix.Addr("transport"), reports(to)...)
		folder := func(name string) Maildir { return Maildir(w.bounces + "/" + name) }
		in(t, folder(".Bounces.Hard"), "the folder for hard ones", "proved")
		in(t, folder(".Bounces.Unproven"), "the folder for what is not proved", "replayed", "both", "invented")
		in(t, folder(".Bounces.Foreign"), "the folder for mail of others", "foreign")
		in(t, folder(""), "procmail's default")
		in(t, box, "the mailbox")
	})
	t.Run("Sieve through Dovecot", func(t *testing.T) {
		send(t, w.postfix.Addr("plain"), reports("ann@dovecot.test")...)
		folder := func(name string) Maildir { return w.dovecot.Folder("ann", name) }
		in(t, folder("Bounces.Hard"), "the folder for hard ones", "proved")
		in(t, folder("Bounces.Unproven"), "the folder for what is not proved", "replayed", "both", "invented")
		in(t, folder("Bounces.Foreign"), "the folder for mail of others", "foreign")
		in(t, folder(""), "the inbox")
	})
	t.Run("actions", func(t *testing.T) {
		to, box := w.postfix.Mailbox()
		list := reports(to)
		send(t, w.postfix.Addr("actions"), list[:4]...)
		c, err := DialSMTP(w.postfix.Addr("actions"))
		if err != nil {
			t.Fatal(err)
		}
		defer c.Close()
		r, err := c.Send(list[4])
		if err == nil || r.Code != 550 || !strings.Contains(r.Text, "5.7.1 This bounce is about mail that is not ours") {
			t.Errorf("the mail of others: %+v (%v)", r, err)
		}
		at("list-cleaner@example.com", 1, "proved")
		in(t, box, "the mailbox", "replayed", "both", "invented")
	})
}
