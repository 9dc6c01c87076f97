//go:build e2e

package lab

import (
	"bytes"
	"fmt"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"
)

// sendmails are two Sendmails before one remote server, one with the daemon as
// its milter and one without.
type sendmails struct {
	lab          *Lab
	with, plain  *Sendmail
	remote       *Remote
	daemon       *Daemon
	mu           sync.Mutex
	recipientNum int
}

// newSendmails starts them with a milter socket of this kind: "tcp" or "unix".
func newSendmails(t *testing.T, network string) *sendmails {
	t.Helper()
	l := newLab(t)
	remote, err := l.StartRemote(refuse)
	if err != nil {
		t.Fatal(err)
	}
	s := &sendmails{lab: l, remote: remote}
	ports, err := FreePorts(1)
	if err != nil {
		t.Fatal(err)
	}
	listen := fmt.Sprintf("inet:%d@127.0.0.1", ports[0])
	if network == "unix" {
		dir, err := l.mkdir(0o750, 0, 0, "sockets")
		if err != nil {
			t.Fatal(err)
		}
		listen = "unix:" + dir + "/m.sock"
	}
	if s.daemon, err = l.StartDaemon("daemon", DaemonConfig{Bin: bin, Listen: []string{listen}, Top: patientDrain}); err != nil {
		t.Fatal(err)
	}
	if s.with, err = l.StartSendmail("with", SendmailConfig{Milter: listen, Remote: s.remote.Addr}); err != nil {
		t.Fatal(err)
	}
	if s.plain, err = l.StartSendmail("plain", SendmailConfig{Remote: s.remote.Addr}); err != nil {
		t.Fatal(err)
	}
	fmt.Printf("=== Sendmail %s, over %s\n", s.with.Version, network)
	t.Cleanup(func() { noRaces(t, s.daemon) })
	showOnFailure(t, "sendmail", s.with.Log)
	showOnFailure(t, "bounce-milter", s.daemon.Log)
	return s
}

// recipient is an address at the remote server that was not used before.
func (s *sendmails) recipient() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.recipientNum++
	return fmt.Sprintf("user%d@remote.test", s.recipientNum)
}

// arrived waits for n messages to an address.
func (s *sendmails) arrived(t *testing.T, to string, n int) []Received {
	t.Helper()
	got, err := s.remote.Wait(to, n)
	if err != nil {
		t.Fatal(err)
	}
	if len(got) != n {
		t.Fatalf("%d messages arrived, want %d", len(got), n)
	}
	return got
}

func TestSendmail(t *testing.T) {
	for _, network := range []string{"tcp", "unix"} {
		t.Run(network, func(t *testing.T) { testSendmail(t, newSendmails(t, network)) })
	}
}

func testSendmail(t *testing.T, s *sendmails) {

	// Sendmail sends no Abort between messages: what one left would show in
	// the next.
	t.Run("several messages on one connection", func(t *testing.T) {
		before := scrape(t, s.daemon)
		to := s.recipient()
		forged := []string{"X-Bounce-Category: dmarc", "X-Other: one", "X-Bounce-Category: blocked", "x-bounce-category: mailbox", "X-Other: two"}
		send(t, s.with.Addr,
			Mail{To: []string{to}, Data: Bounce("s1", to, nil, overQuota, unknownUser)},
			Mail{From: "ann@remote.test", To: []string{to}, Data: Ordinary("s2", to, nil, 1000)},
			Mail{To: []string{to}, Data: Bounce("s3", to, forged, overQuota)},
			Mail{From: "ann@remote.test", To: []string{to}, Data: Ordinary("s4", to, forged, 1000)},
			Mail{To: []string{to}, Data: Bounce("s5", to, nil, greylisted)},
		)
		got := s.arrived(t, to, 5)
		if n := len(tagged(t, got[0].Message, "invalid-address", "hard", "unknown-recipient", "failed")); n != 2 {
			t.Errorf("the first message has %d results, want 2", n)
		}
		if n := len(tagged(t, got[2].Message, "mailbox-full", "soft", "mailbox-full", "failed")); n != 1 {
			t.Errorf("the third message has %d results, want 1", n)
		}
		tagged(t, got[4].Message, "recipient-error", "soft", "greylisted", "delayed")
		for _, i := range []int{1, 3} {
			if tags := got[i].Tags("X-Bounce-"); len(tags) > 0 {
				t.Errorf("ordinary mail has %v", tags)
			}
		}
		for _, i := range []int{2, 3} {
			if v := strings.Join(got[i].Values("X-Other"), " "); v != "one two" {
				t.Errorf("other fields: %q", v)
			}
		}
		counted(t, s.daemon, before,
			count(3, "messages_total", `kind="dsn"`),
			count(2, "messages_total", `kind="none"`),
			count(4, "bounces_total"),
			count(6, "forged_headers_total"),
			count(0, "errors_total"))
	})

	t.Run("recipients of the envelope", func(t *testing.T) {
		without := s.daemon.cfg
		with := without
		with.Tables = "[verp]\npatterns = [\"verp+{local}={domain}@remote.test\"]\n"
		for _, cfg := range []DaemonConfig{with, without} {
			if err := s.daemon.Configure(cfg); err != nil {
				t.Fatal(err)
			}
			if ok, err := s.daemon.Reload(); err != nil || !ok {
				t.Fatalf("reload: %t, %v", ok, err)
			}
			to := fmt.Sprintf("verp+ann%d=example.com@remote.test", len(cfg.Tables))
			send(t, s.with.Addr,
				Mail{To: []string{s.recipient(), to}, Data: Bounce("r1", to, nil, unknownUser)},
				Mail{From: "ann@remote.test", To: []string{to}, Data: Ordinary("r2", to, nil, 1000)},
				Mail{To: []string{to}, Data: Bounce("r3", to, nil, overQuota)},
			)
			want := ""
			if cfg.Tables != "" {
				want = strings.TrimPrefix(strings.Replace(to, "=", "@", 1), "verp+")
				want = strings.TrimSuffix(want, "@remote.test")
			}
			for i, m := range s.arrived(t, to, 3) {
				if i == 1 {
					continue
				}
				for _, f := range m.Fields() {
					if got := f.Params()["verp"]; f.Name == "X-Bounce-Result" && got != want {
						t.Errorf("message %d has verp=%q, want %q", i, got, want)
					}
				}
			}
		}
	})

	t.Run("ordinary mail is untouched", func(t *testing.T) {
		for name, text := range oddities {
			if name == "bare CR" {
				continue // Sendmail itself refuses it
			}
			t.Run(name, func(t *testing.T) {
				to := s.recipient()
				mail := Mail{From: "ann@remote.test", To: []string{to}, Args: "BODY=8BITMIME", Data: []byte("Message-Id: <odd@remote.test>\nDate: Mon, 2 Nov 2026 10:00:00 +0000\nFrom: ann@remote.test\n" + strings.TrimPrefix(text, "\n"))}
				send(t, s.plain.Addr, mail)
				without := s.arrived(t, to, 1)[0]
				send(t, s.with.Addr, mail)
				with := s.arrived(t, to, 2)[1]
				want := sendmailVariable(without.Raw)
				if got := sendmailVariable(with.Raw); !bytes.Equal(got, want) {
					t.Errorf("with the milter:\n%q\nwithout:\n%q", got, want)
				}
			})
		}
	})

	t.Run("fifty recipients", func(t *testing.T) {
		var to []string
		for range 50 {
			to = append(to, s.recipient())
		}
		send(t, s.with.Addr, Mail{To: to, Data: Bounce("many", to[0], nil, unknownUser)})
		for _, addr := range to {
			m := s.arrived(t, addr, 1)[0]
			tagged(t, m.Message, "invalid-address", "hard", "unknown-recipient", "failed")
		}
	})

	t.Run("20 MB", func(t *testing.T) {
		to := s.recipient()
		bounce := Bounce("big", to, nil, unknownUser)
		bounce = bytes.Replace(bounce, []byte("\nHello.\n"), append([]byte("\n"), bytes.Repeat([]byte(strings.Repeat("y", 76)+"\n"), 20<<20/77)...), 1)
		send(t, s.with.Addr, Mail{To: []string{to}, Data: bounce})
		m := s.arrived(t, to, 1)[0].Message
		tagged(t, m, "invalid-address", "hard", "unknown-recipient", "failed")
		_, want, _ := bytes.Cut(bounce, []byte("\n\n"))
		if _, got, _ := bytes.Cut(m.Raw, []byte("\n\n")); !bytes.Equal(got, want) {
			t.Errorf("the body arrived with %d octets, sent with %d", len(got), len(want))
		}
	})

	t.Run("no stalls", s.noStalls)

	t.Run("reload and drain", func(t *testing.T) {
		to := s.recipient()
		finish := halfway(t, s.with.Addr, to, "flying")
		if taken, err := s.daemon.Reload(); err != nil || !taken {
			t.Fatalf("the reload was not taken: %v", err)
		}
		if err := s.daemon.Signal(syscall.SIGTERM); err != nil {
			t.Fatal(err)
		}
		finish()
		tagged(t, s.arrived(t, to, 1)[0].Message, "invalid-address", "hard", "unknown-recipient", "failed")
		if code, err := s.daemon.Wait(Patience); err != nil || code != 0 {
			t.Errorf("the daemon ended with %d, %v; want 0", code, err)
		}
		send(t, s.with.Addr, Mail{To: []string{to}, Data: Bounce("down", to, nil, unknownUser)})
		s.arrived(t, to, 2) // nobody there: it passes
	})
}

// noStalls compares both Sendmails. Without quick acknowledgement Sendmail over TCP waits
// 40 ms and more at every message. A busy machine may too, but not always: it is the quicker
// messages that are compared.
func (s *sendmails) noStalls(t *testing.T) {
	const messages, stall = 20, 40 * time.Millisecond
	took := func(addr string) time.Duration {
		to := s.recipient()
		c, err := DialSMTP(addr)
		if err != nil {
			t.Fatal(err)
		}
		defer c.Close()
		var each []time.Duration
		for i := range messages {
			began := time.Now()
			if _, err := c.Send(Mail{To: []string{to}, Data: Bounce(fmt.Sprint("stall", i), to, nil, unknownUser)}); err != nil {
				t.Fatal(err)
			}
			each = append(each, time.Since(began))
		}
		if err := c.Quit(); err != nil {
			t.Fatal(err)
		}
		slices.Sort(each)
		return each[messages/4]
	}
	var added time.Duration
	for range 20 {
		if added = took(s.with.Addr) - took(s.plain.Addr); added < stall {
			t.Logf("the daemon adds %v to each message", added)
			return
		}
	}
	t.Errorf("the daemon adds %v to each message", added)
}

// sendmailVariable takes out what differs between two deliveries: queue id and
// dates of Received and the name of the program's process.
func sendmailVariable(raw []byte) []byte { return variable.ReplaceAll(raw, nil) }
