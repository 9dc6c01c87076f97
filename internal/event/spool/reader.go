package spool

import (
	"bytes"
	"fmt"
	"io"
	"os"
	"slices"
)

// reader reads a spool for one sink.
type reader struct {
	s    *Spool
	name string

	file *os.File // the segment that the place is in, nil if it is not open
	buf  []byte   // what was read of it, from the place on
	lost Lost

	at        place // of the next record to read; protected by the spool's mutex
	committed place
	saved     place
}

var _ Reader = (*reader)(nil)

// Reader implements [Journal].
func (s *Spool) Reader(name string) (Reader, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.readers[name] != nil {
		return nil, fmt.Errorf("the spool has a reader %s already", name)
	}
	at, known := s.places[name]
	if !known {
		// Saved now, so that nothing is lost if the process is killed before the
		// first commit.
		at = s.end()
		if err := writeCursor(s.dir, name, at); err != nil {
			return nil, err
		}
		s.places[name] = at
	}
	r := &reader{s: s, name: name, at: at, committed: at, saved: at}
	s.readers[name] = r
	return r, nil
}

// end returns the place after the last record. It is called with mu held.
func (s *Spool) end() place {
	if n := len(s.segments); n > 0 {
		last := s.segments[n-1]
		return place{last.first, last.size, s.next}
	}
	return place{s.next, 0, s.next}
}

// Read implements [Reader].
func (r *reader) Read(records, octets int) ([]Entry, error) {
	var out []Entry
	for total := 0; len(out) < records; {
		line, ok, err := r.line()
		if err != nil {
			r.closeFile()
			if len(out) > 0 {
				return out, nil // the next Read returns the error
			}
			return nil, fmt.Errorf("reading the spool: %w", err)
		}
		if !ok || len(out) > 0 && total+len(line) > octets {
			break
		}
		total += len(line)
		record, good := parseLine(line)
		end := r.take(len(line)+1, 1)
		if !good {
			r.lost.Damaged++
			continue
		}
		out = append(out, Entry{Data: record, end: end})
	}
	return out, nil
}

// take moves the place forward by so many octets of the buffer and so many records.
func (r *reader) take(octets, records int) place {
	// This part of the buffer is never written to again, because the records that
	// Read returned are slices of it.
	r.buf = r.buf[octets:]
	r.s.mu.Lock()
	defer r.s.mu.Unlock()
	r.at.Offset += int64(octets)
	r.at.Record += uint64(records)
	return r.at
}

// readAhead is how much of a segment is read at a time, in octets.
const readAhead = 256 << 10

// line returns the line at the reader's place without moving the place, or false at the
// end of the journal.
func (r *reader) line() ([]byte, bool, error) {
	for {
		seg, ok := r.arrive()
		if !ok {
			return nil, false, nil
		}
		if r.file == nil {
			if err := r.open(seg); err != nil {
				return nil, false, err
			}
			continue
		}
		if i := bytes.IndexByte(r.buf, '\n'); i >= 0 {
			return r.buf[:i], true, nil
		}
		left := seg.size - r.at.Offset - int64(len(r.buf))
		switch {
		case len(r.buf) > maxLine: // damaged: no line is so long; the next one begins after a newline
			r.take(len(r.buf), 0)
		case left > 0:
			if err := r.fill(seg, min(left, readAhead)); err != nil {
				return nil, false, err
			}
		case !seg.ended:
			return nil, false, nil
		case len(r.buf) > 0: // torn
			r.take(len(r.buf), 1)
			r.lost.Damaged++
		case !r.pass(seg):
			return nil, false, nil
		}
	}
}

// arrive returns the segment that the reader's place is in. If that segment was removed,
// the place moves to the oldest one that is left, and the records between are counted as
// lost.
func (r *reader) arrive() (segment, bool) {
	s := r.s
	s.mu.Lock()
	defer s.mu.Unlock()
	i := slices.IndexFunc(s.segments, func(g *segment) bool { return g.first >= r.at.Segment })
	if i < 0 {
		return segment{}, false // nothing was written since then
	}
	if seg := s.segments[i]; seg.first != r.at.Segment {
		if seg.first > r.at.Record {
			r.lost.Overflow += int64(seg.first - r.at.Record)
		}
		r.begin(seg)
	}
	return *s.segments[i], true
}

// begin moves the place to the beginning of a segment. It is called with mu held.
func (r *reader) begin(seg *segment) {
	r.closeFile()
	r.at = place{seg.first, 0, seg.first}
}

// pass moves the place from the end of a segment to the next, if there is one.
func (r *reader) pass(seg segment) bool {
	s := r.s
	s.mu.Lock()
	defer s.mu.Unlock()
	i := slices.IndexFunc(s.segments, func(g *segment) bool { return g.first > seg.first })
	if i < 0 {
		return false
	}
	if first := s.segments[i].first; first > r.at.Record {
		r.lost.Damaged += int64(first - r.at.Record) // records whose newlines were damaged
	}
	r.begin(s.segments[i])
	return true
}

// open opens a segment at the reader's place.
func (r *reader) open(seg segment) error {
	f, err := os.Open(r.s.path(seg.first))
	if err != nil && (!os.IsNotExist(err) || !seg.ended) {
		return err
	}
	if err != nil { // somebody removed it
		r.cut(seg)
		return nil
	}
	r.file, r.buf = f, nil
	r.s.mu.Lock()
	defer r.s.mu.Unlock()
	// A power cut may have lost the end of the segment after it was read.
	r.at.Offset = min(r.at.Offset, seg.size)
	return nil
}

// fill reads more of a segment into the buffer.
func (r *reader) fill(seg segment, n int64) error {
	buf := make([]byte, len(r.buf), int64(len(r.buf))+n)
	copy(buf, r.buf)
	k, err := r.file.ReadAt(buf[len(buf):cap(buf)], r.at.Offset+int64(len(buf)))
	r.buf = buf[:len(buf)+k]
	if err == io.EOF && k == 0 {
		if moved(r.file) { // a new file of the same name may have the rest
			r.closeFile()
		} else { // somebody shortened the file
			r.cut(seg)
		}
		return nil
	}
	if err == io.EOF {
		return nil
	}
	return err
}

// cut gives up the rest of a segment, and counts its records as damaged.
func (r *reader) cut(seg segment) {
	s := r.s
	s.mu.Lock()
	defer s.mu.Unlock()
	next := s.next
	if i := slices.IndexFunc(s.segments, func(g *segment) bool { return g.first > seg.first }); i >= 0 {
		next = s.segments[i].first
		r.closeFile()
		r.at = place{next, 0, r.at.Record}
	} else {
		r.buf = nil
		r.at = place{seg.first, seg.size, r.at.Record}
	}
	if next > r.at.Record {
		r.lost.Damaged += int64(next - r.at.Record)
		r.at.Record = next
	}
}

func (r *reader) closeFile() {
	if r.file != nil {
		r.file.Close()
	}
	r.file, r.buf = nil, nil
}

// Lost implements [Reader].
func (r *reader) Lost() Lost {
	l := r.lost
	r.lost = Lost{}
	return l
}

// Pending implements [Reader].
func (r *reader) Pending() int64 {
	r.s.mu.Lock()
	defer r.s.mu.Unlock()
	return max(0, int64(r.s.next-r.at.Record))
}

// Commit implements [Reader].
func (r *reader) Commit(e Entry) { r.committed = e.end }

// Save implements [Reader].
func (r *reader) Save() error {
	if r.committed == r.saved {
		return nil
	}
	r.s.mu.Lock()
	kept := r.s.readers[r.name] == r
	r.s.mu.Unlock()
	if !kept { // Keep has removed it
		return nil
	}
	err := writeCursor(r.s.dir, r.name, r.committed)
	r.s.mu.Lock()
	r.s.places[r.name] = r.committed
	removed := r.s.shrink()
	r.s.mu.Unlock()
	// On a full disk, removing segments may have made room for the cursor. Removing them
	// first is safe: a reader whose saved place is in a segment that is gone goes on with
	// the oldest one that is left.
	if err != nil && removed > 0 {
		err = writeCursor(r.s.dir, r.name, r.committed)
	}
	if err == nil {
		r.saved = r.committed
	}
	return err
}

// Close implements [Reader].
func (r *reader) Close() {
	r.closeFile()
	r.s.mu.Lock()
	defer r.s.mu.Unlock()
	if r.s.readers[r.name] == r {
		delete(r.s.readers, r.name)
	}
}
