//go:build e2e

package install

import (
	"debug/buildinfo"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"testing"

	"github.com/bounce-milter/bounce-milter/internal/lab"
)

// packages builds the packages once and returns their folder.
var packages = sync.OnceValues(func() (string, error) {
	module, err := lab.ModuleRoot()
	if err != nil {
		return "", err
	}
	dir := filepath.Join(module, "bin", "packages")
	if dir := os.Getenv("PACKAGES"); dir != "" { // to test packages that exist already
		return dir, nil
	}
	cmd := exec.Command("make", "packages")
	cmd.Dir = module
	if out, err := cmd.CombinedOutput(); err != nil {
		return "", fmt.Errorf("make packages: %w\n%s", err, out)
	}
	return dir, nil
})

// built returns the one package that a pattern matches.
func built(t *testing.T, pattern string) string {
	t.Helper()
	dir, err := packages()
	if err != nil {
		t.Fatal(err)
	}
	found, err := filepath.Glob(filepath.Join(dir, pattern))
	if err != nil || len(found) != 1 {
		t.Fatalf("%s: %v, %v", pattern, found, err)
	}
	return found[0]
}

func output(t *testing.T, name string, args ...string) string {
	t.Helper()
	out, err := exec.Command(name, args...).CombinedOutput()
	if err != nil {
		t.Fatalf("%s %v: %v\n%s", name, args, err, out)
	}
	return string(out)
}

// previous makes an older package of the newest one: of a lower version, with a shorter
// configuration.
func previous(t *testing.T, deb string) string {
	t.Helper()
	dir := filepath.Join(t.TempDir(), "old")
	output(t, "dpkg-deb", "-R", deb, dir)
	edit(t, dir+"/DEBIAN/control", `(?m)^Version: .*`, "Version: 0.0.9-1")
	edit(t, dir+"/etc/bounce-milter/config.toml", `(?s)\n# How long after SIGTERM.*?\ndrain_timeout = .*?\n`, "\n")
	output(t, "dpkg-deb", "--root-owner-group", "-Znone", "-b", dir, dir+".deb")
	return dir + ".deb"
}

func edit(t *testing.T, file, pattern, with string) {
	t.Helper()
	data, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	text := regexp.MustCompile(pattern).ReplaceAllString(string(data), with)
	if text == string(data) {
		t.Fatalf("%s has no %s", file, pattern)
	}
	if err := os.WriteFile(file, []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
}

// TestDebianPackage is the life of the package on one machine: installed before Postfix,
// used by it, upgraded, removed and purged.
func TestDebianPackage(t *testing.T) {
	t.Parallel()
	deb := built(t, "*_amd64.deb")
	m := boot(t, fresh(t, ""))
	before := m.files()

	m.run("dpkg", "-i", m.put(previous(t, deb)))
	if got := m.property("ActiveState") + " " + m.property("UnitFileState"); got != "active enabled" {
		t.Errorf("after the installation the daemon is %s", got)
	}
	for _, address := range m.listeners() {
		if ip, _, _ := net.SplitHostPort(address); !net.ParseIP(ip).IsLoopback() {
			t.Errorf("after the installation something listens on %s", address)
		}
	}
	if groups := m.run("id", "-nG", "bounce-milter"); groups != "bounce-milter\n" {
		t.Errorf("the daemon's user is in the groups %s", groups)
	}

	// Postfix comes later and joins the socket's group.
	m.run("apt-get", "install", "-q", "-y", "--no-install-recommends", "--no-download", "postfix")
	if groups := strings.Fields(m.run("id", "-nG", "postfix")); !contains(groups, "bounce-milter") {
		t.Errorf("postfix is in the groups %v", groups)
	}
	install, setUp := readme(t)
	m.useMilter(setUp)
	postfix := m.read("/etc/postfix/main.cf") + m.read("/etc/postfix/master.cf")
	held := m.dial()
	m.tagged(held, "before the upgrade")

	// An edited configuration stays, and the session that is open goes on.
	edit(t, m.root+"/etc/bounce-milter/config.toml", `format = "text"`, `format = "json"`)
	mine := m.read("/etc/bounce-milter/config.toml")
	m.write("/etc/bounce-milter/rules.d/mine.toml", "# none yet\n")
	m.write("/etc/dpkg/dpkg.cfg.d/keep", "force-confdef\nforce-confold\n") // nobody is there to be asked
	if err := os.MkdirAll(m.root+"/root/bin/packages", 0o755); err != nil {
		t.Fatal(err)
	}
	m.run("mv", m.put(deb), "/root/bin/packages")
	m.run("sh", "-c", "cd /root && yes | "+install)
	m.run("sh", "-c", "journalctl -q -u bounce-milter -f -n all | grep -q -m 1 msg=reloaded") // the reload is not over when systemctl is
	if m.read("/etc/bounce-milter/config.toml") != mine {
		t.Error("the upgrade changed an edited configuration")
	}
	if !strings.Contains(m.read("/etc/bounce-milter/config.toml.dpkg-dist"), "\ndrain_timeout = ") {
		t.Error("the new configuration is not beside the edited one")
	}
	m.tagged(held, "after the upgrade")
	const old = "the program was replaced while it runs: a reload does not change it, a restart does"
	if says, _ := m.try("bounce-milter", "doctor", "--format", "json"); !strings.Contains(says, old) || !strings.Contains(says, "sudo systemctl restart bounce-milter") {
		t.Errorf("after the upgrade doctor says\n%s", says)
	}
	if journal := m.run("journalctl", "-q", "-u", "postfix@-"); regexp.MustCompile(`(?i)milter inet:`).MatchString(journal) {
		t.Errorf("Postfix missed its milter:\n%s", journal)
	}

	// Removed, the configuration stays; purged, nothing stays but the account.
	m.run("dpkg", "-r", "bounce-milter")
	if m.read("/etc/bounce-milter/config.toml") != mine || m.read("/usr/bin/bounce-milter") != "" {
		t.Error("a removal should leave the configuration and nothing else")
	}
	m.run("dpkg", "--purge", "bounce-milter")
	if groups := strings.Fields(m.run("id", "-nG", "postfix")); contains(groups, "bounce-milter") {
		t.Errorf("after the purge postfix is in the groups %v", groups)
	}
	after := m.files()
	for path := range after {
		if !before[path] && strings.Contains(path, "bounce-milter") && !strings.HasPrefix(path, "/root/") {
			t.Errorf("the purge left %s", path)
		}
	}
	if m.read("/etc/postfix/main.cf")+m.read("/etc/postfix/master.cf") != postfix {
		t.Error("the configuration of Postfix is another")
	}
	if state := m.property("LoadState"); state != "not-found" {
		t.Errorf("after the purge the unit is %s", state)
	}
}

// readme returns the commands with which the README installs: it makes the packages, as
// this test has done already, installs one, and sets Postfix up.
func readme(t *testing.T) (install, postfix string) {
	t.Helper()
	text, err := block("README.md", "## Install")
	if err != nil {
		t.Fatal(err)
	}
	lines := strings.Split(strings.TrimSpace(text), "\n")
	if len(lines) != 3 || lines[0] != "make packages" {
		t.Fatalf("the README installs with\n%s", text)
	}
	return lines[1], lines[2]
}

// useMilter sets Postfix up as the README says.
func (m *machine) useMilter(command string) {
	m.t.Helper()
	m.run("postconf", "mydestination=lab.test, localhost", "mynetworks=127.0.0.0/8", "smtpd_peername_lookup=no")
	m.run("sh", "-c", command)
	m.run("systemctl", "restart", "postfix")
}

// tagged sends a bounce in an open session and waits until it is in the mailbox, with
// headers.
func (m *machine) tagged(c *lab.SMTP, when string) {
	m.t.Helper()
	id := strings.ReplaceAll(when, " ", "-")
	got := m.deliver(c, id, lab.Refused{Address: "gone@example.com", Status: "5.1.1",
		Diagnostic: "550 5.1.1 <gone@example.com>: user unknown", RemoteMTA: "mx.example.com"})
	if !strings.Contains(got, "\nX-Bounce-Type: hard\n") {
		m.t.Errorf("the bounce %s has no headers:\n%.1500s", when, got)
	}
}

// deliver sends a bounce in an open session, and returns it as it is in the mailbox.
func (m *machine) deliver(c *lab.SMTP, id string, refused lab.Refused) string {
	m.t.Helper()
	bounce := lab.Bounce(id, "root@lab.test", nil, refused)
	if _, err := c.Send(lab.Mail{To: []string{"root@lab.test"}, Data: bounce}); err != nil {
		m.t.Fatalf("%s: %v\n%s", id, err, m.run("journalctl", "-q", "-n", "50"))
	}
	var got string
	err := lab.Until("the bounce "+id, func() (bool, error) {
		for _, box := range []string{"/var/mail/root", "/var/mail/nobody", "/var/mail/mail"} {
			for message := range strings.SplitSeq(m.read(box), "\nFrom ") {
				if strings.Contains(message, "<"+id+"@") {
					got = message
					return true, nil
				}
			}
		}
		return false, nil
	})
	if err != nil {
		m.t.Fatalf("%v\n%s", err, m.run("journalctl", "-q", "-n", "50"))
	}
	return got
}

// listeners returns the addresses of the machine on which a TCP socket listens.
func (m *machine) listeners() []string {
	m.t.Helper()
	var found []string
	for _, table := range []string{"tcp", "tcp6"} {
		for line := range strings.Lines(m.run("cat", "/proc/1/net/"+table)) {
			f := strings.Fields(line)
			if len(f) < 4 || f[3] != "0A" {
				continue
			}
			ip, port, _ := strings.Cut(f[1], ":")
			address := net.IP{}
			for word := 0; word+8 <= len(ip); word += 8 { // each word has the machine's byte order
				for i := 6; i >= 0; i -= 2 {
					var b byte
					fmt.Sscanf(ip[word+i:word+i+2], "%02X", &b)
					address = append(address, b)
				}
			}
			var n int
			fmt.Sscanf(port, "%X", &n)
			found = append(found, net.JoinHostPort(address.String(), fmt.Sprint(n)))
		}
	}
	return found
}

// files lists the machine's files.
func (m *machine) files() map[string]bool {
	m.t.Helper()
	found := map[string]bool{}
	for path := range strings.SplitSeq(m.run("find", "/", "-xdev", "-print0"), "\x00") {
		found[path] = true
	}
	return found
}

func contains(list []string, what string) bool {
	for _, s := range list {
		if s == what {
			return true
		}
	}
	return false
}

// What the packages carry is the program of this source, and its version.
func TestPackagesCarryTheVersion(t *testing.T) {
	t.Parallel()
	module, err := lab.ModuleRoot()
	if err != nil {
		t.Fatal(err)
	}
	data, err := os.ReadFile(filepath.Join(module, "cmd/bounce-milter/VERSION"))
	if err != nil {
		t.Fatal(err)
	}
	version := strings.TrimSpace(string(data))
	if got := output(t, "dpkg-deb", "-f", built(t, "*_arm64.deb"), "Version", "Architecture"); got != "Version: "+version+"-1\nArchitecture: arm64\n" {
		t.Errorf("the .deb for arm64 is\n%s", got)
	}
	if got := output(t, "rpm", "-qp", "--qf", "%{VERSION}-%{RELEASE} %{ARCH}", built(t, "*aarch64.rpm")); got != version+"-1 aarch64" {
		t.Errorf("the .rpm for arm64 is %s", got)
	}
	for _, arch := range []string{"amd64", "arm64"} {
		info, err := buildinfo.ReadFile(built(t, "*-linux-"+arch))
		if err != nil {
			t.Fatal(err)
		}
		var said []string
		for _, s := range info.Settings {
			if s.Key == "CGO_ENABLED" || s.Key == "GOARCH" {
				said = append(said, s.Value)
			}
		}
		if got := strings.Join(said, " "); got != "0 "+arch {
			t.Errorf("the program for %s was built with CGO_ENABLED and GOARCH %s", arch, got)
		}
	}
	if got := strings.Fields(output(t, built(t, "*-linux-amd64"), "version")); got[1] != version {
		t.Errorf("the program says that it is %s", got[1])
	}
}
