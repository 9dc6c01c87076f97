package page

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"time"
)

const (
	// stateMagic begins every state file. Behind it stand the version, and the SHA-256 of
	// the rest, in a line of their own.
	stateMagic   = "bounce-milter page\n"
	stateVersion = 1

	maxState  = 4 * MaxMemory // octets read of a file
	saveEvery = 5 * time.Minute
)

// stateFile is where the state is kept, guarded by the Board's mu.
type stateFile struct {
	path  string // "" for nowhere
	saved time.Duration
	said  string // what is wrong with it, "" if nothing is
}

// Restore reads what the last process kept at path, and has it kept there from now on. An
// error says why nothing of it is shown and what to do about it; the Board works all the
// same. It is called before anything is counted. With path "" nothing is kept.
func (b *Board) Restore(path string) error {
	b.SetFile(path)
	if path == "" {
		return nil
	}
	data, err := readState(path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	var body []byte
	if err == nil {
		body, err = checkState(data)
	}
	if err == nil {
		b.mu.Lock()
		err = b.decode(body)
		b.mu.Unlock()
	}
	if err != nil {
		return fmt.Errorf("the state of the status page is not taken over from %s, which %w", path, err)
	}
	return nil
}

// SetFile says where the state is kept from now on, "" for nowhere.
func (b *Board) SetFile(path string) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if path != b.file.path {
		b.file = stateFile{path: path, saved: b.elapsed()}
	}
}

// readState reads a file that nobody but this user can have written.
func readState(path string) ([]byte, error) {
	f, err := os.OpenFile(path, os.O_RDONLY|syscall.O_NOFOLLOW|syscall.O_NONBLOCK, 0)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, err
	}
	if errors.Is(err, syscall.ELOOP) {
		return nil, errors.New("is a symbolic link: name the file itself in state_file")
	}
	if err != nil {
		return nil, fmt.Errorf("cannot be read (%w): give it to the daemon's user, or remove it", reasonOf(err))
	}
	defer f.Close()
	info, err := f.Stat()
	if err == nil {
		err = checkFile(info, os.Geteuid())
	}
	if err != nil {
		return nil, err
	}
	return io.ReadAll(io.LimitReader(f, maxState))
}

// CheckFile says why the state cannot be kept at path by the user with a number, -1 if that is
// not known.
func CheckFile(path string, uid int) error {
	info, err := os.Lstat(path)
	if err == nil {
		return checkFile(info, uid)
	}
	if _, err := os.Stat(filepath.Dir(path)); err != nil {
		return fmt.Errorf("is in a folder that cannot be looked at (%w): make it, and give it to the daemon's user", reasonOf(err))
	}
	return nil
}

// checkFile says why a file is not to be trusted or not to be written over.
func checkFile(info fs.FileInfo, uid int) error {
	switch {
	case info.Mode()&fs.ModeSymlink != 0:
		return errors.New("is a symbolic link: name the file itself in state_file")
	case !info.Mode().IsRegular():
		return errors.New("is not a file: name a file in state_file")
	}
	if st, ok := info.Sys().(*syscall.Stat_t); ok && uid >= 0 && int(st.Uid) != uid {
		return fmt.Errorf("belongs to user %d, while the daemon runs as user %d: give it to that user (chown), or remove it", st.Uid, uid)
	}
	if mode := info.Mode().Perm(); mode&0o022 != 0 {
		return fmt.Errorf("others may write (mode %04o): take that from them (chmod 600), or remove the file", mode)
	}
	if info.Size() > maxState {
		return errors.New("is too large to be a state file: name another file in state_file, or remove it")
	}
	return nil
}

// checkState returns the body of a state file.
func checkState(data []byte) ([]byte, error) {
	if len(data) == 0 {
		return nil, errors.New("is empty: it is written anew")
	}
	rest, ok := bytes.CutPrefix(data, []byte(stateMagic))
	if !ok && !bytes.HasPrefix([]byte(stateMagic), data) {
		return nil, errors.New("is no state file of this program, and is left alone: name another file in state_file, or remove it")
	}
	head, body, whole := bytes.Cut(rest, []byte("\n"))
	var version int
	var sum string
	if n, _ := fmt.Sscanf(string(head), "%d %64s", &version, &sum); n > 0 && version != stateVersion && whole {
		return nil, fmt.Errorf("is of version %d, while this program knows version %d: it is written anew; if you go back to the other program, its page starts empty too", version, stateVersion)
	}
	if h := sha256.Sum256(body); !ok || !whole || sum != hex.EncodeToString(h[:]) {
		return nil, errors.New("is cut off or damaged: it is written anew")
	}
	return body, nil
}

// saveIfDue writes the state if that was not done for a while.
func (b *Board) saveIfDue(log *slog.Logger) {
	b.mu.Lock()
	due := b.file.path != "" && b.elapsed()-b.file.saved >= saveEvery
	b.mu.Unlock()
	if due {
		b.Save(log)
	}
}

// Save writes the state to its file, if there is one, in one step: whoever reads it gets the
// old or the new one. What goes wrong is logged once, and said on the page.
func (b *Board) Save(log *slog.Logger) {
	b.mu.Lock()
	path := b.file.path
	b.file.saved = b.elapsed()
	var data []byte
	if path != "" {
		data = b.encode()
	}
	b.mu.Unlock()
	if path == "" {
		return
	}
	said := ""
	if err := writeState(path, data); err != nil {
		said = fmt.Sprintf("%s %v", path, err)
	}
	b.mu.Lock()
	before := b.file.said
	if b.file.path == path {
		b.file.said = said
	}
	b.mu.Unlock()
	switch {
	case said != "" && said != before:
		log.Warn("the state of the status page is not kept, and starts empty after a restart", "error", said)
	case said == "" && before != "":
		log.Info("the state of the status page is kept again", "file", path)
	}
}

// writeState puts a new file in the place of an old one, unless that is somebody else's.
func writeState(path string, body []byte) error {
	if info, err := os.Lstat(path); err == nil {
		if err := checkFile(info, os.Geteuid()); err != nil {
			return err
		}
		if err := isOurs(path); err != nil {
			return err
		}
	}
	h := sha256.Sum256(body)
	next := path + ".new"
	if err := os.Remove(next); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return unwritten(err)
	}
	f, err := os.OpenFile(next, os.O_WRONLY|os.O_CREATE|os.O_EXCL|syscall.O_NOFOLLOW, 0o600)
	if err != nil {
		return unwritten(err)
	}
	_, err = fmt.Fprintf(f, "%s%d %s\n%s", stateMagic, stateVersion, hex.EncodeToString(h[:]), body)
	if err == nil {
		err = f.Sync()
	}
	if err = errors.Join(err, f.Close()); err == nil {
		err = os.Rename(next, path)
	}
	if err != nil {
		os.Remove(next)
		return unwritten(err)
	}
	return nil
}

// isOurs reports whether a file was written by this program, or is empty.
func isOurs(path string) error {
	f, err := os.Open(path)
	if err != nil {
		return unwritten(err)
	}
	defer f.Close()
	head := make([]byte, len(stateMagic))
	n, _ := io.ReadFull(f, head)
	if !strings.HasPrefix(stateMagic, string(head[:n])) {
		return errors.New("is no state file of this program, and is left alone: name another file in state_file, or remove it")
	}
	return nil
}

func unwritten(err error) error {
	return fmt.Errorf("cannot be written (%w): let the daemon's user write in its folder, or name another file in state_file", reasonOf(err))
}

// reasonOf returns an error without the path that is said already.
func reasonOf(err error) error {
	var pe *fs.PathError
	var le *os.LinkError
	switch {
	case errors.As(err, &pe):
		return pe.Err
	case errors.As(err, &le):
		return le.Err
	}
	return err
}
