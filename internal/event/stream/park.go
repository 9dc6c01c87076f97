package stream

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"syscall"
	"time"

	"github.com/bounce-milter/bounce-milter/internal/event"
)

// maxParked is the maximum size of the file of a sink's refused records, in octets.
const maxParked = 16 << 20

var errParkFull = errors.New("the file of refused records is full: look at it, then remove it")

// parked is a line of that file: a record as the sink was given it, and why it was refused.
type parked struct {
	Time   event.Time      `json:"time"`
	Why    string          `json:"why"`
	Record json.RawMessage `json:"record"`
}

// parkFile returns the name of the file for a sink's refused records.
func parkFile(spool, sink string) string { return filepath.Join(spool, sink+".parked.jsonl") }

// park appends refused records to a file of the spool, all or none.
func park(path string, items []event.Item, why []string) error {
	var lines []byte
	for i, it := range items {
		line, err := json.Marshal(parked{Time: event.Time{Time: time.Now()}, Why: why[i], Record: it.JSON})
		if err != nil {
			return fmt.Errorf("parking: %w", err)
		}
		lines = append(append(lines, line...), '\n')
	}
	f, err := os.OpenFile(path, os.O_WRONLY|os.O_APPEND|os.O_CREATE|syscall.O_NOFOLLOW, 0o600)
	if err != nil {
		return err
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		return err
	}
	if info.Size()+int64(len(lines)) > maxParked {
		return errParkFull
	}
	if _, err := f.Write(lines); err != nil {
		_ = f.Truncate(info.Size()) // removes half a line
		return err
	}
	return nil
}
