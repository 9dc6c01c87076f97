package follow

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"log/slog"
	"os"
	"slices"
	"syscall"
	"time"

	"github.com/bounce-milter/bounce-milter/internal/files"
)

const (
	// poll is how often a file that has ended is looked at again.
	poll = 250 * time.Millisecond
	// grace is how long a file that was moved away is still read: the program that writes
	// it switches to the new one a little later.
	grace = 2 * time.Second
	// printed is how many octets at the beginning of a file are compared to tell it from
	// other files.
	printed = 1 << 10
	// maxLine bounds a line; the rest of a longer one is skipped.
	maxLine = 1 << 20
	// chunk is how many octets are read at a time.
	chunk = 256 << 10
)

// Place is where reading goes on, in which file.
type Place struct {
	Device uint64 `json:"device"`
	Inode  uint64 `json:"inode"`
	Offset int64  `json:"offset"` // behind the last whole line
	// Print is the SHA-256 of the first PrintSize octets. A file with the same inode that
	// begins differently is another one.
	Print     string `json:"print"`
	PrintSize int64  `json:"print_size"`
	// Written is when the file was last written to, as of its last line that was read, in
	// nanoseconds since 1970; 0 if that is not known.
	Written int64 `json:"written"`
}

// valid reports whether a place may be one that was taken.
func (p *Place) valid() bool {
	return p.PrintSize >= 0 && p.PrintSize <= printed && p.Offset >= p.PrintSize
}

// tail reads a file that grows, by its name.
type tail struct {
	path string
	log  *slog.Logger

	file  *os.File // nil while there is none
	place Place
	buf   []byte // what is read and not yet passed on
	skips bool   // within a line that is too long

	gone    time.Time // since when the open file is no longer that of the path
	trouble string    // what is wrong, "" if nothing is
}

// resume opens the file where an earlier process left it. It looks for a file that was
// rotated in between, and reads its rest first. Without a place it begins at the end, so
// that an old log is not counted as if it were from today.
func (t *tail) resume(was *Place, pass func(lines []byte)) {
	if was == nil {
		t.open()
		if t.file != nil {
			if info, err := t.file.Stat(); err == nil {
				t.place.Offset, t.place.Written = lastLine(t.file, info.Size()), info.ModTime().UnixNano()
				t.mark()
			}
		}
		return
	}
	t.open()
	if t.file != nil && was.is(t.file) {
		t.place = *was
		return
	}
	if !t.rest(was, pass) {
		t.log.Warn("the log was replaced while nobody read it, and what was added to the old one cannot be found: it is not counted", "path", t.path)
	}
}

// lastLine returns the offset behind the last whole line of a file.
func lastLine(f *os.File, size int64) int64 {
	buf := make([]byte, 64<<10)
	for at := size; at > 0; {
		n := min(at, int64(len(buf)))
		if _, err := f.ReadAt(buf[:n], at-n); err != nil {
			return size
		}
		if i := bytes.LastIndexByte(buf[:n], '\n'); i >= 0 {
			return at - n + int64(i) + 1
		}
		at -= n
		if size-at > maxLine {
			return size
		}
	}
	return 0
}

func print(head []byte) string {
	sum := sha256.Sum256(head)
	return hex.EncodeToString(sum[:])
}

// is reports whether a file is the one that a place is in.
func (p *Place) is(f *os.File) bool {
	info, err := f.Stat()
	if err != nil || !info.Mode().IsRegular() {
		return false
	}
	st, ok := info.Sys().(*syscall.Stat_t)
	if !ok || uint64(st.Dev) != p.Device || st.Ino != p.Inode || info.Size() < p.Offset {
		return false
	}
	return p.begins(f)
}

// begins reports whether a file begins as it did.
func (p *Place) begins(f *os.File) bool {
	head := make([]byte, p.PrintSize)
	_, err := f.ReadAt(head, 0)
	return err == nil && print(head) == p.Print || p.PrintSize == 0
}

// mark takes the print of the open file, if the file has grown since the last print.
func (t *tail) mark() {
	if t.place.PrintSize == printed || t.place.PrintSize >= t.place.Offset {
		return
	}
	head := make([]byte, min(printed, t.place.Offset))
	if _, err := t.file.ReadAt(head, 0); err == nil {
		t.place.Print, t.place.PrintSize = print(head), int64(len(head))
	}
}

// openRead opens a file to read it. A pipe that nobody writes does not hold it up.
func openRead(path string) (*os.File, error) {
	return os.OpenFile(path, os.O_RDONLY|syscall.O_NONBLOCK, 0)
}

// open opens the file of the path at its beginning.
func (t *tail) open() {
	t.close()
	f, err := openRead(t.path)
	if err != nil {
		t.wrong(err)
		return
	}
	info, err := f.Stat()
	if err == nil && !info.Mode().IsRegular() {
		err = errors.New("is not a file")
	}
	if err != nil {
		f.Close()
		t.wrong(err)
		return
	}
	st := info.Sys().(*syscall.Stat_t)
	t.file, t.place = f, Place{Device: uint64(st.Dev), Inode: st.Ino}
	t.wrong(nil)
}

// wrong notes what is wrong with the file, and logs it once.
func (t *tail) wrong(err error) {
	said := ""
	if err != nil {
		said = files.Why(err).Error()
		if errors.Is(err, fs.ErrPermission) {
			said += ": let the user of this program read it, in the group adm on Debian"
		}
	}
	if said != t.trouble {
		if said != "" {
			t.log.Warn("waiting for the log", "path", t.path, "error", said)
		} else if t.trouble != "" {
			t.log.Info("the log is there", "path", t.path)
		}
	}
	t.trouble = said
}

func (t *tail) close() {
	if t.file != nil {
		t.file.Close()
	}
	t.file, t.place, t.buf, t.skips, t.gone = nil, Place{}, t.buf[:0], false, time.Time{}
}

// step passes the lines on that were added, and takes a new file if there is one. It
// reports whether there may be more at once.
func (t *tail) step(now time.Time, pass func(lines []byte)) bool {
	if t.file == nil {
		t.open()
		return t.file != nil
	}
	if info, err := t.file.Stat(); err == nil && info.Size() < t.place.Offset || !t.place.begins(t.file) {
		t.log.Info("the log was truncated: reading it from its beginning", "path", t.path)
		p := t.place
		t.rest(&p, pass) // what was added before it was copied and truncated
		t.buf, t.skips = t.buf[:0], false
		t.place = Place{Device: p.Device, Inode: p.Inode}
	}
	if t.read(pass) {
		t.gone = time.Time{}
		return true
	}
	switch {
	case t.same():
		t.gone = time.Time{}
	case t.gone.IsZero():
		t.gone = now
	case now.Sub(t.gone) >= grace:
		if len(t.buf) > 0 { // nobody will end this line
			pass(append(t.buf, '\n'))
		}
		t.log.Info("the log was rotated", "path", t.path)
		t.missed(pass)
		t.open()
		return t.file != nil
	}
	return false
}

// same reports whether the path still names the open file. A path that names nothing counts
// as the same: a new file will come.
func (t *tail) same() bool {
	named, err := os.Stat(t.path)
	if err != nil {
		return errors.Is(err, fs.ErrNotExist) || t.place.Inode == 0
	}
	is, err := t.file.Stat()
	return err == nil && os.SameFile(is, named)
}

// read passes on what was added; it returns false if nothing was.
func (t *tail) read(pass func(lines []byte)) bool {
	had := len(t.buf)
	t.buf = slices.Grow(t.buf, chunk)
	n, err := t.file.ReadAt(t.buf[had:had+chunk], t.place.Offset+int64(had))
	if n == 0 {
		if err != nil && err != io.EOF {
			t.wrong(fmt.Errorf("reading: %w", err))
		}
		return false
	}
	t.buf = t.buf[:had+n]
	i := bytes.LastIndexByte(t.buf, '\n')
	if i < 0 {
		if len(t.buf) > maxLine {
			// Only the beginning of a line is used.
			if !t.skips {
				pass(append(t.buf[:maxLine:maxLine], '\n'))
			}
			t.place.Offset += int64(len(t.buf))
			t.buf, t.skips = t.buf[:0], true
		}
		return true
	}
	lines := t.buf[:i+1]
	if t.skips {
		_, lines, _ = bytes.Cut(lines, []byte("\n"))
		t.skips = false
	}
	t.place.Offset += int64(i + 1)
	if info, err := t.file.Stat(); err == nil {
		t.place.Written = info.ModTime().UnixNano()
	}
	t.mark()
	if len(lines) > 0 {
		pass(lines)
	}
	t.buf = append(t.buf[:0], t.buf[i+1:]...)
	return true
}
