package lab

import (
	"fmt"
	"net"
	"os"
	"strings"
)

// Relay is a mail server of somebody else: it takes all mail, gives that for one domain
// to a server, which is how its bounces come back, and all other mail to another.
type Relay struct {
	*Process
	Addr string
	log  string
}

// Log returns what the server has logged.
func (r *Relay) Log() string {
	b, err := os.ReadFile(r.log)
	if err != nil {
		return r.Process.Log()
	}
	return r.Process.Log() + string(b)
}

// relayUsers are the accounts that servers drop their privileges to. On a machine without
// the packages they exist only where the server runs.
const relayUsers = "Debian-exim:x:64901:64901::/nonexistent:/bin/false\n" +
	"opensmtpd:x:64902:64902::/nonexistent:/bin/false\nopensmtpq:x:64903:64903::/nonexistent:/bin/false\n"

// relayNamespace runs a program with accounts of its own. D is the folder of the server.
const relayNamespace = `
mount --bind $D/passwd /etc/passwd
mount --bind $D/group /etc/group
exec "$@"
`

// startRelay starts a server that was unpacked and configured in dir.
func (l *Lab) startRelay(name, dir, addr string, env []string, command ...string) (*Relay, error) {
	for file, fields := range map[string]int{"passwd": 7, "group": 3} {
		b, err := os.ReadFile("/etc/" + file)
		if err != nil {
			return nil, fmt.Errorf("reading accounts: %w", err)
		}
		text := string(b)
		for line := range strings.Lines(relayUsers) {
			account := strings.Split(strings.TrimSuffix(line, "\n"), ":")
			if !strings.Contains("\n"+text, "\n"+account[0]+":") {
				if fields == 3 {
					account = append(account[:3:3], "")
				}
				text += strings.Join(account, ":") + "\n"
			}
		}
		if err := os.WriteFile(dir+"/"+file, []byte(text), 0o644); err != nil {
			return nil, fmt.Errorf("writing accounts: %w", err)
		}
	}
	r := &Relay{Addr: addr, log: dir + "/mainlog"}
	var err error
	r.Process, err = l.Start(Spec{
		Name: name, Path: "unshare", Args: append([]string{"-m", "sh", "-ec", relayNamespace, name}, command...),
		Env: append(env, "D="+dir), Log: dir + "/start.log",
	})
	if err != nil {
		return nil, err
	}
	return r, Until(name+" to greet", func() (bool, error) {
		if r.Exited() {
			return false, Never(fmt.Errorf("it ended: %s", r.Log()))
		}
		c, err := DialSMTP(r.Addr)
		if err != nil {
			return false, nil
		}
		return true, c.Quit()
	})
}

// StartExim starts Exim below the folder name of the Lab. Mail for the domain home goes to
// the server back, everything else to next.
func (l *Lab) StartExim(name, home, back, next string) (*Relay, error) {
	_, program, env, err := debProgram("exim", []string{"exim4-daemon-light"}, []string{"exim4"})
	if err != nil {
		return nil, err
	}
	dir, err := l.mkdir(0o755, 64901, 64901, name)
	if err != nil {
		return nil, err
	}
	ports, err := FreePorts(1)
	if err != nil {
		return nil, err
	}
	conf := fmt.Sprintf(eximConf, dir, ports[0], program) + eximRoute("back", home, back) + eximRoute("next", "*", next) +
		"begin transports\n" + eximTransport("back", back) + eximTransport("next", next)
	if err := os.WriteFile(dir+"/exim.conf", []byte(conf), 0o644); err != nil {
		return nil, fmt.Errorf("configuring Exim: %w", err)
	}
	return l.startRelay("exim", dir, Loopback(ports[0]), env, program, "-C", dir+"/exim.conf", "-bdf", "-q1m")
}

func eximRoute(name, domain, addr string) string {
	host, _, _ := net.SplitHostPort(addr)
	return fmt.Sprintf("%s:\n  driver = manualroute\n  domains = %s\n  transport = %s\n  route_list = * %s byname\n  self = send\n", name, domain, name, host)
}

func eximTransport(name, addr string) string {
	_, port, _ := net.SplitHostPort(addr)
	return fmt.Sprintf("%s:\n  driver = smtp\n  port = %s\n  allow_localhost\n  hosts_try_fastopen = :\n", name, port)
}

// eximConf has the folder, the port and the program as its arguments.
const eximConf = `exim_path = %[3]s
spool_directory = %[1]s/spool
log_file_path = %[1]s/%%slog
primary_hostname = mx.exim.test
local_interfaces = 127.0.0.1
daemon_smtp_ports = %[2]d
host_lookup =
rfc1413_query_timeout = 0s
acl_smtp_rcpt = accept
acl_smtp_data = accept
acl_smtp_mail = accept
smtp_accept_max = 20
never_users =
tls_advertise_hosts =
keep_environment =
dns_again_means_nonexist = *
begin acl
accept:
  accept
begin routers
`

// StartOpenSMTPD starts OpenSMTPD; see [Lab.StartExim].
func (l *Lab) StartOpenSMTPD(name, home, back, next string) (*Relay, error) {
	_, program, env, err := debProgram("opensmtpd", []string{"opensmtpd"}, []string{"smtpd"})
	if err != nil {
		return nil, err
	}
	dir, err := l.mkdir(0o755, 0, 0, name)
	if err != nil {
		return nil, err
	}
	for _, d := range []string{"spool", "lib", "run"} {
		if _, err := l.mkdir(0o711, 0, 0, name, d); err != nil {
			return nil, err
		}
	}
	ports, err := FreePorts(1)
	if err != nil {
		return nil, err
	}
	conf := fmt.Sprintf(opensmtpdConf, ports[0], back, next, home)
	if err := os.WriteFile(dir+"/smtpd.conf", []byte(conf), 0o644); err != nil {
		return nil, fmt.Errorf("configuring OpenSMTPD: %w", err)
	}
	return l.startRelay("smtpd", dir, Loopback(ports[0]), env, "sh", "-ec", opensmtpdNamespace, "smtpd", program, "-dv", "-f", dir+"/smtpd.conf")
}

// opensmtpdNamespace gives OpenSMTPD, whose folders are compiled into it, its own.
const opensmtpdNamespace = `
mount --bind $D/spool /var/spool
mount --bind $D/lib /var/lib
mount --bind $D/run /run
mkdir -p /var/lib/opensmtpd/empty
mkdir -m 711 /var/spool/smtpd
exec "$@"
`

// opensmtpdConf has the port, the two servers, and the domain of the first as its
// arguments.
const opensmtpdConf = `listen on 127.0.0.1 port %[1]d hostname mx.opensmtpd.test
action "back" relay host smtp://%[2]s
action "next" relay host smtp://%[3]s
match from any for domain "%[4]s" action "back"
match from any for any action "next"
`
