package classify

import (
	"cmp"
	"math/bits"
	"slices"
	"sync"
)

// book finds what an [automaton] finds, in the same order. It is made a hundred times as
// fast and takes many times as long for a text: it is for programs that ask little.
//
// Patterns are listed by a hash of their first eight octets, shorter ones by the first
// four, and the shortest by their first octet.
type book struct {
	patterns []string
	heads    []uint64 // what was hashed of each
	next     []int32  // one more than the next pattern of the same list, 0 at its end
	table    []int32  // one more than the first pattern of each list
	shift    int      // of a hash, so that it is a place in the table
	short    [256]int32
	begins   [256]bool // octets with which a pattern begins
	scratch  sync.Pool
}

// bookScratch is what a scan needs room for.
type bookScratch struct {
	all []occurrence
	ids []int32
}

type occurrence struct{ end, from, id int32 }

// newBook makes a book of patterns, none of which is empty.
func newBook(patterns []string) *book {
	size := min(bits.Len(uint(len(patterns)))+4, 14)
	b := &book{patterns: patterns, heads: make([]uint64, len(patterns)), next: make([]int32, len(patterns)),
		table: make([]int32, 1<<size), shift: 64 - size}
	for i, p := range patterns {
		b.begins[p[0]] = true
		list := &b.short[p[0]]
		if len(p) >= 4 {
			b.heads[i] = headOf(p)
			if len(p) < 8 {
				b.heads[i] &= firstFour
			}
			list = b.list(b.heads[i])
		}
		b.next[i], *list = *list, int32(i+1)
	}
	return b
}

const firstFour = 1<<32 - 1

// headOf returns the first eight octets of s, with NUL for what is missing.
func headOf[T string | []byte](s T) uint64 {
	if len(s) >= 8 {
		return uint64(s[0]) | uint64(s[1])<<8 | uint64(s[2])<<16 | uint64(s[3])<<24 |
			uint64(s[4])<<32 | uint64(s[5])<<40 | uint64(s[6])<<48 | uint64(s[7])<<56
	}
	var h uint64
	for i := range len(s) {
		h |= uint64(s[i]) << (8 * i)
	}
	return h
}

// list returns where the list for a hash begins.
func (b *book) list(head uint64) *int32 { return &b.table[head*0x9e3779b97f4a7c15>>b.shift] }

// at calls found with every pattern with which a text begins.
func (b *book) at(text []byte, found func(id int32)) {
	head := headOf(text)
	if len(text) >= 8 {
		b.in(*b.list(head), head, text, found)
	}
	b.in(*b.list(head & firstFour), head&firstFour, text, found)
	b.in(b.short[text[0]], 0, text, found)
}

// in calls found with those patterns of a list that have this head and with which a text
// begins.
func (b *book) in(list int32, head uint64, text []byte, found func(id int32)) {
	for i := list; i > 0; i = b.next[i-1] {
		if p := b.patterns[i-1]; b.heads[i-1] == head && len(text) >= len(p) && string(text[:len(p)]) == p {
			found(i - 1)
		}
	}
}

// scan calls found as [automaton.scan] does.
func (b *book) scan(text []byte, found func(patterns []int32, end int)) {
	room, _ := b.scratch.Get().(*bookScratch)
	if room == nil {
		room = &bookScratch{}
	}
	room.all = room.all[:0]
	for from, c := range text {
		if !b.begins[c] {
			continue
		}
		b.at(text[from:], func(id int32) {
			room.all = append(room.all, occurrence{int32(from + len(b.patterns[id])), int32(from), id})
		})
	}
	slices.SortFunc(room.all, func(x, y occurrence) int {
		return cmp.Or(int(x.end-y.end), int(x.from-y.from), int(x.id-y.id))
	})
	for i, o := range room.all {
		room.ids = append(room.ids, o.id)
		if i+1 == len(room.all) || room.all[i+1].end != o.end {
			found(room.ids, int(o.end))
			room.ids = room.ids[:0]
		}
	}
	b.scratch.Put(room)
}

// within calls found with every pattern that a text holds, perhaps several times.
func (b *book) within(text string, found func(id int32)) {
	octets := []byte(text)
	for from, c := range octets {
		if b.begins[c] {
			b.at(octets[from:], found)
		}
	}
}
