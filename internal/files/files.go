// Package files has what every reader of files needs: what is wrong with one, in words.
package files

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"strings"
)

// Why returns an error without the path of the file that it is about, for messages that name
// the file themselves.
func Why(err error) error {
	if path, ok := errors.AsType[*fs.PathError](err); ok {
		return path.Err
	}
	if link, ok := errors.AsType[*os.LinkError](err); ok {
		return link.Err
	}
	return err
}

// Escape returns the pattern for [filepath.Glob] that a path alone matches.
func Escape(path string) string {
	return strings.NewReplacer(`\`, `\\`, `*`, `\*`, `?`, `\?`, `[`, `\[`).Replace(path)
}

// GiveToUser is what to do with a file that only the daemon's user should read.
const GiveToUser = "give it to that user, or to a group of it"

// Unreadable says why a file that the daemon needs cannot be read. create says what to do if
// it does not exist, and permit if the daemon's user may not read it.
func Unreadable(path string, err error, create, permit string) error {
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return fmt.Errorf("the file %s does not exist: %s", path, create)
	case errors.Is(err, fs.ErrPermission):
		return fmt.Errorf("the file %s cannot be read by the daemon's user: %s", path, permit)
	}
	return fmt.Errorf("the file %s cannot be read: %w", path, Why(err))
}
