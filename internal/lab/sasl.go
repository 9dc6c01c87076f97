package lab

import (
	"bufio"
	"encoding/base64"
	"fmt"
	"net"
	"os"
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
