//go:build e2e

package install

import (
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/bounce-milter/bounce-milter/internal/lab"
)

// Who builds the same source in another folder gets the same packages, to the byte.
func TestPackagesAreReproducible(t *testing.T) {
	t.Parallel()
	first := filepath.Dir(built(t, "SHA256SUMS"))
	module, err := lab.ModuleRoot()
	if err != nil {
		t.Fatal(err)
	}
	other := filepath.Join(t.TempDir(), "a folder", "elsewhere")
	if err := os.MkdirAll(other, 0o755); err != nil {
		t.Fatal(err)
	}
	// git answers for the copy as it does here, whoever owns either of them.
	without := "./bin"
	if exec.Command("git", "-C", module, "rev-parse", "HEAD").Run() != nil {
		without = "./.git"
	}
	output(t, "sh", "-c", `cd "$1" && tar -c --exclude=./bin --exclude="$3" . | tar -x --no-same-owner -C "$2"`, "sh", module, other, without)
	cmd := exec.Command("make", "-C", other, "packages")
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	output(t, "diff", "-r", first, other+"/bin/packages")
}

// What make install installs is in both packages, and nothing else but what packages of
// their kind have besides.
func TestPackagesHaveWhatIsInstalled(t *testing.T) {
	t.Parallel()
	module, err := lab.ModuleRoot()
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	for _, c := range []struct {
		name, option string
		list         []string
		extra        []string
	}{
		{"deb", "PREFIX=/usr", strings.Split(output(t, "sh", "-c", `dpkg-deb --fsys-tarfile "$1" | tar -t`, "sh", built(t, "*_amd64.deb")), "\n"),
			[]string{"/usr/share/doc/bounce-milter/changelog.Debian.gz", "/usr/share/lintian/overrides/bounce-milter"}},
		{"rpm", "ZSHDIR=/usr/share/zsh/site-functions", strings.Split(output(t, "rpm", "-qlp", built(t, "*x86_64.rpm")), "\n"), nil},
	} {
		root := filepath.Join(dir, c.name)
		output(t, "make", "-C", module, "install", "BINARY="+built(t, "*-linux-amd64"), "LICENSES="+filepath.Join(dir, "licenses"),
			"DESTDIR="+root, "PREFIX=/usr", "SYSCONFDIR=/etc", c.option)
		want := append(c.extra, "/usr/share/doc/bounce-milter/changelog.gz", "/usr/share/doc/bounce-milter/copyright")
		for path := range strings.Lines(output(t, "find", root, "-type", "f", "-printf", "/%P\n")) {
			path = strings.TrimSpace(path)
			if strings.HasPrefix(path, "/usr/share/man/") {
				path += ".gz"
			}
			want = append(want, path)
		}
		var got []string
		for _, path := range c.list {
			path = strings.TrimPrefix(path, ".")
			if path != "" && !strings.HasSuffix(path, "/") {
				if info, err := os.Stat(root + path); err != nil || !info.IsDir() {
					got = append(got, path)
				}
			}
		}
		slices.Sort(want)
		slices.Sort(got)
		if !slices.Equal(got, want) {
			t.Errorf("the .%s has\n%s\nmake install installs\n%s", c.name, strings.Join(got, "\n"), strings.Join(want, "\n"))
		}
		for _, must := range []string{"/usr/bin/bounce-milter", "/etc/bounce-milter/config.toml", "/etc/logrotate.d/bounce-milter",
			"/usr/lib/systemd/system/bounce-milter.service", "/usr/lib/systemd/system/bounce-milter-metrics.socket",
			"/usr/lib/sysusers.d/bounce-milter.conf", "/usr/lib/tmpfiles.d/bounce-milter.conf", "/usr/share/man/man8/bounce-milter.8.gz",
			"/usr/share/bash-completion/completions/bounce-milter", "/usr/share/fish/vendor_completions.d/bounce-milter.fish",
			"/usr/share/doc/bounce-milter/schema/event.v1.json", "/usr/share/doc/bounce-milter/prometheus/scrape.yml",
			"/usr/share/doc/bounce-milter/licenses/go/LICENSE", "/usr/share/doc/bounce-milter/copyright"} {
			if !slices.Contains(got, must) {
				t.Errorf("the .%s lacks %s", c.name, must)
			}
		}
	}
	// make install built what was absent, the licences, and left the program as it was.
	output(t, "sh", "-c", `cd "$1" && sha256sum --quiet -c SHA256SUMS`, "sh", filepath.Dir(built(t, "SHA256SUMS")))
}

// lintian and rpmlint find nothing in the packages that is not argued for.
func TestPackagesAreClean(t *testing.T) {
	t.Parallel()
	module, err := lab.ModuleRoot()
	if err != nil {
		t.Fatal(err)
	}
	for _, deb := range []string{built(t, "*_amd64.deb"), built(t, "*_arm64.deb")} {
		// --fail-on would pass over what lintian only warns of in a later release.
		if out := output(t, "lintian", "--allow-root", "--tag-display-limit", "0", deb); strings.TrimSpace(out) != "" {
			t.Errorf("lintian of %s:\n%s", deb, out)
		}
	}
	// nfpm writes absolute paths into an .rpm. rpm takes them for those below its root, but
	// rpmlint's cpio would write over this machine.
	bin := t.TempDir()
	if err := os.WriteFile(bin+"/cpio", []byte("#!/bin/sh\nexec /usr/bin/cpio --no-absolute-filenames \"$@\"\n"), 0o755); err != nil {
		t.Fatal(err)
	}
	for _, rpm := range []string{built(t, "*x86_64.rpm"), built(t, "*aarch64.rpm")} {
		cmd := exec.Command("rpmlint", "-c", module+"/packaging/package/rpmlint.toml", rpm)
		cmd.Env = append(os.Environ(), "PATH="+bin+":"+os.Getenv("PATH"), "LC_ALL=C.UTF-8")
		out, err := cmd.CombinedOutput()
		if err != nil || !strings.Contains(string(out), " 0 errors, 0 warnings") {
			t.Errorf("rpmlint of %s: %v\n%s", rpm, err, out)
		}
	}
}

// The .rpm is installed, upgraded and removed below another root, where its scripts run.
func TestRPM(t *testing.T) {
	t.Parallel()
	root := fresh(t, "")
	rpm := func(args ...string) string {
		t.Helper()
		return output(t, "rpm", append([]string{"--root", root, "--nodeps"}, args...)...)
	}
	path := built(t, "*x86_64.rpm")
	rpm("-i", path)
	if got := output(t, "chroot", root, "id", "-un", "bounce-milter"); got != "bounce-milter\n" {
		t.Errorf("the user is %q", got)
	}
	if got := rpm("-V", "bounce-milter"); got != "" {
		t.Errorf("rpm says that files are not as in the package:\n%s", got)
	}
	if out := output(t, "chroot", root, "bounce-milter", "config", "check"); !strings.Contains(out, "/etc/bounce-milter/config.toml") {
		t.Errorf("config check says %q", out)
	}
	config := root + "/etc/bounce-milter/config.toml"
	edit(t, config, `format = "text"`, `format = "json"`)
	mine := output(t, "cat", config)
	rpm("-U", "--force", path)
	if got := output(t, "cat", config); got != mine {
		t.Error("the upgrade changed an edited configuration")
	}
	rpm("-e", "bounce-milter")
	if _, err := os.Stat(root + "/usr/bin/bounce-milter"); err == nil {
		t.Error("the removal left the program")
	}
	if got := output(t, "cat", config+".rpmsave"); got != mine {
		t.Error("the removal did not keep the edited configuration")
	}
}
