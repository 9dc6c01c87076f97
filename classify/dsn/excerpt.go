package dsn

import (
	"bytes"
	"slices"
)

// Excerpt returns at most limit octets of a message: of a long part its beginning
// and its end, of the fields of a report as much as there is room for, of the
// returned message its header. A message that is no longer than limit is returned
// as it is; otherwise the excerpt is a copy. It costs one pass.
//
// A server may send a reply of a megabyte, and a reporting server quote it twice:
// what counts stands in its first and last lines, and in the parts behind it.
func Excerpt(raw []byte, limit int) []byte {
	if len(raw) <= limit {
		return raw
	}
	pieces := cutPieces(raw)
	share(pieces, limit)
	out := make([]byte, 0, limit)
	for _, p := range pieces {
		out = p.appendTo(out, raw)
	}
	return out
}

// Awaits reports whether the header of a message announces a report (RFC 6522)
// whose fields are not in raw, its beginning: they may still come.
func Awaits(raw []byte) bool {
	t := parseMediaType(headerOf(raw).raw("Content-Type"))
	if t.name != "multipart/report" || t.boundary == "" || t.reportType != "delivery-status" {
		return false
	}
	return !slices.ContainsFunc(cutPieces(raw), func(p piece) bool { return p.kind != pieceWords })
}

// piece is a part of a message as it stands: its boundary line, header and body.
type piece struct {
	start, end int
	kind       pieceKind
	room       int // octets of it that are kept
}

type pieceKind uint8

const (
	pieceWords    pieceKind = iota
	pieceFields             // of a report, RFC 3464
	pieceReturned           // the message that did not arrive
)

const (
	maxPieces   = 64       // the last one holds the rest
	maxReturned = 16 << 10 // octets of a returned message that are kept: its header
	maxHeader   = 32 << 10 // octets in which a header is looked for
)

// cutPieces cuts a message before every line that is the boundary of a multipart
// which was announced above it (RFC 2046 section 5.1.1).
func cutPieces(raw []byte) []piece {
	pieces := []piece{{}}
	var boundaries [][]byte
	announce := func(from int) {
		h := headerOf(raw[from:])
		if b := parseMediaType(h.raw("Content-Type")).boundary; b != "" && len(boundaries) < 8 {
			boundaries = append(boundaries, []byte("--"+b))
		}
	}
	announce(0)
	for at := 0; at < len(raw) && len(pieces) < maxPieces; {
		next := len(raw)
		if i := bytes.IndexByte(raw[at:], '\n'); i >= 0 {
			next = at + i + 1
		}
		line := raw[at:next]
		if at > 0 && len(line) > 2 && line[0] == '-' && line[1] == '-' && slices.ContainsFunc(boundaries, func(b []byte) bool { return bytes.HasPrefix(line, b) }) {
			pieces[len(pieces)-1].end = at
			p := piece{start: at}
			switch t := parseMediaType(headerOf(raw[next:]).raw("Content-Type")); {
			case t.status():
				p.kind = pieceFields
			case t.returned():
				p.kind = pieceReturned
			}
			pieces = append(pieces, p)
			announce(next)
		}
		at = next
	}
	pieces[len(pieces)-1].end = len(raw)
	return pieces
}

// headerOf returns the header that b begins with.
func headerOf(b []byte) header {
	h, _ := readHeader(nil, b[:min(len(b), maxHeader)], Limits{HeaderFields: 100, FieldLength: 1000}, false)
	return h
}

// share shares out limit octets among pieces: those of fields are served first, up
// to half, then all others alike, and what short ones leave goes to longer ones.
func share(pieces []piece, limit int) {
	order := make([]int, 0, len(pieces))
	for _, fields := range []bool{true, false} {
		order = order[:0]
		for i := range pieces {
			if (pieces[i].kind == pieceFields) == fields {
				order = append(order, i)
			}
		}
		want := func(i int) int {
			n := pieces[i].end - pieces[i].start
			if pieces[i].kind == pieceReturned {
				n = min(n, maxReturned)
			}
			return n
		}
		slices.SortFunc(order, func(a, b int) int { return want(a) - want(b) })
		left := limit
		if fields {
			left = limit / 2
		}
		for n, i := range order {
			pieces[i].room = min(want(i), left/(len(order)-n))
			left -= pieces[i].room
			limit -= pieces[i].room
		}
	}
}

// appendTo appends what is kept of a piece: whole lines of its beginning and, but
// for returned messages, of its end. A line that is longer than that is cut.
func (p piece) appendTo(out, raw []byte) []byte {
	b := raw[p.start:p.end]
	if len(b) <= p.room {
		return append(out, b...)
	}
	tail := p.room / 4
	if p.kind == pieceReturned {
		tail = 0
	}
	head := b[:max(p.room-tail-1, 0)]
	if i := bytes.LastIndexByte(head, '\n'); i >= len(head)/2 {
		head = head[:i+1]
	}
	out = append(out, head...)
	if len(head) > 0 && head[len(head)-1] != '\n' {
		out = append(out, '\n')
	}
	end := b[len(b)-tail:]
	if i := bytes.IndexByte(end, '\n'); i >= 0 && i < len(end)-1 {
		end = end[i+1:]
	}
	return append(out, end...)
}
