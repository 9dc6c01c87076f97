//go:build e2e

package lab

import (
	"fmt"
	"os"
	"strings"
	"testing"
)

// Our recipe has Sendmail store local mail with procmail, which sorts what the daemon
// tagged. A ruleset for a header cannot: it sees what a stranger wrote, and not what a
// milter adds, as the recipe says.
func TestSendmailRouting(t *testing.T) {
	l := newLab(t)
	remote, err := l.StartRemote(refuse)
	if err != nil {
		t.Fatal(err)
	}
	ports, err := FreePorts(1)
	if err != nil {
		t.Fatal(err)
	}
	listen := fmt.Sprintf("inet:%d@127.0.0.1", ports[0])
	daemon, err := l.StartDaemon("daemon", DaemonConfig{Bin: bin, Listen: []string{listen}})
	if err != nil {
		t.Fatal(err)
	}
	home, err := l.mkdir(0o755, nobody, nobody, "home")
	if err != nil {
		t.Fatal(err)
	}
	rc := packaged(t, "procmail/bounces.procmailrc")
	// The system's mailbox of that user is no place for a test.
	if err := os.WriteFile(home+"/.procmailrc", []byte("DEFAULT=$HOME/inbox/\n"+rc), 0o644); err != nil {
		t.Fatal(err)
	}
	s, err := l.StartSendmail("sm", SendmailConfig{
		Milter: listen, Remote: remote.Addr, User: "bounces", Home: home,
		MC:    fmt.Sprintf("define(`PROCMAIL_MAILER_PATH', `%s')dnl\n", procmail(t, l)) + packaged(t, "sendmail/bounce-folders.mc"),
		Rules: "LOCAL_RULESETS\nHX-Bounce-Type: $>CheckBounce\nSCheckBounce\nR$* hard $*\t$#error $@ 5.7.1 $: \"550 a ruleset saw it\"\n",
	})
	if err != nil {
		t.Fatal(err)
	}
	fmt.Printf("=== Sendmail %s, procmail\n", s.Version)
	showOnFailure(t, "sendmail", s.Log)
	showOnFailure(t, "bounce-milter", daemon.Log)
	t.Cleanup(func() { noRaces(t, daemon) })

	const to = "bounces@sm.lab.test"
	box := func(name string) Maildir { return Maildir(home + "/" + name) }
	var mails []Mail
	for _, c := range classes {
		data := c.data(c.name, to)
		data = []byte(strings.ReplaceAll(string(data), "X-Bounce-Type: hard\n", "")) // the ruleset would see it
		mails = append(mails, Mail{From: c.from, To: []string{to}, Data: append(fmt.Appendf(nil, "X-Case: %s\n", c.name), data...)})
	}
	send(t, s.Addr, mails...)
	in(t, box("inbox"), "the mailbox", "ordinary")
	in(t, box(".Bounces.Hard"), "the folder for hard ones", "hard")
	in(t, box(".Bounces.Full"), "the folder for full ones", "full")
	in(t, box(".Bounces.Reputation"), "the folder for our reputation", "spam", "dmarc", "malware")
	in(t, box(".Bounces.Soft"), "the folder for soft ones", "throttled", "loop")
	in(t, box(".Bounces.Delayed"), "the folder for delayed ones", "delayed")
	in(t, box(".Reports.Automatic"), "the folder for automatic replies", "vacation")

	forged := Mail{From: "ann@remote.test", To: []string{to}, Data: Ordinary("forged", to, []string{"X-Bounce-Type: hard"}, 100)}
	if err := SendAll(s.Addr, forged); err == nil || !strings.Contains(err.Error(), "a ruleset saw it") {
		t.Errorf("a ruleset does not see what a stranger wrote: %v", err)
	}
	if _, err := daemon.Stop(); err != nil {
		t.Fatal(err)
	}
	send(t, s.Addr, Mail{To: []string{to}, Data: append([]byte("X-Case: down\n"), Bounce("down", to, nil, unknownUser)...)})
	in(t, box("inbox"), "the mailbox", "ordinary", "down")
}
