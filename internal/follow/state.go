package follow

import (
	"encoding/json"
	"errors"
	"io/fs"

	"github.com/bounce-milter/bounce-milter/internal/statefile"
)

// kept is the form of the state file.
var kept = statefile.Kind{Name: "follow", Version: 1, Most: 8 << 20, Key: "follow.state_file"}

// CheckFile says why the place cannot be kept at path by the user with a number, -1 if that is
// not known. The error completes a sentence about the file.
func CheckFile(path string, uid int) error { return kept.Check(path, uid) }

// state is what is kept over a restart: the place in the log together with the counts up
// to it, so that each line is counted once.
type state struct {
	Source string  `json:"source"` // path of the log, or "journal"
	Place  *Place  `json:"place,omitempty"`
	Cursor string  `json:"cursor,omitempty"` // of the journal
	Counts []count `json:"counts"`
}

// readState reads a state. Without a file it returns nil. The error completes a sentence
// about the file.
func readState(path, source string) (*state, error) {
	data, err := kept.Read(path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	var s state
	if err == nil && json.Unmarshal(data, &s) != nil {
		err = errors.New("is damaged: it is written anew")
	}
	if err != nil {
		return nil, err
	}
	if s.Source != source {
		// The counts go on, but its place is in another log.
		s.Place, s.Cursor = nil, ""
	}
	return &s, nil
}

func (s *state) write(path string) error {
	data, err := json.Marshal(s)
	if err != nil {
		return err
	}
	return kept.Write(path, data)
}
