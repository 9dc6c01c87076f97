package milter

import (
	"sync"
	"sync/atomic"

	"github.com/bounce-milter/bounce-milter/classify/dsn"
)

const (
	// blockMin and blockMax are the sizes in which a message takes memory:
	// each block as large as all before it, within these.
	blockMin = 16 << 10
	blockMax = 64 << 10

	// freeShare is the part of the free memory that one message may hold:
	// the fuller memory is, the less each gets, and a late message still
	// gets as much as those before it (dynamic thresholds, as in switches).
	freeShare = 8
)

// budget is the memory that all messages in progress may hold together.
type budget struct {
	max, used atomic.Int64
}

// take asks for n octets more for a message that holds have. The first block
// is always granted: no message goes without inspection, and what that may
// cost beyond max is bounded by the number of sessions.
func (b *budget) take(have, n int) bool {
	if have > 0 && int64(have+n) > (b.max.Load()-b.used.Load())/freeShare {
		return false
	}
	b.used.Add(int64(n))
	return true
}

func (b *budget) give(n int) { b.used.Add(-int64(n)) }

// blocks are pooled by size: 16, 32 and 64 KiB.
var blockPools [3]sync.Pool

type block struct {
	buf  []byte // capacity is the block's size
	pool *sync.Pool
}

func newBlock(size int) *block {
	i, c := 0, blockMin
	for c < size {
		i, c = i+1, 2*c
	}
	pool := &blockPools[i]
	if b, _ := pool.Get().(*block); b != nil {
		b.buf = b.buf[:0]
		return b
	}
	return &block{buf: make([]byte, 0, c), pool: pool}
}

// buffer holds the octets of one message up to a limit, in blocks, so that
// memory follows the octets that arrived and none is copied while it grows.
type buffer struct {
	budget *budget
	limit  int // octets of one message
	blocks []*block
	size   int // octets held
	taken  int // octets taken from the budget
	full   bool

	squeezed int // how often it was squeezed
}

// maxSqueezes bounds how much of a message is read while its report is awaited.
const maxSqueezes = 32

var scratchPool = sync.Pool{New: func() any { return new([]byte) }}

// squeeze makes room in a buffer that is full up to its limit, where the fields of
// a report are still to come: of what is long only the beginning and the end stay.
// It reports whether there is room.
func (b *buffer) squeeze() bool {
	if b.squeezed >= maxSqueezes {
		return false
	}
	scratch := scratchPool.Get().(*[]byte)
	defer scratchPool.Put(scratch)
	var raw []byte
	raw, *scratch = b.octets(*scratch)
	if !dsn.Awaits(raw) {
		b.squeezed = maxSqueezes
		return false
	}
	short := dsn.Excerpt(raw, b.limit/2)
	n := b.squeezed + 1
	b.release()
	b.write(short)
	b.squeezed = n
	return !b.full
}

// reset gives everything back and readies b for a message of at most limit octets.
func (b *buffer) reset(bud *budget, limit int) {
	b.release()
	b.budget, b.limit = bud, limit
}

func (b *buffer) release() {
	for i, bl := range b.blocks {
		bl.pool.Put(bl)
		b.blocks[i] = nil
	}
	if b.taken > 0 {
		b.budget.give(b.taken)
	}
	b.blocks, b.size, b.taken, b.full, b.squeezed = b.blocks[:0], 0, 0, false, 0
}

// room returns space for octets to come, of any length above zero, or nil
// when the message's limit or the memory of all is used up. filled tells how
// much of it was used.
func (b *buffer) room() []byte {
	if b.full || b.size >= b.limit && !b.squeeze() {
		b.full = true
		return nil
	}
	var last *block
	if n := len(b.blocks); n > 0 {
		last = b.blocks[n-1]
	}
	if last == nil || len(last.buf) == cap(last.buf) {
		size := min(max(b.taken, blockMin), blockMax)
		if !b.budget.take(b.taken, size) {
			b.full = true
			return nil
		}
		last = newBlock(size)
		b.taken += size
		b.blocks = append(b.blocks, last)
	}
	free := last.buf[len(last.buf):cap(last.buf)]
	return free[:min(len(free), b.limit-b.size)]
}

func (b *buffer) filled(n int) {
	last := b.blocks[len(b.blocks)-1]
	last.buf = last.buf[:len(last.buf)+n]
	b.size += n
}

// write keeps as much of p as there is room for.
func (b *buffer) write(p []byte) {
	for len(p) > 0 {
		r := b.room()
		if r == nil {
			return
		}
		n := copy(r, p)
		b.filled(n)
		p = p[n:]
	}
}

func (b *buffer) writeString(s string) {
	for len(s) > 0 {
		r := b.room()
		if r == nil {
			return
		}
		n := copy(r, s)
		b.filled(n)
		s = s[n:]
	}
}

// octets returns the message in one piece: in place when it lies in one
// block, else copied to scratch, which is returned grown.
func (b *buffer) octets(scratch []byte) (raw, grown []byte) {
	switch len(b.blocks) {
	case 0:
		return nil, scratch
	case 1:
		return b.blocks[0].buf, scratch
	}
	scratch = scratch[:0]
	if cap(scratch) < b.size {
		scratch = make([]byte, 0, b.size)
	}
	for _, bl := range b.blocks {
		scratch = append(scratch, bl.buf...)
	}
	return scratch, scratch
}
