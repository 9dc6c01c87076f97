package event

import (
	"bytes"
	"fmt"
	"io"
	"os"

	"golang.org/x/sys/unix"

	"github.com/bounce-milter/bounce-milter/internal/files"
	"github.com/bounce-milter/bounce-milter/internal/toml"
)

// maxSecret is the maximum length of a secret's file, in octets. The longest secrets,
// credentials of NATS, have a few KiB.
const maxSecret = 64 << 10

// ReadSecret reads a file that contains a key, a password or a token, and removes the
// space around it. The error says what to do, and never what is in the file.
func ReadSecret(path string) ([]byte, error) {
	f, err := open(path)
	if err != nil {
		return nil, secretError(path, err)
	}
	defer f.Close()
	data, err := io.ReadAll(io.LimitReader(f, maxSecret+1))
	if err != nil {
		return nil, secretError(path, err)
	}
	data = bytes.TrimSpace(data)
	switch {
	case len(data) == 0:
		return nil, fmt.Errorf("the file %s is empty: write the secret into it", path)
	case len(data) > maxSecret:
		return nil, fmt.Errorf("the file %s is longer than %d octets: name a file that contains only the secret", path, maxSecret)
	}
	return data, nil
}

// CheckPrivate returns an error if everybody on this host may read a secret's file. The
// error says what to do.
func CheckPrivate(path string) error {
	info, err := os.Stat(path)
	if err == nil && info.Mode().Perm()&0o004 != 0 {
		return fmt.Errorf("everybody may read %s: chmod o= %[1]s", path)
	}
	return nil
}

// CheckSecret adds what is wrong with the secret's file that a key of the configuration
// names.
func CheckSecret(ps *toml.Problems, key, path string) {
	if _, err := ReadSecret(path); err != nil {
		ps.Add(key, "%v", err)
	} else if err := CheckPrivate(path); err != nil {
		ps.Add(key, "%v", err)
	}
}

// open opens a file for reading. If the file is a pipe it does not wait for a writer, so
// that the daemon starts.
func open(path string) (*os.File, error) {
	return os.OpenFile(path, os.O_RDONLY|unix.O_NONBLOCK, 0)
}

// secretError says why the file of a secret cannot be read.
func secretError(path string, err error) error {
	return files.Unreadable(path, err, "create it", files.GiveToUser)
}
