package follow

import (
	"encoding/json"
	"errors"
	"io/fs"

	"github.com/bounce-milter/bounce-milter/internal/statefile"
)

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
	data, err := statefile.Follow.Read(path)
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
	if s.Source != source || s.Place != nil && !s.Place.valid() {
		// The counts go on, but its place is in another log, or in none.
		s.Place, s.Cursor = nil, ""
	}
	return &s, nil
}

func (s *state) write(path string) error {
	data, err := json.Marshal(s)
	if err != nil {
		return err
	}
	return statefile.Follow.Write(path, data)
}
