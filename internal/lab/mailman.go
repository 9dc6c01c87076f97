package lab

import (
	"fmt"
	"net"
	"os"
	"os/exec"
	"os/user"
	"regexp"
	"strconv"
	"strings"
	"syscall"
)

// Mailman is Debian's Mailman 3, run from a folder of the Lab: its LMTP server, its
// bounce runner, and what they need to send mail.
type Mailman struct {
	// Dir holds its state.
	Dir string
	// LMTP is where it takes mail.
	LMTP string

	tree string
	as   *syscall.Credential
	proc *Process
}

// mailmanNeedless are packages that Mailman depends on and that none of its runners here
// uses: what starts it, and what its web pages are made of.
var mailmanNeedless = regexp.MustCompile(`^(cron|dbconfig|fonts-|logrotate|sphinx)`)

// listUser is the user that Debian runs list managers as, which every Debian has.
func listUser() (*syscall.Credential, error) {
	u, err := user.Lookup("list")
	if err != nil {
		return nil, fmt.Errorf("looking for the user of list managers: %w", err)
	}
	uid, err := strconv.ParseUint(u.Uid, 10, 32)
	if err != nil {
		return nil, fmt.Errorf("reading the user id of list: %w", err)
	}
	gid, err := strconv.ParseUint(u.Gid, 10, 32)
	if err != nil {
		return nil, fmt.Errorf("reading the group id of list: %w", err)
	}
	return &syscall.Credential{Uid: uint32(uid), Gid: uint32(gid)}, nil
}

// NewMailman sets Mailman up below the folder name of the Lab; it sends through the SMTP
// server at smtp. It must be called by root.
func (l *Lab) NewMailman(name, smtp string) (*Mailman, error) {
	as, err := listUser()
	if err != nil {
		return nil, err
	}
	tree, err := ScriptTree("mailman", "mailman3", mailmanNeedless, func(dir string) error {
		// As the packages do when they are installed; else every runner would do it again.
		if out, err := exec.Command("/usr/bin/python3", "-m", "compileall", "-q", dir+"/usr/lib").CombinedOutput(); err != nil {
			return fmt.Errorf("compiling: %w\n%s", err, out)
		}
		return nil
	})
	if err != nil {
		return nil, err
	}
	m := &Mailman{Dir: l.Path(name), as: as}
	if _, err := l.mkdir(0o755, int(as.Uid), int(as.Gid), name); err != nil {
		return nil, err
	}
	if m.tree, err = l.readable(tree, name+"-tree"); err != nil {
		return nil, err
	}
	host, port, err := net.SplitHostPort(smtp)
	if err != nil {
		return nil, fmt.Errorf("reading where Mailman is to send mail: %w", err)
	}
	ports, err := FreePorts(1)
	if err != nil {
		return nil, err
	}
	m.LMTP = Loopback(ports[0])
	for file, text := range map[string]string{
		"mailman.cfg": fmt.Sprintf(mailmanCfg, m.Dir, m.tree, host, port, ports[0]),
		"postfix.cfg": "[postfix]\npostmap_command: true\ntransport_file_type: regex\n",
	} {
		if err := os.WriteFile(m.Dir+"/"+file, []byte(text), 0o644); err != nil {
			return nil, fmt.Errorf("setting up Mailman: %w", err)
		}
	}
	return m, nil
}

// readable copies a folder of packages into the Lab, where every user can read it.
func (l *Lab) readable(tree, name string) (string, error) {
	dir := l.Path(name)
	if out, err := exec.Command("cp", "-a", tree, dir).CombinedOutput(); err != nil {
		return "", fmt.Errorf("copying packages: %w: %s", err, out)
	}
	return dir, nil
}

// spec runs one of Mailman's programs with its configuration.
func (m *Mailman) spec(program string, args ...string) Spec {
	return Spec{
		Name: "mailman", Path: "/usr/bin/python3", As: m.as, Log: m.Dir + "/" + program + ".log",
		Args: append([]string{m.tree + "/usr/lib/mailman3/bin/" + program, "-C", m.Dir + "/mailman.cfg"}, args...),
		Env:  []string{"PYTHONPATH=" + m.tree + "/usr/lib/python3/dist-packages", "HOME=" + m.Dir},
	}
}

// Command runs mailman(1).
func (m *Mailman) Command(stdin string, args ...string) error {
	s := m.spec("mailman", args...)
	cmd := exec.Command(s.Path, s.Args...)
	cmd.Env = append(os.Environ(), s.Env...)
	cmd.Dir = m.Dir
	cmd.Stdin = strings.NewReader(stdin)
	cmd.SysProcAttr = &syscall.SysProcAttr{Credential: m.as}
	if out, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("mailman %s: %w\n%s", strings.Join(args, " "), err, out)
	}
	return nil
}

// NewList makes a list. Its id is its address with a dot for the "@".
func (m *Mailman) NewList(address string, owners, members []string) error {
	args := []string{"create", "-d"}
	for _, o := range owners {
		args = append(args, "--owner", o)
	}
	if err := m.Command("", append(args, address)...); err != nil {
		return err
	}
	// As Debian has it, nobody else may read the database.
	if err := os.Chmod(m.Dir+"/data", 0o700); err != nil {
		return fmt.Errorf("making a list: %w", err)
	}
	return m.Command(strings.Join(members, "\n")+"\n", "addmembers", "--no-welcome-msg", "-", strings.Replace(address, "@", ".", 1))
}

// TransportMap is the table that Mailman writes for Postfix: which addresses are lists'.
func (m *Mailman) TransportMap() string { return m.Dir + "/data/postfix_lmtp" }

// Database is its SQLite file.
func (m *Mailman) Database() string { return m.Dir + "/data/mailman.db" }

// Start starts Mailman's runners, and returns when its LMTP server greets.
func (m *Mailman) Start(l *Lab) error {
	s := m.spec("master")
	s.OnDeath = syscall.SIGTERM // its runners end with it
	var err error
	if m.proc, err = l.Start(s); err != nil {
		return err
	}
	l.Defer(func() { m.proc.Stop() })
	return Until("Mailman's LMTP server", func() (bool, error) {
		if m.proc.Exited() {
			return false, Never(fmt.Errorf("it ended: %s", m.Log()))
		}
		conn, err := net.Dial("tcp", m.LMTP)
		if err != nil {
			return false, nil
		}
		return true, conn.Close()
	})
}

// Log is what Mailman has logged.
func (m *Mailman) Log() string {
	text := m.proc.Log()
	for _, name := range []string{"mailman", "bounce", "smtp"} {
		if b, err := os.ReadFile(m.Dir + "/logs/" + name + ".log"); err == nil {
			text += string(b)
		}
	}
	return text
}

// mailmanCfg has as its arguments: Mailman's folder, that of its packages, host and port
// of the SMTP server, the port of its LMTP server. It is Debian's, but for
// the folders and the pause between two looks into the queue of bounces, without the
// runners that a bounce never meets.
const mailmanCfg = `[mailman]
site_owner: postmaster@lab.test
layout: lab
[paths.lab]
var_dir: %[1]s
bin_dir: %[2]s/usr/lib/mailman3/bin
log_dir: $var_dir/logs
etc_dir: $var_dir
pid_file: $var_dir/master.pid
[database]
class: mailman.database.sqlite.SQLiteDatabase
url: sqlite:///$DATA_DIR/mailman.db
[logging.lab]
path: mailman.log
[mta]
incoming: mailman.mta.postfix.LMTP
outgoing: mailman.mta.deliver.deliver
smtp_host: %[3]s
smtp_port: %[4]s
lmtp_host: 127.0.0.1
lmtp_port: %[5]d
verp_delivery_interval: 1
verp_personalized_deliveries: yes
verp_probes: yes
configuration: %[1]s/postfix.cfg
[runner.bounces]
sleep_time: 1s
[runner.archive]
start: no
[runner.command]
start: no
[runner.digest]
start: no
[runner.nntp]
start: no
[runner.rest]
start: no
[runner.retry]
start: no
[runner.task]
start: no
`
