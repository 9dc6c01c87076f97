//go:build e2e

package lab

import (
	"fmt"
	"os"
	"strings"
	"testing"
)

// actions are one of each kind, chosen by the address that bounced, in front of one for
// the rest.
const actions = `
[[action]]
name = "trial"
dry_run = true
match = { type = ["hard"] }
discard = true

[[action]]
name = "redirect"
match = { type = ["hard"], recipient = ["redirect*"] }
redirect = ["%[1]s", "%[2]s"]

[[action]]
name = "copy"
match = { type = ["hard"], recipient = ["copy*"] }
copy = ["%[1]s"]

[[action]]
name = "hold"
match = { type = ["hard"], recipient = ["hold*"] }
quarantine = "held by a test"

[[action]]
name = "discard"
match = { type = ["hard"], recipient = ["discard*"] }
discard = true

[[action]]
name = "reject"
match = { type = ["hard"], recipient = ["reject*", "nobody*"] }
reject = "5.7.1 No bounces here, thank you"

[[action]]
name = "mark"
match = { type = ["hard"], recipient = ["mark*"] }
header = { name = "X-Folder", value = "Bounces/Dead" }

[[action]]
name = "pass"
match = { type = ["hard"], recipient = ["pass*"] }
none = true

[[action]]
name = "rest"
match = { category = ["unclassified"] }
redirect = ["%[1]s"]
`

// gone is a report about an address that does not exist.
func gone(local string) Refused {
	r := unknownUser
	r.Address = local + "@remote.test"
	return r
}

// The actions say the same over both kinds of sockets: Postfix is tested over one of them,
// Sendmail over the other.

// testActions sends bounces and looks where they arrive: box returns an address that was
// not used before and a function that waits for so many messages to it.
func testActions(t *testing.T, d *Daemon, smtp string, box func() (string, func(*testing.T, int) []Message), held func(*testing.T) string) {
	a, boxA := box()
	b, boxB := box()
	d.cfg.Tables = fmt.Sprintf(actions, a, b)
	reconfigure(t, d, d.cfg.Top)
	before := scrape(t, d)
	n := 0 // messages to a

	// last is a mail behind the others: nothing arrives after it that is not there yet.
	last := func(t *testing.T, to string, arrived func(*testing.T, int) []Message, want int) []Message {
		t.Helper()
		send(t, smtp, Mail{From: "ann@remote.test", To: []string{to}, Data: Ordinary("last-"+to, to, nil, 500)})
		return arrived(t, want+1)
	}

	t.Run("redirect", func(t *testing.T) {
		to, arrived := box()
		to2, arrived2 := box()
		send(t, smtp, Mail{To: []string{to, to2}, Data: Bounce("redirect", to, nil, gone("redirect"))})
		n++
		tagged(t, boxA(t, n)[n-1], "invalid-address", "hard", "unknown-recipient", "failed")
		boxB(t, 1)
		last(t, to, arrived, 0)
		last(t, to2, arrived2, 0)
	})
	t.Run("redirect to where it is", func(t *testing.T) {
		send(t, smtp, Mail{To: []string{b, a}, Data: Bounce("there", a, nil, gone("redirect"))})
		n++
		boxA(t, n)
		last(t, b, boxB, 2)
	})
	t.Run("copy", func(t *testing.T) {
		to, arrived := box()
		send(t, smtp, Mail{To: []string{to}, Data: Bounce("copy", to, nil, gone("copy"))})
		n++
		boxA(t, n)
		tagged(t, arrived(t, 1)[0], "invalid-address", "hard", "unknown-recipient", "failed")
	})
	t.Run("quarantine", func(t *testing.T) {
		to, arrived := box()
		send(t, smtp, Mail{To: []string{to}, Data: Bounce("hold", to, nil, gone("hold"))})
		last(t, to, arrived, 0)
		if got := held(t); !strings.Contains(got, to) {
			t.Errorf("what is held: %q", got)
		}
	})
	t.Run("discard", func(t *testing.T) {
		to, arrived := box()
		send(t, smtp, Mail{To: []string{to}, Data: Bounce("discard", to, nil, gone("discard"))})
		last(t, to, arrived, 0)
		if got := held(t); strings.Contains(got, to) {
			t.Errorf("what is held: %q", got)
		}
	})
	t.Run("reject", func(t *testing.T) {
		to, arrived := box()
		c, err := DialSMTP(smtp)
		if err != nil {
			t.Fatal(err)
		}
		defer c.Close()
		r, err := c.Send(Mail{To: []string{to}, Data: Bounce("reject", to, nil, gone("reject"))})
		if err == nil || r.Code != 550 || !strings.Contains(r.Text, "5.7.1 No bounces here, thank you") {
			t.Errorf("answered %q, %v", r.Text, err)
		}
		// The session goes on.
		if _, err := c.Send(Mail{To: []string{to}, Data: Bounce("after", to, nil, overQuota)}); err != nil {
			t.Error(err)
		}
		tagged(t, arrived(t, 1)[0], "mailbox-full", "soft", "mailbox-full", "failed")
	})
	t.Run("header", func(t *testing.T) {
		to, arrived := box()
		forged := []string{"X-Folder: Inbox"}
		send(t, smtp, Mail{To: []string{to}, Data: Bounce("mark", to, forged, gone("mark"))})
		m := arrived(t, 1)[0]
		tagged(t, m, "invalid-address", "hard", "unknown-recipient", "failed")
		if got := strings.Join(m.Values("X-Folder"), " "); got != "Bounces/Dead" {
			t.Errorf("the message is for folder %q:\n%s", got, head(m))
		}
		send(t, smtp, Mail{From: "ann@remote.test", To: []string{to}, Data: Ordinary("forged", to, forged, 500)})
		for _, m := range arrived(t, 2) {
			if got := m.Values("X-Folder"); len(got) > 0 && got[0] != "Bounces/Dead" {
				t.Errorf("a forged field stays: %v", got)
			}
		}
	})
	t.Run("none", func(t *testing.T) {
		to, arrived := box()
		send(t, smtp, Mail{To: []string{to}, Data: Bounce("pass", to, nil, gone("pass"))})
		tagged(t, arrived(t, 1)[0], "invalid-address", "hard", "unknown-recipient", "failed")
	})
	counted(t, d, before,
		count(8, "actions_total", `action="discard"`, `result="dry-run"`),
		count(1, "actions_total", `action="redirect"`, `result="done"`),
		count(1, "actions_total", `action="redirect"`, `result="unneeded"`),
		count(1, "actions_total", `action="copy"`, `result="done"`),
		count(1, "actions_total", `action="quarantine"`, `result="done"`),
		count(1, "actions_total", `action="discard"`, `result="done"`),
		count(1, "actions_total", `action="reject"`, `result="done"`),
		count(1, "actions_total", `action="header"`, `result="done"`),
		count(1, "actions_total", `action="none"`, `result="done"`),
		count(16, "actions_total"),
		count(0, "errors_total"))

	t.Run("observe", func(t *testing.T) {
		top := d.cfg.Top
		reconfigure(t, d, top+"mode = \"observe\"\n")
		defer reconfigure(t, d, top)
		before := scrape(t, d)
		for _, verb := range []string{"redirect", "discard", "reject", "mark"} {
			to, arrived := box()
			send(t, smtp, Mail{To: []string{to}, Data: Bounce("observe-"+verb, to, nil, gone(verb))})
			if m := arrived(t, 1)[0]; len(m.Tags("X-Bounce-"))+len(m.Tags("X-Folder")) > 0 {
				t.Errorf("a message that is only observed is changed:\n%s", head(m))
			}
		}
		counted(t, d, before, count(4, "actions_total", `result="observe"`), count(4, "actions_total", `result="dry-run"`), count(8, "actions_total"))
	})
}

func TestActionsPostfix(t *testing.T) {
	l := newLab(t)
	remote, err := l.StartRemote(refuse)
	if err != nil {
		t.Fatal(err)
	}
	sockets, err := l.SocketDir("pf")
	if err != nil {
		t.Fatal(err)
	}
	const spec = "unix:milter/m.sock"
	file := l.Path("events.jsonl")
	d, err := l.StartDaemon("daemon", DaemonConfig{Bin: bin, Listen: []string{"unix:" + sockets + "/m.sock"}, Top: "socket_group = \"postfix\"\n"})
	if err != nil {
		t.Fatal(err)
	}
	p, err := l.StartPostfix("pf", PostfixConfig{Services: []Service{{Name: "in", Milters: spec, Chroot: true}}, OwnBounces: spec, Remote: remote.Addr})
	if err != nil {
		t.Fatal(err)
	}
	showOnFailure(t, "postfix", p.Log)
	showOnFailure(t, "bounce-milter", d.Log)
	t.Cleanup(func() { noRaces(t, d) })
	onHold := func() (string, error) {
		list, err := p.Queue()
		var to []string
		for _, q := range list {
			if q.Queue == "hold" {
				for _, r := range q.Recipients {
					to = append(to, r.Address)
				}
			}
		}
		return strings.Join(to, " "), err
	}
	held := func(t *testing.T) string {
		t.Helper()
		to, err := onHold()
		if err != nil {
			t.Fatal(err)
		}
		return to
	}
	box := func() (string, func(*testing.T, int) []Message) {
		to, box := p.Mailbox()
		return to, func(t *testing.T, n int) []Message { t.Helper(); return delivered(t, box, n) }
	}
	testActions(t, d, p.Addr("in"), box, held)
	if err := p.Release(); err != nil {
		t.Fatal(err)
	}

	// Postfix would keep the message that bounced if its own bounce were refused.
	t.Run("its own bounce", func(t *testing.T) {
		d.cfg.Tables += fmt.Sprintf("[[events.sink]]\nname = \"file\"\ntype = \"file\"\npath = %q\n", file)
		reconfigure(t, d, d.cfg.Top)
		before := scrape(t, d)
		from, box := p.Mailbox()
		send(t, p.Addr("in"), Mail{From: from, To: []string{"nobody@remote.test"}, Data: Ordinary("own", "nobody@remote.test", nil, 1000)})
		if err := Until("the bounce to be held", func() (bool, error) {
			to, err := onHold()
			return to == from, err
		}); err != nil {
			t.Fatal(err)
		}
		queued(t, p, 1) // the bounce alone
		counted(t, d, before, count(1, "actions_total", `action="reject"`, `result="inside"`), count(0, "errors_total"))
		logged(t, d.Log, 1, "held instead of refused")
		if err := Until("the record", func() (bool, error) {
			b, _ := os.ReadFile(file) // it comes with the first record
			return strings.Contains(string(b), `"action_taken":"quarantine"`), nil
		}); err != nil {
			t.Error(err)
		}
		if err := p.Release(); err != nil {
			t.Fatal(err)
		}
		tagged(t, delivered(t, box, 1)[0], "invalid-address", "hard", "unknown-recipient", "failed")
	})
	t.Run("its own bounce, redirected", func(t *testing.T) {
		from, box := p.Mailbox()
		to, target := p.Mailbox()
		d.cfg.Tables = fmt.Sprintf("[[action]]\nname = \"own\"\nmatch = { reason = [\"unknown-recipient\"] }\nredirect = [%q]\n", to)
		reconfigure(t, d, d.cfg.Top)
		send(t, p.Addr("in"), Mail{From: from, To: []string{"nobody@remote.test"}, Data: Ordinary("own2", "nobody@remote.test", nil, 1000)})
		tagged(t, delivered(t, target, 1)[0], "invalid-address", "hard", "unknown-recipient", "failed")
		send(t, p.Addr("in"), Mail{From: "ann@remote.test", To: []string{from}, Data: Ordinary("own3", from, nil, 500)})
		if m := delivered(t, box, 1)[0]; m.Get("Message-Id") != "<own3@remote.test>" {
			t.Errorf("the sender got\n%s", head(m))
		}
	})
}

func TestActionsSendmail(t *testing.T) {
	s := newSendmails(t, "tcp")
	box := func() (string, func(*testing.T, int) []Message) {
		to := s.recipient()
		return to, func(t *testing.T, n int) []Message {
			t.Helper()
			var list []Message
			for _, r := range s.arrived(t, to, n) {
				list = append(list, r.Message)
			}
			return list
		}
	}
	testActions(t, s.daemon, s.with.Addr, box, func(t *testing.T) string {
		t.Helper()
		got, err := s.with.Quarantined()
		if err != nil {
			t.Fatal(err)
		}
		return got
	})
	// Recipients are asked for now, and MAIL is not answered any more.
	t.Run("no stalls", s.noStalls)
}
