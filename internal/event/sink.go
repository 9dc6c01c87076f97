package event

import (
	"context"
	"fmt"
	"time"
)

// Item is a record on its way to a sink: what it says, and the same as JSON, with
// addresses as that sink may see them.
type Item struct {
	Record *Record
	JSON   []byte // one line, without a line end
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
