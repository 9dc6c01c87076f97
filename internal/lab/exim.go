package lab

import (
	"bytes"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
)

// Exim is a private Exim without a daemon: it delivers what is handed in at once, and tries
// again when it is told to. It needs a mount namespace, for a user of its own.
type Exim struct {
	Dir string
	env []string
}

// EximConfig says where mail goes.
type EximConfig struct {
	// Routes are servers, as address and port, by domain. Mail to lab.test is dropped, and
	// for all other domains there is no route.
	Routes map[string]string
	// Hasty is a domain for whose server Exim waits a second at most.
	Hasty string
}

// eximNamespace runs a program where /etc/passwd has the user that Exim insists on.
const eximNamespace = `
mount --bind $D/passwd /etc/passwd
mount --bind $D/group /etc/group
exec "$@"
`

// NewExim sets an Exim up below the folder name of the Lab. It must be called by root.
func (l *Lab) NewExim(name string, cfg EximConfig) (*Exim, error) {
	_, program, env, err := debProgram("exim", []string{"exim4-daemon-light"}, []string{"exim4"})
	if err != nil {
		return nil, err
	}
	x := &Exim{Dir: l.Path(name), env: append(os.Environ(), append(env, "D="+l.Path(name))...)}
	for _, d := range []struct {
		sub string
		uid int
	}{{"", 0}, {"spool", nobody}, {"log", nobody}} {
		if _, err := l.mkdir(0o755, d.uid, d.uid, name, d.sub); err != nil {
			return nil, fmt.Errorf("setting up Exim: %w", err)
		}
	}
	// A copy without setuid: the loader ignores LD_LIBRARY_PATH otherwise.
	if out, err := exec.Command("install", "-m", "755", program, x.Dir+"/exim4").CombinedOutput(); err != nil {
		return nil, fmt.Errorf("setting up Exim: %w: %s", err, out)
	}
	var routers, transports strings.Builder
	n := 0
	for domain, addr := range cfg.Routes {
		host, port, _ := strings.Cut(addr, ":")
		fmt.Fprintf(&routers, eximQueueRouter, n, domain, host)
		timeout := "1m"
		if domain == cfg.Hasty {
			timeout = "1s"
		}
		fmt.Fprintf(&transports, eximQueueTransport, n, port, timeout)
		n++
	}
	if err := x.addUser("passwd", fmt.Sprintf("Debian-exim:x:%d:%d::/:/bin/sh\n", nobody, nobody)); err != nil {
		return nil, err
	}
	if err := x.addUser("group", fmt.Sprintf("Debian-exim:x:%d:\n", nobody)); err != nil {
		return nil, err
	}
	conf := fmt.Sprintf(eximQueueConf, x.Dir, routers.String(), transports.String())
	for file, retry := range map[string]string{"patient": "F,1h,1s", "impatient": "F,1s,1s"} {
		if err := os.WriteFile(filepath.Join(x.Dir, file), []byte(conf+"* * "+retry+"\n"), 0o644); err != nil {
			return nil, fmt.Errorf("setting up Exim: %w", err)
		}
	}
	return x, nil
}

func (x *Exim) addUser(file, line string) error {
	b, err := os.ReadFile("/etc/" + file)
	if err == nil {
		err = os.WriteFile(filepath.Join(x.Dir, file), append(b, line...), 0o644)
	}
	if err != nil {
		return fmt.Errorf("setting up Exim: %w", err)
	}
	return nil
}

// run runs Exim with one of its configurations.
func (x *Exim) run(conf string, stdin []byte, args ...string) error {
	args = append([]string{"-m", "sh", "-ec", eximNamespace, "sh", x.Dir + "/exim4", "-C", x.Dir + "/" + conf}, args...)
	cmd := exec.Command("unshare", args...)
	cmd.Env, cmd.Stdin = x.env, bytes.NewReader(stdin)
	if out, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("running Exim: %w: %s", err, out)
	}
	return nil
}

// Submit hands a message in and returns after the first attempt to deliver it.
func (x *Exim) Submit(from, to string, data []byte) error {
	return x.run("patient", data, "-odi", "-f", from, to)
}

// Flush tries everything in the queue again; giveUp is true to return to the sender what
// fails again.
func (x *Exim) Flush(giveUp bool) error {
	conf := "patient"
	if giveUp {
		conf = "impatient"
	}
	return x.run(conf, nil, "-qff")
}

// LogFile is the path of the main log.
func (x *Exim) LogFile() string { return x.Dir + "/log/mainlog" }

const eximQueueConf = `exim_path = %[1]s/exim4
spool_directory = %[1]s/spool
log_file_path = %[1]s/log/%%slog
primary_hostname = ex.lab.test
qualify_domain = lab.test
disable_ipv6 = true
keep_environment = LD_LIBRARY_PATH
log_selector = +smtp_confirmation +queue_time
host_lookup =
never_users =
begin routers
gone:
  driver = redirect
  domains = lab.test
  data = :blackhole:
%[2]sbegin transports
%[3]sbegin retry
`

const eximQueueRouter = `route%d:
  driver = manualroute
  domains = %s
  route_list = * %s
  self = send
  transport = server%[1]d
`

const eximQueueTransport = `server%[1]d:
  driver = smtp
  port = %[2]s
  command_timeout = %[3]s
  connect_timeout = 1m
  hosts_avoid_tls = *
`
