//go:build e2e

package lab

import (
	"fmt"
	"os"
	"strings"
	"syscall"
	"testing"
)

// A daemon that root starts becomes the configured user with every thread and for
// good; what it opens is his.
func TestUser(t *testing.T) {
	l := newLab(t)
	uid, gid, err := postfixUser()
	if err != nil {
		t.Fatal(err)
	}
	ports, err := FreePorts(1)
	if err != nil {
		t.Fatal(err)
	}
	spec := "inet:" + Loopback(ports[0])
	dir, err := l.mkdir(0o755, uid, gid, "sockets")
	if err != nil {
		t.Fatal(err)
	}
	cfg := DaemonConfig{Bin: bin, Listen: []string{spec, "unix:" + dir + "/m.sock"}, Top: "user = \"postfix\"\n"}
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
	info, err := os.Stat(dir + "/m.sock")
	if err != nil {
		t.Fatal(err)
	}
	if own := info.Sys().(*syscall.Stat_t); int(own.Uid) != uid || int(own.Gid) != gid {
		t.Errorf("the socket belongs to %d:%d, want %d:%d", own.Uid, own.Gid, uid, gid)
	}
	if out, err := Miltertest("testdata/session.lua", fmt.Sprintf("inet:%d@127.0.0.1", ports[0]), nil); err != nil {
		t.Fatal(err, out)
	}

	// The group of a socket that a reload adds, by number.
	second := dir + "/second.sock"
	more := cfg
	more.Listen = append(more.Listen[:2:2], "unix:"+second)
	more.Top += fmt.Sprintf("socket_group = \"%d\"\n", gid)
	if err := d.Configure(more); err != nil {
		t.Fatal(err)
	}
	if taken, err := d.Reload(); err != nil || !taken {
		t.Errorf("a reload with another socket was not taken: %v", err)
	}
	if _, err := os.Stat(second); err != nil {
		t.Error(err)
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
