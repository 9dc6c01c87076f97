//go:build e2e

package install

import (
	"fmt"
	"strings"
	"testing"

	"github.com/bounce-milter/bounce-milter/internal/lab"
)

// The units as systemd 252 takes them: it finds nothing wrong with them, they expose little,
// and the daemon does all its work within what they forbid.
func TestUnits(t *testing.T) {
	t.Parallel()
	m := boot(t, fresh(t, ""))
	m.run("dpkg", "-i", m.put(built(t, "*_amd64.deb")))
	units := strings.Fields(m.run("sh", "-c", "ls -d /usr/lib/systemd/system/bounce-milter*"))
	if out := m.run(append([]string{"systemd-analyze", "verify", "--man=no"}, units...)...); out != "" {
		t.Errorf("systemd-analyze verify:\n%s", out)
	}
	for _, unit := range units {
		if strings.HasSuffix(unit, ".service") {
			// The threshold is ten times the exposure.
			if out, err := m.try("systemd-analyze", "security", "--offline=true", "--no-pager", "--threshold=15", unit); err != nil {
				t.Errorf("%s is exposed: %v\n%s", unit, err, out)
			}
		}
	}

	// Sockets, records and their files, all where the units let them be.
	edit(t, m.root+"/etc/bounce-milter/config.toml", `listen = \["inet:8894@127\.0\.0\.1"\]`,
		`listen = ["inet:8894@127.0.0.1", "unix:/run/bounce-milter/milter.sock"]`)
	edit(t, m.root+"/etc/bounce-milter/config.toml", `spool = ""`, `spool = "/var/lib/bounce-milter/spool"`)
	edit(t, m.root+"/etc/bounce-milter/config.toml", `(?s)$`,
		"\n[[events.sink]]\nname = \"archive\"\ntype = \"file\"\npath = \"/var/log/bounce-milter/events.jsonl\"\n")
	m.run("systemctl", "reload", "bounce-milter")
	m.run("sh", "-c", "journalctl -q -u bounce-milter -f -n all | grep -q -m 1 msg=reloaded") // not over when systemctl is
	m.judges("127.0.0.1:8894")
	if out := m.run("bounce-milter", "health"); out != "ready\n" {
		t.Errorf("after a reload the daemon says %q", out)
	}
	if err := lab.Until("the record of a bounce", func() (bool, error) {
		return strings.Contains(m.read("/var/log/bounce-milter/events.jsonl"), `"gone@example.com"`), nil
	}); err != nil {
		t.Errorf("%v\n%s", err, m.run("journalctl", "-q", "-u", "bounce-milter", "-n", "20"))
	}
	if out := m.run("stat", "-c", "%U %a", "/run/bounce-milter/milter.sock"); out != "bounce-milter 660\n" {
		t.Errorf("the socket has owner and mode %s", out)
	}

	m.followsTheJournal()

	// What the unit says is in force.
	pid := m.property("MainPID")
	status := m.run("cat", "/proc/"+pid+"/status")
	for _, want := range []string{"CapPrm:\t0000000000000000", "CapBnd:\t0000000000000000", "NoNewPrivs:\t1", "Seccomp:\t2"} {
		if !strings.Contains(status, "\n"+want+"\n") {
			t.Errorf("the daemon's status lacks %q:\n%s", want, status)
		}
	}
	for _, path := range []string{"/usr/bin/x", "/etc/bounce-milter/x", "/var/spool/x", "/home/x", "/root/x"} {
		if out, err := m.try("nsenter", "-t", pid, "-m", "touch", path); err == nil || !strings.Contains(out, "Read-only") && !strings.Contains(out, "Permission") && !strings.Contains(out, "No such") {
			t.Errorf("the daemon sees a %s that can be written: %v %s", path, err, out)
		}
	}

	// A reload with a mistake says so, and nothing changes.
	good := m.read("/etc/bounce-milter/config.toml")
	edit(t, m.root+"/etc/bounce-milter/config.toml", `mode = "tag"`, `mode = "tagged"`)
	if out, err := m.try("systemctl", "reload", "bounce-milter"); err == nil {
		t.Errorf("a reload with a mistake succeeds: %s", out)
	}
	m.judges("127.0.0.1:8894")
	m.write("/etc/bounce-milter/config.toml", good)

	// Socket activation: the sockets stay while the daemon restarts.
	edit(t, m.root+"/etc/bounce-milter/config.toml", `(?m)^listen = \["inet.*`, `listen = ["systemd"]`)
	edit(t, m.root+"/etc/bounce-milter/config.toml", `listen = "127\.0\.0\.1:9894"`, `listen = "systemd"`)
	m.run("systemctl", "stop", "bounce-milter")
	m.run("systemctl", "start", "bounce-milter.socket", "bounce-milter-metrics.socket")
	m.judges("127.0.0.1:8894")
	// It may serve before systemd has taken note.
	state := ""
	if err := lab.Until("the daemon to be active", func() (bool, error) {
		state = m.property("ActiveState")
		return state == "active", nil
	}); err != nil {
		t.Errorf("after a connection: %v: it is %s", err, state)
	}

	// The watchdog ends a daemon that hangs.
	m.write("/etc/systemd/system/bounce-milter.service.d/watchdog.conf", "[Service]\nWatchdogSec=6s\nTimeoutAbortSec=1s\n")
	m.run("systemctl", "daemon-reload")
	m.run("systemctl", "restart", "bounce-milter")
	pid = m.property("MainPID")
	m.run("kill", "-STOP", pid)
	if err := lab.Until("the watchdog", func() (bool, error) {
		now := m.property("MainPID")
		return now != pid && now != "0" && m.property("ActiveState") == "active", nil
	}); err != nil {
		t.Errorf("%v\n%s", err, m.run("systemctl", "status", "--no-pager", "bounce-milter"))
	}
	m.judges("127.0.0.1:8894")
}

// judges fails the test if the daemon does not tag a bounce.
func (m *machine) judges(address string) {
	m.t.Helper()
	err := inside(m.leader, func() error {
		added, err := judged(address)
		if err == nil && !strings.Contains(added, "X-Bounce-Type: hard") {
			err = fmt.Errorf("a bounce got the headers %q", added)
		}
		return err
	})
	if err != nil {
		m.t.Fatalf("%v\n%s", err, m.run("journalctl", "-q", "-u", "bounce-milter", "-n", "20"))
	}
}
