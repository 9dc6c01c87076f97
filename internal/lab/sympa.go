package lab

import (
	"bytes"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"syscall"
	"time"
)

// Sympa is Debian's Sympa, run from a folder of the Lab: the program that Postfix pipes
// bounces to, the daemon that reads them, and the one that rates members.
type Sympa struct {
	// Dir holds its state.
	Dir string

	tree string
	as   *syscall.Credential
	proc *Process
}

// sympaNeedless are packages that Sympa depends on and that are of no use here: what
// starts it, its web pages, other databases.
var sympaNeedless = regexp.MustCompile(`^(cron|dbconfig|fonts-|lib(ev4|cgi-fast|dbd-csv|dbd-mysql|dbd-pg|estr|fastjson|fcgi|js-|lognorm|mariadb)|logrotate|mariadb|mhonarc|multiwatch|mysql|node-|rsyslog)`)

// What Sympa has its paths and its user from, and the path in its compiled programs.
const (
	sympaConstants = "/usr/share/sympa/lib/Sympa/Constants.pm"
	sympaConf      = "/etc/sympa/sympa/sympa.conf"
)

// NewSympa sets Sympa up below the folder name of the Lab, for lists of one domain. It
// must be called by root.
func (l *Lab) NewSympa(name, domain string) (*Sympa, error) {
	as, err := listUser()
	if err != nil {
		return nil, err
	}
	tree, err := ScriptTree("sympa", "sympa", sympaNeedless, func(string) error { return nil })
	if err != nil {
		return nil, err
	}
	s := &Sympa{Dir: l.Path(name), as: as}
	for _, sub := range []string{"", "etc", "run", "list_data", "arc", "bounce", "css", "pictures", "spool", "spool/bounce", "spool/msg"} {
		if _, err := l.mkdir(0o750, int(as.Uid), int(as.Gid), name, sub); err != nil {
			return nil, err
		}
	}
	if s.tree, err = l.readable(tree, name+"-tree"); err != nil {
		return nil, err
	}
	if err := s.relocate(); err != nil {
		return nil, err
	}
	conf := fmt.Sprintf(sympaCfg, domain, s.Dir)
	if err := os.WriteFile(s.Dir+"/etc/sympa.conf", []byte(conf), 0o644); err != nil {
		return nil, fmt.Errorf("setting up Sympa: %w", err)
	}
	if err := s.bounceQueue(l); err != nil {
		return nil, err
	}
	// It makes the tables of its database.
	return s, s.Command("", "--health_check")
}

// relocate gives Sympa other folders and another user, as ./configure would.
func (s *Sympa) relocate() error {
	file := s.tree + sympaConstants
	b, err := os.ReadFile(file)
	if err != nil {
		return fmt.Errorf("setting up Sympa: %w", err)
	}
	b = []byte(strings.NewReplacer(
		"'"+sympaConf+"'", "'"+s.Dir+"/etc/sympa.conf'",
		"'/etc/sympa", "'"+s.Dir+"/etc",
		"'/run/sympa'", "'"+s.Dir+"/run'",
		"'/var/lib/sympa/", "'"+s.Dir+"/",
		"'/var/spool/sympa'", "'"+s.Dir+"/spool'",
		"'/usr/share/sympa/", "'"+s.tree+"/usr/share/sympa/",
		"'/usr/lib/sympa/", "'"+s.tree+"/usr/lib/sympa/",
		"'sympa'", "'list'",
	).Replace(string(b)))
	if err := os.WriteFile(file, b, 0o644); err != nil {
		return fmt.Errorf("setting up Sympa: %w", err)
	}
	return nil
}

// bounceQueue makes a copy of the program that Postfix pipes bounces to. It is compiled
// and reads one configuration file, so the copy has the path of ours in the same place.
func (s *Sympa) bounceQueue(l *Lab) error {
	dir, err := os.MkdirTemp("/tmp", "bm") // short, wherever the lab is
	if err != nil {
		return fmt.Errorf("setting up Sympa: %w", err)
	}
	l.Defer(func() { os.RemoveAll(dir) })
	if err := os.Chmod(dir, 0o755); err != nil {
		return fmt.Errorf("setting up Sympa: %w", err)
	}
	conf := dir + "/s.cf"
	if len(conf) > len(sympaConf) {
		return fmt.Errorf("setting up Sympa: no room for %s in bouncequeue", conf)
	}
	if err := os.Symlink(s.Dir+"/etc/sympa.conf", conf); err != nil {
		return fmt.Errorf("setting up Sympa: %w", err)
	}
	b, err := os.ReadFile(s.tree + "/usr/lib/sympa/bin/bouncequeue")
	if err != nil {
		return fmt.Errorf("setting up Sympa: %w", err)
	}
	if n := bytes.Count(b, []byte(sympaConf+"\x00")); n != 1 {
		return fmt.Errorf("setting up Sympa: bouncequeue names its configuration %d times", n)
	}
	ours := make([]byte, len(sympaConf))
	copy(ours, conf)
	if err := os.WriteFile(s.BounceQueue(), bytes.Replace(b, []byte(sympaConf), ours, 1), 0o755); err != nil {
		return fmt.Errorf("setting up Sympa: %w", err)
	}
	return nil
}

// BounceQueue is the program that Postfix pipes bounces to.
func (s *Sympa) BounceQueue() string { return s.Dir + "/bouncequeue" }

// Database is its SQLite file.
func (s *Sympa) Database() string { return s.Dir + "/sympa.sqlite" }

// spec runs one of Sympa's programs.
func (s *Sympa) spec(program string, args ...string) Spec {
	return Spec{
		Name: program, Path: "/usr/bin/perl", As: s.as, Log: s.Dir + "/" + program + ".log",
		Args: append([]string{s.tree + "/usr/lib/sympa/bin/" + program + ".pl"}, args...),
		Env: []string{
			"SYMPALIB=" + s.tree + "/usr/share/sympa/lib", "HOME=" + s.Dir,
			"PERL5LIB=" + s.perlPath(), "LD_LIBRARY_PATH=" + strings.Join(glob(s.tree+"/usr/lib/*-linux-gnu*"), ":"),
		},
	}
}

// perlPath is where Perl finds the modules that were unpacked.
func (s *Sympa) perlPath() string {
	return strings.Join(append(glob(s.tree+"/usr/lib/*/perl5/*"), s.tree+"/usr/share/perl5"), ":")
}

// Command runs sympa.pl.
func (s *Sympa) Command(stdin string, args ...string) error {
	spec := s.spec("sympa", args...)
	cmd := exec.Command(spec.Path, spec.Args...)
	cmd.Env = append(os.Environ(), spec.Env...)
	cmd.Dir = s.Dir
	cmd.Stdin = strings.NewReader(stdin)
	cmd.SysProcAttr = &syscall.SysProcAttr{Credential: s.as}
	if out, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("sympa.pl %s: %w\n%s", strings.Join(args, " "), err, out)
	}
	return nil
}

// NewList makes a list to which one message was sent today.
func (s *Sympa) NewList(name, domain string, owners, members []string) error {
	var owner strings.Builder
	for _, o := range owners {
		fmt.Fprintf(&owner, "<owner multiple=\"1\"><email>%s</email></owner>", o)
	}
	file := s.Dir + "/" + name + ".xml"
	if err := os.WriteFile(file, fmt.Appendf(nil, sympaList, name, owner.String()), 0o644); err != nil {
		return fmt.Errorf("making a list: %w", err)
	}
	if err := s.Command("", "create", "--input_file", file, domain); err != nil {
		return err
	}
	day := time.Now().Unix() / 86400
	if err := os.WriteFile(s.Dir+"/list_data/"+name+"/msg_count", fmt.Appendf(nil, "%d 1\n", day), 0o644); err != nil {
		return fmt.Errorf("making a list: %w", err)
	}
	return s.Command(strings.Join(members, "\n")+"\n", "add", "--quiet", name+"@"+domain)
}

// Start starts the daemon that reads bounces.
func (s *Sympa) Start(l *Lab) error {
	var err error
	s.proc, err = l.Start(s.spec("bounced", "--foreground"))
	return err
}

// Rate runs the daemon of Sympa's daily tasks until done holds. One of the tasks rates
// members by the bounces that were counted.
func (s *Sympa) Rate(l *Lab, done func() (bool, error)) error {
	p, err := l.Start(s.spec("task_manager", "--foreground"))
	if err != nil {
		return err
	}
	err = Until("Sympa to rate members", func() (bool, error) {
		if p.Exited() {
			return false, Never(fmt.Errorf("it ended: %s", p.Log()))
		}
		return done()
	})
	if _, stop := p.Stop(); err == nil {
		err = stop
	}
	return err
}

// Waiting is the number of bounces that were not read yet.
func (s *Sympa) Waiting() int { return len(glob(s.Dir + "/spool/bounce/*@*")) }

// Log is what the daemon that reads bounces has logged.
func (s *Sympa) Log() string { return s.proc.Log() }

// sympaCfg has the domain and the folder as its arguments. By default a member is rated
// after ten bounces in ten days.
const sympaCfg = `domain %[1]s
listmaster postmaster@lab.test
db_type SQLite
db_name %[2]s/sympa.sqlite
queuebounce %[2]s/spool/bounce
sendmail /bin/true
aliases_program none
sendmail_aliases none
cookie lab
sleep 1
minimum_bouncing_count 1
minimum_bouncing_period 0
`

const sympaList = `<?xml version="1.0"?>
<list>
<listname>%s</listname>
<type>discussion_list</type>
<subject>News</subject>
<description>News</description>
<status>open</status>
<language>en</language>
<topics>computers</topics>
%s
</list>
`

// glob lists the files that match a pattern of ours, which is never malformed.
func glob(pattern string) []string {
	files, _ := filepath.Glob(pattern)
	return files
}
