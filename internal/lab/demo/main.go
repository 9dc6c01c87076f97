// Command demo shows what bounce-milter does: it starts a private Postfix with
// the daemon as its milter, sends bounces of several kinds through it, lets
// Postfix make one of its own, and prints what was delivered and counted.
package main

import (
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/bounce-milter/bounce-milter/internal/lab"
)

func main() { os.Exit(run()) }

func run() int {
	bin := flag.String("bin", "bin/bounce-milter", "the program to show")
	flag.Parse()
	if err := demo(*bin); err != nil {
		fmt.Fprintln(os.Stderr, "demo:", err)
		return 1
	}
	return 0
}

// scene is one mail and what to say about it.
type scene struct {
	title string
	mail  lab.Mail
}

func demo(bin string) error {
	bin, err := filepath.Abs(bin)
	if err != nil {
		return err
	}
	l, err := lab.New()
	if err != nil {
		return err
	}
	defer l.Close()
	remote, err := l.StartRemote(func(stage, recipient string) string {
		if stage == "RCPT" {
			return "550 5.1.1 <" + recipient + ">: Recipient address rejected: User unknown in virtual mailbox table"
		}
		return ""
	})
	if err != nil {
		return err
	}
	sockets, err := l.SocketDir("postfix")
	if err != nil {
		return err
	}
	daemon, err := l.StartDaemon("bounce-milter", lab.DaemonConfig{
		Bin: bin, Listen: []string{"unix:" + sockets + "/milter.sock"}, Top: "socket_group = \"postfix\"",
	})
	if err != nil {
		return err
	}
	const spec = "{ unix:milter/milter.sock, default_action=accept, command_timeout=3s }"
	postfix, err := l.StartPostfix("postfix", lab.PostfixConfig{
		Services:   []lab.Service{{Name: "smtp", Chroot: true, Milters: spec}},
		OwnBounces: spec, Remote: remote.Addr,
	})
	if err != nil {
		return err
	}
	fmt.Printf("Postfix %s and bounce-milter are up in %s\n", postfix.Version, l.Dir)

	before, err := daemon.Scrape()
	if err != nil {
		return err
	}
	for _, s := range scenes() {
		to, box := postfix.Mailbox()
		s.mail.Data = []byte(strings.ReplaceAll(string(s.mail.Data), you, to))
		if s.mail.To == nil {
			s.mail.To = []string{to}
		} else {
			s.mail.From = to // the bounce comes back to the sender
		}
		if err := lab.SendAll(postfix.Addr("smtp"), s.mail); err != nil {
			return err
		}
		got, err := box.Wait(1)
		if err != nil {
			return err
		}
		show(s.title, got[0])
	}
	after, err := daemon.Scrape()
	if err != nil {
		return err
	}
	counters(after.Since(before))
	return nil
}

// you stands for the mailbox that a scene is delivered to.
const you = "news@your-site.example"

func scenes() []scene {
	google := "gmail-smtp-in.l.google.com"
	refused := func(addr, status, remote, reply string) lab.Refused {
		return lab.Refused{Address: addr, Status: status, RemoteMTA: remote, Diagnostic: reply}
	}
	return []scene{
		{"A full mailbox", lab.Mail{Data: lab.Bounce("1", you, nil, refused("u@example.com", "5.2.2", google,
			"552-5.2.2 The recipient's inbox is out of storage space. Please direct the 552-5.2.2 recipient to the help page. 552 5.2.2"))}},
		{"A report about three recipients; the first four fields tell the worst", lab.Mail{Data: lab.Bounce("2", you, nil,
			lab.Refused{Address: "later@example.org", Action: "delayed", Status: "4.7.1", RemoteMTA: "mx.example.org",
				Diagnostic: "451 4.7.1 <later@example.org>: Recipient address rejected: Greylisted, try again in 5 minutes"},
			refused("blocked@example.net", "5.7.1", "mx.example.net",
				"554 5.7.1 Service unavailable; Client host [192.0.2.7] blocked using zen.spamhaus.org"),
			refused("gone@example.com", "5.1.1", "mx.example.com", "550 5.1.1 <gone@example.com>: User unknown"))}},
		{"A refusal for DMARC", lab.Mail{Data: lab.Bounce("3", you, nil, refused("u@example.com", "5.7.26", google,
			"550-5.7.26 Unauthenticated email from example.org is not accepted due to 550-5.7.26 domain's DMARC policy."))}},
		{"A bounce in words only, from a qmail", lab.Mail{Data: lab.WordsOnly("4", you, "gone@example.com",
			"550 sorry, no mailbox here by that name. (#5.1.1)")}},
		{"A bounce that Postfix itself makes, because the next server refuses", lab.Mail{To: []string{"nobody@remote.test"},
			Data: lab.Ordinary("5", "nobody@remote.test", nil, 600)}},
		{"Ordinary mail with a forged header: the header is gone", lab.Mail{From: "ann@remote.test",
			Data: lab.Ordinary("6", you, []string{"X-Bounce-Category: mailbox-full"}, 600)}},
	}
}

// show prints a delivered message's tags as they lie in the Maildir, among a few
// fields to recognise it by.
func show(title string, m lab.Message) {
	fmt.Printf("\n--- %s\n", title)
	head, _, _ := strings.Cut(string(m.Raw), "\n\n")
	shown := false
	for line := range strings.SplitSeq(head, "\n") {
		if line == "" {
			continue
		}
		if line[0] != ' ' && line[0] != '\t' {
			name, _, _ := strings.Cut(strings.ToLower(line), ":")
			shown = strings.HasPrefix(name, "x-bounce-") || name == "from" || name == "subject"
		}
		if shown {
			fmt.Println(line)
		}
	}
}

// counters prints what was counted.
func counters(m lab.Metrics) {
	fmt.Print("\n--- Counters on /metrics\n")
	var names []string
	for name, v := range m {
		if v > 0 && strings.Contains(name, "_total") && strings.HasPrefix(name, "bounce_milter_") {
			names = append(names, name)
		}
	}
	slices.Sort(names)
	for _, name := range names {
		fmt.Printf("%s %v\n", name, m[name])
	}
}
