package event

import (
	"bufio"
	"crypto/rand"
	"sync"
	"time"

	"github.com/oklog/ulid/v2"
)

// ids makes the ids of records. Ids sort as records were made, also within a
// millisecond and when the clock is set back: then the time in them stands still.
var ids = struct {
	sync.Mutex
	entropy *ulid.MonotonicEntropy
	last    uint64
}{entropy: ulid.Monotonic(bufio.NewReader(rand.Reader), 0)}

// NewID returns an id for a record, a ULID: no two machines make the same one. Any
// number of goroutines may call it.
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
