package origin

import (
	"bytes"
	"hash"
)

// bodyHash is the hash of a body in the form that a signature wants (RFC 6376 sections
// 3.4.3 and 3.4.4).
type bodyHash struct {
	hash hash.Hash
	left int64 // octets that are still to be hashed, below zero for all
}

func (h *bodyHash) write(b []byte) {
	if h.left >= 0 {
		b = b[:min(int64(len(b)), h.left)]
		h.left -= int64(len(b))
	}
	h.hash.Write(b)
}

// add hashes a body. Its lines may end with LF.
func (h *bodyHash) add(body []byte, simple bool) {
	empty, any := 0, false
	line := make([]byte, 0, 256)
	for len(body) > 0 && h.left != 0 {
		text, rest := body, []byte(nil)
		if i := bytes.IndexByte(body, '\n'); i >= 0 {
			text, rest = body[:i], body[i+1:]
		}
		body = rest
		text = bytes.TrimSuffix(text, []byte("\r"))
		if !simple {
			line = appendReduced(line[:0], text)
			text = line
		}
		if len(text) == 0 { // dropped at the end of the body
			empty++
			continue
		}
		for ; empty > 0; empty-- {
			h.write(crlf)
		}
		any = true
		h.write(text)
		h.write(crlf)
	}
	if simple && !any { // an empty body is one line end
		h.write(crlf)
	}
}

// appendReduced appends a line with every run of white space as one space, and none at
// its end.
func appendReduced(dst, line []byte) []byte {
	space := false
	for _, c := range line {
		if c == ' ' || c == '\t' {
			space = true
			continue
		}
		if space {
			dst = append(dst, ' ')
			space = false
		}
		dst = append(dst, c)
	}
	return dst
}
