package event

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"time"
)

// Item is a record on its way to a sink, in which addresses are as that sink may see them.
type Item struct {
	ID   string
	Time time.Time // of the record
	JSON []byte    // one line, without a line end

	record *Record // nil until Record is called
}

// NewItem turns a record into an item.
func NewItem(r *Record) (Item, error) {
	line, err := r.JSON()
	return Item{ID: r.ID, Time: r.Time.Time, JSON: line, record: r}, err
}

// ReadItem turns a line that [Record.JSON] wrote into an item. The caller has verified the
// line's checksum. Most sinks need only the id, so the rest is parsed when [Item.Record] is
// called.
func ReadItem(line []byte) (Item, error) {
	var head struct {
		ID   string `json:"id"`
		Time Time   `json:"time"`
	}
	if !bytes.HasSuffix(line, []byte("}")) || !readHead(line, &head.ID, &head.Time.Time) {
		if err := json.Unmarshal(line, &head); err != nil {
			return Item{}, fmt.Errorf("reading a record: %w", err)
		}
	}
	return Item{ID: head.ID, Time: head.Time.Time, JSON: line}, nil
}

// readHead reads id and time from the beginning of a line of [Record.JSON]. It returns
// false if the line begins in another way.
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

// Record returns the record. Fields that cannot be read are zero.
func (i *Item) Record() *Record {
	if i.record == nil {
		i.record = new(Record)
		_ = json.Unmarshal(i.JSON, i.record) // the fields before the error are set
	}
	return i.record
}

// Sink delivers records to a receiver. One goroutine calls it, with one batch at a time.
type Sink interface {
	// Send delivers a batch in order. It returns how many items, counted from the
	// first, are done: accepted, or refused for good. If it returns an error, the
	// remaining items are sent again, in the same order.
	//
	// Send returns soon after ctx has ended. An item is done only when the receiver
	// has confirmed it. If that is uncertain, the item is sent again.
	Send(ctx context.Context, batch []Item) (Sent, error)
	// Close releases what the sink holds.
	Close() error
}

// Sent is the outcome of a batch.
type Sent struct {
	Done    int     // number of items that are done, counted from the first
	Refused []int   // indexes of those items that were refused for good
	Why     []error // the reason for each of Refused
	Skipped int     // number of done items that were not sent, because the sink's format has no use for them
}

// LaterError is an error with the time for which the receiver asks to be sent nothing
// (Retry-After, RFC 9110 section 10.2.3).
type LaterError struct {
	After time.Duration
	Err   error
}

func (e *LaterError) Error() string { return fmt.Sprintf("%v (again in %s)", e.Err, e.After) }

func (e *LaterError) Unwrap() error { return e.Err }
