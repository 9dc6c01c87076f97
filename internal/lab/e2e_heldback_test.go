//go:build e2e

package lab

import (
	"fmt"
	"strings"
	"testing"
	"time"
)

// Postfix holds back what gets no answer: commands on a unix socket, macros on
// any. It sends them when its buffer of 4 KiB is full, in the middle of one, or
// when the message's content comes. A client that takes its time between must
// neither cost its message the tag nor keep forged headers.

// patientDrain lets a daemon that is told to end wait for a message as long as a test does.
const patientDrain = "drain_timeout = \"1m\"\n"

// bothSockets is a Postfix with a daemon of its own, by either kind of socket.
func bothSockets(t *testing.T, tables string) (*Postfix, *Daemon) {
	t.Helper()
	l := newLab(t)
	sockets, err := l.SocketDir("pf")
	if err != nil {
		t.Fatal(err)
	}
	ports, err := FreePorts(1)
	if err != nil {
		t.Fatal(err)
	}
	tcp := "inet:" + Loopback(ports[0])
	d, err := l.StartDaemon("daemon", DaemonConfig{Bin: bin, Listen: []string{"unix:" + sockets + "/m.sock", tcp},
		Top: "socket_group = \"postfix\"\n" + patientDrain, Tables: tables})
	if err != nil {
		t.Fatal(err)
	}
	pf, err := l.StartPostfix("pf", PostfixConfig{Services: []Service{
		{Name: "unix", Milters: "unix:milter/m.sock"}, {Name: "tcp", Milters: tcp}}})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { noRaces(t, d) })
	showOnFailure(t, "postfix", pf.Log)
	showOnFailure(t, "bounce-milter", d.Log)
	return pf, d
}

// say says lines to a server, each answered with 250.
func say(t *testing.T, c *SMTP, lines ...string) {
	t.Helper()
	for _, line := range lines {
		if _, err := c.Expect(250, "%s", line); err != nil {
			t.Fatal(err)
		}
	}
}

// finish sends the content of a message that is begun.
func finish(t *testing.T, c *SMTP, data []byte) {
	t.Helper()
	if _, err := c.Expect(354, "DATA"); err != nil {
		t.Fatal(err)
	}
	if _, err := c.Write(dotted(data)); err != nil {
		t.Fatal(err)
	}
	if r, err := c.Read(); err != nil || r.Code != 250 {
		t.Fatalf("the message was answered %q, %v", r.Text, err)
	}
}

func TestCommandsHeldBack(t *testing.T) {
	const frameTimeout = 3 * time.Second
	pf, d := bothSockets(t, fmt.Sprintf("[limits]\nframe_timeout = %q\n", frameTimeout))
	long := strings.Repeat(strings.Repeat("a", 60)+".", 4) + "example"
	before := scrape(t, d)
	type message struct {
		name string
		c    *SMTP
		to   string
		box  Maildir
	}
	var begun []message
	for _, service := range []string{"unix", "tcp"} {
		for _, tt := range []struct {
			name string
			fill func(c *SMTP, to string)
		}{
			{"MAIL", func(c *SMTP, to string) {
				for i := range 60 {
					say(t, c, fmt.Sprintf("MAIL FROM:<probe%d@remote.test>", i), "RSET")
				}
				say(t, c, "MAIL FROM:<>", "RCPT TO:<"+to+">")
			}},
			{"EHLO", func(c *SMTP, to string) {
				for range 20 {
					say(t, c, "EHLO "+long)
				}
				say(t, c, "MAIL FROM:<>", "RCPT TO:<"+to+">")
			}},
			{"RCPT", func(c *SMTP, to string) {
				say(t, c, "MAIL FROM:<>")
				for range 60 {
					say(t, c, "RCPT TO:<"+to+">")
				}
			}},
		} {
			m := message{name: service + "/" + tt.name}
			m.to, m.box = pf.Mailbox()
			var err error
			if m.c, err = DialSMTP(pf.Addr(service)); err != nil {
				t.Fatal(err)
			}
			defer m.c.Close()
			tt.fill(m.c, m.to)
			begun = append(begun, m)
		}
	}
	<-time.After(2 * frameTimeout) // that time passes is what is tested
	for _, m := range begun {
		t.Run(m.name, func(t *testing.T) {
			finish(t, m.c, Bounce("held", m.to, []string{"X-Bounce-Category: dmarc"}, unknownUser))
			tagged(t, delivered(t, m.box, 1)[0], "invalid-address", "hard", "unknown-recipient", "failed")
		})
	}
	counted(t, d, before, count(0, "errors_total"), count(float64(len(begun)), "forged_headers_total"))
}

// A message that the client has begun and Postfix has not told of is in progress
// too when the daemon is told to end.
func TestDrainWithCommandsHeldBack(t *testing.T) {
	for _, service := range []string{"unix", "tcp"} {
		t.Run(service, func(t *testing.T) {
			pf, d := bothSockets(t, "")
			to, box := pf.Mailbox()
			var begun []*SMTP
			for range 2 {
				c, err := DialSMTP(pf.Addr(service))
				if err != nil {
					t.Fatal(err)
				}
				defer c.Close()
				begun = append(begun, c)
			}
			say(t, begun[0], "MAIL FROM:<>")
			say(t, begun[1], "MAIL FROM:<>", "RCPT TO:<"+to+">")
			stopping(t, d)
			say(t, begun[0], "RCPT TO:<"+to+">")
			for i, c := range begun {
				finish(t, c, Bounce(fmt.Sprint("late", i), to, nil, unknownUser))
			}
			for _, m := range delivered(t, box, 2) {
				tagged(t, m, "invalid-address", "hard", "unknown-recipient", "failed")
			}
			if code, err := d.Wait(Patience); err != nil || code != 0 {
				t.Errorf("the daemon ended with %d, %v; want 0", code, err)
			}
		})
	}
}
