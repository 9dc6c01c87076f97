// Package lines reads and shortens what strangers wrote, of any length.
package lines

import (
	"bufio"
	"strings"
	"unicode/utf8"
)

// Read reads a line, with its line end, and keeps its first octets, so many at most. At the
// end of input it returns what is left, and io.EOF.
func Read(br *bufio.Reader, most int) ([]byte, error) {
	var line []byte
	for {
		piece, err := br.ReadSlice('\n')
		line = append(line, piece[:min(len(piece), most-len(line))]...)
		if err != bufio.ErrBufferFull {
			return line, err
		}
	}
}

// Cut returns at most limit octets of a text, and no half of a character.
func Cut(s string, limit int) string {
	if len(s) <= limit {
		return s
	}
	for at := limit; at >= 0 && at > limit-utf8.UTFMax; at-- {
		if utf8.RuneStart(s[at]) {
			return s[:at]
		}
	}
	return s[:limit] // not UTF-8
}

// First returns the first line of a text, without its line end.
func First(s string) string {
	line, _, _ := strings.Cut(s, "\n")
	return line
}
