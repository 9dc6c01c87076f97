package dsn

import (
	"bytes"
	"slices"
)

// Excerpt returns at most limit octets of a message. It keeps the beginning and the end
// of long parts, as much as possible of the fields of a report, and the header of the
// returned message. If the message is not longer than limit it is returned itself;
// otherwise the excerpt is a copy. It costs one pass.
//
// A server may send a reply of a megabyte, and a reporting server quote it twice. What
// counts is in its first and last lines, and in the parts after it.
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

// Awaits reports whether the header of a message announces a report (RFC 6522) whose
// fields may still come: they are not in raw, the beginning of the message.
func Awaits(raw []byte) bool {
	t := parseMediaType(headerOf(raw).raw("Content-Type"))
	if t.name != "multipart/report" || t.boundary == "" || t.reportType != "delivery-status" {
		return false
	}
	return !slices.ContainsFunc(cutPieces(raw), func(p piece) bool { return p.kind != pieceWords })
}

// piece is a part of a message with its boundary line and header.
type piece struct {
	start, end int
	kind       pieceKind
	room       int // how many octets of it are kept
}

type pieceKind uint8

const (
	pieceWords    pieceKind = iota
	pieceFields             // of a report, RFC 3464
	pieceReturned           // the message that did not arrive
)

const (
	maxPieces   = 64       // the last one holds the rest of the message
	maxReturned = 16 << 10 // octets kept of a returned message, for its header
	maxHeader   = 32 << 10 // octets that are searched for a header
)

// cutPieces splits a message at every boundary line of a multipart whose header comes
// before it (RFC 2046 section 5.1.1).
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
		if at > 0 && len(line) > 2 && line[0] == '-' && line[1] == '-' &&
			slices.ContainsFunc(boundaries, func(b []byte) bool { return bytes.HasPrefix(line, b) }) {
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

// share distributes limit octets among the pieces. Pieces with fields come first and get
// up to half; the rest is shared equally among the others, and what short pieces do not
// need goes to longer ones.
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

// appendTo appends what is kept of a piece: whole lines from its beginning and, except
// for returned messages, from its end. A line longer than that is cut.
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
