package follow

import (
	"bufio"
	"bytes"
	"compress/gzip"
	"errors"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/bounce-milter/bounce-milter/classify/maillog"
	"github.com/bounce-milter/bounce-milter/internal/files"
)

// rest reads what was written to a rotated file behind a place, and what was rotated after
// it. It reports whether it found that file.
func (t *tail) rest(was *Place, pass func(lines []byte)) bool {
	f, behind := t.rotated(was)
	if f == nil {
		return false
	}
	defer f.Close()
	t.log.Info("reading the rest of a rotated log", "path", f.Name())
	passAll(behind, pass)
	for _, name := range t.after(f.Name()) {
		t.whole(name, was, pass)
	}
	return true
}

// passAll passes on the lines that are left to read. Nobody will end the last one.
func passAll(from io.Reader, pass func(lines []byte)) {
	br := bufio.NewReaderSize(from, chunk)
	for {
		lines, err := br.Peek(chunk)
		if i := bytes.LastIndexByte(lines, '\n'); i >= 0 {
			pass(lines[:i+1])
			br.Discard(i + 1)
			continue
		}
		if err != nil {
			if len(lines) > 0 {
				pass(append(bytes.Clone(lines), '\n'))
			}
			return
		}
		br.Discard(len(lines)) // of a line that is too long
	}
}

// after returns the names of the logs that were rotated after one of them, the oldest first.
func (t *tail) after(name string) []string {
	ordered := maillog.Order(append([]string{t.path}, t.names()...))
	ordered = ordered[:slices.Index(ordered, t.path)] // behind it are files of other names
	at := slices.Index(ordered, name)
	if at < 0 {
		return nil
	}
	// One that is being compressed has two names.
	seen := map[string]bool{uncompressed(name): true}
	var later []string
	for _, n := range ordered[at+1:] {
		if !seen[uncompressed(n)] {
			seen[uncompressed(n)] = true
			later = append(later, n)
		}
	}
	return later
}

// uncompressed returns the name that a log had before it was compressed.
func uncompressed(name string) string {
	switch ext := filepath.Ext(name); ext {
	case ".gz", ".xz", ".zst", ".bz2":
		return strings.TrimSuffix(name, ext)
	}
	return name
}

// whole reads a log that was written and rotated after a place was taken.
func (t *tail) whole(name string, was *Place, pass func(lines []byte)) {
	f, err := openRead(name)
	if err != nil {
		t.log.Warn("a rotated log cannot be read: it is not counted", "path", name, "error", files.Why(err))
		return
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil || !info.Mode().IsRegular() || !was.mayBeIn(info) {
		return
	}
	from := io.Reader(f)
	switch filepath.Ext(name) {
	case ".gz":
		from, err = gzip.NewReader(f)
	case ".xz", ".zst", ".bz2":
		err = errors.New("compressed with something else than gzip")
	}
	if err != nil {
		t.log.Warn("a rotated log cannot be read: it is not counted", "path", name, "error", err)
		return
	}
	t.log.Info("reading a rotated log", "path", name)
	passAll(from, pass)
}

// missed reads the logs that were begun and rotated while the open file, which has another
// name now, was read to its end.
func (t *tail) missed(pass func(lines []byte)) {
	f, _ := t.rotated(&t.place)
	if f == nil {
		return
	}
	f.Close()
	for _, name := range t.after(f.Name()) {
		t.whole(name, &t.place, pass)
	}
}

// names returns the names of all files that may be rotated logs.
func (t *tail) names() []string {
	names, _ := filepath.Glob(files.Escape(t.path) + ".*") // only a bad pattern is an error
	dated, _ := filepath.Glob(files.Escape(t.path) + "-*")
	return append(names, dated...)
}

// rotated opens the rotated file that a place is in, nil if there is none: the file itself,
// which has another name now, or else the longest copy of it, or else a compressed one.
func (t *tail) rotated(was *Place) (found *os.File, behind io.Reader) {
	longest := int64(0)
	for _, name := range t.names() {
		f, err := openRead(name)
		if err != nil {
			continue
		}
		var from io.Reader
		itself, size := was.is(f), was.copied(f)
		switch {
		case itself || size > longest:
			from, longest = io.NewSectionReader(f, was.Offset, 1<<62), size
		case found == nil && strings.HasSuffix(name, ".gz"):
			from = was.within(f)
		}
		if from == nil {
			f.Close()
			continue
		}
		if found != nil {
			found.Close()
		}
		if found, behind = f, from; itself {
			break
		}
	}
	return found, behind
}

// copied returns the size of a copy of the file that a place is in, as logrotate makes it
// before it truncates that file (copytruncate); 0 if f is none.
func (p *Place) copied(f *os.File) int64 {
	info, err := f.Stat()
	if err != nil || !info.Mode().IsRegular() || p.PrintSize == 0 || info.Size() < p.Offset || !p.mayBeIn(info) || !p.begins(f) {
		return 0
	}
	return info.Size()
}

// mayBeIn reports whether a file was written late enough to hold what was read.
func (p *Place) mayBeIn(info fs.FileInfo) bool { return info.ModTime().UnixNano() >= p.Written }

// within returns what a compressed file has behind the place, nil if the place is in another
// file.
func (p *Place) within(f *os.File) io.Reader {
	if info, err := f.Stat(); err != nil || !p.mayBeIn(info) {
		return nil
	}
	zr, err := gzip.NewReader(f)
	if err != nil {
		return nil
	}
	head := make([]byte, p.PrintSize)
	if _, err := io.ReadFull(zr, head); err != nil || print(head) != p.Print || p.PrintSize == 0 {
		return nil
	}
	if _, err := io.CopyN(io.Discard, zr, p.Offset-p.PrintSize); err != nil {
		return nil
	}
	return zr
}
