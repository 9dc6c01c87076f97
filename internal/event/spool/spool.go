// Package spool keeps records until every reader of theirs has them: a journal on disk,
// or the same in memory.
//
// On disk it is a folder of segments, files that are only ever appended to, each named
// after the number of its first record. A record is a line:
//
//	CRC-32C as eight hex digits, space, length in decimal, space, record, newline
//
// so that who opens a segment in an editor can read it, and what is damaged ends at
// the next newline: a torn last line, or one that a disk has changed, costs that record
// and no other. A reader's place is a file of its own, replaced by renaming. Segments
// that every reader has passed are removed; over the bound the oldest is removed, and
// each reader that had not read it counts what it lost.
//
// Why it is our own: what of this kind is well kept does one part of it. tidwall/wal has
// neither checksums nor a bound, raft-wal syncs every write, go-diskqueue has one reader
// and no checksums, Prometheus's wlog brings its database.
package spool

import (
	"cmp"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"syscall"
	"time"
)

// MaxRecord bounds a record, in octets.
const MaxRecord = 1 << 20

// Journal keeps records until every reader has them. All but Close may be called
// from any goroutine.
type Journal interface {
	// Append adds records to the end: all of them, or with an error none. When it
	// returns they are with the kernel, or in memory where there is no disk. A
	// record is one line without its end.
	Append(records [][]byte) error
	// Sync forces what was appended to the disk.
	Sync() error
	// SetMax changes the octets that may be held.
	SetMax(int64)
	// Reader returns the reader of a name, which begins where one of that name
	// has been, or at the end. There is one at a time.
	Reader(name string) (Reader, error)
	// Keep forgets all readers but those of these names.
	Keep(names []string) error
	// Close gives back what the journal holds. No reader is used after it.
	Close() error
}

// Reader reads a journal from its place on. One goroutine uses it, but for Pending.
type Reader interface {
	// Read returns the next records, so many and of so many octets at most but one
	// at least, none where there is no more. The error is of the moment: Read again.
	Read(records, octets int) ([]Entry, error)
	// Lost returns how many records were lost since the last call.
	Lost() Lost
	// Pending is how many records were not read yet.
	Pending() int64
	// Commit says that an entry and all before it are done with.
	Commit(Entry)
	// Save keeps the place of the last Commit for the next process.
	Save() error
	// Close ends the reader. Its place stays as it was saved.
	Close()
}

// Entry is a record that was read.
type Entry struct {
	Data []byte
	end  place
}

// Lost counts records that a reader did not get.
type Lost struct {
	Overflow int64 // removed before they were read, to stay within the bound
	Damaged  int64 // not as they were written
}

// place is a place in the journal.
type place struct {
	Segment uint64 `json:"segment"` // by the number of its first record
	Offset  int64  `json:"offset"`  // octets from the segment's begin
	Record  uint64 `json:"record"`  // number of the record that begins there
}

// Options is what a spool may be told. Zero is a default.
type Options struct {
	Max     int64 // octets in all, 256 MiB
	Segment int64 // octets of a segment, an eighth of Max and 8 MiB at most
	Sync    bool  // each Append forces its records to the disk
	Lazy    bool  // Sync does nothing
}

const (
	defaultMax = 256 << 20
	maxSegment = 8 << 20
)

func (o *Options) fill() {
	if o.Max == 0 {
		o.Max = defaultMax
	}
	if o.Segment == 0 {
		o.Segment = min(maxSegment, o.Max/8)
	}
}

// Spool is a journal on disk.
type Spool struct {
	dir  string
	lock *os.File

	append sync.Mutex    // one Append at a time
	out    *os.File      // of the last segment, nil before the first record
	looked time.Time     // when out was last seen in the folder
	trust  time.Duration // for which it is then taken to be there
	buf    []byte

	mu       sync.Mutex
	o        Options
	segments []*segment // oldest first
	next     uint64     // number of the next record
	size     int64      // octets of all segments
	readers  map[string]*reader
	places   map[string]place // kept of every reader, in use or not
	dirty    []*os.File       // segments that ended and were not synced
	written  bool             // out has what was not synced
}

var _ Journal = (*Spool)(nil)

// segment is one file. Its size is that of whole lines written, or for one of an
// earlier process of all there is.
type segment struct {
	first uint64
	size  int64
	ended bool // nothing is added to it any more
}

// Open opens the spool in a folder, which must exist, belong to the user of this process
// and be in use by no other.
func Open(dir string, o Options) (*Spool, error) {
	o.fill()
	s := &Spool{dir: dir, o: o, trust: lookEvery, readers: map[string]*reader{}, places: map[string]place{}}
	var err error
	if s.lock, err = lockFolder(dir); err != nil {
		return nil, err
	}
	if err := s.scan(); err != nil {
		s.lock.Close()
		return nil, fmt.Errorf("reading the spool %s: %w", dir, err)
	}
	return s, nil
}

// scan finds the segments of earlier processes. They are never appended to again: the
// last may end within a line.
func (s *Spool) scan() error {
	entries, err := os.ReadDir(s.dir)
	if err != nil {
		return err
	}
	for _, e := range entries {
		first, ok := parseSegment(e.Name())
		if !ok || !e.Type().IsRegular() {
			continue
		}
		info, err := e.Info()
		if err != nil {
			return err
		}
		if info.Size() == 0 {
			if err := os.Remove(filepath.Join(s.dir, e.Name())); err != nil {
				return err
			}
			continue
		}
		s.segments = append(s.segments, &segment{first, info.Size(), true})
		s.size += info.Size()
	}
	slices.SortFunc(s.segments, func(a, b *segment) int { return cmp.Compare(a.first, b.first) })
	s.next = 1
	if n := len(s.segments); n > 0 {
		last := s.segments[n-1]
		lines, err := countLines(s.path(last.first))
		if err != nil {
			return err
		}
		s.next = last.first + lines
	}
	return s.readPlaces()
}

func (s *Spool) path(first uint64) string { return filepath.Join(s.dir, segmentName(first)) }

// Append implements [Journal].
func (s *Spool) Append(records [][]byte) error {
	s.append.Lock()
	defer s.append.Unlock()
	s.buf = s.buf[:0]
	for _, r := range records {
		var err error
		if s.buf, err = appendLine(s.buf, r); err != nil {
			return err
		}
	}
	if len(records) == 0 {
		return nil
	}
	seg, err := s.room(int64(len(s.buf)))
	if err != nil {
		return fmt.Errorf("writing to the spool: %w", err)
	}
	if err := s.write(seg); err != nil {
		return fmt.Errorf("writing to the spool: %w", err)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	seg.size += int64(len(s.buf))
	s.size += int64(len(s.buf))
	s.next += uint64(len(records))
	s.written = true
	s.shrink()
	return nil
}

// write writes the lines in buf to the end of the last segment. Where that fails, what
// was written of them is taken back, and the next ones get a segment of their own: what
// is wrong with this one may be wrong with this one alone.
func (s *Spool) write(seg *segment) error {
	_, err := s.out.Write(s.buf)
	if err == nil && s.options().Sync {
		err = s.out.Sync()
	}
	if err != nil {
		_ = s.out.Truncate(seg.size) // else it ends within a line, as after a power cut
		s.leave()
	}
	return err
}

// room returns the segment that the next n octets go to, a new one where the last is
// full, or is not in the folder any more.
func (s *Spool) room(n int64) (*segment, error) {
	s.mu.Lock()
	var last *segment
	if len(s.segments) > 0 {
		last = s.segments[len(s.segments)-1]
	}
	most, next := s.o.Segment, s.next
	s.mu.Unlock()
	if s.out != nil && !s.isMoved() && (last.size == 0 || last.size+n <= most) {
		return last, nil
	}
	f, err := s.create(next)
	if err != nil {
		return nil, err
	}
	s.leave()
	s.out = f
	s.mu.Lock()
	defer s.mu.Unlock()
	if last != nil && last.first == next { // to which nothing could be written
		last.ended = false
		return last, nil
	}
	seg := &segment{first: next}
	s.segments = append(s.segments, seg)
	return seg, nil
}

// lookEvery is how often the folder is asked whether it still has the last segment.
const lookEvery = 100 * time.Millisecond

// isMoved reports whether the last segment has left the folder, as of a moment ago: to ask
// costs as much as to write a record.
func (s *Spool) isMoved() bool {
	if time.Since(s.looked) < s.trust {
		return false
	}
	if moved(s.out) {
		return true
	}
	s.looked = time.Now()
	return false
}

// create makes a segment. A folder that is not there any more is made again.
func (s *Spool) create(first uint64) (*os.File, error) {
	if moved(s.lock) {
		if err := os.Mkdir(s.dir, 0o700); err != nil && !errors.Is(err, os.ErrExist) {
			return nil, err
		}
		lock, err := lockFolder(s.dir)
		if err != nil {
			return nil, err
		}
		s.lock.Close()
		s.lock = lock
	}
	// What a segment without a record has in it was never whole.
	f, err := os.OpenFile(s.path(first), os.O_WRONLY|os.O_APPEND|os.O_CREATE|os.O_TRUNC|syscall.O_NOFOLLOW, 0o600)
	if err != nil {
		return nil, err
	}
	if !s.options().Lazy {
		if err := s.lock.Sync(); err != nil { // the name, which is the folder's
			f.Close()
			return nil, err
		}
	}
	return f, nil
}

// leave ends the last segment.
func (s *Spool) leave() {
	if s.out == nil {
		return
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.segments[len(s.segments)-1].ended = true
	if s.written && !s.o.Lazy && len(s.dirty) < maxDirty {
		s.dirty = append(s.dirty, s.out)
	} else {
		s.out.Close()
	}
	s.out, s.written = nil, false
}

// maxDirty bounds the segments that wait to be synced. More are left to the kernel:
// their disk is too slow for what comes in.
const maxDirty = 8

func (s *Spool) options() Options {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.o
}

// Sync implements [Journal].
func (s *Spool) Sync() error {
	s.mu.Lock()
	files := s.dirty
	s.dirty = nil
	lazy := s.o.Lazy
	s.mu.Unlock()
	var errs []error
	for _, f := range files {
		errs = append(errs, f.Sync(), f.Close())
	}
	if lazy {
		return errors.Join(errs...)
	}
	s.append.Lock()
	s.mu.Lock()
	out := s.out
	if !s.written {
		out = nil
	}
	s.written = false
	s.mu.Unlock()
	if out != nil {
		// A second descriptor: the file may end meanwhile, and appending shall not wait.
		var err error
		if out, err = os.Open(out.Name()); err != nil {
			errs = append(errs, err)
		}
	}
	s.append.Unlock()
	if out != nil {
		errs = append(errs, out.Sync(), out.Close())
	}
	if err := errors.Join(errs...); err != nil {
		return fmt.Errorf("forcing the spool to the disk: %w", err)
	}
	return nil
}

// SetMax implements [Journal].
func (s *Spool) SetMax(n int64) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.o.Max, s.o.Segment = n, 0
	s.o.fill()
	s.shrink()
}

// SetSync changes when records are forced to the disk.
func (s *Spool) SetSync(always, lazy bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.o.Sync, s.o.Lazy = always, lazy
}

// shrink removes segments that no reader needs, and the oldest while there is more than
// may be, and returns how many. The last one stays. It is called with mu held.
func (s *Spool) shrink() (removed int) {
	for len(s.segments) > 1 {
		oldest := s.segments[0]
		if s.size <= s.o.Max && s.needed(oldest) {
			break
		}
		// One that cannot be removed is left to the next process.
		_ = os.Remove(s.path(oldest.first))
		s.size -= oldest.size
		s.segments = s.segments[1:]
		removed++
	}
	return removed
}

// needed reports whether a reader has not passed a segment.
func (s *Spool) needed(seg *segment) bool {
	for _, p := range s.places {
		if p.Segment < seg.first || p.Segment == seg.first && p.Offset < seg.size {
			return true
		}
	}
	return false
}

// Close implements [Journal].
func (s *Spool) Close() error {
	err := s.Sync()
	s.append.Lock()
	defer s.append.Unlock()
	s.leave()
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, f := range s.dirty {
		f.Close()
	}
	s.dirty = nil
	return errors.Join(err, s.lock.Close())
}
