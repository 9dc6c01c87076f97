//go:build e2e

package lab

import (
	"fmt"
	"os"
	"strings"
	"testing"
)

// A daemon that root starts becomes the configured user once its sockets are
// open, with every thread and for good, and goes on tagging and reloading.
func TestUser(t *testing.T) {
	l, err := New()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(l.Close)
	uid, gid, err := postfixUser()
	if err != nil {
		t.Fatal(err)
	}
	ports, err := FreePorts(1)
	if err != nil {
		t.Fatal(err)
	}
	spec := "inet:" + Loopback(ports[0])
	cfg := DaemonConfig{Bin: bin, Listen: []string{spec, "unix:" + l.Path("m.sock")}, Top: "user = \"postfix\"\n"}
	d, err := l.StartDaemon("daemon", cfg)
	if err != nil {
		t.Fatal(err)
	}
	showOnFailure(t, "bounce-milter", d.Log)
	t.Cleanup(func() { noRaces(t, d) })

	tasks, err := os.ReadDir(fmt.Sprintf("/proc/%d/task", d.Pid()))
	if err != nil {
		t.Fatal(err)
	}
	for _, task := range tasks {
		status, err := os.ReadFile(fmt.Sprintf("/proc/%d/task/%s/status", d.Pid(), task.Name()))
		if err != nil {
			continue // ended meanwhile
		}
		for _, want := range []string{fmt.Sprintf("\nUid:\t%d\t%[1]d\t%[1]d\t%[1]d\n", uid), fmt.Sprintf("\nGid:\t%d\t%[1]d\t%[1]d\t%[1]d\n", gid),
			"\nCapEff:\t0000000000000000\n", "\nCapPrm:\t0000000000000000\n"} {
			if !strings.Contains(string(status), want) {
				t.Errorf("thread %s is not %q:\n%s", task.Name(), want, status)
			}
		}
	}
	if out, err := Miltertest("testdata/session.lua", fmt.Sprintf("inet:%d@127.0.0.1", ports[0]), nil); err != nil {
		t.Fatal(err, out)
	}

	// Another user, or root again, takes a restart.
	for _, top := range []string{"user = \"nobody\"\n", "user = \"root\"\n", "user = \"no-such-user\"\n"} {
		cfg.Top = top
		if err := d.Configure(cfg); err != nil {
			t.Fatal(err)
		}
		if taken, err := d.Reload(); err != nil || taken {
			t.Errorf("%s was taken by a reload: %v", strings.TrimSpace(top), err)
		}
	}
	if log := d.Log(); !strings.Contains(log, "daemon.toml:3: user: there is no user") || strings.Count(log, "daemon.toml:3: user: ") != 3 {
		t.Errorf("the log does not say what is wrong in which line:\n%s", log)
	}
}
