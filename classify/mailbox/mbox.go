package mailbox

import (
	"bufio"
	"bytes"
	"errors"
	"io"
	"strconv"
)

// peekSize is how far ahead a stream that cannot seek is read to check a Content-Length.
// A longer one in a pipe is not trusted.
const peekSize = 64 << 10

// mboxReader splits an mbox (RFC 4155, appendix A, and its older dialects).
// The dialect is found out for each message:
//
//   - mboxo and mboxrd end a message at a blank line before a "From " line and
//     quote such lines in the text with ">" (mboxrd also those already quoted);
//   - mboxcl and mboxcl2 give the length of the text in Content-Length, which
//     is believed only if a message or the end of the file follows there;
//     mboxcl2 does not quote, which an unquoted line in the text shows.
type mboxReader struct {
	br  *bufio.Reader
	at  io.ReaderAt // the same stream, nil if it cannot seek
	off int64       // offset in at of the next octet of br
	max int
	buf []byte

	begun bool
	done  bool
	long  bool // the last piece read ended before the end of its line
}

// next returns the next message without its "From " line, io.EOF after the last.
func (m *mboxReader) next() ([]byte, error) {
	if m.done {
		return nil, io.EOF
	}
	if !m.begun {
		m.begun = true
		n, err := discardLine(m.br)
		m.off += n
		if err != nil && err != io.EOF {
			return nil, err
		}
	}
	m.buf = m.buf[:0]
	length, err := m.header()
	body := len(m.buf)
	if err == nil {
		if length >= 0 && m.ends(length) {
			err = m.counted(length)
		} else {
			err = m.scanned()
		}
	}
	if err == io.EOF {
		m.done = true
	} else if err != nil {
		m.done = true
		return nil, err
	}
	m.buf = m.buf[:body+unquote(m.buf[body:])]
	return m.buf, nil
}

// header reads the header with its blank line, and returns the Content-Length, -1 if
// there is none.
func (m *mboxReader) header() (length int64, err error) {
	length = -1
	for {
		l, isBlank, err := m.line()
		m.keep(l)
		if v, ok := cutFold(l, "content-length:"); ok {
			n, perr := strconv.ParseInt(string(bytes.TrimSpace(v)), 10, 64)
			if perr == nil && n >= 0 {
				length = n
			}
		}
		if err != nil || isBlank {
			return length, err
		}
	}
}

// ends reports whether the text can end after n more octets: the file ends there or,
// after the blank line between messages, the next message begins.
func (m *mboxReader) ends(n int64) bool {
	const look = 16
	if n > 1<<40 {
		return false
	}
	var peek []byte
	var err error
	if m.at != nil {
		var b [look]byte
		var k int
		k, err = m.at.ReadAt(b[:], m.off+n)
		peek = b[:k]
		if k == 0 && n > 0 { // the file may also end before that
			var last [1]byte
			if k, _ := m.at.ReadAt(last[:], m.off+n-1); k == 0 {
				return false
			}
		}
	} else {
		if n > peekSize-look {
			return false
		}
		peek, err = m.br.Peek(int(n) + look)
		if int64(len(peek)) < n {
			return false
		}
		peek = peek[n:]
	}
	for range 2 {
		peek = bytes.TrimPrefix(bytes.TrimPrefix(peek, []byte("\r")), []byte("\n"))
	}
	return bytes.HasPrefix(peek, []byte("From ")) || len(peek) == 0 && errors.Is(err, io.EOF)
}

// counted reads a text of n octets and the framing after it.
func (m *mboxReader) counted(n int64) error {
	for n > 0 {
		chunk, err := m.br.Peek(int(min(n, peekSize)))
		m.keep(chunk)
		k, _ := m.br.Discard(len(chunk))
		n -= int64(k)
		m.off += int64(k)
		if err != nil {
			return err
		}
	}
	for {
		_, isBlank, err := m.line()
		if err != nil {
			return err
		}
		if !isBlank && !m.long {
			return nil // this was the next message's "From " line
		}
	}
}

// scanned reads a text up to the next message's "From " line or the end.
func (m *mboxReader) scanned() error {
	body := len(m.buf)
	afterBlank := true // the header's blank line
	for {
		l, isBlank, err := m.line()
		if afterBlank && err == nil && isFromLine(l) && m.headerFollows() {
			m.dropBlank(body)
			return nil
		}
		m.keep(l)
		if err != nil {
			m.dropBlank(body)
			return err
		}
		afterBlank = isBlank
	}
}

// line returns the next line with its line end, and whether it is blank. A line longer
// than the reader's buffer comes in pieces, none of which counts as blank.
func (m *mboxReader) line() (l []byte, isBlank bool, err error) {
	l, err = m.br.ReadSlice('\n')
	m.off += int64(len(l))
	isBlank = !m.long && (string(l) == "\n" || string(l) == "\r\n")
	m.long = err == bufio.ErrBufferFull
	if m.long {
		err = nil
	}
	return l, isBlank, err
}

// keep appends as much of b to the message as still fits.
func (m *mboxReader) keep(b []byte) {
	m.buf = append(m.buf, b[:min(len(b), m.max-len(m.buf))]...)
}

// dropBlank removes the blank line between two messages from the end of the text. The
// one that ends the header, before body, stays.
func (m *mboxReader) dropBlank(body int) {
	if len(m.buf) == m.max {
		return
	}
	text := m.buf[body-1:] // with the line end before
	for _, end := range []string{"\n\r\n", "\n\n"} {
		if bytes.HasSuffix(text, []byte(end)) {
			m.buf = m.buf[:len(m.buf)-len(end)+1]
			return
		}
	}
}

// headerFollows reports whether a header field, an empty line or the end follows. Mail
// about mail may contain lines that look like a "From " line, but few of these are
// followed by a header.
func (m *mboxReader) headerFollows() bool {
	peek, _ := m.br.Peek(80)
	if len(peek) == 0 || peek[0] == '\n' || bytes.HasPrefix(peek, []byte("\r\n")) {
		return true
	}
	if bytes.HasPrefix(peek, []byte(">From ")) {
		return true // QUIRK: old mail spools have two such lines in a row
	}
	name, _, ok := bytes.Cut(peek, []byte(":"))
	if !ok || len(name) == 0 {
		return false
	}
	for _, c := range name {
		if c <= ' ' || c >= 0x7f {
			return false
		}
	}
	return true
}

// isFromLine reports whether l has the form "From sender date", with a time and a year,
// or "From sender", which some programs write.
func isFromLine(l []byte) bool {
	rest, ok := bytes.CutPrefix(l, []byte("From "))
	if !ok {
		return false
	}
	words := bytes.Fields(rest)
	if len(words) == 1 {
		return bytes.IndexByte(words[0], '@') > 0 || bytes.EqualFold(words[0], []byte("MAILER-DAEMON"))
	}
	var hasTime, hasYear bool
	for _, w := range words {
		hasTime = hasTime || len(w) >= 4 && bytes.IndexByte(w, ':') > 0 && digit(w[0]) && digit(w[len(w)-1])
		hasYear = hasYear || len(w) == 4 && digit(w[0]) && digit(w[1]) && digit(w[2]) && digit(w[3])
	}
	return hasTime && hasYear
}

// unquote removes one ">" from every quoted "From " line of b, in place, and returns the
// new length. If b has an unquoted "From " line, its writer does not quote, and b stays
// as it is.
func unquote(b []byte) int {
	quoted := false
	for l := range bytes.Lines(b) {
		if bytes.HasPrefix(l, []byte("From ")) {
			return len(b)
		}
		quoted = quoted || isQuoted(l)
	}
	if !quoted {
		return len(b)
	}
	n := 0
	for l := range bytes.Lines(b) {
		if isQuoted(l) {
			l = l[1:]
		}
		n += copy(b[n:], l)
	}
	return n
}

func isQuoted(l []byte) bool {
	return len(l) > 0 && l[0] == '>' && bytes.HasPrefix(bytes.TrimLeft(l, ">"), []byte("From "))
}

func digit(c byte) bool { return '0' <= c && c <= '9' }

// cutFold is bytes.CutPrefix, ignoring case.
func cutFold(b []byte, prefix string) ([]byte, bool) {
	if len(b) < len(prefix) || !bytes.EqualFold(b[:len(prefix)], []byte(prefix)) {
		return nil, false
	}
	return b[len(prefix):], true
}

// skipBlank skips a byte order mark and blank lines, and returns how many octets that
// were.
func skipBlank(br *bufio.Reader) (n int64) {
	if head, _ := br.Peek(3); string(head) == "\ufeff" {
		br.Discard(3)
		n = 3
	}
	for {
		head, err := br.Peek(1)
		if err != nil || head[0] != '\r' && head[0] != '\n' {
			return n
		}
		br.Discard(1)
		n++
	}
}

// discardLine skips one line and returns its length.
func discardLine(br *bufio.Reader) (n int64, err error) {
	for {
		l, err := br.ReadSlice('\n')
		n += int64(len(l))
		if err != bufio.ErrBufferFull {
			return n, err
		}
	}
}
