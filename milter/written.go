package milter

import (
	"crypto/sha256"
	"encoding/binary"
	"hash"
	"hash/maphash"
	"sync"
	"time"
)

// An after-queue content filter, such as amavis, returns mail to the MTA, which may show
// it to us again, with the fields that we put on it. We recognise them by what we
// remember. A proof in the message itself would not do: whoever gets one message could
// copy its proof to the next. Fields that equal what we wrote are believed on a message
// with the same Message-ID, within writtenAge; a copy would only repeat our own verdict
// on that message.
const (
	// maxWritten is how many messages are remembered, the latest ones; they
	// take 300 KB at most.
	maxWritten = 4096
	writtenAge = 4 * time.Hour
)

// mark is a hash of the fields that we put on one message and of its Message-ID.
type mark [16]byte

// addToSum adds a field to the hash of a message's fields. It leaves white space out,
// because a filter may fold the field differently.
func addToSum(sum hash.Hash, name string, value []byte) {
	sum.Write([]byte(name))
	sum.Write([]byte{0})
	for len(value) > 0 {
		n := 0
		for n < len(value) && value[n] > ' ' {
			n++
		}
		sum.Write(value[:n])
		for n < len(value) && value[n] <= ' ' {
			n++
		}
		value = value[n:]
	}
	sum.Write([]byte{0})
}

// markOf completes the hash of a message's fields. id is the hash of its Message-ID, 0
// for a message that had none when we saw it; the MTA may have added one since.
func markOf(sum hash.Hash, id uint64) mark {
	whole := sha256.Sum256(binary.BigEndian.AppendUint64(sum.Sum(nil), id))
	return mark(whole[:len(mark{})])
}

// written remembers the fields that we wrote.
type written struct {
	seed maphash.Seed // for hashes of Message-IDs, so that nobody outside can compute one

	mu    sync.Mutex
	at    map[mark]time.Time
	order [maxWritten]mark // a ring; next is the index of the oldest
	next  int
}

func newWritten() *written {
	return &written{seed: maphash.MakeSeed(), at: map[mark]time.Time{}}
}

// id returns the hash of a Message-ID, never 0.
func (w *written) id(value []byte) uint64 { return maphash.Bytes(w.seed, value) | 1 }

// note remembers the fields that we wrote on a message with this id.
func (w *written) note(fields []field, id uint64, now time.Time) {
	sum := sha256.New()
	for _, f := range fields {
		addToSum(sum, f.name, []byte(f.value))
	}
	m := markOf(sum, id)
	w.mu.Lock()
	defer w.mu.Unlock()
	if _, ok := w.at[m]; !ok {
		delete(w.at, w.order[w.next])
		w.order[w.next] = m
		w.next = (w.next + 1) % maxWritten
	}
	w.at[m] = now
}

// knows reports whether a message has exactly the fields that we wrote.
func (w *written) knows(sum hash.Hash, id uint64, now time.Time) bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	for _, id := range [...]uint64{id, 0} {
		if at, ok := w.at[markOf(sum, id)]; ok && now.Sub(at) < writtenAge {
			return true
		}
	}
	return false
}
