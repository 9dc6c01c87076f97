package main

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"strings"
	"time"

	"github.com/bounce-milter/bounce-milter/classify/origin"
)

func runTicketKeygen(a *app, _ []string) error {
	line := origin.GenerateKey(time.Now())
	if a.options.appendTo == "" {
		fmt.Fprintln(a.out, line)
		return nil
	}
	return a.appendKey(a.options.appendTo, line)
}

// appendKey appends a key to a key file, which it creates if there is none. It touches
// no file in which something is wrong.
func (a *app) appendKey(path, line string) error {
	before, err := os.ReadFile(path)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("ticket keygen: %w", err)
	}
	if len(bytes.TrimSpace(before)) > 0 {
		if _, err := origin.ReadKeys(path); err != nil {
			return fmt.Errorf("ticket keygen: %w", err)
		}
	}
	id, _, _ := strings.Cut(line, " ")
	keys, err := origin.ParseKeys(append(append(bytes.Clone(before), '\n'), line...))
	if err != nil {
		return fmt.Errorf("ticket keygen: the key file %s: with one more key: %w", path, err)
	}
	if len(before) > 0 && before[len(before)-1] != '\n' {
		line = "\n" + line
	}
	flags := os.O_WRONLY | os.O_APPEND
	if before == nil { // so that nobody puts another file there meanwhile
		flags |= os.O_CREATE | os.O_EXCL
	}
	f, err := os.OpenFile(path, flags, 0o600)
	if err != nil {
		return fmt.Errorf("ticket keygen: %w", err)
	}
	if len(bytes.TrimSpace(before)) == 0 {
		if err := private(f); err != nil {
			f.Close()
			return fmt.Errorf("ticket keygen: the key file %s %w", path, err)
		}
	}
	_, err = f.WriteString(line + "\n")
	if err = errors.Join(err, f.Close()); err != nil {
		return fmt.Errorf("ticket keygen: %w", err)
	}
	if ids := keys.IDs(); len(ids) > 1 {
		fmt.Fprintf(a.out, "%s: %d keys, %s still signs\n", path, len(ids), ids[0])
		fmt.Fprintf(a.out, "When every server has this file, move the line of %s to the top, and reload.\n", id)
		return nil
	}
	fmt.Fprintf(a.out, "%s: %s signs\n", path, id)
	return nil
}

// private says why a file that has no key yet should get none: others may read it.
func private(f *os.File) error {
	info, err := f.Stat()
	if err != nil {
		return err
	}
	if mode := info.Mode(); !mode.IsRegular() || mode.Perm()&0o077 != 0 {
		return fmt.Errorf("has mode %04o, so that others may use it: chmod 600, or remove it", mode.Perm())
	}
	return nil
}

const (
	verpExample = "bounces+user=example.com-" + origin.MACPlace + "@lists.example.org"
	verpKeys    = "/etc/bounce-milter/ticket.keys"
	maxLocal    = 64 // octets of a local part, RFC 5321 section 4.5.3.1.1
)

func runTicketVERP(a *app, args []string) error {
	address := verpExample
	switch {
	case len(args) > 1:
		return usagef("ticket verp: one address at a time: %s", strings.Join(args, " "))
	case len(args) == 1:
		address = args[0]
	}
	local, _, isAddress := strings.Cut(address, "@")
	if !isAddress || strings.Count(local, origin.MACPlace) != 1 || strings.ContainsAny(address, "'\\ \t\r\n\"") {
		return usagef("ticket verp: %q is no address with one %s before the \"@\": write one as %q", address, origin.MACPlace, verpExample)
	}
	file := a.options.keyFile
	fmt.Fprintf(a.out, "The MAC is the first %d hexadecimal digits of the HMAC-SHA-256 of the address in lower\n"+
		"case, with %s where the MAC goes, by the first key of the key file.\n\naddress    %s\n", origin.VERPSize, origin.MACPlace, address)
	if file != "" {
		keys, err := origin.ReadKeys(file)
		if err != nil {
			return fmt.Errorf("ticket verp: %w", err)
		}
		mac := keys.VERP(address)
		fmt.Fprintf(a.out, "mac        %s\nsend from  %s\n", mac, strings.Replace(address, origin.MACPlace, mac, 1))
	} else {
		file = verpKeys
	}
	if n := len(local) - len(origin.MACPlace) + origin.VERPSize; n > maxLocal {
		fmt.Fprintf(a.out, "\nThere will be %d octets before the \"@\"; some servers take no more than %d.\n", n, maxLocal)
	}
	fmt.Fprintf(a.out, verpCode, strings.ReplaceAll(file, "'", `'\''`), address, origin.VERPSize, pythonString(file), pythonString(address), origin.VERPSize)
	return nil
}

// verpCode is code that computes a MAC. Its key is read from the file, so that none is
// printed.
const verpCode = `
In a shell:

  key=$(awk '!/^#/ && NF == 2 { print $2; exit }' '%s' | base64 -d | od -An -v -tx1 | tr -d ' \n')
  printf %%s '%s' | tr A-Z a-z |
    openssl dgst -sha256 -mac HMAC -macopt "hexkey:$key" -r | cut -c1-%d

In Python:

  import base64, hashlib, hmac
  lines = [line.split() for line in open(%s) if not line.startswith("#")]
  key = base64.b64decode(next(words[1] for words in lines if len(words) == 2))
  mac = hmac.new(key, %s.encode().lower(), hashlib.sha256).hexdigest()[:%d]
`

// pythonString writes a string for Python.
func pythonString(s string) string { return fmt.Sprintf("%q", s) }
