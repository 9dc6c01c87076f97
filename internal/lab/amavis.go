package lab

import (
	"fmt"
	"net"
	"os"
	"os/user"
	"strconv"
)

// Amavis is a running private amavisd: an after-queue content filter that takes mail by
// SMTP and returns it by SMTP. It scans for nothing.
type Amavis struct {
	*Process
	// Addr is the address where it takes mail.
	Addr string
}

// StartAmavis starts amavisd below the folder name of the Lab; mail goes on to
// the address next. It must be called by root.
func (l *Lab) StartAmavis(name, next string) (*Amavis, error) {
	u, err := user.Lookup("amavis")
	if err != nil {
		return nil, fmt.Errorf("is amavisd installed? %w", err)
	}
	uid, err := strconv.Atoi(u.Uid)
	if err != nil {
		return nil, fmt.Errorf("reading the user id of amavis: %w", err)
	}
	gid, err := strconv.Atoi(u.Gid)
	if err != nil {
		return nil, fmt.Errorf("reading the group id of amavis: %w", err)
	}
	// It refuses a configuration in a folder that it can write to.
	if _, err := l.mkdir(0o755, 0, 0, name); err != nil {
		return nil, err
	}
	for _, sub := range []string{"home", "home/tmp", "home/var"} {
		if _, err := l.mkdir(0o755, uid, gid, name, sub); err != nil {
			return nil, err
		}
	}
	ports, err := FreePorts(1)
	if err != nil {
		return nil, err
	}
	host, port, err := net.SplitHostPort(next)
	if err != nil {
		return nil, fmt.Errorf("reading where amavis is to give mail back: %w", err)
	}
	conf := l.Path(name, "amavisd.conf")
	if err := os.WriteFile(conf, fmt.Appendf(nil, amavisConf, l.Path(name), ports[0], host, port), 0o644); err != nil {
		return nil, fmt.Errorf("writing the configuration of amavis: %w", err)
	}
	a := &Amavis{Addr: Loopback(ports[0])}
	if a.Process, err = l.Start(Spec{Name: "amavis", Path: "/usr/sbin/amavisd", Args: []string{"-c", conf, "foreground"}, Log: l.Path(name, "amavis.log")}); err != nil {
		return nil, err
	}
	return a, Until("amavis to greet", func() (bool, error) {
		if a.Exited() {
			return false, Never(fmt.Errorf("it ended: %s", a.Log()))
		}
		c, err := DialSMTP(a.Addr)
		if err != nil {
			return false, nil
		}
		return true, c.Quit()
	})
}

// amavisConf has the folder, the port, and where mail goes on as its arguments.
const amavisConf = `use strict;
$MYHOME = '%[1]s/home';
$TEMPBASE = $ENV{TMPDIR} = '%[1]s/home/tmp';
$helpers_home = '%[1]s/home/var';
$lock_file = '%[1]s/home/var/lock';
$pid_file = '%[1]s/home/var/pid';
$QUARANTINEDIR = undef;
$daemon_user = 'amavis';
$daemon_group = 'amavis';
$max_servers = 1;
$enable_db = $enable_zmq = $enable_global_cache = 0;
$mydomain = 'lab.test';
$myhostname = 'mx.lab.test';
$unix_socketname = undef;
$inet_socket_bind = '127.0.0.1';
$inet_socket_port = %[2]d;
@inet_acl = qw(127.0.0.1);
$forward_method = $notify_method = 'smtp:[%[3]s]:%[4]s';
@bypass_virus_checks_maps = @bypass_spam_checks_maps = @bypass_banned_checks_maps = @bypass_header_checks_maps = (1);
$DO_SYSLOG = 0;
$log_level = 1;
1;
`
