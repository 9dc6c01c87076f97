package page

import (
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"time"

	"github.com/bounce-milter/bounce-milter/internal/statefile"
)

// saveEvery is how often the state is written.
const saveEvery = 5 * time.Minute

// kept is the form of the state file.
var kept = statefile.Kind{Name: "page", Version: 1, Most: 4 * MaxMemory, Key: "metrics.state_file"}

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
	body, err := kept.Read(path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
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

// CheckFile says why the state cannot be kept at path by the user with a number, -1 if that is
// not known.
func CheckFile(path string, uid int) error { return kept.Check(path, uid) }

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
	if err := kept.Write(path, data); err != nil {
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
