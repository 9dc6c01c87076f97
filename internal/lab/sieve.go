package lab

import (
	"fmt"
	"os"
	"os/exec"
	"regexp"
)

// Sieve asks Dovecot's sieve-test in which folder a Sieve script stores a message.
type Sieve struct {
	dir string
}

// stored is sieve-test's line about a folder; there is one for each copy stored.
var stored = regexp.MustCompile(`store message in folder: (\S+)`)

// NewSieve prepares sieve-test for the text of a script.
func (l *Lab) NewSieve(name, script string) (*Sieve, error) {
	s := &Sieve{dir: l.Path(name)}
	for _, sub := range []string{"", "home", "mail"} {
		// sieve-test gives up root for the owner of the mail.
		if _, err := l.mkdir(0o755, nobody, nobody, name, sub); err != nil {
			return nil, err
		}
	}
	conf := fmt.Sprintf("mail_uid = %d\nmail_gid = %[1]d\nmail_home = %s/home\nmail_location = maildir:%[2]s/mail\nssl = no\n", nobody, s.dir)
	for file, text := range map[string]string{"dovecot.conf": conf, "script.sieve": script} {
		if err := os.WriteFile(s.dir+"/"+file, []byte(text), 0o644); err != nil {
			return nil, fmt.Errorf("setting up sieve-test: %w", err)
		}
	}
	return s, nil
}

// Folder returns the folder in which the script stores a message; INBOX if it does
// nothing with it.
func (s *Sieve) Folder(message []byte) (string, error) {
	file := s.dir + "/message"
	if err := os.WriteFile(file, message, 0o644); err != nil {
		return "", fmt.Errorf("writing a message for sieve-test: %w", err)
	}
	out, err := exec.Command("sieve-test", "-c", s.dir+"/dovecot.conf", s.dir+"/script.sieve", file).CombinedOutput()
	if err != nil {
		return "", fmt.Errorf("running sieve-test: %w: %s", err, out)
	}
	m := stored.FindAllSubmatch(out, -1)
	if len(m) != 1 {
		return "", fmt.Errorf("reading what sieve-test did: %d folders in %s", len(m), out)
	}
	return string(m[0][1]), nil
}
