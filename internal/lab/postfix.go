package lab

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"os/user"
	"slices"
	"strconv"
	"strings"
	"sync"
	"syscall"
)

// Users is how many mailboxes a private Postfix has; Mailbox hands them out.
const Users = 400

// Service is one smtpd of a private Postfix.
type Service struct {
	Name    string
	Chroot  bool
	Milters string // value of smtpd_milters; empty for that of main.cf, which is none
	Port    int    // 0 for a free one
	// Options are further settings of main.cf, "name = value", for it alone.
	Options []string
}

// PostfixConfig says how to set up a private Postfix.
type PostfixConfig struct {
	Services []Service
	// OwnBounces is the value of non_smtpd_milters, with
	// internal_mail_filter_classes = bounce: the milters that see the bounces
	// which this Postfix makes.
	OwnBounces string
	// Remote is the address of the server that the domains remote.test,
	// *.remote.test and example.com are delivered to.
	Remote string
	// Main is added to main.cf, Master to master.cf.
	Main   string
	Master string
}

// Postfix is a running private Postfix: mail to lab.test goes to Maildirs.
type Postfix struct {
	Dir     string
	Version string

	proc  *Process
	ports map[string]int

	mu   sync.Mutex
	next int
}

// postfixUser finds the ids of Postfix's user and group.
func postfixUser() (uid, gid int, err error) {
	u, err := user.Lookup("postfix")
	if err != nil {
		return 0, 0, fmt.Errorf("is Postfix installed? %w", err)
	}
	if uid, err = strconv.Atoi(u.Uid); err != nil {
		return 0, 0, fmt.Errorf("reading Postfix's user id: %w", err)
	}
	if gid, err = strconv.Atoi(u.Gid); err != nil {
		return 0, 0, fmt.Errorf("reading Postfix's group id: %w", err)
	}
	return uid, gid, nil
}

// nobody owns the Maildirs.
const nobody = 65534

// StartPostfix starts a private Postfix below the folder name of the Lab and
// returns when each of its smtpd services answers. It must be called by root.
func (l *Lab) StartPostfix(name string, cfg PostfixConfig) (*Postfix, error) {
	p, err := l.SetUpPostfix(name, cfg)
	if err != nil {
		return nil, err
	}
	// In the foreground the start script lives as long as the master.
	p.proc, err = l.Start(Spec{
		Name: "postfix", Path: "postfix", Args: []string{"-c", p.Dir + "/etc", "start-fg"}, Log: p.Dir + "/start.log",
	})
	if err != nil {
		return nil, err
	}
	l.Defer(p.Stop)
	for _, s := range cfg.Services {
		if err := p.await(s.Name); err != nil {
			return nil, fmt.Errorf("%w\n%s", err, p.Log())
		}
	}
	return p, nil
}

// SetUpPostfix sets up a private Postfix as [Lab.StartPostfix] does, and does not start
// it.
func (l *Lab) SetUpPostfix(name string, cfg PostfixConfig) (*Postfix, error) {
	version, err := exec.Command("postconf", "-h", "-d", "mail_version").Output()
	if err != nil {
		return nil, fmt.Errorf("asking Postfix's version: %w", err)
	}
	p := &Postfix{Dir: l.Path(name), Version: strings.TrimSpace(string(version)), ports: map[string]int{}}
	if err := p.write(l, name, cfg); err != nil {
		return nil, fmt.Errorf("setting up Postfix: %w", err)
	}
	return p, nil
}

// await waits until a service greets.
func (p *Postfix) await(service string) error {
	return Until("Postfix's service "+service, func() (bool, error) {
		if p.proc.Exited() {
			return false, Never(fmt.Errorf("it ended: %s", p.proc.Log()))
		}
		c, err := DialSMTP(p.Addr(service))
		if err != nil {
			return false, nil
		}
		return true, c.Quit()
	})
}

// SocketDir is a folder inside the queue, for milter sockets that a chrooted
// smtpd must reach; it belongs to Postfix's group. Its name relative to the
// queue is "milter", as Postfix wants it: unix:milter/NAME.
func (l *Lab) SocketDir(postfix string) (string, error) {
	_, gid, err := postfixUser()
	if err != nil {
		return "", err
	}
	if _, err := l.mkdir(0o755, 0, 0, postfix); err != nil {
		return "", err
	}
	if _, err := l.mkdir(0o755, 0, 0, postfix, "spool"); err != nil {
		return "", err
	}
	return l.mkdir(0o750, 0, gid, postfix, "spool", "milter")
}

// write makes the folders and files of the instance.
func (p *Postfix) write(l *Lab, name string, cfg PostfixConfig) error {
	uid, _, err := postfixUser()
	if err != nil {
		return err
	}
	for _, d := range []struct {
		sub  string
		uid  int
		mode os.FileMode
	}{{"", 0, 0o755}, {"etc", 0, 0o755}, {"spool", 0, 0o755}, {"data", uid, 0o700}, {"mail", nobody, 0o755}} {
		gid := 0
		if d.uid == nobody {
			gid = nobody
		}
		if _, err := l.mkdir(d.mode, d.uid, gid, name, d.sub); err != nil {
			return err
		}
	}
	ports, err := FreePorts(len(cfg.Services))
	if err != nil {
		return err
	}
	var master strings.Builder
	for i, s := range cfg.Services {
		if s.Port != 0 {
			ports[i] = s.Port
		}
		p.ports[s.Name] = ports[i]
		chroot := "n"
		if s.Chroot {
			chroot = "y"
		}
		fmt.Fprintf(&master, "%s inet n - %s - - smtpd\n", Loopback(ports[i]), chroot)
		if s.Milters != "" {
			fmt.Fprintf(&master, "  -o { smtpd_milters = %s }\n", s.Milters)
		}
		for _, o := range s.Options {
			fmt.Fprintf(&master, "  -o { %s }\n", o)
		}
	}
	master.WriteString(masterCf + cfg.Master)

	var boxes strings.Builder
	for _, u := range append([]string{"postmaster", "root"}, userNames()...) {
		fmt.Fprintf(&boxes, "%s@lab.test %s/\n", u, u)
	}
	main := fmt.Sprintf(mainCf, p.Dir) + fmt.Sprintf("non_smtpd_milters = %s\ninternal_mail_filter_classes = bounce\n", cfg.OwnBounces)
	if cfg.Remote != "" {
		host, port, err := net.SplitHostPort(cfg.Remote)
		if err != nil {
			return fmt.Errorf("reading the remote's address: %w", err)
		}
		next := fmt.Sprintf("smtp:[%s]:%s", host, port)
		main += fmt.Sprintf("transport_maps = inline:{ remote.test=%s, .remote.test=%s, example.com=%s }\n", next, next, next)
	}
	for file, text := range map[string]string{
		"main.cf": main + cfg.Main, "master.cf": master.String(), "boxes": boxes.String(),
	} {
		if err := os.WriteFile(p.Dir+"/etc/"+file, []byte(text), 0o644); err != nil {
			return err
		}
	}
	return nil
}

func userNames() []string {
	var names []string
	for i := range Users {
		names = append(names, fmt.Sprintf("user%d", i))
	}
	return names
}

// Addr returns the address of a service.
func (p *Postfix) Addr(service string) string { return Loopback(p.ports[service]) }

// Mailbox returns an address of this Postfix that was not handed out before,
// and the Maildir of its mail.
func (p *Postfix) Mailbox() (string, Maildir) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.next >= Users {
		panic("lab: out of mailboxes") // a mistake in the test's own text
	}
	name := fmt.Sprintf("user%d", p.next)
	p.next++
	return name + "@lab.test", Maildir(p.Dir + "/mail/" + name)
}

// Log returns what Postfix has logged.
func (p *Postfix) Log() string {
	b, err := os.ReadFile(p.Dir + "/maillog")
	if err != nil {
		return p.proc.Log()
	}
	return string(b)
}

// QueueLength returns the number of messages that Postfix has accepted and not yet
// delivered or bounced.
func (p *Postfix) QueueLength() (int, error) {
	out, err := exec.Command("postqueue", "-c", p.Dir+"/etc", "-j").Output()
	if err != nil {
		return 0, fmt.Errorf("reading Postfix's queue: %w", err)
	}
	return strings.Count(string(out), "\n"), nil
}

// Queued is a message in Postfix's queue.
type Queued struct {
	ID         string `json:"queue_id"`
	Queue      string `json:"queue_name"` // "hold" of one that is held
	Sender     string
	Recipients []struct{ Address string }
}

// Queue returns the messages in Postfix's queue.
func (p *Postfix) Queue() ([]Queued, error) {
	out, err := exec.Command("postqueue", "-c", p.Dir+"/etc", "-j").Output()
	if err != nil {
		return nil, fmt.Errorf("reading Postfix's queue: %w", err)
	}
	var list []Queued
	for dec := json.NewDecoder(bytes.NewReader(out)); ; {
		var q Queued
		if err := dec.Decode(&q); err == io.EOF {
			return list, nil
		} else if err != nil {
			return nil, fmt.Errorf("reading Postfix's queue: %w", err)
		}
		list = append(list, q)
	}
}

// Submit submits a message with sendmail(1), as a program on this host does.
func (p *Postfix) Submit(from string, to []string, data []byte) error {
	cmd := exec.Command("/usr/sbin/sendmail", append([]string{"-C", p.Dir + "/etc", "-i", "-f", from}, to...)...)
	cmd.Stdin = bytes.NewReader(data)
	if out, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("handing a message in: %w: %s", err, out)
	}
	return nil
}

// Held returns how many messages are on hold.
func (p *Postfix) Held() (int, error) {
	list, err := p.Queue()
	n := 0
	for _, q := range list {
		if q.Queue == "hold" {
			n++
		}
	}
	return n, err
}

// Release releases what is on hold, and has Postfix deliver it now.
func (p *Postfix) Release() error {
	if out, err := exec.Command("postsuper", "-c", p.Dir+"/etc", "-H", "ALL").CombinedOutput(); err != nil {
		return fmt.Errorf("releasing what is on hold: %w: %s", err, out)
	}
	return p.Flush()
}

// settle waits until Postfix is trying nothing.
func (p *Postfix) settle() error {
	return Until("Postfix's attempts to end", func() (bool, error) {
		list, err := p.Queue()
		busy := slices.ContainsFunc(list, func(q Queued) bool { return q.Queue != "deferred" && q.Queue != "hold" })
		return !busy, err
	})
}

// Flush makes Postfix try everything in its queue now. It waits for attempts that go on:
// their messages would not be tried again.
func (p *Postfix) Flush() error {
	if err := p.settle(); err != nil {
		return err
	}
	if out, err := exec.Command("postqueue", "-c", p.Dir+"/etc", "-f").CombinedOutput(); err != nil {
		return fmt.Errorf("flushing Postfix's queue: %w: %s", err, out)
	}
	return nil
}

// master reads the process id of Postfix's master from its lock file, 0 if it
// has none.
func (p *Postfix) master() int {
	var pid int
	if b, err := os.ReadFile(p.Dir + "/spool/pid/master.pid"); err == nil {
		fmt.Sscan(string(b), &pid)
	}
	return pid
}

// Stop ends Postfix and waits until it is gone.
func (p *Postfix) Stop() {
	if p.proc.Exited() {
		return
	}
	// "stop" waits for the master to end and kills it when it does not.
	exec.Command("postfix", "-c", p.Dir+"/etc", "stop").Run()
	if _, err := p.proc.Wait(Patience); err != nil {
		if pid := p.master(); pid > 0 {
			syscall.Kill(-pid, syscall.SIGKILL)
		}
		p.proc.Kill()
	}
}

// mainCf has the instance's folder as its only, repeated, argument. Nothing in
// it looks names up, rewrites ordinary mail or limits a client.
const mainCf = `compatibility_level = 3.6
queue_directory = %[1]s/spool
data_directory = %[1]s/data
maillog_file = %[1]s/maillog
maillog_file_prefixes = /
syslog_name = pflab
alternate_config_directories = %[1]s/etc
myhostname = mx.lab.test
mydomain = lab.test
myorigin = lab.test
mydestination =
inet_interfaces = 127.0.0.1
inet_protocols = ipv4
mynetworks = 127.0.0.0/8
local_header_rewrite_clients =
local_recipient_maps =
alias_maps =
alias_database =
disable_dns_lookups = yes
smtp_host_lookup = native
smtp_tls_security_level = none
smtputf8_enable = yes
strict_smtputf8 = no
smtpd_peername_lookup = no
message_size_limit = 67108864
mailbox_size_limit = 0
virtual_mailbox_limit = 0
virtual_mailbox_domains = lab.test
virtual_mailbox_base = %[1]s/mail
virtual_mailbox_maps = texthash:%[1]s/etc/boxes
virtual_uid_maps = static:65534
virtual_gid_maps = static:65534
milter_default_action = accept
milter_connect_timeout = 60s
milter_command_timeout = 60s
milter_content_timeout = 60s
in_flow_delay = 0
smtpd_client_connection_count_limit = 0
smtpd_client_connection_rate_limit = 0
smtpd_client_message_rate_limit = 0
smtpd_client_event_limit_exceptions = static:all
`

const masterCf = `pickup    unix  n  -  n  60    1  pickup
cleanup   unix  n  -  n  -     0  cleanup
qmgr      unix  n  -  n  300   1  qmgr
rewrite   unix  -  -  n  -     -  trivial-rewrite
bounce    unix  -  -  n  -     0  bounce
defer     unix  -  -  n  -     0  bounce
trace     unix  -  -  n  -     0  bounce
verify    unix  -  -  n  -     1  verify
flush     unix  n  -  n  1000? 0  flush
proxymap  unix  -  -  n  -     -  proxymap
smtp      unix  -  -  n  -     -  smtp
relay     unix  -  -  n  -     -  smtp
lmtp      unix  -  -  n  -     -  lmtp
showq     unix  n  -  n  -     -  showq
error     unix  -  -  n  -     -  error
retry     unix  -  -  n  -     -  error
discard   unix  -  -  n  -     -  discard
local     unix  -  n  n  -     -  local
virtual   unix  -  n  n  -     -  virtual
anvil     unix  -  -  n  -     1  anvil
scache    unix  -  -  n  -     1  scache
postlog   unix-dgram n - n -   1  postlogd
`
