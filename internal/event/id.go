package event

import (
	"bufio"
	"crypto/rand"
	"sync"
	"time"

	"github.com/oklog/ulid/v2"
)

// ids makes the ids of records. They sort in the order in which records were made, even
// within a millisecond. While the clock is behind the last id because it was set back, ids
// go on with the time of that id.
var ids = struct {
	sync.Mutex
	entropy *ulid.MonotonicEntropy
	last    uint64
}{entropy: ulid.Monotonic(bufio.NewReader(rand.Reader), 0)}

// NewID returns a new id for a record, a ULID. No two machines make the same one. It may
// be called concurrently.
func NewID(now time.Time) string {
	ids.Lock()
	defer ids.Unlock()
	ids.last = max(ids.last, ulid.Timestamp(now))
	id, err := ulid.New(ids.last, ids.entropy)
	if err != nil { // 2^80 ids in one millisecond
		ids.last++
		id = ulid.MustNew(ids.last, ids.entropy)
	}
	return id.String()
}
