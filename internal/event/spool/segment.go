package spool

import (
	"bytes"
	"errors"
	"fmt"
	"hash/crc32"
	"io"
	"os"
	"strconv"
	"strings"
)

const (
	segmentSuffix = ".journal"
	segmentDigits = 20 // digits of the largest uint64
)

func segmentName(first uint64) string {
	return fmt.Sprintf("%0*d%s", segmentDigits, first, segmentSuffix)
}

func parseSegment(name string) (first uint64, ok bool) {
	digits, ok := strings.CutSuffix(name, segmentSuffix)
	if !ok || len(digits) != segmentDigits {
		return 0, false
	}
	first, err := strconv.ParseUint(digits, 10, 62) // 62 bits, so that sums do not overflow
	return first, err == nil
}

// castagnoli is the table of CRC-32C, for which processors have an instruction.
var castagnoli = crc32.MakeTable(crc32.Castagnoli)

// Before its record a line has eight digits of the checksum, a space, up to seven digits of
// the length, and a space.
const (
	sumDigits = 8
	maxHead   = sumDigits + 1 + 7 + 1
	maxLine   = maxHead + MaxRecord + 1
)

var (
	errLong    = fmt.Errorf("a record is longer than %d octets", MaxRecord)
	errNewline = errors.New("a record contains a newline")
)

// appendLine adds a record's line to b.
func appendLine(b, record []byte) ([]byte, error) {
	switch {
	case len(record) > MaxRecord:
		return b, errLong
	case bytes.IndexByte(record, '\n') >= 0:
		return b, errNewline
	}
	const digits = "0123456789abcdef"
	sum := crc32.Checksum(record, castagnoli)
	for shift := 28; shift >= 0; shift -= 4 {
		b = append(b, digits[sum>>shift&0xf])
	}
	b = append(b, ' ')
	b = strconv.AppendInt(b, int64(len(record)), 10)
	b = append(b, ' ')
	b = append(b, record...)
	return append(b, '\n'), nil
}

// parseLine returns the record in a line, which is given without its newline, and false if
// the line is damaged.
func parseLine(line []byte) (record []byte, ok bool) {
	if len(line) < sumDigits+3 || line[sumDigits] != ' ' {
		return nil, false
	}
	// In capitals it was not written by us: a bit has changed.
	sum, err := strconv.ParseUint(string(line[:sumDigits]), 16, 32)
	if err != nil || bytes.ContainsAny(line[:sumDigits], "ABCDEF") {
		return nil, false
	}
	length, record, ok := bytes.Cut(line[sumDigits+1:], []byte(" "))
	if !ok || string(length) != strconv.Itoa(len(record)) || crc32.Checksum(record, castagnoli) != uint32(sum) {
		return nil, false
	}
	return record, true
}

// countLines counts the lines of a file, including an incomplete last one.
func countLines(path string) (uint64, error) {
	f, err := os.Open(path)
	if err != nil {
		return 0, err
	}
	defer f.Close()
	n, last := uint64(0), byte('\n')
	buf := make([]byte, 64<<10)
	for {
		k, err := f.Read(buf)
		if k > 0 {
			n += uint64(bytes.Count(buf[:k], []byte("\n")))
			last = buf[k-1]
		}
		if err == io.EOF {
			break
		}
		if err != nil {
			return 0, err
		}
	}
	if last != '\n' {
		n++
	}
	return n, nil
}
