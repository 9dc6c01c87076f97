package spool

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/user"
	"strconv"
	"syscall"
)

// FolderError says why this daemon cannot use a folder as its spool.
type FolderError struct{ why string }

func (e *FolderError) Error() string { return e.why }

func folderError(format string, args ...any) error { return &FolderError{fmt.Sprintf(format, args...)} }

// lockFolder opens a folder and locks it for this process.
func lockFolder(dir string) (*os.File, error) {
	if err := CheckFolder(dir, os.Geteuid()); err != nil {
		return nil, err
	}
	f, err := os.Open(dir)
	if err != nil {
		return nil, fmt.Errorf("opening the spool: %w", err)
	}
	// The lock is on the folder itself, so it needs no file in it.
	if err := syscall.Flock(int(f.Fd()), syscall.LOCK_EX|syscall.LOCK_NB); err != nil {
		f.Close()
		if errors.Is(err, syscall.EWOULDBLOCK) {
			return nil, folderError("the folder %s is in use by another daemon: give each its own", dir)
		}
		return nil, fmt.Errorf("locking the folder %s: %w", dir, err)
	}
	return f, nil
}

// CheckFolder returns a [FolderError] if a folder cannot be the spool of a daemon that runs
// as user uid, with what to do. uid is -1 if it is not known. CheckFolder opens nothing.
func CheckFolder(dir string, uid int) error {
	info, err := os.Stat(dir)
	var pe *fs.PathError
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return folderError("the folder %s does not exist: create it with install -d -m 0700 -o %s %[1]s", dir, userName(uid))
	case errors.As(err, &pe):
		return folderError("the folder %s cannot be reached: %v", dir, pe.Err)
	case err != nil:
		return err
	case !info.IsDir():
		return folderError("%s is not a folder: name a folder", dir)
	}
	st, ok := info.Sys().(*syscall.Stat_t)
	switch {
	case ok && uid >= 0 && int(st.Uid) != uid:
		return folderError("the folder %s belongs to %s and the daemon runs as %s: chown -R %[3]s %[1]s", dir, userName(int(st.Uid)), userName(uid))
	case info.Mode().Perm()&0o700 != 0o700:
		return folderError("the folder %s cannot be written: chmod u+rwx %[1]s", dir)
	}
	return nil
}

// CheckRoom returns an error if the disk of a folder is full.
func CheckRoom(dir string) error {
	const least = 1 << 20
	var fs syscall.Statfs_t
	if err := syscall.Statfs(dir, &fs); err != nil {
		return nil // CheckFolder reports this
	}
	if free := uint64(fs.Bavail) * uint64(fs.Bsize); free < least {
		return folderError("the disk of the folder %s has only %d KiB free: make room, or records will be dropped", dir, free>>10)
	}
	return nil
}

// userName returns the name of a user, given the number.
func userName(uid int) string {
	if uid < 0 {
		return "bounce-milter"
	}
	id := strconv.Itoa(uid)
	if u, err := user.LookupId(id); err == nil {
		return u.Username
	}
	return "user " + id
}

// moved reports whether the name of an open file now leads to another file or none.
func moved(f *os.File) bool {
	is, err := f.Stat()
	if err != nil {
		return true
	}
	named, err := os.Stat(f.Name())
	return err != nil || !os.SameFile(is, named)
}
