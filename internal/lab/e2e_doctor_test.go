//go:build e2e

package lab

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/bounce-milter/bounce-milter/internal/doctor"
)

// finding is a line of doctor --format json.
type finding struct {
	Check, State, Says string
	Mend, Headers      []string
}

// examine runs doctor on a Postfix, and returns what it finds and its exit code.
func examine(t *testing.T, p *Postfix, d *Daemon, args ...string) ([]finding, int) {
	t.Helper()
	cmd := exec.Command(bin, append([]string{"doctor", "--format", "json", "--config", d.ConfigFile}, args...)...)
	cmd.Env = append(os.Environ(), "MAIL_CONFIG="+p.Dir+"/etc")
	out, err := cmd.Output()
	if err != nil && cmd.ProcessState == nil {
		t.Fatal(err)
	}
	var list []finding
	for dec := json.NewDecoder(strings.NewReader(string(out))); dec.More(); {
		var f finding
		if err := dec.Decode(&f); err != nil {
			t.Fatalf("%v in %s", err, out)
		}
		list = append(list, f)
	}
	return list, cmd.ProcessState.ExitCode()
}

// amiss are the checks that found something to mend.
func amiss(list []finding) string {
	var names []string
	for _, f := range list {
		if f.State == "wrong" || f.State == "warning" || f.State == "unknown" {
			names = append(names, f.Check+"="+f.State)
		}
	}
	return strings.Join(names, " ")
}

func told(list []finding) string {
	var b strings.Builder
	for _, f := range list {
		fmt.Fprintf(&b, "%s %s: %s %q\n", f.State, f.Check, f.Says, f.Mend)
	}
	return b.String()
}

// TestDoctor shows doctor Postfixes that people set up wrongly, each in one way, and
// right ones: it finds each mistake, and nothing else. Then it does what doctor says, and
// asks again. The Postfixes need not run.
func TestDoctor(t *testing.T) {
	t.Parallel()
	l := newLab(t)
	ports, err := FreePorts(1)
	if err != nil {
		t.Fatal(err)
	}
	address := Loopback(ports[0])
	shared, err := l.StartDaemon("doctor", DaemonConfig{Bin: bin, Listen: []string{"inet:" + address}})
	if err != nil {
		t.Fatal(err)
	}
	const milters = "smtpd_milters = { inet:PORT, default_action=accept, command_timeout=3s }\n"
	const own = "non_smtpd_milters = $smtpd_milters\n"
	const right = milters + own
	const other = "127.0.0.1:1" // a milter of somebody else
	for _, c := range []struct {
		name    string
		main    string   // of main.cf; PORT is the daemon's address, SOCKET its socket
		options []string // of smtpd, in master.cf
		chroot  bool
		unix    string // mode of the socket; "" for a daemon at a port
		inQueue bool   // the socket is in the queue directory
		tables  string // of the daemon's configuration
		want    string
		by      string // what the mend must hold
		try     bool   // do what it says, and ask again
	}{
		{name: "right", main: right},
		{name: "right-chroot", main: right, chroot: true},
		{name: "right-socket", main: "smtpd_milters = { unix:milter/m.sock, default_action=accept }\n" + own, chroot: true, unix: "0660", inQueue: true},
		{name: "right-global-action", main: "smtpd_milters = inet:PORT\nmilter_default_action = accept\n" + own},
		{name: "right-after-others", main: "smtpd_milters = inet:" + other + ", { inet:PORT, default_action=accept }\nnon_smtpd_milters = $smtpd_milters\n"},
		{name: "right-variable", main: "bounces = { inet:PORT, default_action=accept }\nsmtpd_milters = ${bounces}\nnon_smtpd_milters = $bounces\n"},
		{name: "nowhere", main: "smtpd_milters =\nnon_smtpd_milters =\n", want: "smtpd_milters=wrong non_smtpd_milters=wrong", by: "default_action=accept", try: true},
		{name: "not-own", main: milters + "non_smtpd_milters =\n", want: "non_smtpd_milters=wrong", by: "non_smtpd_milters = ", try: true},
		{name: "no-class", main: right + "internal_mail_filter_classes =\n", want: "internal_mail_filter_classes=wrong",
			by: "'internal_mail_filter_classes = bounce'", try: true},
		{name: "tempfail", main: "milter_default_action = tempfail\nsmtpd_milters = inet:PORT\nnon_smtpd_milters = $smtpd_milters\n",
			want: "default_action=wrong default_action=wrong", by: "default_action=accept", try: true},
		{name: "shutdown", main: "smtpd_milters = { inet:PORT, default_action=shutdown }\nnon_smtpd_milters = { inet:PORT, default_action=accept }\n",
			want: "default_action=wrong", by: "default_action=accept", try: true},
		{name: "order", main: "smtpd_milters = { inet:PORT, default_action=accept }, inet:" + other + "\nnon_smtpd_milters = { inet:PORT, default_action=accept }\n",
			want: "order=warning", by: "inet:127.0.0.1:1, {", try: true},
		{name: "undefined", main: "smtpd_milters = $dkim_milter, { inet:PORT, default_action=accept }\nnon_smtpd_milters = { inet:PORT, default_action=accept }\n",
			want: "value=wrong", by: "postconf", try: true},
		{name: "override", main: right, options: []string{"smtpd_milters ="}, want: "master.cf=wrong", by: "postconf", try: true},
		{name: "no-milters", main: right, options: []string{"receive_override_options = no_milters"}, want: "master.cf=wrong", by: "-PX", try: true},
		{name: "other-port", main: "smtpd_milters = { inet:127.0.0.1:8, default_action=accept }\nnon_smtpd_milters = { inet:PORT, default_action=accept }\n",
			want: "smtpd_milters=wrong", by: "inet:PORT", try: true},
		{name: "outside-chroot", main: "smtpd_milters = { unix:SOCKET, default_action=accept }\nnon_smtpd_milters = { unix:SOCKET, default_action=accept }\n",
			chroot: true, unix: "0666", want: "socket=wrong", by: "spool/bounce-milter"},
		{name: "group", main: "smtpd_milters = { unix:milter/m.sock, default_action=accept }\nnon_smtpd_milters = $smtpd_milters\n",
			chroot: true, unix: "0600", inQueue: true, want: "socket=wrong socket=wrong", by: "socket_group"},
		{name: "configuration", main: "smtpd_milters = { unix:SOCKET, default_action=accept }\n" + own, unix: "0666", tables: "[rules]\n", want: "configuration=wrong"},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			name := "doctor-" + c.name
			socket := l.Path(name + "-sockets/m.sock")
			listen, top := "", ""
			if c.inQueue {
				dir, err := l.SocketDir(name)
				if err != nil {
					t.Fatal(err)
				}
				socket = filepath.Join(dir, "m.sock")
			}
			if c.unix != "" {
				if err := os.MkdirAll(filepath.Dir(socket), 0o755); err != nil {
					t.Fatal(err)
				}
				listen, top = "unix:"+socket, fmt.Sprintf("socket_mode = %q\nsocket_group = \"postfix\"\n", c.unix)
			}
			d := shared
			if c.unix != "" {
				var err error
				if d, err = l.StartDaemon(name+"-d", DaemonConfig{Bin: bin, Listen: []string{listen}, Top: top}); err != nil {
					t.Fatal(err)
				}
			}
			fill := strings.NewReplacer("PORT", address, "SOCKET", socket)
			p, err := l.SetUpPostfix(name, PostfixConfig{
				Services: []Service{{Name: "in", Chroot: c.chroot, Options: c.options}}, Main: fill.Replace(c.main),
			})
			if err != nil {
				t.Fatal(err)
			}
			if c.tables != "" {
				cfg := d.Config()
				cfg.Tables = c.tables
				if err := d.Configure(cfg); err != nil {
					t.Fatal(err)
				}
			}
			list, code := examine(t, p, d)
			if got := amiss(list); got != c.want {
				t.Fatalf("found %q, want %q:\n%s", got, c.want, told(list))
			}
			if wrong := strings.Contains(c.want, "=wrong"); code != map[bool]int{true: 1}[wrong] {
				t.Errorf("the exit code is %d", code)
			}
			var mend []string
			for _, f := range list {
				if f.State != "good" && f.State != "note" {
					mend = append(mend, f.Mend...)
				}
			}
			if all := strings.Join(mend, "\n"); !strings.Contains(all, fill.Replace(c.by)) {
				t.Errorf("the mend is %q, without %q", all, c.by)
			}
			if !c.try {
				return
			}
			done := map[string]bool{}
			for _, m := range mend {
				if done[m] {
					continue
				}
				done[m] = true
				set, _, _ := strings.Cut(m, " && sudo postfix") // which is not running
				cmd := exec.Command("sh", "-ec", strings.TrimPrefix(set, "sudo "))
				if out, err := cmd.CombinedOutput(); err != nil {
					t.Fatalf("%s: %v: %s", m, err, out)
				}
			}
			if list, code := examine(t, p, d, "--send"); amiss(list) != "" || code != 0 {
				t.Errorf("after %q: %s", mend, told(list))
			} else if last := list[len(list)-1]; last.Check != "send" || !strings.Contains(strings.Join(last.Headers, "\n"), "X-Bounce-Type: hard") {
				t.Errorf("--send: %+v", last)
			}
		})
	}
}

// TestDoctorSendmail: of a real Sendmail it knows whether the daemon is asked.
func TestDoctorSendmail(t *testing.T) {
	t.Parallel()
	l := newLab(t)
	ports, err := FreePorts(2)
	if err != nil {
		t.Fatal(err)
	}
	address := Loopback(ports[0])
	d, err := l.StartDaemon("doctor-sendmail", DaemonConfig{Bin: bin, Listen: []string{"inet:" + address}})
	if err != nil {
		t.Fatal(err)
	}
	for name, c := range map[string]struct{ milter, want string }{
		"right":   {fmt.Sprintf("inet:%d@127.0.0.1", ports[0]), "good"},
		"without": {"", "wrong"},
	} {
		s, err := l.StartSendmail("doctor-sendmail-"+name, SendmailConfig{Milter: c.milter, Remote: Loopback(ports[1])})
		if err != nil {
			t.Fatal(err)
		}
		list := doctor.Examine(t.Context(), doctor.Options{Config: d.ConfigFile, SendmailCF: s.Dir + "/etc/sendmail.cf", Send: name == "right",
			Run: func(context.Context, string, ...string) ([]byte, error) { return nil, exec.ErrNotFound }})
		got := map[string]doctor.Finding{}
		for _, f := range list {
			got[f.Check] = f
		}
		if f := got["sendmail"]; string(f.State) != c.want {
			t.Errorf("%s: %+v", name, list)
		}
		if f := got["send"]; c.want == "good" && len(f.Headers) == 0 {
			t.Errorf("%s: %+v", name, list)
		}
	}
}
