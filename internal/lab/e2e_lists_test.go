//go:build e2e

package lab

import (
	"fmt"
	"maps"
	"net"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// listDomain is the domain of the mailing lists.
const listDomain = "lists.lab.test"

// What a bounce says about a member.
var (
	asSpam = Refused{Status: "5.7.1", RemoteMTA: "mx.remote.test", Diagnostic: "554 5.7.1 Message rejected as spam by content filter"}
	asGone = Refused{Status: "5.1.1", RemoteMTA: "mx.remote.test", Diagnostic: "550 5.1.1 Recipient address rejected: User unknown in local recipient table"}
	asLate = Refused{Action: "delayed", Status: "4.2.0", RemoteMTA: "mx.remote.test", Diagnostic: "450 4.2.0 Recipient address rejected: Greylisted, see the help page"}
)

// about is a bounce about a member, sent to the address of a bounce processor.
func about(id, to, member string, r Refused) Mail {
	r.Address = member
	return Mail{To: []string{to}, Data: Bounce(id, to, nil, r)}
}

// away is a member's automatic reply, sent to the address that list mail came from.
func away(id, to, member string) Mail {
	return Mail{To: []string{to}, Data: fmt.Appendf(nil, `Date: Mon, 2 Nov 2026 10:00:00 +0000
From: <%s>
To: <%s>
Subject: Out of the office: News
Auto-Submitted: auto-replied
Message-Id: <%s@remote.test>
MIME-Version: 1.0
Content-Type: text/plain; charset=utf-8

I am on holiday and will answer your mail when I am back on Monday.
`, member, to, id)}
}

// shielded is a Postfix that has our recipe for list managers, and the daemon beside it,
// which does not run yet.
type shielded struct {
	*Lab
	postfix *Postfix
	remote  *Remote
	daemon  DaemonConfig
	// box is the mailbox of the first owner.
	box Maildir
}

// listOwners are an alias of a mailbox, and an address whose server refuses everything as
// spam.
func listOwners() []string { return []string{"boss@lab.test", "spam+owner@remote.test"} }

// recipeFor is our master.cf for list managers with these maps, on a port of the lab.
func recipeFor(t *testing.T, port int, maps string) string {
	t.Helper()
	b, err := os.ReadFile(recipes(t) + "/master.cf")
	if err != nil {
		t.Fatal(err)
	}
	text := strings.ReplaceAll(string(b), "127.0.0.1:10027", Loopback(port))
	option := regexp.MustCompile(`(?m)^  -o virtual_alias_maps=\S+$`)
	if text == string(b) || !option.MatchString(text) {
		t.Fatal("master.cf has no port or no maps")
	}
	return option.ReplaceAllLiteralString(text, "  -o virtual_alias_maps="+maps)
}

// recipes is the folder of the recipes for list managers.
func recipes(t *testing.T) string {
	t.Helper()
	root, err := ModuleRoot()
	if err != nil {
		t.Fatal(err)
	}
	return filepath.Join(root, "packaging", "lists")
}

// rewritten writes a recipe into the lab with one regular expression replaced.
func rewritten(t *testing.T, l *Lab, name, old, replacement string) string {
	t.Helper()
	b, err := os.ReadFile(recipes(t) + "/" + name)
	if err != nil {
		t.Fatal(err)
	}
	re := regexp.MustCompile(old)
	if !re.Match(b) {
		t.Fatalf("%s has no %s", name, old)
	}
	if err := os.WriteFile(l.Path(name), re.ReplaceAllLiteral(b, []byte(replacement)), 0o644); err != nil {
		t.Fatal(err)
	}
	return l.Path(name)
}

// newShielded starts a Postfix with a service "in", on port, and our recipe with these
// maps. transports says where it delivers the list manager's mail to, and master is added
// to master.cf.
func newShielded(t *testing.T, l *Lab, port int, tables []string, transports, master string) *shielded {
	t.Helper()
	s := &shielded{Lab: l}
	remote, err := l.StartRemote(refuse)
	if err != nil {
		t.Fatal(err)
	}
	s.remote = remote
	ports, err := FreePorts(2)
	if err != nil {
		t.Fatal(err)
	}
	listen := "inet:" + Loopback(ports[0])
	s.daemon = DaemonConfig{Bin: bin, Listen: []string{listen}}
	milter := "{ " + listen + ", default_action=accept }"
	aliases := "inline:{boss@lab.test=user0@lab.test}"
	table := rewritten(t, l, "shield.regexp", `127\.0\.0\.1\]:10027`, "127.0.0.1]:"+fmt.Sprint(ports[1]))
	host, remotePort, err := net.SplitHostPort(remote.Addr)
	if err != nil {
		t.Fatal(err)
	}
	s.postfix, err = l.StartPostfix("pf", PostfixConfig{
		Services:   []Service{{Name: "in", Milters: milter, Port: port}},
		OwnBounces: milter,
		Main: "milter_header_checks = regexp:" + table + "\n" +
			"virtual_alias_maps = " + aliases + "\n" +
			"relay_domains = " + listDomain + "\nrecipient_delimiter = +\n" +
			// While a list manager writes, nobody else can read its SQLite file. A process of
			// Postfix that wants to ends then, and the mail is tried again.
			"service_throttle_time = 1s\nminimal_backoff_time = 1s\nqueue_run_delay = 1s\n" +
			fmt.Sprintf("transport_maps = %s, inline:{remote.test=smtp:[%s]:%s}\n", transports, host, remotePort),
		Master: recipeFor(t, ports[1], strings.Join(append(tables, aliases), ",")) + master,
	})
	if err != nil {
		t.Fatal(err)
	}
	showOnFailure(t, "postfix", s.postfix.Log)
	to, box := s.postfix.Mailbox()
	if to != "user0@lab.test" {
		t.Fatalf("the first mailbox is %s", to)
	}
	s.box = box
	return s
}

// start starts the daemon.
func (s *shielded) start(t *testing.T) *Daemon {
	t.Helper()
	d, err := s.StartDaemon("daemon", s.daemon)
	if err != nil {
		t.Fatal(err)
	}
	showOnFailure(t, "bounce-milter", d.Log)
	t.Cleanup(func() { noRaces(t, d) })
	return d
}

// diverted checks that what the shield sent to the owner has these ids and tags. It keeps
// the null sender; the list manager's own notices to the owner have another.
func (s *shielded) diverted(t *testing.T, want ...string) {
	t.Helper()
	got := map[string]string{}
	read := func() (bool, error) {
		messages, err := s.box.Messages()
		for _, m := range messages {
			if m.Get("Return-Path") != "<>" {
				continue
			}
			id := m.Get("Message-Id")
			if strings.HasSuffix(id, "@mx.lab.test>") {
				id = "own bounce" // Postfix made the id
			}
			for _, name := range []string{"X-Bounce-Kind", "X-Bounce-Type", "X-Bounce-Action"} {
				if v := m.Get(name); v != "" && v != "failed" && v != "soft" {
					got[m.File] = id + " " + name + ": " + v
				}
			}
		}
		return len(got) >= len(want), err
	}
	if err := Until("what is diverted to the owner", read); err != nil {
		t.Error(err)
	}
	// Nothing comes back from the other owner, whose server refuses it.
	queued(t, s.postfix, 0)
	if _, err := read(); err != nil {
		t.Error(err)
	}
	have := slices.Sorted(maps.Values(got))
	if !slices.Equal(have, want) {
		t.Errorf("diverted to the owner: %q, want %q", have, want)
	}
}

// rows asks a database until the answer is the one wanted, and reports the one it has
// if that does not come about.
func rows(t *testing.T, what, database, query string, want ...string) {
	t.Helper()
	var got []string
	err := Until(what, func() (bool, error) {
		var err error
		got, err = Query(database, query)
		return slices.Equal(got, want), err
	})
	if err != nil {
		t.Errorf("%v: %q, want %q", err, got, want)
	}
}

// members are the addresses of these local parts.
func members(local ...string) []string {
	for i, name := range local {
		local[i] = name + "@remote.test"
	}
	return local
}

// Mailman 3 behind Postfix with our recipe: what says nothing against a member goes to
// the list's owners, what is hard is scored. While the daemon is down, Mailman does as
// it always did.
func TestShieldMailman(t *testing.T) {
	l := newLab(t)
	ports, err := FreePorts(1)
	if err != nil {
		t.Fatal(err)
	}
	mailman, err := l.NewMailman("mm", Loopback(ports[0]))
	if err != nil {
		t.Fatal(err)
	}
	owners := rewritten(t, l, "mailman_owners.cf", `(?m)^dbpath = .*$`, "dbpath = "+mailman.Database())
	list := "news@" + listDomain
	err = mailman.NewList(list, listOwners(),
		members("alone", "ann", "away", "block", "gone", "late", "nobody+1", "plain", "probe1", "probe2", "spam+1"))
	if err != nil {
		t.Fatal(err)
	}
	// Two members have bounced for days: the next time, Mailman sends them a probe. Its
	// notices to the owners would bounce too, at times of their own.
	if _, err := Query(mailman.Database(), `UPDATE mailinglist SET bounce_notify_owner_on_disable = 0;
		UPDATE member SET bounce_score = 4, last_bounce_received = datetime('now', '-2 days') || '.000000'
		WHERE address_id IN (SELECT id FROM address WHERE email LIKE 'probe%')`); err != nil {
		t.Fatal(err)
	}
	s := newShielded(t, l, ports[0], []string{"sqlite:" + owners}, "regexp:"+mailman.TransportMap(), "")
	if err := mailman.Start(l); err != nil {
		t.Fatal(err)
	}
	showOnFailure(t, "mailman", mailman.Log)
	verp := func(member string) string {
		local, host, _ := strings.Cut(member, "@")
		return "news-bounces+" + local + "=" + host + "@" + listDomain
	}
	scores := func(what string, want ...string) {
		t.Helper()
		rows(t, what, mailman.Database(), `SELECT email, bounce_score || iif(delivery_status = 3, '|disabled', '') FROM member
			JOIN address ON address.id = member.address_id JOIN preferences ON preferences.id = member.preferences_id
			WHERE role = 1 ORDER BY email`, want...)
	}

	// The daemon is down: a member is scored because we were refused, and disabled
	// because she is on holiday.
	in := s.postfix.Addr("in")
	send(t, in, about("alone", verp("alone@remote.test"), "alone@remote.test", asSpam),
		about("p1", verp("probe1@remote.test"), "probe1@remote.test", asGone),
		about("p2", verp("probe2@remote.test"), "probe2@remote.test", asGone))
	probe := map[string]string{}
	for _, who := range members("probe1", "probe2") {
		got, err := s.remote.Wait(who, 1)
		if err != nil {
			t.Fatal(err)
		}
		probe[who] = got[0].From
	}
	send(t, in, away("p1-away", probe["probe1@remote.test"], "probe1@remote.test"))
	scores("Mailman without the shield", "alone@remote.test|1", "ann@remote.test|0", "away@remote.test|0",
		"block@remote.test|0", "gone@remote.test|0", "late@remote.test|0", "nobody+1@remote.test|0", "plain@remote.test|0",
		"probe1@remote.test|0|disabled", "probe2@remote.test|0", "spam+1@remote.test|0")
	s.diverted(t)

	d := s.start(t)
	before := scrape(t, d)
	other, otherBox := s.postfix.Mailbox()
	block := about("block", verp("block@remote.test"), "block@remote.test", asSpam)
	block.To = append(block.To, other) // who has nothing to do with lists
	send(t, in, block,
		about("plain", "news-bounces@"+listDomain, "plain@remote.test", asSpam),
		about("late", verp("late@remote.test"), "late@remote.test", asLate),
		away("away", verp("away@remote.test"), "away@remote.test"),
		away("p2-away", probe["probe2@remote.test"], "probe2@remote.test"),
		about("gone", verp("gone@remote.test"), "gone@remote.test", asGone),
		// Two members' servers refuse what Mailman sends them.
		Mail{From: "ann@remote.test", To: []string{list}, Data: Ordinary("post", list, nil, 500)})
	scores("Mailman with the shield", "alone@remote.test|1", "ann@remote.test|0", "away@remote.test|0",
		"block@remote.test|0", "gone@remote.test|1", "late@remote.test|0", "nobody+1@remote.test|1", "plain@remote.test|0",
		"probe1@remote.test|0|disabled", "probe2@remote.test|0", "spam+1@remote.test|0")
	s.diverted(t,
		"<away@remote.test> X-Bounce-Kind: auto-reply",
		"<block@mx.remote.test> X-Bounce-Type: block",
		"<late@mx.remote.test> X-Bounce-Action: delayed",
		"<p2-away@remote.test> X-Bounce-Kind: auto-reply",
		"<plain@mx.remote.test> X-Bounce-Type: block",
		"own bounce X-Bounce-Type: block")
	if m := delivered(t, otherBox, 1)[0]; m.Get("X-Bounce-Type") != "block" {
		t.Errorf("what else was sent round has lost its headers:\n%s", head(m))
	}
	counted(t, d, before, count(3, "bounces_total", `type="block"`), count(2, "bounces_total", `type="hard"`),
		count(1, "bounces_total", `action="delayed"`), count(2, "messages_total", `kind="auto-reply"`))
}

// Sympa behind Postfix with our recipe, the same way.
func TestShieldSympa(t *testing.T) {
	l := newLab(t)
	sympa, err := l.NewSympa("sympa", listDomain)
	if err != nil {
		t.Fatal(err)
	}
	owners := rewritten(t, l, "sympa_owners.cf", `(?m)^dbpath = .*$`, "dbpath = "+sympa.Database())
	err = sympa.NewList("news", listDomain, listOwners(),
		members("alone", "alone-late", "alone-welcome", "away", "block", "gone", "late", "nobody+1", "plain", "spam+1", "welcome"))
	if err != nil {
		t.Fatal(err)
	}
	ports, err := FreePorts(1)
	if err != nil {
		t.Fatal(err)
	}
	// As in Sympa's manual, with a table of transports.
	transports := fmt.Sprintf("inline:{ {news-owner@%[1]s = sympabounce:news@%[1]s}, {bounce@%[1]s = sympabounce:sympa@%[1]s} }", listDomain)
	pipe := "sympabounce unix - n n - - pipe\n  flags=hqRu null_sender= user=list argv=" + sympa.BounceQueue() + " ${nexthop}\n"
	s := newShielded(t, l, ports[0], []string{"regexp:" + recipes(t) + "/sympa_verp.regexp", "sqlite:" + owners}, transports, pipe)
	if err := sympa.Start(l); err != nil {
		t.Fatal(err)
	}
	showOnFailure(t, "sympa", sympa.Log)
	verp := func(member, more string) string {
		return "bounce+" + strings.Replace(member, "@", "==a==", 1) + "==news" + more + "@" + listDomain
	}
	// counts is what was counted of each member, without the times.
	counts := func(what string, want ...string) {
		t.Helper()
		rows(t, what, sympa.Database(), `SELECT user_subscriber, COALESCE(substr(bounce_subscriber, 23), '') FROM subscriber_table ORDER BY user_subscriber`, want...)
	}

	// The daemon is down: a member is counted because we were refused, and because of a
	// delay; one who has just joined is removed from the list because we were refused.
	in := s.postfix.Addr("in")
	send(t, in, about("alone", verp("alone@remote.test", ""), "alone@remote.test", asSpam),
		about("alone-late", verp("alone-late@remote.test", ""), "alone-late@remote.test", asLate),
		about("alone-welcome", verp("alone-welcome@remote.test", "==w"), "alone-welcome@remote.test", asSpam))
	counts("Sympa without the shield", "alone-late@remote.test|1 4.2.0", "alone@remote.test|1 5.7.1", "away@remote.test|", "block@remote.test|",
		"gone@remote.test|", "late@remote.test|", "nobody+1@remote.test|", "plain@remote.test|", "spam+1@remote.test|", "welcome@remote.test|")
	s.diverted(t)

	d := s.start(t)
	before := scrape(t, d)
	send(t, in, about("block", verp("block@remote.test", ""), "block@remote.test", asSpam),
		about("plain", "news-owner@"+listDomain, "plain@remote.test", asSpam),
		about("welcome", verp("welcome@remote.test", "==w"), "welcome@remote.test", asSpam),
		about("late", verp("late@remote.test", ""), "late@remote.test", asLate),
		away("away", verp("away@remote.test", ""), "away@remote.test"),
		about("gone", verp("gone@remote.test", ""), "gone@remote.test", asGone),
		// Two members' servers refuse list mail, sent as Sympa sends it.
		Mail{From: verp("nobody+1@remote.test", ""), To: members("nobody+1"), Data: Ordinary("post", "news@"+listDomain, nil, 500)},
		Mail{From: verp("spam+1@remote.test", ""), To: members("spam+1"), Data: Ordinary("post", "news@"+listDomain, nil, 500)})
	counts("Sympa with the shield", "alone-late@remote.test|1 4.2.0", "alone@remote.test|1 5.7.1", "away@remote.test|", "block@remote.test|",
		"gone@remote.test|1 5.1.1", "late@remote.test|", "nobody+1@remote.test|1 5.1.1", "plain@remote.test|", "spam+1@remote.test|", "welcome@remote.test|")
	s.diverted(t,
		"<away@remote.test> X-Bounce-Kind: auto-reply",
		"<block@mx.remote.test> X-Bounce-Type: block",
		"<late@mx.remote.test> X-Bounce-Action: delayed",
		"<plain@mx.remote.test> X-Bounce-Type: block",
		"<welcome@mx.remote.test> X-Bounce-Type: block",
		"own bounce X-Bounce-Type: block")
	if n := sympa.Waiting(); n > 0 {
		t.Errorf("Sympa has not read %d bounces", n)
	}
	counted(t, d, before, count(4, "bounces_total", `type="block"`), count(2, "bounces_total", `type="hard"`),
		count(1, "bounces_total", `action="delayed"`), count(1, "messages_total", `kind="auto-reply"`))

	// Sympa turns what it counted into scores once a day.
	const scored = `SELECT user_subscriber, bounce_score_subscriber FROM subscriber_table WHERE bounce_score_subscriber > 0 ORDER BY user_subscriber`
	want := []string{"alone-late@remote.test|1", "alone@remote.test|1", "gone@remote.test|1", "nobody+1@remote.test|1"}
	var got []string
	err = sympa.Rate(l, func() (bool, error) {
		var err error
		got, err = Query(sympa.Database(), scored)
		return slices.Equal(got, want), err
	})
	if err != nil {
		t.Errorf("%v: scores %q, want %q", err, got, want)
	}
}
