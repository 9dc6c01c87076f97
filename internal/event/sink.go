package event

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"time"
)

// Item is a record on its way to a sink: JSON, with addresses as that sink may see them.
type Item struct {
	ID   string
	Time time.Time // of the record
	JSON []byte    // one line, without a line end

	record *Record // nil until somebody asks
}

// NewItem makes an item of a record.
func NewItem(r *Record) (Item, error) {
	line, err := r.JSON()
	return Item{ID: r.ID, Time: r.Time.Time, JSON: line, record: r}, err
}

// ReadItem makes an item of a line that [Record.JSON] wrote. Few sinks need more of a
// record than its id, so that no more of it is read before somebody asks.
func ReadItem(line []byte) (Item, error) {
	var head struct {
		ID   string `json:"id"`
		Time Time   `json:"time"`
	}
	if !readHead(line, &head.ID, &head.Time.Time) || !json.Valid(line) {
		if err := json.Unmarshal(line, &head); err != nil {
			return Item{}, fmt.Errorf("reading a record: %w", err)
		}
	}
	return Item{ID: head.ID, Time: head.Time.Time, JSON: line}, nil
}

// readHead reads what a line of [Record.JSON] begins with, if it does.
func readHead(line []byte, id *string, at *time.Time) bool {
	rest, ok := bytes.CutPrefix(line, []byte(`{"v":1,"id":"`))
	if !ok {
		return false
	}
	name, rest, ok := bytes.Cut(rest, []byte(`","time":"`))
	if !ok || bytes.ContainsAny(name, `"\`) {
		return false
	}
	stamp, _, ok := bytes.Cut(rest, []byte(`"`))
	if !ok || at.UnmarshalText(stamp) != nil {
		return false
	}
	*id = string(name)
	return true
}

// Record returns what the item says. Fields that cannot be read are zero.
func (i *Item) Record() *Record {
	if i.record == nil {
		i.record = new(Record)
		_ = json.Unmarshal(i.JSON, i.record) // what is valid of it is there
	}
	return i.record
}

// Sink hands records to somebody outside. One goroutine calls it, for one batch after
// the other.
type Sink interface {
	// Send hands over a batch in order and returns how many of its items, from
	// the first on, are done with: taken, or refused for good. With an error the
	// rest is tried again, the same items in the same order.
	//
	// Send returns soon after ctx has ended. An item counts as done only when the
	// other side has said so: whatever is not certain is sent again.
	Send(ctx context.Context, batch []Item) (Sent, error)
	// Close gives back what the sink holds.
	Close() error
}

// Sent is what became of a batch.
type Sent struct {
	Done    int     // items done with, from the first on
	Refused []int   // those of them that were refused for good, by their place in the batch
	Why     []error // for each of Refused
	Skipped int     // of those done: not meant for this sink by its format
}

// LaterError is an error with the time for which the other side wants to be left alone
// (Retry-After, RFC 9110 section 10.2.3).
type LaterError struct {
	After time.Duration
	Err   error
}

func (e *LaterError) Error() string { return fmt.Sprintf("%v (again in %s)", e.Err, e.After) }

func (e *LaterError) Unwrap() error { return e.Err }
