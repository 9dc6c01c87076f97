//go:build e2e

package lab

import (
	"os"
	"os/exec"
	"strings"
	"testing"
)

// The lines for mailcow, Mailu and docker-mailserver, given to Postfix the way each of
// them does it, leave the milters of theirs in front and ours last. That they do it this
// way we have only read.
func TestContainerRecipes(t *testing.T) {
	const ours = "{ inet:bounce-milter:8894, default_action=accept, command_timeout=3s }"
	l := newLab(t)
	root, err := ModuleRoot()
	if err != nil {
		t.Fatal(err)
	}
	run := func(t *testing.T, dir, program string, args ...string) string {
		t.Helper()
		cmd := exec.Command(program, args...)
		cmd.Env = append(os.Environ(), "MAIL_CONFIG="+dir)
		out, err := cmd.Output()
		if err != nil {
			t.Fatalf("%s %v: %v", program, args, err)
		}
		return strings.TrimSpace(string(out))
	}
	for _, c := range []struct {
		name, main  string
		add         func(t *testing.T, dir string)
		smtpd, rest string
	}{
		{
			"mailcow", "milter_default_action = accept\nsmtpd_milters = inet:rspamd:9900\nnon_smtpd_milters = inet:rspamd:9900\n",
			func(t *testing.T, dir string) {
				f, err := os.OpenFile(dir+"/main.cf", os.O_APPEND|os.O_WRONLY, 0)
				if err != nil {
					t.Fatal(err)
				}
				defer f.Close()
				if _, err := f.WriteString(packaged(t, "mailcow/extra.cf")); err != nil {
					t.Fatal(err)
				}
			},
			"inet:rspamd:9900, " + ours, "inet:rspamd:9900, " + ours,
		},
		{
			"mailu", "milter_default_action = tempfail\nsmtpd_milters = inet:192.0.2.3:11332\n",
			func(t *testing.T, dir string) {
				for line := range strings.SplitSeq(packaged(t, "mailu/postfix.cf"), "\n") {
					if line != "" && line[0] != '#' {
						run(t, dir, "sh", "-c", `postconf -e "`+line+`"`)
					}
				}
			},
			"inet:antispam:11332, " + ours, ours,
		},
		{
			"docker-mailserver with OpenDKIM", "dkim_milter = inet:localhost:8891\ndmarc_milter = inet:localhost:8893\n" +
				"smtpd_milters = $dkim_milter $dmarc_milter\nnon_smtpd_milters = $dkim_milter\n",
			func(t *testing.T, dir string) {
				run(t, dir, "bash", root+"/packaging/docker-mailserver/user-patches.sh")
				run(t, dir, "bash", root+"/packaging/docker-mailserver/user-patches.sh")
			},
			"$dkim_milter $dmarc_milter " + ours, "$dkim_milter " + ours,
		},
		{
			"docker-mailserver without any", "smtpd_milters =\nnon_smtpd_milters =\n",
			func(t *testing.T, dir string) {
				run(t, dir, "bash", root+"/packaging/docker-mailserver/user-patches.sh")
			}, ours, ours,
		},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel() // postconf waits for a file that was just changed to become a second old
			dir, err := l.mkdir(0o755, 0, 0, strings.ReplaceAll(c.name, " ", "-"))
			if err != nil {
				t.Fatal(err)
			}
			if err := os.WriteFile(dir+"/main.cf", []byte(c.main), 0o644); err != nil {
				t.Fatal(err)
			}
			c.add(t, dir)
			got := run(t, dir, "postconf", "-h", "smtpd_milters", "non_smtpd_milters", "internal_mail_filter_classes")
			if want := c.smtpd + "\n" + c.rest + "\nbounce"; got != want {
				t.Errorf("Postfix has\n%s\nwant\n%s", got, want)
			}
		})
	}
}
