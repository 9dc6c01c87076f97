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

// fieldSum is a hash of the fields of a message.
type fieldSum struct {
	hash hash.Hash
	buf  []byte // what goes into hash next: to hand it over in small pieces would allocate each
}

func newFieldSum() *fieldSum { return &fieldSum{hash: sha256.New()} }

// reset forgets all fields.
func (s *fieldSum) reset() {
	s.hash.Reset()
	s.buf = s.buf[:0]
}

// add adds a field. It leaves white space out, because a filter may fold the field
// differently.
func (s *fieldSum) add(name string, value []byte) {
	s.buf = append(append(s.buf, name...), 0)
	for len(value) > 0 {
		n := 0
		for n < min(len(value), maxPiece) && value[n] > ' ' {
			n++
		}
		if len(s.buf)+n > maxPiece {
			s.hand()
		}
		s.buf = append(s.buf, value[:n]...)
		value = value[n:]
		for len(value) > 0 && value[0] <= ' ' {
			value = value[1:]
		}
	}
	s.buf = append(s.buf, 0)
	s.hand()
}

// maxPiece bounds buf: a header field may be long.
const maxPiece = 1 << 10

func (s *fieldSum) hand() {
	s.hash.Write(s.buf)
	s.buf = s.buf[:0]
}

// mark completes the hash. id is the hash of the message's Message-ID, 0 for a message
// that had none when we saw it; the MTA may have added one since.
func (s *fieldSum) mark(id uint64) mark {
	s.buf = binary.BigEndian.AppendUint64(s.hash.Sum(s.buf[:0]), id)
	whole := sha256.Sum256(s.buf)
	s.buf = s.buf[:0]
	return mark(whole[:len(mark{})])
}

// written remembers the fields that we wrote.
type written struct {
	seed maphash.Seed // for hashes of Message-IDs, so that nobody outside can compute one

	mu    sync.Mutex
	sum   *fieldSum // of the fields that are noted
	at    map[mark]time.Time
	order [maxWritten]mark // a ring; next is the index of the oldest
	next  int
}

func newWritten() *written {
	return &written{seed: maphash.MakeSeed(), sum: newFieldSum(), at: map[mark]time.Time{}}
}

// id returns the hash of a Message-ID, never 0.
func (w *written) id(value []byte) uint64 { return maphash.Bytes(w.seed, value) | 1 }

// note remembers the fields that we wrote on a message with this id.
func (w *written) note(fields []field, id uint64, now time.Time) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.sum.reset()
	for _, f := range fields {
		w.sum.add(f.name, []byte(f.value))
	}
	m := w.sum.mark(id)
	if _, ok := w.at[m]; !ok {
		delete(w.at, w.order[w.next])
		w.order[w.next] = m
		w.next = (w.next + 1) % maxWritten
	}
	w.at[m] = now
}

// knows reports whether a message has exactly the fields that we wrote.
func (w *written) knows(sum *fieldSum, id uint64, now time.Time) bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	for _, id := range [...]uint64{id, 0} {
		if at, ok := w.at[sum.mark(id)]; ok && now.Sub(at) < writtenAge {
			return true
		}
	}
	return false
}
