//go:build e2e

package lab

import (
	"fmt"
	"os"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
)

// pair is a Postfix with a daemon of its own behind a tap, for tests that harm
// the daemon.
type pair struct {
	lab     *Lab
	postfix *Postfix
	daemon  *Daemon
	tap     *Tap
	port    int
}

func newPair(t *testing.T) *pair {
	t.Helper()
	l := newLab(t)
	p := &pair{lab: l}
	ports, err := FreePorts(2)
	if err != nil {
		t.Fatal(err)
	}
	p.port = ports[0]
	p.daemon, err = l.StartDaemon("daemon", DaemonConfig{Bin: bin, Listen: []string{"inet:" + Loopback(ports[0])}, Top: patientDrain})
	if err != nil {
		t.Fatal(err)
	}
	if p.tap, err = l.StartTap(Loopback(ports[0])); err != nil {
		t.Fatal(err)
	}
	p.postfix, err = l.StartPostfix("pf", PostfixConfig{
		Services: []Service{
			{Name: "tap", Milters: p.tap.Spec()},
			{Name: "direct", Milters: "inet:" + Loopback(ports[0])},
			{Name: "second", Milters: "inet:" + Loopback(ports[1])},
		},
		OwnBounces: p.tap.Spec(),
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { noRaces(t, p.daemon) })
	showOnFailure(t, "postfix", p.postfix.Log)
	showOnFailure(t, "bounce-milter", p.daemon.Log)
	return p
}

// With the daemon killed at any point of a message the message is delivered,
// once and whole, and the next daemon serves: issue 2, check (f).
func TestKilledInTheMiddleOfAMessage(t *testing.T) {
	p := newPair(t)
	for _, c := range []struct {
		name string
		cmd  byte
		nth  int
	}{
		{"connect", 'C', 1}, {"mail", CmdMail, 1}, {"recipient", CmdRcpt, 1}, {"first header", CmdHeader, 1},
		{"seventh header", CmdHeader, 7}, {"end of header", CmdEOH, 1}, {"body", CmdBody, 1}, {"third body chunk", CmdBody, 3},
		{"end of message", CmdEOM, 1},
	} {
		t.Run(c.name, func(t *testing.T) {
			var left, killed atomic.Int32
			left.Store(int32(c.nth))
			p.tap.OnCommand(func(cmd byte) {
				if cmd == c.cmd && left.Add(-1) == 0 {
					killed.Store(1)
					p.daemon.Kill()
				}
			})
			to, box := p.postfix.Mailbox()
			// Large enough for several chunks, the report well before its end.
			data := Bounce("kill", to, []string{"X-Bounce-Category: forged"}, unknownUser)
			data = []byte(strings.Replace(string(data), "\nHello.\n", "\n"+strings.Repeat(strings.Repeat("y", 76)+"\n", 4000), 1))
			send(t, p.postfix.Addr("tap"), Mail{To: []string{to}, Data: data})
			m := delivered(t, box, 1)[0]
			if _, body, _ := strings.Cut(string(m.Raw), "\n\n"); !strings.HasSuffix(string(data), "\n\n"+body) {
				t.Errorf("the body is not what was sent")
			}
			if killed.Load() == 0 {
				// The daemon may have asked for no recipients and no more body;
				// then there was no such moment, and the message is tagged.
				tagged(t, m, "invalid-address", "hard", "unknown-recipient", "failed")
			}
			p.tap.OnCommand(nil)
			if killed.Load() == 0 {
				return
			}
			if _, err := p.daemon.Wait(Patience); err != nil {
				t.Fatal(err)
			}
			send(t, p.postfix.Addr("tap"), Mail{To: []string{to}, Data: Bounce("down", to, nil, unknownUser)})
			delivered(t, box, 2) // nobody there: delivered all the same
			if err := p.daemon.Restart(); err != nil {
				t.Fatal(err)
			}
			send(t, p.postfix.Addr("tap"), Mail{To: []string{to}, Data: Bounce("back", to, nil, unknownUser)})
			for _, m := range delivered(t, box, 3) {
				if m.Get("Message-Id") == "<back@mx.remote.test>" {
					tagged(t, m, "invalid-address", "hard", "unknown-recipient", "failed")
				}
			}
		})
	}
}

// Ordinary mail's body never crosses the wire, and with forged_headers = "keep"
// and look_at = "envelope" nothing after MAIL does.
func TestOrdinaryMailIsCheap(t *testing.T) {
	p := newPair(t)
	to, box := p.postfix.Mailbox()
	mail := Mail{From: "ann@remote.test", To: []string{to}, Data: Ordinary("cheap", to, nil, 300_000)}
	send(t, p.postfix.Addr("tap"), mail)
	delivered(t, box, 1)
	if seen, octets := p.tap.Seen(); seen[CmdBody] != 0 || octets > 4096 {
		t.Errorf("%d octets crossed the wire: %v", octets, seen)
	}
	cfg := p.daemon.cfg
	cfg.Top = "forged_headers = \"keep\"\nlook_at = \"envelope\""
	if err := p.daemon.Configure(cfg); err != nil {
		t.Fatal(err)
	}
	if taken, err := p.daemon.Reload(); err != nil || !taken {
		t.Fatalf("the reload was not taken: %v", err)
	}
	p.tap.Reset()
	send(t, p.postfix.Addr("tap"), mail)
	delivered(t, box, 2)
	if seen, _ := p.tap.Seen(); seen[CmdMail] != 1 || seen[CmdRcpt]+seen[CmdHeader]+seen[CmdEOH]+seen[CmdBody]+seen[CmdEOM] != 0 {
		t.Errorf("commands after MAIL: %v", seen)
	}
}

// halfway opens a session and sends a bounce up to the middle of its body. The
// returned function sends the rest.
func halfway(t *testing.T, addr, to, id string) (finish func()) {
	t.Helper()
	c, err := DialSMTP(addr)
	if err != nil {
		t.Fatal(err)
	}
	if err := c.Begin(Mail{To: []string{to}}); err != nil {
		t.Fatal(err)
	}
	data := dotted(Bounce(id, to, nil, unknownUser))
	if _, err := c.Write(data[:len(data)/2]); err != nil {
		t.Fatal(err)
	}
	return func() {
		t.Helper()
		defer c.Close()
		if _, err := c.Write(data[len(data)/2:]); err != nil {
			t.Fatal(err)
		}
		if r, err := c.Read(); err != nil || r.Code != 250 {
			t.Fatalf("the message was answered %q, %v", r.Text, err)
		}
		if err := c.Quit(); err != nil {
			t.Fatal(err)
		}
	}
}

// SIGHUP takes a new configuration without dropping a session or a message,
// changed sockets too; a bad file keeps the old one and says so.
func TestReloadWithMessagesInFlight(t *testing.T) {
	p := newPair(t)
	to, box := p.postfix.Mailbox()
	finish := halfway(t, p.postfix.Addr("direct"), to, "flying")

	cfg := p.daemon.cfg
	cfg.Top = `header_prefix = "X-Fate-"`
	second := p.second(t)
	cfg.Listen = append(cfg.Listen, second)
	if err := p.daemon.Configure(cfg); err != nil {
		t.Fatal(err)
	}
	if taken, err := p.daemon.Reload(); err != nil || !taken {
		t.Fatalf("the reload was not taken: %v", err)
	}
	send(t, p.postfix.Addr("second"), Mail{To: []string{to}, Data: Bounce("new", to, nil, unknownUser)})
	if m := delivered(t, box, 1)[0]; m.Get("X-Fate-Category") != "invalid-address" || m.Get("X-Bounce-Category") != "" {
		t.Errorf("after the reload a message on the new socket has\n%s", head(m))
	}
	finish()
	for _, m := range delivered(t, box, 2) {
		if m.Get("X-Bounce-Category")+m.Get("X-Fate-Category") != "invalid-address" {
			t.Errorf("the message in flight arrived as\n%s", head(m))
		}
	}

	// A bad file: the old configuration goes on, and the metric says so.
	bad := cfg
	bad.Top = `header_prefixx = "X-Typo-"`
	if err := p.daemon.Configure(bad); err != nil {
		t.Fatal(err)
	}
	if taken, err := p.daemon.Reload(); err != nil || taken {
		t.Fatalf("a bad configuration was taken: %v", err)
	}
	send(t, p.postfix.Addr("direct"), Mail{To: []string{to}, Data: Bounce("old", to, nil, unknownUser)})
	m := delivered(t, box, 3)
	if got := m[2].Get("X-Fate-Category"); got != "invalid-address" {
		t.Errorf("after a refused reload a bounce has\n%s", head(m[2]))
	}

	// The second socket goes again; what listened there stops.
	cfg.Listen = cfg.Listen[:1]
	if err := p.daemon.Configure(cfg); err != nil {
		t.Fatal(err)
	}
	if taken, err := p.daemon.Reload(); err != nil || !taken {
		t.Fatalf("the reload was not taken: %v", err)
	}
	if err := Until("the old socket to close", func() (bool, error) { return !listening(second), nil }); err != nil {
		t.Error(err)
	}
	if m := scrape(t, p.daemon); m.Sum("config_last_reload_successful") != 1 {
		t.Error("the metric still says that the reload failed")
	}
}

// second is the address that the service "second" of the pair expects a daemon at.
func (p *pair) second(t *testing.T) string {
	t.Helper()
	b, err := os.ReadFile(p.postfix.Dir + "/etc/master.cf")
	if err != nil {
		t.Fatal(err)
	}
	for line := range strings.SplitSeq(string(b), "\n") {
		_, spec, ok := strings.Cut(line, "smtpd_milters = ")
		if spec = strings.Trim(spec, " }"); ok && spec != p.tap.Spec() && spec != "inet:"+Loopback(p.port) {
			return spec
		}
	}
	t.Fatal("no second service")
	return ""
}

// listening reports whether a TCP port in one of the lab's spellings listens.
func listening(spec string) bool {
	_, addr := split(spec)
	_, port, _ := strings.Cut(addr, ":")
	var n int
	fmt.Sscan(port, &n)
	b, err := os.ReadFile("/proc/net/tcp")
	// Local address and port in hexadecimal, then the remote's, then state 0A.
	return err == nil && strings.Contains(string(b), fmt.Sprintf("0100007F:%04X 00000000:0000 0A", n))
}

// stopping tells a daemon to end and waits until it knows.
func stopping(t *testing.T, d *Daemon) {
	t.Helper()
	if err := d.Signal(syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	if err := Until("the daemon to drain", func() (bool, error) {
		return strings.Contains(d.Log(), "msg=stopping"), nil
	}); err != nil {
		t.Fatal(err)
	}
}

// SIGTERM lets a message that is under way finish, tagged; then the daemon ends
// with 0. Mail that comes meanwhile is served like any other: whoever is slow
// with a message opens no gap for what is forged.
func TestDrainWithMessagesInFlight(t *testing.T) {
	p := newPair(t)
	to, box := p.postfix.Mailbox()
	var finish []func()
	for i := range 3 {
		finish = append(finish, halfway(t, p.postfix.Addr("direct"), to, fmt.Sprint("drain", i)))
	}
	stopping(t, p.daemon)
	late, lateBox := p.postfix.Mailbox()
	send(t, p.postfix.Addr("direct"),
		Mail{To: []string{late}, Data: Bounce("late", late, []string{"X-Bounce-Type: block"}, unknownUser)},
		Mail{From: "ann@remote.test", To: []string{late}, Data: Ordinary("late-too", late, []string{"X-Bounce-Type: hard"}, 100)})
	for _, m := range delivered(t, lateBox, 2) {
		if m.Get("Message-Id") == "<late@mx.remote.test>" {
			tagged(t, m, "invalid-address", "hard", "unknown-recipient", "failed")
		} else if tags := m.Tags("X-Bounce-"); len(tags) > 0 {
			t.Errorf("forged fields are left: %v", tags)
		}
	}
	for _, f := range finish {
		f()
	}
	for _, m := range delivered(t, box, 3) {
		tagged(t, m, "invalid-address", "hard", "unknown-recipient", "failed")
	}
	if code, err := p.daemon.Wait(Patience); err != nil || code != 0 {
		t.Errorf("the daemon ended with %d, %v; want 0", code, err)
	}
}

// A second signal ends the daemon at once, whatever is under way; the mail is
// delivered.
func TestSecondSignal(t *testing.T) {
	p := newPair(t)
	to, box := p.postfix.Mailbox()
	reconfigure(t, p.daemon, "drain_timeout = \"10m\"\n")
	finish := halfway(t, p.postfix.Addr("direct"), to, "second")
	stopping(t, p.daemon)
	if p.daemon.Exited() {
		t.Fatal("the daemon did not wait for its message")
	}
	if err := p.daemon.Signal(syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	if _, err := p.daemon.Wait(Patience); err != nil {
		t.Fatal(err)
	}
	finish()
	delivered(t, box, 1)
}

// A socket whose file was removed is back by itself, and Postfix finds it.
func TestSocketFileRemoved(t *testing.T) {
	pf, d := bothSockets(t, "")
	path := strings.TrimPrefix(d.cfg.Listen[0], "unix:")
	if err := os.Remove(path); err != nil {
		t.Fatal(err)
	}
	if err := Until("the socket to be back", func() (bool, error) {
		_, err := os.Lstat(path)
		return err == nil, nil
	}); err != nil {
		t.Fatal(err)
	}
	to, box := pf.Mailbox()
	send(t, pf.Addr("unix"), Mail{To: []string{to}, Data: Bounce("back", to, nil, unknownUser)})
	tagged(t, delivered(t, box, 1)[0], "invalid-address", "hard", "unknown-recipient", "failed")
}
