//go:build e2e

package lab

import (
	"fmt"
	"net"
	"os"
	"strings"
	"testing"
)

// packaged reads a recipe that we package, and puts what is of this test in the place of
// what is of an administrator's machine: replace has the old and the new of each. What
// the recipe does not say cannot be replaced.
func packaged(t *testing.T, name string, replace ...string) string {
	t.Helper()
	root, err := ModuleRoot()
	if err != nil {
		t.Fatal(err)
	}
	b, err := os.ReadFile(root + "/packaging/" + name)
	if err != nil {
		t.Fatal(err)
	}
	for i := 0; i < len(replace); i += 2 {
		if !strings.Contains(string(b), replace[i]) {
			t.Fatalf("%s does not say %s", name, replace[i])
		}
	}
	return strings.NewReplacer(replace...).Replace(string(b))
}

// entry is the lines of master.cf that begin with a service and go on with space.
func entry(t *testing.T, text, service string) string {
	t.Helper()
	_, rest, ok := strings.Cut(text, "\n"+service+" ")
	if !ok {
		t.Fatalf("there is no service %s", service)
	}
	lines := strings.SplitAfter(service+" "+rest, "\n")
	n := 1
	for n < len(lines) && strings.HasPrefix(lines[n], " ") {
		n++
	}
	return strings.Join(lines[:n], "")
}

// written writes a file into the Lab that everybody may read.
func written(t *testing.T, l *Lab, name, text string) string {
	t.Helper()
	if err := os.WriteFile(l.Path(name), []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
	return l.Path(name)
}

// Recipients of the classes that recipes name.
var (
	judgedSpam = Refused{Address: "u@remote.test", Status: "5.7.1", RemoteMTA: "mx.remote.test",
		Diagnostic: "554 5.7.1 Message rejected as spam by content filter"}
	failedDMARC = Refused{Address: "u@gmail.example", Status: "5.7.26", RemoteMTA: "gmail-smtp-in.l.google.com",
		Diagnostic: "550-5.7.26 Unauthenticated email from lab.test is not accepted due to domain's DMARC policy"}
	infected = Refused{Address: "u@remote.test", Status: "5.7.1", RemoteMTA: "mx.remote.test",
		Diagnostic: "554 5.7.1 Virus found in message: Eicar-Signature"}
	throttled = Refused{Address: "u@remote.test", Status: "4.7.0", RemoteMTA: "mx.remote.test",
		Diagnostic: "450 4.7.0 Too many messages from your IP address, you are being rate limited"}
	looping = Refused{Address: "u@remote.test", Status: "5.4.6", RemoteMTA: "mx.remote.test",
		Diagnostic: "554 5.4.6 Too many hops, mail loops back to myself"}
)

// classed is a message whose class decides where it goes.
type classed struct {
	name string
	from string
	data func(id, to string) []byte
}

func report(r ...Refused) func(id, to string) []byte {
	return func(id, to string) []byte {
		return Bounce(id, to, []string{"X-Bounce-Type: hard", "X-Bounce-Category: dmarc"}, r...)
	}
}

// classes are one of each class that a recipe tells from others; all try with forged
// headers to be of another.
var classes = []classed{
	{"ordinary", "ann@remote.test", func(id, to string) []byte {
		return Ordinary(id, to, []string{"X-Bounce-Type: hard", "X-Bounce-Kind: auto-reply", "X-Bounce-Reason: malware"}, 200)
	}},
	{"hard", "", report(unknownUser)},
	{"full", "", report(overQuota)},
	{"spam", "", report(judgedSpam)},
	{"dmarc", "", report(failedDMARC)},
	{"malware", "", report(infected)},
	{"throttled", "", report(throttled)},
	{"loop", "", report(looping)},
	{"delayed", "", report(greylisted)},
	{"vacation", "", func(id, to string) []byte {
		return Ordinary(id, to, []string{"Auto-Submitted: auto-replied", "X-Bounce-Type: hard"}, 200)
	}},
}

// sendClasses sends one of each class to an address, the name in its X-Case.
func sendClasses(t *testing.T, addr, to string) {
	t.Helper()
	var mails []Mail
	for _, c := range classes {
		data := append(fmt.Appendf(nil, "X-Case: %s\n", c.name), c.data(c.name, to)...)
		mails = append(mails, Mail{From: c.from, To: []string{to}, Data: data})
	}
	send(t, addr, mails...)
}

// in wants exactly these cases in a Maildir.
func in(t *testing.T, box Maildir, where string, cases ...string) {
	t.Helper()
	if len(cases) == 0 {
		if n, err := box.Count(); err != nil || n != 0 {
			t.Errorf("%d messages are in %s, want none (%v)", n, where, err)
		}
		return
	}
	got, err := box.Wait(len(cases))
	if err != nil {
		t.Fatalf("%s: %v", where, err)
	}
	sameCases(t, got, where, cases)
}

func sameCases(t *testing.T, got []Message, where string, cases []string) {
	t.Helper()
	have := map[string]int{}
	for _, m := range got {
		have[m.Get("X-Case")]++
	}
	for _, c := range cases {
		have[c]--
	}
	for c, n := range have {
		if n != 0 {
			t.Errorf("%s has %d too many of %q (%d if less)", where, n, c, n)
		}
	}
}

// queued waits until so many messages are in Postfix's queue, those on hold included.
func queued(t *testing.T, p *Postfix, want int) {
	t.Helper()
	n := 0
	err := Until("Postfix to deliver everything else", func() (ok bool, err error) {
		n, err = p.QueueLength()
		return n == want, err
	})
	if err != nil {
		t.Fatalf("%v: %d messages are in the queue, want %d", err, n, want)
	}
}

// logged waits until a log holds a text so many times: a server may write its log later
// than it does what the log tells of.
func logged(t *testing.T, log func() string, want int, text string) {
	t.Helper()
	n := 0
	err := Until("the log", func() (bool, error) {
		n = strings.Count(log(), text)
		return n == want, nil
	})
	if err != nil {
		t.Errorf("%v: it holds %q %d times, want %d", err, text, n, want)
	}
}

// routingWorld is a Postfix with the packaged tables, each at a service of its own, a
// Dovecot and a procmail that it delivers to, and the daemon.
type routingWorld struct {
	*world
	dovecot *Dovecot
	slashes *Dovecot // the same, but it separates folders by slashes
	bounces string   // where procmail's folders are
}

// procmail returns the program of Debian's package, as any user may run it.
func procmail(t *testing.T, l *Lab) string {
	t.Helper()
	tree, err := DebTree("procmail", []string{"procmail"}, []string{"procmail"})
	if err != nil {
		t.Fatal(err)
	}
	packed, err := findFile(tree, "procmail")
	if err != nil {
		t.Fatal(err)
	}
	b, err := os.ReadFile(packed)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(l.Path("procmail"), b, 0o755); err != nil {
		t.Fatal(err)
	}
	return l.Path("procmail")
}

// newRoutingWorld starts it. setUp returns tables of the daemon's configuration, and further
// services of Postfix; it may be nil.
func newRoutingWorld(t *testing.T, setUp func(l *Lab) (tables string, more []Service)) *routingWorld {
	l := newLab(t)
	w := &routingWorld{world: &world{}}
	tablesOfDaemon, more := "", []Service(nil)
	if setUp != nil {
		tablesOfDaemon, more = setUp(l)
	}
	var err error
	if w.remote, err = l.StartRemote(refuse); err != nil {
		t.Fatal(err)
	}
	ports, err := FreePorts(1)
	if err != nil {
		t.Fatal(err)
	}
	milter := "{ inet:" + Loopback(ports[0]) + ", default_action=accept }"
	if w.daemon, err = l.StartDaemon("daemon", DaemonConfig{Bin: bin, Listen: []string{"inet:" + Loopback(ports[0])}, Tables: tablesOfDaemon}); err != nil {
		t.Fatal(err)
	}
	script, err := l.mkdir(0o755, nobody, nobody, "sieve") // Dovecot compiles it there
	if err != nil {
		t.Fatal(err)
	}
	written(t, l, "sieve/bounces.sieve", packaged(t, "sieve/bounces.sieve"))
	conf := packaged(t, "dovecot/90-bounce-milter.conf", "/etc/dovecot/sieve", script)
	if w.dovecot, err = l.StartDovecot("dovecot", conf); err != nil {
		t.Fatal(err)
	}
	if w.slashes, err = l.StartDovecot("slashes", conf+"namespace inbox {\n  inbox = yes\n  separator = /\n}\n"); err != nil {
		t.Fatal(err)
	}
	if w.bounces, err = l.mkdir(0o755, nobody, nobody, "bounces"); err != nil {
		t.Fatal(err)
	}
	rc := written(t, l, "bounces.procmailrc", packaged(t, "procmail/bounces.procmailrc"))
	master := entry(t, packaged(t, "postfix/master.cf", "user=bounces", "user=nobody", "/usr/bin/procmail", procmail(t, l),
		"/var/spool/bounces", w.bounces, "/etc/postfix/bounces.procmailrc", rc), "bounces")
	root, err := ModuleRoot()
	if err != nil {
		t.Fatal(err)
	}
	tables := root + "/packaging/postfix/bounce_"
	host, port, err := net.SplitHostPort(w.remote.Addr)
	if err != nil {
		t.Fatal(err)
	}
	w.postfix, err = l.StartPostfix("pf", PostfixConfig{
		Services: append(more,
			Service{Name: "routing", Milters: milter},
			Service{Name: "discard", Milters: milter, Options: []string{"cleanup_service_name = discard_cleanup"}},
			Service{Name: "transport", Milters: milter, Options: []string{"cleanup_service_name = transport_cleanup"}},
			Service{Name: "plain", Milters: milter, Options: []string{"cleanup_service_name = plain_cleanup"}}),
		OwnBounces: milter, Remote: w.remote.Addr,
		Main: fmt.Sprintf("milter_header_checks = regexp:%srouting.regexp\nbounces_destination_recipient_limit = 1\n"+
			"transport_maps = inline:{ remote.test=smtp:[%s]:%s, example.com=smtp:[%[2]s]:%[3]s, dovecot.test=lmtp:inet:%s, slashes.test=lmtp:inet:%s }\n",
			tables, host, port, w.dovecot.Addr, w.slashes.Addr),
		Master: fmt.Sprintf("discard_cleanup unix n - n - 0 cleanup\n  -o { milter_header_checks = regexp:%[1]sdiscard.regexp, regexp:%[1]srouting.regexp }\n"+
			"transport_cleanup unix n - n - 0 cleanup\n  -o milter_header_checks=regexp:%[1]stransport.regexp\n"+
			"plain_cleanup unix n - n - 0 cleanup\n  -o milter_header_checks=\n", tables) + master,
	})
	if err != nil {
		t.Fatal(err)
	}
	showOnFailure(t, "postfix", w.postfix.Log)
	showOnFailure(t, "dovecot", w.dovecot.Log)
	showOnFailure(t, "dovecot with slashes", w.slashes.Log)
	showOnFailure(t, "bounce-milter", w.daemon.Log)
	t.Cleanup(func() { noRaces(t, w.daemon) })
	return w
}

// The recipes for Postfix, Dovecot and procmail send each class where they say, and
// nothing else anywhere else; without the daemon all mail is delivered.
func TestRouting(t *testing.T) {
	w := newRoutingWorld(t, nil)
	at := func(address string, n int) []Message {
		t.Helper()
		got, err := w.remote.Wait(address, n)
		if err != nil {
			t.Error(err)
		}
		var out []Message
		for _, m := range got {
			out = append(out, m.Message)
		}
		return out
	}

	t.Run("milter_header_checks", func(t *testing.T) {
		to, box := w.postfix.Mailbox()
		sendClasses(t, w.postfix.Addr("routing"), to)
		in(t, box, "the mailbox", "ordinary", "full", "throttled", "loop", "delayed", "vacation")
		sameCases(t, at("bounces-hard@example.com", 1), "the redirection of hard bounces", []string{"hard"})
		sameCases(t, at("deliverability@example.com", 2), "the redirection of refusals", []string{"spam", "dmarc"})
		queued(t, w.postfix, 1)
		if n, err := w.postfix.Held(); err != nil || n != 1 {
			t.Errorf("%d messages are on hold, want 1 (%v)", n, err)
		}
		if err := w.postfix.Release(); err != nil {
			t.Fatal(err)
		}
		sameCases(t, at("deliverability@example.com", 3), "the redirection of refusals", []string{"spam", "dmarc", "malware"})
		logged(t, w.postfix.Log, 1, "throttled by a provider")
	})
	t.Run("bounces that Postfix makes", func(t *testing.T) {
		from, box := w.postfix.Mailbox()
		send(t, w.postfix.Addr("routing"),
			Mail{From: from, To: []string{"nobody@remote.test"}, Data: Ordinary("o1", "nobody@remote.test", nil, 100)},
			Mail{From: from, To: []string{"full@remote.test"}, Data: Ordinary("o2", "full@remote.test", nil, 100)})
		tagged(t, at("bounces-hard@example.com", 2)[1], "invalid-address", "hard", "unknown-recipient", "failed")
		tagged(t, delivered(t, box, 1)[0], "mailbox-full", "soft", "mailbox-full", "failed")
	})
	t.Run("forged headers that stay", func(t *testing.T) {
		to, box := w.postfix.Mailbox()
		forged := strings.Split(strings.Repeat("X-Bounce-Type: hard\n", 3999)+"X-Bounce-Type: hard", "\n")
		if err := w.postfix.Submit("ann@remote.test", []string{to}, Ordinary("forged", to, forged, 100)); err != nil {
			t.Fatal(err)
		}
		err := Until("the message to be held", func() (bool, error) {
			n, err := w.postfix.Held()
			return n == 1, err
		})
		if err != nil {
			t.Fatal(err)
		}
		in(t, box, "the mailbox")
		if err := w.postfix.Release(); err != nil {
			t.Fatal(err)
		}
		delivered(t, box, 1)
	})
	t.Run("discard", func(t *testing.T) {
		to, box := w.postfix.Mailbox()
		sendClasses(t, w.postfix.Addr("discard"), to)
		in(t, box, "the mailbox", "ordinary", "full", "throttled", "loop")
		at("bounces-hard@example.com", 3)
		queued(t, w.postfix, 1)
		for _, header := range []string{"X-Bounce-Action: delayed", "X-Bounce-Kind: auto-reply"} {
			logged(t, w.postfix.Log, 1, "milter-header-discard: header "+header)
		}
		if err := w.postfix.Release(); err != nil {
			t.Fatal(err)
		}
	})
	t.Run("a transport, and procmail", func(t *testing.T) {
		to, box := w.postfix.Mailbox()
		sendClasses(t, w.postfix.Addr("transport"), to)
		in(t, box, "the mailbox", "ordinary", "throttled", "delayed", "vacation")
		folder := func(name string) Maildir { return Maildir(w.bounces + "/" + name) }
		in(t, folder(".Bounces.Hard"), "the folder for hard ones", "hard")
		in(t, folder(".Bounces.Full"), "the folder for full ones", "full")
		in(t, folder(".Bounces.Reputation"), "the folder for our reputation", "spam", "dmarc", "malware")
		in(t, folder(".Bounces.Soft"), "the folder for soft ones", "loop")
		in(t, folder(""), "procmail's default")
		if m, err := folder(".Bounces.Hard").Messages(); err != nil || len(m) != 1 || m[0].Get("Return-Path") != "<>" {
			t.Errorf("the null sender is not kept (%v)", err)
		}
	})
	t.Run("Sieve through Dovecot", func(t *testing.T) {
		sendClasses(t, w.postfix.Addr("plain"), "ann@dovecot.test")
		folder := func(name string) Maildir { return w.dovecot.Folder("ann", name) }
		in(t, folder(""), "the inbox", "ordinary")
		in(t, folder("Bounces.Hard"), "the folder for hard ones", "hard")
		in(t, folder("Bounces.Full"), "the folder for full ones", "full")
		in(t, folder("Bounces.Reputation"), "the folder for our reputation", "spam", "dmarc", "malware")
		in(t, folder("Bounces.Soft"), "the folder for soft ones", "throttled", "loop")
		in(t, folder("Bounces.Delayed"), "the folder for delayed ones", "delayed")
		in(t, folder("Reports.Automatic"), "the folder for automatic replies", "vacation")

		hard, err := folder("Bounces.Hard").Messages()
		if err != nil {
			t.Fatal(err)
		}
		if err := w.dovecot.Deliver("lda@dovecot.test", hard[0].Raw); err != nil {
			t.Fatal(err)
		}
		in(t, w.dovecot.Folder("lda", "Bounces.Hard"), "the folder that dovecot-lda stores in", "hard")

		// No such folder can be; it is delivered all the same.
		send(t, w.postfix.Addr("plain"), Mail{To: []string{"ann@slashes.test"}, Data: Bounce("slashes", "ann@slashes.test", nil, unknownUser)})
		delivered(t, w.slashes.Folder("ann", ""), 1)
	})
	t.Run("without the daemon", func(t *testing.T) {
		if _, err := w.daemon.Stop(); err != nil {
			t.Fatal(err)
		}
		for _, service := range []string{"routing", "discard", "transport"} {
			to, box := w.postfix.Mailbox()
			send(t, w.postfix.Addr(service), Mail{To: []string{to}, Data: Bounce("down", to, nil, unknownUser)})
			delivered(t, box, 1)
		}
		send(t, w.postfix.Addr("plain"), Mail{To: []string{"bob@dovecot.test"}, Data: Bounce("down", "bob@dovecot.test", nil, unknownUser)})
		delivered(t, w.dovecot.Folder("bob", ""), 1)
	})
}
