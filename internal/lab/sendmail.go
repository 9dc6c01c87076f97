package lab

import (
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"syscall"
)

// Sendmail is a running private Sendmail. Mail goes on to a Remote, but for that to a
// user of its own.
type Sendmail struct {
	Dir     string
	Version string
	Addr    string

	proc *Process
	libs string // folders of the libraries unpacked beside it
}

// sendmailBanner finds the version in Sendmail's greeting.
var sendmailBanner = regexp.MustCompile(`Sendmail ([0-9][0-9.]*[0-9])`)

// SendmailConfig says how to set up a private Sendmail.
type SendmailConfig struct {
	// Milter is the milter's socket: "inet:8894@127.0.0.1" or "unix:/a/folder/name";
	// empty for none.
	Milter string
	// Remote is the server that all mail goes to but that of users of sm.lab.test.
	Remote string
	// MC is added to the m4 source before its mailers, Rules behind them.
	MC, Rules string
	// User is a user of sm.lab.test, with the home directory Home.
	User, Home string
	// Account is one that may log in by SMTP with Password, "" for none.
	Account, Password string
}

// StartSendmail starts a Sendmail below the folder name of the Lab. It must be called
// by root.
func (l *Lab) StartSendmail(name string, cfg SendmailConfig) (*Sendmail, error) {
	milter := cfg.Milter
	tree, err := SendmailTree()
	if err != nil {
		return nil, err
	}
	ports, err := FreePorts(1)
	if err != nil {
		return nil, err
	}
	s := &Sendmail{Dir: l.Path(name), Addr: Loopback(ports[0])}
	// Sendmail refuses a socket below a folder that everyone may write to, such
	// as the one for temporary files, so it sees the socket's folder elsewhere.
	sockets := s.Dir + "/etc"
	if path, ok := strings.CutPrefix(milter, "unix:"); ok {
		sockets = filepath.Dir(path)
		milter = "local:" + sendmailSockets + "/" + filepath.Base(path)
	}
	if err := s.write(l, name, tree, ports[0], milter, cfg); err != nil {
		return nil, fmt.Errorf("setting up Sendmail: %w", err)
	}
	if cfg.Account != "" {
		if err := l.accounts(s.Dir+"/sasl2", "Sendmail", "sm.lab.test", cfg.Account, cfg.Password); err != nil {
			return nil, err
		}
	}
	if err := s.keepLog(l); err != nil {
		return nil, err
	}
	libs, err := libraryPath(tree)
	if err != nil {
		return nil, err
	}
	s.libs = libs
	path, args := "unshare", []string{"-m", "sh", "-ec", sendmailNamespace}
	if err := exec.Command("unshare", "-m", "true").Run(); err != nil {
		if strings.HasPrefix(milter, "local:") || cfg.User != "" || cfg.Account != "" {
			return nil, fmt.Errorf("a socket that Sendmail trusts and users of its own need a mount namespace: %w", err)
		}
		// Without a namespace Sendmail looks names up where the machine does
		// and its log is lost; slower, but it serves.
		path, args = "sh", []string{"-ec", `LD_LIBRARY_PATH=$LIBS exec $D/sendmail -C $D/etc/sendmail.cf -bD`}
	}
	s.proc, err = l.Start(Spec{
		Name: "sendmail", Path: path, Args: args, Env: []string{"D=" + s.Dir, "LIBS=" + libs, "SOCKETS=" + sockets}, Log: s.Dir + "/start.log",
	})
	if err != nil {
		return nil, err
	}
	l.Defer(s.Stop)
	return s, Until("Sendmail to greet", func() (bool, error) {
		if s.proc.Exited() {
			return false, Never(fmt.Errorf("it ended: %s", s.proc.Log()))
		}
		c, err := DialSMTP(s.Addr)
		if err != nil {
			return false, nil
		}
		if m := sendmailBanner.FindStringSubmatch(c.Banner); m != nil {
			s.Version = m[1]
		}
		return true, c.Quit()
	})
}

// sendmailSockets is where Sendmail sees the folder of the milter's socket.
const sendmailSockets = "/mnt"

// sendmailNamespace runs Sendmail with an /etc/hosts and resolv.conf of its own,
// so that no name is ever looked up outside, an /etc/passwd and a /dev whose log is ours. D is
// its folder, LIBS the folders of the libraries unpacked beside it, SOCKETS the
// folder of the milter's socket.
const sendmailNamespace = `
mount --bind $SOCKETS ` + sendmailSockets + `
mount --bind $D/etc/hosts /etc/hosts
mount --bind $D/etc/passwd /etc/passwd
if [ -e $D/sasl2 ]; then mount --bind $D/sasl2 ` + saslFolder + `; fi
if [ -e /etc/resolv.conf ]; then mount --bind $D/etc/resolv.conf $(readlink -f /etc/resolv.conf); fi
for n in null zero random urandom full tty; do
  if [ -e /dev/$n ]; then : > $D/dev/$n; mount --bind /dev/$n $D/dev/$n; fi
done
mount --bind $D/dev /dev
LD_LIBRARY_PATH=$LIBS exec $D/sendmail -C $D/etc/sendmail.cf -bD
`

// write makes the instance's files, with the unpacked packages in tree.
func (s *Sendmail) write(l *Lab, name, tree string, port int, milter string, cfg SendmailConfig) error {
	for _, d := range []struct {
		sub  string
		mode os.FileMode
	}{{"", 0o755}, {"etc", 0o755}, {"q", 0o700}, {"dev", 0o755}} {
		if _, err := l.mkdir(d.mode, 0, 0, name, d.sub); err != nil {
			return err
		}
	}
	binary, err := findFile(tree, "sendmail")
	if err != nil {
		return err
	}
	// A copy without setgid: the loader ignores LD_LIBRARY_PATH otherwise.
	if out, err := exec.Command("install", "-m", "755", binary, s.Dir+"/sendmail").CombinedOutput(); err != nil {
		return fmt.Errorf("copying the program: %w: %s", err, out)
	}
	host, relay, err := net.SplitHostPort(cfg.Remote)
	if err != nil {
		return fmt.Errorf("reading the remote's address: %w", err)
	}
	filter := ""
	if milter != "" {
		filter = fmt.Sprintf("INPUT_MAIL_FILTER(`lab', `S=%s, F=, T=C:60s;S:60s;R:60s;E:60s')dnl\n", milter)
	}
	cf := filepath.Join(tree, "usr/share/sendmail/cf")
	mc := strings.NewReplacer("@CF@", cf, "@D@", s.Dir, "@PORT@", fmt.Sprint(port), "@HOST@", host,
		"@RELAY@", relay, "@FILTER@", filter+cfg.MC, "@RULES@", cfg.Rules).Replace(sendmailMC)
	hostname, err := os.Hostname()
	if err != nil {
		return err
	}
	users, err := os.ReadFile("/etc/passwd")
	if err != nil {
		return err
	}
	passwd := string(users)
	if cfg.User != "" {
		passwd += fmt.Sprintf("%s:x:%d:%d::%s:/bin/sh\n", cfg.User, nobody, nobody, cfg.Home)
	}
	for file, text := range map[string]string{
		"lab.mc": mc, "service.switch": "hosts\tfiles\naliases\tfiles\n",
		"hosts":       fmt.Sprintf("127.0.0.1 localhost sm.lab.test %s\n", hostname),
		"resolv.conf": "nameserver 127.0.0.1\noptions timeout:1 attempts:1\n",
		"passwd":      passwd,
	} {
		if err := os.WriteFile(s.Dir+"/etc/"+file, []byte(text), 0o644); err != nil {
			return err
		}
	}
	m4 := exec.Command("m4", "-D_CF_DIR_="+cf+"/", s.Dir+"/etc/lab.mc")
	out, err := m4.Output()
	if err != nil {
		return fmt.Errorf("making sendmail.cf: %w", err)
	}
	return os.WriteFile(s.Dir+"/etc/sendmail.cf", out, 0o644)
}

// keepLog receives what Sendmail sends to syslog.
func (s *Sendmail) keepLog(l *Lab) error {
	conn, err := net.ListenUnixgram("unixgram", &net.UnixAddr{Name: s.Dir + "/dev/log", Net: "unixgram"})
	if err != nil {
		return fmt.Errorf("receiving Sendmail's log: %w", err)
	}
	out, err := os.Create(s.Dir + "/maillog")
	if err != nil {
		conn.Close()
		return fmt.Errorf("keeping Sendmail's log: %w", err)
	}
	l.Defer(func() { conn.Close() })
	go func() {
		defer out.Close()
		buf := make([]byte, 64<<10)
		for {
			n, err := conn.Read(buf)
			if err != nil {
				return
			}
			fmt.Fprintf(out, "%s\n", strings.TrimRight(string(buf[:n]), "\x00\n"))
		}
	}()
	return nil
}

// Log returns what Sendmail has logged.
func (s *Sendmail) Log() string {
	b, err := os.ReadFile(s.Dir + "/maillog")
	if err != nil {
		return err.Error()
	}
	return s.proc.Log() + string(b)
}

// RunQueue tries everything in the queue again, with further options (-O).
func (s *Sendmail) RunQueue(options ...string) error {
	args := []string{"-t", fmt.Sprint(s.proc.Pid()), "-m", s.Dir + "/sendmail", "-C", s.Dir + "/etc/sendmail.cf"}
	for _, o := range options {
		args = append(args, "-O", o)
	}
	cmd := exec.Command("nsenter", append(args, "-q")...)
	cmd.Env = append(os.Environ(), "LD_LIBRARY_PATH="+s.libs)
	if out, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("running Sendmail's queue: %w: %s", err, out)
	}
	return nil
}

// Quarantined returns what mailq shows of the messages in quarantine.
func (s *Sendmail) Quarantined() (string, error) {
	// It looks names up where the daemon does: elsewhere it would wait for each look-up.
	cmd := exec.Command("nsenter", "-t", fmt.Sprint(s.proc.Pid()), "-m", s.Dir+"/sendmail", "-C", s.Dir+"/etc/sendmail.cf", "-bp", "-qQ")
	cmd.Env = append(os.Environ(), "LD_LIBRARY_PATH="+s.libs)
	out, err := cmd.CombinedOutput()
	if err != nil {
		return "", fmt.Errorf("reading Sendmail's queue: %w: %s", err, out)
	}
	return string(out), nil
}

// Stop ends Sendmail, its children too.
func (s *Sendmail) Stop() {
	if s.proc.Exited() {
		return
	}
	syscall.Kill(-s.proc.Pid(), syscall.SIGTERM)
	if _, err := s.proc.Wait(Patience); err != nil {
		s.proc.Kill()
	}
}

// SendmailTree is a folder with Debian's Sendmail unpacked, not installed: the
// package would push Postfix off the machine.
func SendmailTree() (string, error) {
	return DebTree("sendmail", []string{"sendmail-bin", "sendmail-cf"}, []string{"sendmail"})
}

// sendmailMC is m4 source for sendmail.cf. Delivery is interactive: the reply to
// the final dot comes after the message was handed on.
const sendmailMC = "include(`@CF@/m4/cf.m4')\n" +
	"OSTYPE(`linux')dnl\n" +
	"define(`confCF_VERSION', `lab')dnl\n" +
	"define(`QUEUE_DIR', `@D@/q')dnl\n" +
	"define(`confPID_FILE', `@D@/sendmail.pid')dnl\n" +
	"define(`ALIAS_FILE', `null:none')dnl\n" +
	"define(`STATUS_FILE', `@D@/etc/statistics')dnl\n" +
	"define(`HELP_FILE', `@D@/etc/helpfile')dnl\n" +
	"define(`confCONTROL_SOCKET_NAME', `')dnl\n" +
	"define(`confSERVICE_SWITCH_FILE', `@D@/etc/service.switch')dnl\n" +
	"define(`confDOMAIN_NAME', `sm.lab.test')dnl\n" +
	"define(`confDONT_BLAME_SENDMAIL', `AssumeSafeChown,GroupWritableDirPathSafe,DontWarnForwardFileInUnsafeDirPath,MapInUnsafeDirPath,ClassFileInUnsafeDirPath')dnl\n" +
	"define(`confDEF_USER_ID', `65534:65534')dnl\n" +
	"define(`confTRUSTED_USER', `root')dnl\n" +
	"define(`confDELIVERY_MODE', `i')dnl\n" +
	"define(`confMAX_MESSAGE_SIZE', `0')dnl\n" +
	"define(`confLOG_LEVEL', `14')dnl\n" +
	"define(`confMILTER_LOG_LEVEL', `14')dnl\n" +
	"define(`confTO_IDENT', `0')dnl\n" +
	"define(`confAUTH_MECHANISMS', `PLAIN')dnl\n" +
	"define(`confQUEUE_LA', `1000')dnl\n" +
	"define(`confREFUSE_LA', `1000')dnl\n" +
	"define(`confDELAY_LA', `1000')dnl\n" +
	"FEATURE(`no_default_msa')dnl\n" +
	"FEATURE(`nocanonify')dnl\n" +
	"FEATURE(`promiscuous_relay')dnl\n" +
	"FEATURE(`accept_unresolvable_domains')dnl\n" +
	"FEATURE(`accept_unqualified_senders')dnl\n" +
	"DAEMON_OPTIONS(`Name=MTA, Addr=127.0.0.1, Port=@PORT@, Family=inet')dnl\n" +
	"define(`SMART_HOST', `relay:[@HOST@]')dnl\n" +
	"define(`RELAY_MAILER_ARGS', `TCP $h @RELAY@')dnl\n" +
	"@FILTER@" +
	"MAILER(`local')dnl\n" +
	"MAILER(`smtp')dnl\n" +
	"@RULES@"
