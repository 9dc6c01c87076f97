package event

import (
	"bufio"
	"crypto/rand"
	"crypto/sha256"
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

// newID returns a new id for a record, a ULID. No two machines make the same one. It may
// be called concurrently.
func newID(now time.Time) string {
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

// IDOf returns the id of a record that is made again from the same source, such as a line of
// a log that is read twice: the same for the same time and key.
func IDOf(t time.Time, key string) string {
	sum := sha256.Sum256([]byte(key))
	var id ulid.ULID
	if t.UnixMilli() > 0 {
		_ = id.SetTime(ulid.Timestamp(t)) // fails for the year 10889
	}
	_ = id.SetEntropy(sum[:10]) // it has the right length
	return id.String()
}
