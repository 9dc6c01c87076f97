package spool

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"syscall"
)

const (
	cursorSuffix = ".cursor"
	newSuffix    = ".new"
)

// readCursor returns the place saved in a file, and false if the file contains none.
func readCursor(path string) (p place, ok bool) {
	if info, err := os.Lstat(path); err != nil || !info.Mode().IsRegular() {
		return place{}, false // opening a pipe would wait for a writer
	}
	data, err := os.ReadFile(path)
	if err != nil || json.Unmarshal(data, &p) != nil {
		return place{}, false
	}
	const most = 1 << 61 // so that segments behind it have names too (parseSegment)
	return p, p.Offset >= 0 && p.Offset < most && p.Segment <= p.Record && p.Record > 0 && p.Record < most
}

// writeCursor saves a place. If the process is killed meanwhile, the file has either the
// new place or the old one.
func writeCursor(dir, name string, p place) error {
	data, err := json.Marshal(p)
	if err != nil {
		return err
	}
	path := filepath.Join(dir, name+cursorSuffix)
	err = writeNew(path+newSuffix, append(data, '\n'))
	if err == nil {
		err = os.Rename(path+newSuffix, path)
	}
	if err != nil {
		os.Remove(path + newSuffix)
		return fmt.Errorf("saving the place of %s in the spool: %w", name, err)
	}
	return nil
}

// writeNew writes a file. It does not follow a link that somebody else has put there.
func writeNew(path string, data []byte) error {
	f, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_TRUNC|syscall.O_NOFOLLOW, 0o600)
	if err != nil {
		return err
	}
	_, err = f.Write(data)
	return errors.Join(err, f.Close())
}

// readPlaces reads the saved places. If one cannot be read, for example after a power cut,
// its reader begins with the oldest record: better twice than never.
func (s *Spool) readPlaces() error {
	files, err := filepath.Glob(filepath.Join(s.dir, "*"+cursorSuffix))
	if err != nil {
		return err
	}
	for _, f := range files {
		p, ok := readCursor(f)
		switch {
		case ok:
			// If a power cut lost the last records, a saved place may be after the end of
			// the journal. Their numbers are not used again.
			s.next = max(s.next, p.Record)
		case len(s.segments) > 0:
			p = place{s.segments[0].first, 0, s.segments[0].first}
		default:
			p = place{s.next, 0, s.next}
		}
		s.places[strings.TrimSuffix(filepath.Base(f), cursorSuffix)] = p
	}
	return nil
}

// Keep implements [Journal].
func (s *Spool) Keep(names []string) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	keep := map[string]bool{}
	for _, n := range names {
		keep[n] = true
	}
	var errs []error
	for name := range s.places {
		if keep[name] {
			continue
		}
		delete(s.places, name)
		delete(s.readers, name)
		if err := os.Remove(filepath.Join(s.dir, name+cursorSuffix)); err != nil && !errors.Is(err, os.ErrNotExist) {
			errs = append(errs, fmt.Errorf("removing the place of %s in the spool: %w", name, err))
		}
	}
	s.shrink()
	return errors.Join(errs...)
}
