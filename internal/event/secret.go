package event

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"

	"golang.org/x/sys/unix"
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

// open opens a file for reading. If the file is a pipe it does not wait for a writer, so
// that the daemon starts.
func open(path string) (*os.File, error) {
	return os.OpenFile(path, os.O_RDONLY|unix.O_NONBLOCK, 0)
}

// secretError says why the file of a secret cannot be read.
func secretError(path string, err error) error {
	var pe *fs.PathError
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return fmt.Errorf("the file %s does not exist: create it", path)
	case errors.Is(err, fs.ErrPermission):
		return fmt.Errorf("the file %s cannot be read by the daemon's user: give it to that user, or to a group of it", path)
	case errors.As(err, &pe):
		return fmt.Errorf("the file %s cannot be read: %w", path, pe.Err)
	}
	return fmt.Errorf("the file %s cannot be read: %w", path, err)
}
