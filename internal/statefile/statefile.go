// Package statefile keeps what a process wants to know after a restart in a file: in one
// step, with a version and a checksum, for its own user alone.
package statefile

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"syscall"

	"github.com/bounce-milter/bounce-milter/internal/files"
)

// Kind is a kind of state file. A file begins with a line with the name; the second line has
// the version and the SHA-256 of the rest.
type Kind struct {
	Name    string
	Version int
	Most    int64  // octets of a file
	Key     string // of the configuration, for messages
}

// Follow is the kind of the file in which follow keeps its place. It stands here so that the
// configuration can be checked without the reader of logs.
var Follow = Kind{Name: "follow", Version: 1, Most: 8 << 20, Key: "follow.state_file"}

func (k Kind) magic() string { return "bounce-milter " + k.Name + "\n" }

func (k Kind) foreign() error {
	return fmt.Errorf("is no state file of this program, and is left alone: name another file in %s, or remove it", k.Key)
}

// Read returns what was written to a file. The error is [fs.ErrNotExist] if there is none;
// any other completes a sentence about the file, and says what to do.
func (k Kind) Read(path string) ([]byte, error) {
	f, err := os.OpenFile(path, os.O_RDONLY|syscall.O_NOFOLLOW|syscall.O_NONBLOCK, 0)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, err
	}
	if errors.Is(err, syscall.ELOOP) {
		return nil, fmt.Errorf("is a symbolic link: name the file itself in %s", k.Key)
	}
	if err != nil {
		return nil, fmt.Errorf("cannot be read (%w): give it to the daemon's user, or remove it", files.Why(err))
	}
	defer f.Close()
	info, err := f.Stat()
	if err == nil {
		err = k.check(info, os.Geteuid())
	}
	if err != nil {
		return nil, err
	}
	data, err := io.ReadAll(io.LimitReader(f, k.Most))
	if err != nil {
		return nil, fmt.Errorf("cannot be read: %w", files.Why(err))
	}
	return k.open(data)
}

// Check says why a file cannot be kept at path by the user with a number, -1 if that is not
// known.
func (k Kind) Check(path string, uid int) error {
	info, err := os.Lstat(path)
	if err == nil {
		if err = k.check(info, uid); err == nil {
			err = k.checkBeginning(path)
		}
		return err
	}
	if _, err := os.Stat(filepath.Dir(path)); err != nil {
		return fmt.Errorf("is in a folder that cannot be looked at (%w): make it, and give it to the daemon's user", files.Why(err))
	}
	return nil
}

// check says why a file is not to be trusted or not to be written over.
func (k Kind) check(info fs.FileInfo, uid int) error {
	switch {
	case info.Mode()&fs.ModeSymlink != 0:
		return fmt.Errorf("is a symbolic link: name the file itself in %s", k.Key)
	case !info.Mode().IsRegular():
		return fmt.Errorf("is not a file: name a file in %s", k.Key)
	}
	if st, ok := info.Sys().(*syscall.Stat_t); ok && uid >= 0 && int(st.Uid) != uid {
		return fmt.Errorf("belongs to user %d, while the daemon runs as user %d: give it to that user (chown), or remove it", st.Uid, uid)
	}
	if mode := info.Mode().Perm(); mode&0o022 != 0 {
		return fmt.Errorf("others may write (mode %04o): take that from them (chmod 600), or remove the file", mode)
	}
	if info.Size() > k.Most {
		return fmt.Errorf("is too large to be a state file: name another file in %s, or remove it", k.Key)
	}
	return nil
}

// open returns the body of a file.
func (k Kind) open(data []byte) ([]byte, error) {
	magic := k.magic()
	if len(data) == 0 {
		return nil, errors.New("is empty: it is written anew")
	}
	rest, ok := bytes.CutPrefix(data, []byte(magic))
	if !ok && !bytes.HasPrefix([]byte(magic), data) {
		return nil, k.foreign()
	}
	head, body, whole := bytes.Cut(rest, []byte("\n"))
	var version int
	var sum string
	if n, _ := fmt.Sscanf(string(head), "%d %64s", &version, &sum); n > 0 && version != k.Version && whole {
		return nil, fmt.Errorf("is of version %d, while this program knows version %d: it is written anew; if you go back to the other program, it begins anew too", version, k.Version)
	}
	if h := sha256.Sum256(body); !ok || !whole || sum != hex.EncodeToString(h[:]) {
		return nil, errors.New("is cut off or damaged: it is written anew")
	}
	return body, nil
}

// Write puts a new file in the place of an old one, in one step: whoever reads it gets the
// old or the new one. It leaves a file alone that is somebody else's. The error completes a
// sentence about the file, and says what to do.
func (k Kind) Write(path string, body []byte) error {
	if info, err := os.Lstat(path); err == nil {
		if err := k.check(info, os.Geteuid()); err != nil {
			return err
		}
		if err := k.isOurs(path); err != nil {
			return err
		}
	}
	h := sha256.Sum256(body)
	next := path + ".new"
	if err := os.Remove(next); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return k.unwritten(err)
	}
	f, err := os.OpenFile(next, os.O_WRONLY|os.O_CREATE|os.O_EXCL|syscall.O_NOFOLLOW, 0o600)
	if err != nil {
		return k.unwritten(err)
	}
	_, err = fmt.Fprintf(f, "%s%d %s\n%s", k.magic(), k.Version, hex.EncodeToString(h[:]), body)
	if err == nil {
		err = f.Sync()
	}
	if err = errors.Join(err, f.Close()); err == nil {
		err = os.Rename(next, path)
	}
	if err != nil {
		os.Remove(next)
		return k.unwritten(err)
	}
	return nil
}

// isOurs says why a file was not written by this program, unless it is empty.
func (k Kind) isOurs(path string) error {
	f, err := os.Open(path)
	if err != nil {
		return k.unwritten(err)
	}
	defer f.Close()
	return k.begins(f)
}

// checkBeginning is isOurs for whoever may not be allowed to read the file.
func (k Kind) checkBeginning(path string) error {
	f, err := os.OpenFile(path, os.O_RDONLY|syscall.O_NOFOLLOW|syscall.O_NONBLOCK, 0)
	if err != nil {
		return nil // the daemon will see
	}
	defer f.Close()
	return k.begins(f)
}

// begins says why a file does not begin as those of this kind do.
func (k Kind) begins(f io.Reader) error {
	magic := k.magic()
	head := make([]byte, len(magic))
	n, _ := io.ReadFull(f, head)
	if !strings.HasPrefix(magic, string(head[:n])) {
		return k.foreign()
	}
	return nil
}

func (k Kind) unwritten(err error) error {
	return fmt.Errorf("cannot be written (%w): let the daemon's user write in its folder, or name another file in %s", files.Why(err), k.Key)
}
