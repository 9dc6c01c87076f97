//go:build e2e

package install

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/bounce-milter/bounce-milter/internal/lab"
)

// An upgrade for which the disk has no room fails, and the daemon serves on; when there is
// room, it succeeds.
func TestUpgradeOnAFullDisk(t *testing.T) {
	t.Parallel()
	m := boot(t, fresh(t, "160m"))
	deb := built(t, "*_amd64.deb")
	m.run("dpkg", "-i", m.put(previous(t, deb)))
	m.put(deb)
	filled, _ := m.try("dd", "if=/dev/zero", "of=/root/fill", "bs=64k")
	if !strings.Contains(filled, "No space left") {
		t.Fatalf("the disk is not full: %s", filled)
	}
	if out, err := m.try("dpkg", "-i", "/root/"+filepath.Base(deb)); err == nil {
		t.Errorf("an upgrade on a full disk succeeds:\n%s", out)
	}
	m.judges("127.0.0.1:8894")
	if out := m.run("bounce-milter", "health"); out != "ready\n" {
		t.Errorf("on a full disk the daemon says %q", out)
	}
	if err := os.Remove(m.root + "/root/fill"); err != nil {
		t.Fatal(err)
	}
	m.run("dpkg", "-i", "/root/"+filepath.Base(deb))
	if got := m.run("dpkg-query", "-W", "-f", "${db:Status-Status}", "bounce-milter"); got != "installed" {
		t.Errorf("after the upgrade the package is %s", got)
	}
	m.judges("127.0.0.1:8894")
}

// The commands of docs/install.md install from a source in which make has run.
func TestFromSource(t *testing.T) {
	t.Parallel()
	module, err := lab.ModuleRoot()
	if err != nil {
		t.Fatal(err)
	}
	text, err := block("docs/install.md", "## From source")
	if err != nil {
		t.Fatal(err)
	}
	commands := strings.Split(strings.TrimSpace(text), "\n")
	if commands[0] != "make" {
		t.Fatalf("the first command is %q", commands[0])
	}
	output(t, "make", "-C", module, "-s", "build")
	m := boot(t, fresh(t, ""), module)
	for _, c := range commands[1:] {
		m.run("sh", "-e", "-c", "cd "+module+"\n"+c)
	}
	m.judges("127.0.0.1:8894")
	if out := m.run("/usr/local/bin/bounce-milter", "health"); out != "ready\n" {
		t.Errorf("the daemon says %q", out)
	}
}
