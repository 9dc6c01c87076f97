package follow

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"syscall"
)

const (
	stateVersion = 1
	maxState     = 8 << 20
)

// state is what is kept over a restart: the place in the log together with the counts up
// to it, so that each line is counted once.
type state struct {
	Version int     `json:"version"`
	Source  string  `json:"source"` // path of the log, or "journal"
	Place   *Place  `json:"place,omitempty"`
	Cursor  string  `json:"cursor,omitempty"` // of the journal
	Counts  []count `json:"counts"`
}

// readState reads a state that nobody but this user can have written. Without a file it
// returns nil. The error says what to do.
func readState(path, source string) (*state, error) {
	f, err := os.OpenFile(path, os.O_RDONLY|syscall.O_NOFOLLOW|syscall.O_NONBLOCK, 0)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("cannot be read (%w): give it to the user of this program, or remove it", reason(err))
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		return nil, err
	}
	if !info.Mode().IsRegular() {
		return nil, errors.New("is not a file: name a file in follow.state_file")
	}
	if st, ok := info.Sys().(*syscall.Stat_t); ok && int(st.Uid) != os.Geteuid() {
		return nil, fmt.Errorf("belongs to user %d, while this program runs as user %d: give it to that user (chown), or remove it", st.Uid, os.Geteuid())
	}
	if mode := info.Mode().Perm(); mode&0o022 != 0 {
		return nil, fmt.Errorf("others may write (mode %04o): take that from them (chmod 600), or remove the file", mode)
	}
	data, err := io.ReadAll(io.LimitReader(f, maxState))
	if err != nil {
		return nil, fmt.Errorf("cannot be read: %w", err)
	}
	var s state
	if err := json.Unmarshal(data, &s); err != nil {
		return nil, errors.New("is damaged: it is written anew")
	}
	if s.Version != stateVersion {
		return nil, fmt.Errorf("is of version %d, and this program writes %d: it is written anew", s.Version, stateVersion)
	}
	if s.Source != source {
		// The counts go on, but its place is in another log.
		s.Place, s.Cursor = nil, ""
	}
	return &s, nil
}

// write replaces the file of a state at once.
func (s *state) write(path string) error {
	data, err := json.Marshal(s)
	if err != nil {
		return err
	}
	tmp, err := os.CreateTemp(filepath.Dir(path), "."+filepath.Base(path)+"-*")
	if err != nil {
		return reason(err)
	}
	_, err = tmp.Write(data)
	if e := tmp.Close(); err == nil {
		err = e
	}
	if err == nil {
		err = os.Rename(tmp.Name(), path)
	}
	if err != nil {
		os.Remove(tmp.Name())
		return reason(err)
	}
	return nil
}

// reason returns an error without the path, which whoever shows it shows before it.
func reason(err error) error {
	var pe *fs.PathError
	if errors.As(err, &pe) {
		return pe.Err
	}
	var le *os.LinkError
	if errors.As(err, &le) {
		return le.Err
	}
	return err
}
