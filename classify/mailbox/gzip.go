package mailbox

import (
	"bufio"
	"bytes"
	"compress/gzip"
	"fmt"
	"io"
	"os"
)

// gzipMagic begins a file of gzip (RFC 1952 section 2.3.1).
var gzipMagic = []byte{0x1f, 0x8b, 8}

// isGzip reports whether a regular file begins as one of gzip.
func isGzip(f *os.File) bool {
	at, from := seekable(f)
	if at == nil {
		return false
	}
	magic := make([]byte, len(gzipMagic))
	n, _ := at.ReadAt(magic, from)
	return bytes.Equal(magic[:n], gzipMagic)
}

// stdin reads standard input, which may be compressed as a file may.
func (w *walker) stdin(r io.Reader) bool {
	if f, ok := r.(*os.File); ok && isGzip(f) {
		return w.compressed(Stdin, f, false)
	}
	if at, _ := seekable(r); at != nil {
		return w.stream(Stdin, r, false) // its messages are read where they stand
	}
	br := bufio.NewReader(r)
	if magic, _ := br.Peek(len(gzipMagic)); !bytes.Equal(magic, gzipMagic) {
		return w.stream(Stdin, br, false)
	}
	zr, err := gzip.NewReader(br)
	if err != nil {
		return w.fail(Stdin, fmt.Errorf("decompressing: %w", err))
	}
	return w.stream(Stdin, zr, false)
}

// compressed reads a file of gzip. What its messages take up is counted as it is read from
// the file, so that a progress bar is right.
func (w *walker) compressed(name string, f *os.File, single bool) bool {
	zr, err := gzip.NewReader(f)
	if err != nil {
		return w.fail(name, fmt.Errorf("decompressing: %w", err))
	}
	inner := *w
	var done int64
	inner.yield = func(m Message) bool {
		m.Octets = 0
		if at, err := f.Seek(0, io.SeekCurrent); err == nil && at > done {
			m.Octets, done = at-done, at
		}
		return w.yield(m)
	}
	ok := inner.stream(name, zr, single)
	w.buf, w.br = inner.buf, inner.br
	return ok
}

// LooksLikeMessage reports whether octets begin as a message does: with a header field
// (RFC 5322 section 2.2), or with the "From " line of an mbox.
func LooksLikeMessage(raw []byte) bool {
	line, _, _ := bytes.Cut(bytes.TrimLeft(raw, "\xef\xbb\xbf\r\n"), []byte("\n"))
	if bytes.HasPrefix(line, []byte("From ")) || bytes.HasPrefix(line, []byte(">From ")) {
		return true
	}
	name, _, ok := bytes.Cut(line, []byte(":"))
	name = bytes.TrimRight(name, " \t")
	for _, c := range name {
		if c <= ' ' || c >= 0x7f {
			return false
		}
	}
	return ok && len(name) > 0 && len(name) <= 998
}
