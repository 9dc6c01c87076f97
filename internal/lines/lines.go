// Package lines reads lines that strangers wrote, of any length.
package lines

import (
	"bufio"
	"strings"
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

// First returns the first line of a text, without its line end.
func First(s string) string {
	line, _, _ := strings.Cut(s, "\n")
	return line
}
