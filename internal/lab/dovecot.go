package lab

import (
	"bytes"
	"fmt"
	"os"
	"os/exec"
)

// Dovecot is a running private Dovecot that takes mail by LMTP, for any address, and
// stores it in Maildirs.
type Dovecot struct {
	*Process
	// Addr is the address where it takes mail.
	Addr string

	dir string
}

// StartDovecot starts Dovecot below the folder name of the Lab; conf is added to its
// configuration. It must be called by root.
func (l *Lab) StartDovecot(name, conf string) (*Dovecot, error) {
	tree, err := DebTree("dovecot-lmtpd", []string{"dovecot-lmtpd"}, []string{"lmtp"})
	if err != nil {
		return nil, err
	}
	lmtp, err := findFile(tree, "lmtp")
	if err != nil {
		return nil, err
	}
	d := &Dovecot{dir: l.Path(name)}
	if _, err := l.mkdir(0o755, 0, 0, name); err != nil {
		return nil, err
	}
	if _, err := l.mkdir(0o755, nobody, nobody, name, "home"); err != nil {
		return nil, err
	}
	ports, err := FreePorts(1)
	if err != nil {
		return nil, err
	}
	d.Addr = Loopback(ports[0])
	file := d.dir + "/dovecot.conf"
	if err := os.WriteFile(file, fmt.Appendf(nil, dovecotConf+"%[5]s", d.dir, nobody, lmtp, ports[0], conf), 0o644); err != nil {
		return nil, fmt.Errorf("writing the configuration of Dovecot: %w", err)
	}
	if d.Process, err = l.Start(Spec{Name: "dovecot", Path: "/usr/sbin/dovecot", Args: []string{"-F", "-c", file}, Log: d.dir + "/log"}); err != nil {
		return nil, err
	}
	l.Defer(func() { d.Stop() }) // Dovecot's processes have groups of their own
	return d, d.UntilItListens("tcp", d.Addr)
}

// Deliver stores a message with dovecot-lda, as an MTA on the same host does.
func (d *Dovecot) Deliver(user string, message []byte) error {
	cmd := exec.Command("/usr/lib/dovecot/dovecot-lda", "-c", d.dir+"/dovecot.conf", "-d", user)
	cmd.Stdin = bytes.NewReader(message)
	if out, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("delivering with dovecot-lda: %w: %s", err, out)
	}
	return nil
}

// Folder returns the Maildir of a user's folder; INBOX if folder is empty.
func (d *Dovecot) Folder(user, folder string) Maildir {
	dir := d.dir + "/home/" + user + "/Maildir"
	if folder != "" {
		dir += "/." + folder
	}
	return Maildir(dir)
}

// dovecotConf has the folder, the user of the mail, the program for LMTP and its port as
// its arguments.
const dovecotConf = `protocols = lmtp
base_dir = %[1]s/run
state_dir = %[1]s/state
log_path = /dev/stderr
ssl = no
first_valid_uid = 1
postmaster_address = postmaster@lab.test
hostname = dovecot.lab.test
mail_location = maildir:~/Maildir
passdb {
  driver = static
  args = nopassword=y
}
userdb {
  driver = static
  args = uid=%[2]d gid=%[2]d home=%[1]s/home/%%n
}
service lmtp {
  executable = %[3]s
  inet_listener lmtp {
    address = 127.0.0.1
    port = %[4]d
  }
}
`
