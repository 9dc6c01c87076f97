package milter

import (
	"sync"
	"sync/atomic"

	"github.com/bounce-milter/bounce-milter/classify/dsn"
)

const (
	// blockMin and blockMax bound the blocks in which a message takes memory.
	// Within these bounds, each block is as large as all blocks before it.
	blockMin = 16 << 10
	blockMax = 64 << 10

	// One message may hold 1/freeShare of the free memory: the fuller memory
	// is, the less each message gets, and a late one still gets as much as
	// those before it (dynamic thresholds, as in network switches).
	freeShare = 8
)

// budget is the memory that all messages in progress may hold together.
type budget struct {
	max, used atomic.Int64
}

// take asks for n more octets for a message that already holds have. The first
// block is always granted, so that every message is inspected; what that costs
// beyond max is bounded by the number of sessions.
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

// buffer holds the octets of one message up to a limit. It is made of blocks, so
// that it takes memory only as octets arrive, and copies nothing while it grows.
type buffer struct {
	budget *budget
	limit  int // octets of one message
	blocks []*block
	size   int // octets held
	taken  int // octets taken from the budget
	full   bool

	starved   bool // it is full because the memory of all messages was used up
	squeezed  int  // how often squeeze was called
	shortened bool // parts of the message were left out
}

// maxSqueezes bounds how much of a message is read while we wait for its report.
const maxSqueezes = 32

var scratchPool = sync.Pool{New: func() any { return new([]byte) }}

// squeeze makes room in a buffer that has reached its limit if the fields of a report
// are still to come: it keeps only the beginning and the end of long parts. It reports
// whether there is room now.
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
	b.squeezed, b.shortened = n, true
	return !b.full
}

// reset gives all memory back and prepares b for a message of at most limit octets.
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
	b.blocks, b.size, b.taken, b.full, b.starved, b.squeezed, b.shortened = b.blocks[:0], 0, 0, false, false, 0, false
}

// room returns space for the next octets, of any length above zero, or nil if the
// message's limit or the memory of all messages is used up. The caller then tells
// filled how much of it was used.
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
			b.full, b.starved = true, true
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

// octets returns the message in one piece: in place if it lies in one block, else
// copied to scratch, which is returned too, since it may have grown.
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
