package lab

import (
	"bufio"
	"encoding/base64"
	"fmt"
	"net"
	"os"
	"os/exec"
	"strings"
)

// StartSASL starts a server of Dovecot's authentication protocol, version 1.2, on a unix
// socket below the folder name of the Lab: any user may log in with the password
// "secret". It returns the socket's path, for smtpd_sasl_path of Postfix.
func (l *Lab) StartSASL(name string) (string, error) {
	dir, err := l.mkdir(0o755, 0, 0, name)
	if err != nil {
		return "", err
	}
	path := dir + "/auth"
	ln, err := net.Listen("unix", path)
	if err != nil {
		return "", fmt.Errorf("starting an authentication server: %w", err)
	}
	l.Defer(func() { ln.Close() })
	if err := os.Chmod(path, 0o666); err != nil {
		return "", fmt.Errorf("starting an authentication server: %w", err)
	}
	go func() {
		for {
			c, err := ln.Accept()
			if err != nil {
				return
			}
			go authenticate(c)
		}
	}()
	return path, nil
}

// authenticate serves one smtpd. Its lines are words between tabs; those of AUTH are a
// number, the mechanism, and parameters, the last of which is what the client sent.
func authenticate(c net.Conn) {
	defer c.Close()
	fmt.Fprint(c, "VERSION\t1\t2\nMECH\tPLAIN\tplaintext\nSPID\t1\nCUID\t1\nCOOKIE\t0\nDONE\n")
	for in := bufio.NewScanner(c); in.Scan(); {
		words := strings.Split(in.Text(), "\t")
		if words[0] != "AUTH" || len(words) < 3 {
			continue
		}
		_, sent, _ := strings.Cut(in.Text(), "\tresp=")
		plain, _ := base64.StdEncoding.DecodeString(sent) // RFC 4616: NUL, user, NUL, password
		if part := strings.Split(string(plain), "\x00"); len(part) == 3 && part[2] == "secret" {
			fmt.Fprintf(c, "OK\t%s\tuser=%s\n", words[1], part[1])
		} else {
			fmt.Fprintf(c, "FAIL\t%s\n", words[1])
		}
	}
}

// Login logs in as a user (RFC 4954, RFC 4616).
func (c *SMTP) Login(user, password string) error {
	_, err := c.Expect(235, "AUTH PLAIN %s", base64.StdEncoding.EncodeToString([]byte("\x00"+user+"\x00"+password)))
	return err
}

// saslFolder is one of the folders in which Cyrus SASL looks for how programs are set up.
const saslFolder = "/usr/lib/sasl2"

// accounts fills a folder that a program shall see as saslFolder: with one account of a
// realm in a database of Cyrus SASL.
func (l *Lab) accounts(dir, program, realm, user, password string) error {
	_, saslpasswd, env, err := debProgram("sasl2-bin", []string{"sasl2-bin"}, []string{"saslpasswd2"})
	if err != nil {
		return err
	}
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return fmt.Errorf("making accounts: %w", err)
	}
	cmd := exec.Command(saslpasswd, "-c", "-p", "-f", dir+"/sasldb2", "-u", realm, user)
	cmd.Env = append(os.Environ(), env...)
	cmd.Stdin = strings.NewReader(password)
	if out, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("making an account: %w: %s", err, out)
	}
	conf := "pwcheck_method: auxprop\nauxprop_plugin: sasldb\nsasldb_path: " + saslFolder + "/sasldb2\nmech_list: PLAIN\n"
	if err := os.WriteFile(dir+"/"+program+".conf", []byte(conf), 0o644); err != nil {
		return fmt.Errorf("making accounts: %w", err)
	}
	return nil
}
