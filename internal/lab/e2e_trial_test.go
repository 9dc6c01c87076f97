//go:build e2e

package lab

import (
	"slices"
	"strings"
	"testing"
)

// TestDoctorSends: doctor --send shows a bounce to the daemon through a Postfix that runs,
// and gets to see its headers; nobody gets the bounce, and it is not counted.
func TestDoctorSends(t *testing.T) {
	t.Parallel()
	l := newLab(t)
	sockets, err := l.SocketDir("trial")
	if err != nil {
		t.Fatal(err)
	}
	d, err := l.StartDaemon("trial-d", DaemonConfig{Bin: bin, Listen: []string{"unix:" + sockets + "/m.sock"}, Top: "socket_group = \"postfix\"\n",
		Tables: "[[action]]\nname = \"away\"\nmatch = { type = [\"hard\"] }\nredirect = [\"user0@lab.test\"]\n"})
	if err != nil {
		t.Fatal(err)
	}
	showOnFailure(t, "bounce-milter", d.Log)
	p, err := l.StartPostfix("trial", PostfixConfig{
		// What people have that could bring the bounce to somebody after all.
		Services: []Service{{Name: "in", Chroot: true}},
		Main: "smtpd_milters = { unix:milter/m.sock, default_action=accept }\nnon_smtpd_milters = $smtpd_milters\n" +
			"always_bcc = user1@lab.test\nsmtpd_reject_footer = Help: call us\n",
	})
	if err != nil {
		t.Fatal(err)
	}
	showOnFailure(t, "postfix", p.Log)
	nobody := func(when string) {
		t.Helper()
		for _, user := range []string{"user0", "user1", "postmaster", "root"} {
			got, err := Maildir(p.Dir + "/mail/" + user).Messages()
			if err != nil || len(got) > 0 {
				t.Errorf("%s: %s has %d messages, %v", when, user, len(got), err)
			}
		}
	}
	before := scrape(t, d)
	for _, when := range []string{"once", "again"} {
		list, code := examine(t, p, d, "--send")
		last := list[len(list)-1]
		if code != 0 || last.Check != "send" || last.State != "good" || !strings.Contains(last.Says, "Postfix at "+p.Addr("in")) ||
			!slices.Contains(last.Headers, "X-Bounce-Type: hard") || !slices.ContainsFunc(last.Headers, func(h string) bool {
			return strings.HasPrefix(h, "X-Bounce-Result: nobody@doctor.invalid; category=invalid-address; ")
		}) {
			t.Errorf("%s: exit code %d, %s\n%+v", when, code, told(list), last)
		}
	}
	queued(t, p, 0)
	nobody("after a trial")
	after := scrape(t, d).Since(before)
	for _, name := range []string{"messages_total", "bounces_total", "bounce_reasons_total", "actions_total"} {
		if n := after.Sum(name); n != 0 {
			t.Errorf("%s counts %v", name, n)
		}
	}
	logged(t, d.Log, 2, `msg="bounce of doctor, refused and not counted"`)
}

// A Postfix that takes a bounce and does not show it is found out, and nobody gets that
// bounce either.
func TestDoctorSendsInVain(t *testing.T) {
	t.Parallel()
	l := newLab(t)
	d, err := l.StartDaemon("vain-d", DaemonConfig{Bin: bin, Listen: []string{"unix:" + l.Path("m.sock")}, Top: "socket_mode = \"0666\"\n"})
	if err != nil {
		t.Fatal(err)
	}
	p, err := l.StartPostfix("vain", PostfixConfig{
		Services: []Service{{Name: "in"}},
		Main: "smtpd_milters = { unix:" + l.Path("m.sock") + ", default_action=accept }\nnon_smtpd_milters = $smtpd_milters\n" +
			"smtpd_milter_maps = static:DISABLE\n",
	})
	if err != nil {
		t.Fatal(err)
	}
	showOnFailure(t, "postfix", p.Log)
	list, code := examine(t, p, d, "--send")
	if last := list[len(list)-1]; code != 1 || last.Check != "send" || last.State != "wrong" || !strings.Contains(last.Says, "smtpd_milter_maps") {
		t.Errorf("exit code %d, %s", code, told(list))
	}
	if err := Until("Postfix to throw the bounce away", func() (bool, error) {
		n, err := p.QueueLength()
		return n == 0 && strings.Contains(p.Log(), "to=<double-bounce@[127.0.0.1]>, relay=none"), err
	}); err != nil {
		t.Error(err)
	}
}
