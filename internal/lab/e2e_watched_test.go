//go:build e2e

package lab_test

import (
	"bytes"
	"fmt"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/bounce-milter/bounce-milter/internal/lab"
	"github.com/bounce-milter/bounce-milter/internal/lab/mta"
)

// What a Prometheus watches in these tests: daemons that get bounces, a log that is followed,
// and another exporter of that log.

// busyDaemon starts a daemon that gets bounces until the test ends.
func busyDaemon(t *testing.T, l *lab.Lab, name string) *lab.Daemon {
	t.Helper()
	socket := "unix:" + l.Path(name+".sock")
	d, err := l.StartDaemon(name, lab.DaemonConfig{Bin: lab.Bin(), Listen: []string{socket},
		Tables: fmt.Sprintf("[origin]\ndomains = [\"lab.test\"]\n[events]\n[[events.sink]]\nname = \"archive\"\ntype = \"file\"\npath = %q\n"+
			"[[action]]\nname = \"dead\"\nmatch = { type = [\"hard\"] }\nredirect = [\"dead@lab.test\"]\ndry_run = true\n", l.Path(name+".jsonl"))})
	if err != nil {
		t.Fatal(err)
	}
	client, err := mta.Dial("unix", l.Path(name+".sock"))
	if err != nil {
		t.Fatal(err)
	}
	var mails []*mta.Message
	for i, raw := range whatComes(name) {
		mails = append(mails, mta.Parse(mta.Envelope{QueueID: fmt.Sprintf("4B%d", i), To: "bounces@lab.test"}, raw))
	}
	stop, stopped := make(chan struct{}), make(chan error, 1)
	go func() {
		pace := time.NewTicker(25 * time.Millisecond)
		defer pace.Stop()
		for i := 0; ; i++ {
			select {
			case <-stop:
				stopped <- nil
				return
			case <-pace.C:
			}
			if err := client.Send(mails[i%len(mails)]); err != nil {
				stopped <- err
				return
			}
		}
	}()
	t.Cleanup(func() {
		close(stop)
		if err := <-stopped; err != nil {
			t.Errorf("sending to %s: %v\n%s", name, err, d.Log())
		}
		client.Close()
		if strings.Contains(d.Log(), "DATA RACE") {
			t.Errorf("the race detector found a data race:\n%s", d.Log())
		}
	})
	return d
}

// whatComes is what a daemon sees: bounces of several providers and categories, one of mail
// that is not ours, a complaint, ordinary mail.
func whatComes(name string) [][]byte {
	const to = "bounces@lab.test"
	google, microsoft := "gmail-smtp-in.l.google.com", "lab-test.mail.protection.outlook.com"
	one := func(mta, action, status, diagnostic string) lab.Refused {
		return lab.Refused{Address: "carla@example.net", Action: action, Status: status, Diagnostic: diagnostic, RemoteMTA: mta}
	}
	return [][]byte{
		lab.Bounce(name+"1", to, nil, one(google, "", "5.1.1", "550-5.1.1 The email account that you tried to reach does not exist. Please try 550 5.1.1 double-checking the recipient's email address")),
		lab.Bounce(name+"2", to, nil, one(google, "", "5.7.1", "550-5.7.1 Our system has detected that this message is likely unsolicited mail. 550 5.7.1 To reduce the amount of spam sent to Gmail, this message has been blocked")),
		lab.Bounce(name+"3", to, nil, one(google, "", "5.7.26", "550-5.7.26 Unauthenticated email from lab.test is not accepted due to domain's DMARC policy")),
		lab.Bounce(name+"4", to, nil, one(google, "delayed", "4.7.28", "421-4.7.28 Our system has detected an unusual rate of mail. Your mail has been temporarily rate limited")),
		lab.Bounce(name+"5", to, nil, one(microsoft, "", "5.2.2", "552 5.2.2 mailbox full")),
		lab.Bounce(name+"6", to, nil, one(microsoft, "", "5.7.23", "550 5.7.23 The message was rejected because of Sender Policy Framework violation")),
		lab.Bounce(name+"7", to, nil, one("mx.example.net", "", "5.0.0", "599 the cat sat on the mat")),
		bytes.Replace(lab.Bounce(name+"0", to, nil, one("mx.example.net", "", "5.1.1", "550 5.1.1 User unknown")), []byte("From: news@lab.test\n"), []byte(forged), 1),
		lab.Complaint(name+"8", to, "carla@example.net"),
		lab.Ordinary(name+"9", to, []string{"X-Bounce-Type: hard"}, 100),
	}
}

// forged is the header of a message that another's server sent in another's name.
const forged = `Received: from pc.spam.example (pc.spam.example [203.0.113.7])
	by mail.spam.example with ESMTP id 4711; Mon, 2 Nov 2026 09:59:57 +0000
From: Bank <bank@spam.example>
Message-Id: <4711@spam.example>
X-Mailer: Bulk 1.0
`

// comes lists what must have been counted of whatComes and of the log.
func comes() (list []string) {
	for _, c := range []string{"invalid-address", "sender-reputation", "dmarc", "rate-limit", "mailbox-full", "rejection", "unclassified"} {
		list = append(list, `bounce_milter_bounces_total{category="`+c+`"} > 0`)
	}
	return append(list, `bounce_milter_origin_total{origin="foreign"} > 0`, `bounce_milter_feedback_total{type="abuse"} > 0`,
		`bounce_milter_actions_total{action="redirect",result="dry-run"} > 0`, `bounce_milter_forged_headers_total > 0`,
		`bounce_milter_events_total{sink="archive",result="delivered"} > 0`,
		`bounce_milter_deliveries_total{result="deferred",category="rate-limit",type="soft",provider="google"} > 0`,
		`bounce_milter_deliveries_total{result="bounced",category="invalid-address",type="hard"} > 0`, `bounce_milter_follow_reading == 1`)
}

// mailLog is a mail server's log that grows until the test ends.
func mailLog(t *testing.T, l *lab.Lab) string {
	t.Helper()
	log, err := os.Create(l.Path("mail.log"))
	if err != nil {
		t.Fatal(err)
	}
	google := "gmail-smtp-in.l.google.com[192.0.2.26]"
	attempts := []string{
		"relay=" + google + ":25, delay=0.5, delays=0.1/0/0.2/0.2, dsn=2.0.0, status=sent (250 2.0.0 OK)",
		"relay=mx.example.net[192.0.2.1]:25, delay=0.5, delays=0.1/0/0.2/0.2, dsn=2.0.0, status=sent (250 2.0.0 Ok: queued as 4XYZ)",
		"relay=" + google + ":25, delay=5, delays=0.1/0/0.2/4.7, dsn=4.7.28, status=deferred (host " + google + " said: " +
			"421-4.7.28 Our system has detected an unusual rate of mail. 421 4.7.28 Your mail has been temporarily rate limited (in reply to end of DATA command))",
		"relay=mx.example.net[192.0.2.1]:25, delay=0.5, delays=0.1/0/0.2/0.2, dsn=5.1.1, status=bounced (host mx.example.net[192.0.2.1] said: " +
			"550 5.1.1 <carla@example.net>: Recipient address rejected: User unknown in virtual mailbox table (in reply to RCPT TO command))",
	}
	stop, stopped := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(stopped)
		pace := time.NewTicker(50 * time.Millisecond)
		defer pace.Stop()
		for n := 0; ; n++ {
			for i, attempt := range attempts {
				fmt.Fprintf(log, "%s mx1 postfix/smtp[4711]: 4A%04dB%d: to=<carla@example.net>, %s\n", time.Now().Format(time.Stamp), n, i, attempt)
			}
			select {
			case <-stop:
				return
			case <-pace.C:
			}
		}
	}()
	t.Cleanup(func() {
		close(stop)
		<-stopped
		log.Close()
	})
	return log.Name()
}

// follow reads a log; it returns the address of its metrics.
func follow(t *testing.T, l *lab.Lab, log string) string {
	t.Helper()
	ports, err := lab.FreePorts(1)
	if err != nil {
		t.Fatal(err)
	}
	addr, config := lab.Loopback(ports[0]), l.Path("follow.toml")
	text := fmt.Sprintf("rules_dir = \"\"\n[follow]\nlisten = %q\nstate_file = %q\n", addr, l.Path("follow.state"))
	if err := os.WriteFile(config, []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
	p, err := l.Start(lab.Spec{Name: "follow", Path: lab.Bin(), Args: []string{"follow", "--config", config, log}, Log: l.Path("follow.log")})
	if err != nil {
		t.Fatal(err)
	}
	if err := p.UntilItListens("tcp", addr); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if t.Failed() || strings.Contains(p.Log(), "DATA RACE") {
			t.Errorf("log of follow:\n%s", p.Log())
		}
	})
	return addr
}

// postfixExporter starts Debian's exporter for a log; it returns the address of its metrics.
func postfixExporter(t *testing.T, l *lab.Lab, log string) string {
	t.Helper()
	ports, err := lab.FreePorts(1)
	if err != nil {
		t.Fatal(err)
	}
	addr := lab.Loopback(ports[0])
	p, err := l.Start(lab.Spec{Name: "postfix_exporter", Path: "/usr/bin/prometheus-postfix-exporter", Log: l.Path("postfix_exporter.log"),
		Args: []string{"--web.listen-address=" + addr, "--postfix.showq_path=" + l.Path("showq"), "--postfix.logfile_path=" + log}})
	if err != nil {
		t.Fatal(err)
	}
	if err := p.UntilItListens("tcp", addr); err != nil {
		t.Fatal(err)
	}
	return addr
}
