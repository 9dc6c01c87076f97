package maillog

import (
	"bufio"
	"bytes"
	"compress/bzip2"
	"errors"
	"fmt"
	"io"
	"time"

	"github.com/klauspost/compress/gzip"
	"github.com/klauspost/compress/zstd"
	"github.com/ulikunitz/xz"
)

// compressions are the forms in which rotated logs are kept, by their first octets.
var compressions = []struct {
	name  string
	magic string
	open  func(io.Reader) (r io.Reader, written time.Time, closer func(), err error)
}{
	{"gzip", "\x1f\x8b", func(r io.Reader) (io.Reader, time.Time, func(), error) {
		z, err := gzip.NewReader(r)
		if err != nil {
			return nil, time.Time{}, nil, err
		}
		return z, z.ModTime, nil, nil
	}},
	{"xz", "\xfd7zXZ\x00", func(r io.Reader) (io.Reader, time.Time, func(), error) {
		z, err := xz.ReaderConfig{DictCap: maxWindow}.NewReader(r)
		return z, time.Time{}, nil, err
	}},
	{"zstd", "\x28\xb5\x2f\xfd", func(r io.Reader) (io.Reader, time.Time, func(), error) {
		z, err := zstd.NewReader(r, zstd.WithDecoderConcurrency(1), zstd.WithDecoderMaxWindow(maxWindow))
		if err != nil {
			return nil, time.Time{}, nil, err
		}
		return z, time.Time{}, z.Close, nil
	}},
	{"bzip2", "BZh", func(r io.Reader) (io.Reader, time.Time, func(), error) {
		return bzip2.NewReader(r), time.Time{}, nil, nil
	}},
}

// maxWindow bounds the memory that a compressed file may ask for, in octets. xz -9 needs
// 64 MiB; logrotate's default, xz -6, needs 8.
const maxWindow = 64 << 20

// decompress sets what is read from the log, and refuses what is not text.
func (f *openedLog) decompress(from io.Reader) error {
	br := bufio.NewReaderSize(from, 64<<10)
	head, err := br.Peek(16)
	if len(head) == 0 && err != nil && err != io.EOF {
		return fmt.Errorf("reading: %w", err)
	}
	f.Reader = br
	for _, c := range compressions {
		if !bytes.HasPrefix(head, []byte(c.magic)) {
			continue
		}
		r, written, closer, err := c.open(br)
		if err != nil {
			return fmt.Errorf("decompressing (%s): %w", c.name, err)
		}
		if closer != nil {
			f.close = append(f.close, func() error { closer(); return nil })
		}
		if written.Year() > 1990 && written.Before(f.latest) { // when the log ended, even if the file is a copy
			f.latest = written
		}
		br = bufio.NewReaderSize(r, 64<<10)
		f.Reader = &decompressed{br, c.name}
		break
	}
	switch head, _ := br.Peek(4096); {
	case bytes.HasPrefix(head, []byte("LPKSHHRH")): // systemd's journal-def.h
		return errJournal
	case isBinary(head):
		return errBinary
	}
	return nil
}

// errBinary is the error for a file that is not text.
var errBinary = errors.New("a binary file, no log")

// errJournal is the error for a file of systemd's journal.
var errJournal = errors.New("a file of systemd's journal: have journalctl read it, and hand on what it prints: journalctl --all -o json --file FILE | bounce-milter classify")

// isBinary reports whether a file that begins like this is not text.
func isBinary(head []byte) bool { return bytes.IndexByte(head, 0) >= 0 }

// decompressed says in its errors that decompressing failed.
type decompressed struct {
	r    *bufio.Reader
	name string
}

func (d *decompressed) Read(b []byte) (int, error) {
	n, err := d.r.Read(b)
	switch {
	case err == nil || err == io.EOF:
	case errors.Is(err, io.ErrUnexpectedEOF):
		err = fmt.Errorf("decompressing (%s): the file is cut short", d.name)
	default:
		err = fmt.Errorf("decompressing (%s): %w", d.name, err)
	}
	return n, err
}
