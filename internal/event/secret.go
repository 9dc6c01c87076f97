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

// maxSecret bounds a secret's file, in octets. Credentials of NATS are the longest, of a few KiB.
const maxSecret = 64 << 10

// ReadSecret reads the file of a key, a password or a token, less the space around
// it. The error says the mend, and never what is in the file.
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
		return nil, fmt.Errorf("the file %s is longer than %d octets: name the one that holds the secret alone", path, maxSecret)
	}
	return data, nil
}

// open opens a file to be read. Of a pipe that nobody writes it does not wait for a
// writer, so that the daemon starts.
func open(path string) (*os.File, error) {
	return os.OpenFile(path, os.O_RDONLY|unix.O_NONBLOCK, 0)
}

// secretError says why a file of a secret cannot be read.
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
