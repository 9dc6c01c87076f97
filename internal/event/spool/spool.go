// Package spool keeps records until every reader has them, in a journal on disk or in
// memory.
//
// On disk the journal is a folder of segments. A segment is a file that is only appended
// to, named after the number of its first record. Each record is a line:
//
//	CRC-32C as eight hex digits, space, length in decimal, space, record, newline
//
// So a segment can be read in an editor, and damage ends at the next newline: a last line
// that is incomplete, or a line that a disk has changed, costs only its own record. The
// place of each reader is in a file of its own, the cursor, which is replaced by renaming.
// Segments that every reader has passed are removed. If the spool is above its bound, the
// oldest segment is removed, and each reader that has not read it counts what it lost.
//
// We wrote this ourselves because every well-kept library of this kind does only a part of
// it: tidwall/wal has neither checksums nor a bound, raft-wal syncs every write,
// go-diskqueue has one reader and no checksums, and Prometheus's wlog needs its database.
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

// MaxRecord is the maximum length of a record, in octets.
const MaxRecord = 1 << 20

// Journal keeps records until every reader has them. All methods but Close may be called
// concurrently.
type Journal interface {
	// Append adds records to the end: all of them, or none if it returns an error.
	// When it returns, the kernel has them; a journal in memory has them itself. A
	// record is a line without its newline.
	Append(records [][]byte) error
	// Sync forces what was appended to the disk.
	Sync() error
	// SetMax changes how many octets the journal may hold.
	SetMax(int64)
	// Reader returns the reader with a name. It begins where the last reader with that
	// name ended; a new one begins at the end. There is one reader per name at a time.
	Reader(name string) (Reader, error)
	// Keep removes all readers except those with these names.
	Keep(names []string) error
	// Close releases what the journal holds. No reader may be used after it.
	Close() error
}

// Reader reads a journal from its place on. Only one goroutine may use it; Pending may be
// called from others.
type Reader interface {
	// Read returns the next records: at most so many and of at most so many octets,
	// but at least one, and none at the end of the journal. After an error, Read may
	// be called again.
	Read(records, octets int) ([]Entry, error)
	// Lost returns how many records were lost since the last call.
	Lost() Lost
	// Pending returns how many records have not been read yet.
	Pending() int64
	// Commit says that an entry and all entries before it are done.
	Commit(Entry)
	// Save saves the place of the last Commit for the next process.
	Save() error
	// Close ends the reader. Its place stays as it was last saved.
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
	Damaged  int64 // could not be read back as they were written
}

// place is a place in the journal.
type place struct {
	Segment uint64 `json:"segment"` // number of the segment's first record
	Offset  int64  `json:"offset"`  // octets from the beginning of the segment
	Record  uint64 `json:"record"`  // number of the record that begins there
}

// Options are the settings of a spool. The zero value means the defaults.
type Options struct {
	Max     int64 // octets in total, by default 256 MiB
	Segment int64 // octets of a segment, by default an eighth of Max but at most 8 MiB
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
	trust  time.Duration // how long it is then assumed to be there
	buf    []byte

	mu       sync.Mutex
	o        Options
	segments []*segment // oldest first
	next     uint64     // number of the next record
	size     int64      // octets of all segments
	readers  map[string]*reader
	places   map[string]place // saved places of all readers, whether in use or not
	dirty    []*os.File       // segments that ended and are not synced yet
	written  bool             // something was written to out since it was last synced
}

var _ Journal = (*Spool)(nil)

// segment is one file.
type segment struct {
	first uint64
	size  int64 // octets of complete lines; if an earlier process wrote it, of the whole file
	ended bool  // nothing is appended to it any more
}

// Open opens the spool in a folder, which must exist, belong to the user of this process
// and not be in use by another process.
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

// scan finds the segments of earlier processes. They are not appended to, because the last
// one may end in the middle of a line.
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

// write appends the lines in buf to the last segment. If that fails, it removes what it
// has written and ends the segment, because a new one may not have the same fault.
func (s *Spool) write(seg *segment) error {
	_, err := s.out.Write(s.buf)
	if err == nil && s.options().Sync {
		err = s.out.Sync()
	}
	if err != nil {
		_ = s.out.Truncate(seg.size) // if this fails, the segment ends in half a line, as after a power cut
		s.leave()
	}
	return err
}

// room returns the segment for the next n octets. It is a new one if the last segment is
// full, or no longer in the folder.
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
	if last != nil && last.first == next { // nothing could be written to the last segment
		last.ended = false
		return last, nil
	}
	seg := &segment{first: next}
	s.segments = append(s.segments, seg)
	return seg, nil
}

// lookEvery is how often Append checks whether the folder still has the last segment.
const lookEvery = 100 * time.Millisecond

// isMoved reports whether the last segment is no longer in the folder. The answer may be
// lookEvery old, because checking takes as long as writing a record.
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

// create creates the file of a segment. If the folder was removed, it creates that too.
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
	// If the file exists, it contains no complete record.
	f, err := os.OpenFile(s.path(first), os.O_WRONLY|os.O_APPEND|os.O_CREATE|os.O_TRUNC|syscall.O_NOFOLLOW, 0o600)
	if err != nil {
		return nil, err
	}
	if !s.options().Lazy {
		if err := s.lock.Sync(); err != nil { // the folder, which contains the file's name
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

// maxDirty is how many ended segments may wait to be synced. If there are more, the disk
// is too slow for the records that come in, and the kernel decides when to write them.
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
		// A second descriptor, because the segment may end and be closed during the
		// sync, and Append should not wait for it.
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

// SetSync changes Options.Sync and Options.Lazy.
func (s *Spool) SetSync(always, lazy bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.o.Sync, s.o.Lazy = always, lazy
}

// shrink removes segments that every reader has passed, and the oldest ones while the spool
// is above its bound. It never removes the last one. It returns how many it removed. It is
// called with mu held.
func (s *Spool) shrink() (removed int) {
	for len(s.segments) > 1 {
		oldest := s.segments[0]
		if s.size <= s.o.Max && s.needed(oldest) {
			break
		}
		// If a file cannot be removed, the next process finds it and tries again.
		_ = os.Remove(s.path(oldest.first))
		s.size -= oldest.size
		s.segments = s.segments[1:]
		removed++
	}
	return removed
}

// needed reports whether some reader has not passed a segment.
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
