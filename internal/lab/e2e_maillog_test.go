//go:build e2e

package lab

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/bounce-milter/bounce-milter/classify"
	"github.com/bounce-milter/bounce-milter/classify/maillog"
)

// moody is a remote server that treats each recipient as its local part says, and counts
// how often each was asked for.
type moody struct {
	mu    sync.Mutex
	asked map[string]int
	quit  chan struct{}
}

func (m *moody) policy(stage, to string) string {
	who, _, _ := strings.Cut(to, "@")
	if stage == "DATA" {
		if who == "full" {
			return "552 5.2.2 The mailbox is full"
		}
		return ""
	}
	m.mu.Lock()
	m.asked[to]++
	n := m.asked[to]
	m.mu.Unlock()
	switch who {
	case "unknown":
		return "550 5.1.1 <" + to + ">: Recipient address rejected: User unknown"
	case "spammer":
		return "550-5.7.1 Service unavailable; client [198.51.100.7] blocked using bl.example\n550 5.7.1 see https://bl.example/?ip=198.51.100.7"
	case "throttled":
		return "450 4.7.28 We have detected an unusual rate of mail originating from your IP address"
	case "grey":
		if n == 1 {
			return "451 4.7.1 Greylisting in action, please come back later"
		}
	case "silent":
		<-m.quit
		return "421 4.3.2 Too late"
	}
	return ""
}

func (m *moody) count(to string) int {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.asked[to]
}

// fates are what becomes of mail to moody, once it was tried again and then given up.
var fates = []struct {
	to       string
	result   maillog.Result
	category classify.Category
	typ      classify.Type
	reason   string
	delay    string // reason of a delay before a success
}{
	{"ok@remote.test", maillog.Sent, "", "", "", ""},
	{"grey@remote.test", maillog.Sent, "", "", "", "greylisted"},
	{"unknown@remote.test", maillog.Bounced, classify.InvalidAddress, classify.Hard, "unknown-recipient", ""},
	{"full@remote.test", maillog.Bounced, classify.MailboxFull, classify.Soft, "mailbox-full", ""},
	{"spammer@remote.test", maillog.Bounced, classify.SenderReputation, classify.Block, "blocklisted", ""},
	{"throttled@remote.test", maillog.Expired, classify.RateLimit, classify.Soft, "rate-limited", ""},
	{"dead@dead.test", maillog.Expired, classify.RecipientError, classify.Soft, "network-error", ""},
	{"silent@silent.test", maillog.Expired, classify.RecipientError, classify.Soft, "network-error", ""},
}

// mailer is a mail server whose log is read.
type mailer struct {
	submit func(to string) error
	flush  func(giveUp bool) error
	log    func() string
	file   string
}

// entries reads a log with the library.
func entries(log string) (all []maillog.Entry) {
	var p maillog.Parser
	for line := range strings.Lines(log) {
		all = p.Append(all, []byte(line))
	}
	return all
}

// tried waits until each recipient that is not done was tried n times, and the server
// gave up if it was to. A server passes over a message that it has not put away yet after
// the attempt before, so its queue is flushed again now and then.
func (m *mailer) tried(t *testing.T, n int, givenUp bool) {
	t.Helper()
	what := fmt.Sprintf("%d attempts for each recipient", n)
	flushed := time.Now()
	if err := Until(what, func() (bool, error) {
		tries, over := map[string]int{}, map[string]bool{}
		queue := map[string]string{}
		for _, e := range entries(m.log()) {
			switch e.Result {
			case maillog.Deferred:
				tries[e.Recipient]++
				queue[e.QueueID] = e.Recipient
			case maillog.Sent, maillog.Bounced:
				tries[e.Recipient] += 1000
			case maillog.Expired:
				over[e.Recipient], over[queue[e.QueueID]] = true, true
			}
		}
		for _, f := range fates {
			if tries[f.to] < n || givenUp && f.result == maillog.Expired && !over[f.to] {
				if n == 1 || time.Since(flushed) < 15*time.Second {
					return false, nil
				}
				flushed = time.Now()
				return false, m.flush(givenUp)
			}
		}
		return true, nil
	}); err != nil {
		t.Fatal(err)
	}
}

// story is what classify prints about a story.
type story struct {
	Recipients  []classify.Recipient
	Result      maillog.Result
	Attempts    int
	DelayReason string `json:"delay_reason"`
	QueueID     string `json:"queue_id"`
	Time        string
}

func classifyLog(t *testing.T, args ...string) (all []story) {
	t.Helper()
	cmd := exec.Command(bin, append([]string{"classify", "--format", "json"}, args...)...)
	var errs bytes.Buffer
	cmd.Stderr = &errs
	out, err := cmd.Output()
	if err != nil || errs.Len() > 0 {
		t.Fatalf("%v: %s", err, errs.Bytes())
	}
	for line := range bytes.Lines(out) {
		var s story
		if err := json.Unmarshal(line, &s); err != nil {
			t.Fatalf("%v: %s", err, line)
		}
		all = append(all, s)
	}
	return all
}

// tellsFates has mail to every recipient tried, tried again and given up, and compares
// what classify says about the log with what the remote server did.
func tellsFates(t *testing.T, m *mailer, remote *moody) {
	showOnFailure(t, "mail log", m.log)
	for _, f := range fates {
		if err := m.submit(f.to); err != nil {
			t.Fatal(err)
		}
	}
	m.tried(t, 1, false)
	for n, giveUp := range []bool{false, true} {
		if err := m.flush(giveUp); err != nil {
			t.Fatal(err)
		}
		m.tried(t, n+2, giveUp)
	}
	attempts := map[string][]story{}
	for _, s := range classifyLog(t, "--every-attempt", m.file) {
		attempts[s.Recipients[0].Address] = append(attempts[s.Recipients[0].Address], s)
	}
	final := map[string][]story{}
	for _, s := range classifyLog(t, m.file) {
		final[s.Recipients[0].Address] = append(final[s.Recipients[0].Address], s)
	}
	for _, f := range fates {
		list := final[f.to]
		if f.result == maillog.Sent && f.delay == "" { // only counted
			if len(list) != 0 || len(attempts[f.to]) != 1 || attempts[f.to][0].Result != maillog.Sent {
				t.Errorf("%s: %+v", f.to, attempts[f.to])
			}
			continue
		}
		if len(list) != 1 {
			t.Errorf("%s: %d stories: %+v", f.to, len(list), list)
			continue
		}
		s, v := list[0], list[0].Recipients[0]
		if s.Result != f.result || v.Category != f.category || v.Type != f.typ || v.Reason != f.reason || s.DelayReason != f.delay {
			t.Errorf("%s: %s, %s, %s, %s, delayed by %q, want %s, %s, %s, %s, %q: %+v", f.to, s.Result, v.Category, v.Type, v.Reason, s.DelayReason,
				f.result, f.category, f.typ, f.reason, f.delay, v)
		}
		if n := remote.count(f.to); n > 0 && s.Attempts != n {
			t.Errorf("%s: %d attempts, and the remote server was asked %d times", f.to, s.Attempts, n)
		}
		if s.Attempts == 0 || s.QueueID == "" || s.Time == "" {
			t.Errorf("%s: %+v", f.to, s)
		}
		for i, a := range attempts[f.to] {
			if i < s.Attempts-1 && a.Result != maillog.Deferred {
				t.Errorf("%s: attempt %d: %s", f.to, i+1, a.Result)
			}
			if want := f.reason; f.delay == "" && a.Result != maillog.Expired && a.Recipients[0].Reason != want {
				t.Errorf("%s: attempt %d: reason %q, want %q", f.to, i+1, a.Recipients[0].Reason, want)
			}
		}
	}
}

// newMoody starts the remote server, and one more that is only reached for silent.test.
func newMoody(t *testing.T) (l *Lab, m *moody, remote, silent *Remote) {
	t.Helper()
	l = newLab(t)
	m = &moody{asked: map[string]int{}, quit: make(chan struct{})}
	t.Cleanup(func() { close(m.quit) })
	var err error
	if remote, err = l.StartRemote(m.policy); err == nil {
		silent, err = l.StartRemote(m.policy)
	}
	if err != nil {
		t.Fatal(err)
	}
	return l, m, remote, silent
}

// nobodyThere is the address of a server on which nothing listens: that of a real one on
// another address of this machine.
func nobodyThere(r *Remote) string { return strings.Replace(r.Addr, "127.0.0.1", "127.0.0.2", 1) }

func TestLogOfPostfix(t *testing.T) {
	t.Parallel()
	l, remote, server, silent := newMoody(t)
	next := func(addr string) string {
		host, port, _ := strings.Cut(addr, ":")
		return "[" + host + "]:" + port
	}
	p, err := l.StartPostfix("postfix", PostfixConfig{Main: fmt.Sprintf(
		"transport_maps = inline:{ remote.test=smtp:%s, silent.test=hasty:%s, dead.test=smtp:%s }\n",
		next(server.Addr), next(silent.Addr), next(nobodyThere(server))),
		Master: "hasty unix - - n - - smtp -o smtp_rcpt_timeout=1s\n"})
	if err != nil {
		t.Fatal(err)
	}
	if err := Until("Postfix to run", func() (bool, error) { return strings.Contains(p.Log(), "daemon started"), nil }); err != nil {
		t.Fatal(err)
	}
	tellsFates(t, &mailer{
		submit: func(to string) error {
			return p.Submit("user1@lab.test", []string{to}, []byte("Subject: hello\n\nhello\n"))
		},
		flush: func(giveUp bool) error {
			if !giveUp {
				return p.Flush()
			}
			if err := p.settle(); err != nil {
				return err
			}
			for _, args := range [][]string{{"postconf", "-c", p.Dir + "/etc", "-e", "maximal_queue_lifetime=1s"}, {"postfix", "-c", p.Dir + "/etc", "reload"}} {
				if out, err := exec.Command(args[0], args[1:]...).CombinedOutput(); err != nil {
					return fmt.Errorf("%s: %w: %s", args[0], err, out)
				}
			}
			// The queue manager that is told may be the one from before the reload.
			return Until("Postfix to give up", func() (bool, error) {
				err := p.Flush()
				n, unread := p.QueueLength()
				return n == 0, errors.Join(err, unread)
			})
		},
		log: p.Log, file: p.Dir + "/maillog",
	}, remote)
}

func TestLogOfExim(t *testing.T) {
	t.Parallel()
	l, remote, server, silent := newMoody(t)
	x, err := l.NewExim("exim", EximConfig{Routes: map[string]string{
		"remote.test": server.Addr, "silent.test": silent.Addr, "dead.test": nobodyThere(server)},
		Hasty: "silent.test"})
	if err != nil {
		t.Fatal(err)
	}
	tellsFates(t, &mailer{
		submit: func(to string) error { return x.Submit("user1@lab.test", to, []byte("Subject: hello\n\nhello\n")) },
		flush:  x.Flush,
		log: func() string {
			b, err := os.ReadFile(x.LogFile())
			if err != nil {
				return err.Error()
			}
			return string(b)
		},
		file: x.LogFile(),
	}, remote)
}

func TestLogOfSendmail(t *testing.T) {
	t.Parallel()
	l, remote, server, _ := newMoody(t)
	s, err := l.StartSendmail("sendmail", SendmailConfig{Remote: server.Addr,
		MC: "define(`confTO_RCPT', `5s')dnl\ndefine(`confSEPARATE_PROC', `True')dnl\n",
		Rules: "LOCAL_RULE_0\nR$* < @ dead.test . > $*\t$#relay $@ [127.0.0.2] $: $1 < @ dead.test . > $2\n" +
			"R$* < @ dead.test > $*\t$#relay $@ [127.0.0.2] $: $1 < @ dead.test > $2\n"})
	if err != nil {
		t.Fatal(err)
	}
	tellsFates(t, &mailer{
		submit: func(to string) error {
			c, err := DialSMTP(s.Addr)
			if err != nil {
				return err
			}
			defer c.Quit()
			_, err = c.Send(Mail{From: "sender@remote.test", To: []string{to}, Data: []byte("Subject: hello\n\nhello\n")})
			return err
		},
		flush: func(giveUp bool) error {
			if giveUp {
				return s.RunQueue("Timeout.queuereturn=1s")
			}
			return s.RunQueue()
		},
		log: s.Log, file: s.Dir + "/maillog",
	}, remote)
}
