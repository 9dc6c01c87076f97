package spool

import (
	"fmt"
	"sync"
)

// Memory is a journal that ends with the process.
type Memory struct {
	mu      sync.Mutex
	max     int64
	size    int64
	first   uint64   // number of records[0]
	records [][]byte // oldest first
	readers map[string]*memoryReader
	places  map[string]uint64 // of every reader, whether in use or not
}

var _ Journal = (*Memory)(nil)

// overhead is about how much memory a record takes in addition to its octets.
const overhead = 64

// NewMemory returns a journal that holds at most so many octets.
func NewMemory(most int64) *Memory {
	return &Memory{max: most, first: 1, readers: map[string]*memoryReader{}, places: map[string]uint64{}}
}

// Append implements [Journal].
func (m *Memory) Append(records [][]byte) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	if len(m.places) == 0 {
		m.first += uint64(len(records))
		return nil
	}
	for _, r := range records {
		m.records = append(m.records, r)
		m.size += int64(len(r)) + overhead
	}
	m.shrink()
	return nil
}

// shrink drops the records that every reader has passed, and the oldest ones while the
// journal is above its bound. It is called with mu held.
func (m *Memory) shrink() {
	needed := m.first + uint64(len(m.records))
	for _, p := range m.places {
		needed = min(needed, p)
	}
	n := 0
	for ; n < len(m.records) && (m.size > m.max || m.first+uint64(n) < needed); n++ {
		m.size -= int64(len(m.records[n])) + overhead
		m.records[n] = nil
	}
	m.first += uint64(n)
	m.records = m.records[n:]
	if len(m.records) == 0 {
		m.records = nil // frees the whole array, with the part before the slice
	}
}

// Sync does nothing.
func (m *Memory) Sync() error { return nil }

// SetMax implements [Journal].
func (m *Memory) SetMax(n int64) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.max = n
	m.shrink()
}

// Keep implements [Journal].
func (m *Memory) Keep(names []string) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	keep := map[string]bool{}
	for _, n := range names {
		keep[n] = true
	}
	for name := range m.places {
		if !keep[name] {
			delete(m.places, name)
			delete(m.readers, name)
		}
	}
	m.shrink()
	return nil
}

// Close implements [Journal].
func (m *Memory) Close() error { return nil }

// Reader implements [Journal].
func (m *Memory) Reader(name string) (Reader, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.readers[name] != nil {
		return nil, fmt.Errorf("the journal has a reader %s already", name)
	}
	if _, known := m.places[name]; !known {
		m.places[name] = m.first + uint64(len(m.records))
	}
	r := &memoryReader{m: m, name: name, at: m.places[name]}
	m.readers[name] = r
	return r, nil
}

// memoryReader reads a Memory.
type memoryReader struct {
	m    *Memory
	name string
	at   uint64 // protected by the journal's mutex
	lost Lost
}

var _ Reader = (*memoryReader)(nil)

// Read implements [Reader].
func (r *memoryReader) Read(records, octets int) ([]Entry, error) {
	r.m.mu.Lock()
	defer r.m.mu.Unlock()
	if r.at < r.m.first {
		r.lost.Overflow += int64(r.m.first - r.at)
		r.at = r.m.first
	}
	var out []Entry
	total := 0
	for _, data := range r.m.records[min(r.at-r.m.first, uint64(len(r.m.records))):] {
		if len(out) >= records || len(out) > 0 && total+len(data) > octets {
			break
		}
		total += len(data)
		r.at++
		out = append(out, Entry{Data: data, end: place{Record: r.at}})
	}
	return out, nil
}

// Lost implements [Reader].
func (r *memoryReader) Lost() Lost {
	l := r.lost
	r.lost = Lost{}
	return l
}

// Pending implements [Reader].
func (r *memoryReader) Pending() int64 {
	r.m.mu.Lock()
	defer r.m.mu.Unlock()
	return max(0, int64(r.m.first+uint64(len(r.m.records))-max(r.at, r.m.first)))
}

// Commit implements [Reader].
func (r *memoryReader) Commit(e Entry) {
	r.m.mu.Lock()
	defer r.m.mu.Unlock()
	if r.m.readers[r.name] == r { // Keep has not removed it
		r.m.places[r.name] = e.end.Record
		r.m.shrink()
	}
}

// Save does nothing, because the journal ends with the process.
func (r *memoryReader) Save() error { return nil }

// Close implements [Reader].
func (r *memoryReader) Close() {
	r.m.mu.Lock()
	defer r.m.mu.Unlock()
	if r.m.readers[r.name] == r {
		delete(r.m.readers, r.name)
	}
}
