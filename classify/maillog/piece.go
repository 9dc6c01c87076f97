package maillog

import (
	"strings"
	"time"

	"github.com/bounce-milter/bounce-milter/internal/ascii"
)

// piece is the place of a line among the pieces of a longer one.
//
// QUIRK: Exim splits what is too long for syslog and writes "[2/3] " before each piece,
// or "[2\3] " where it was split at a line end.
type piece struct{ number, of int }

// maxPieces bounds the pieces of one line.
const maxPieces = 40

// cutPiece cuts "[2/3] " off a message.
func cutPiece(s string) (string, piece) {
	if len(s) < 6 || s[0] != '[' || !ascii.IsDigit(s[1]) {
		return s, piece{}
	}
	i := 1 + digits(s[1:])
	if i >= len(s) || s[i] != '/' && s[i] != '\\' {
		return s, piece{}
	}
	j := i + 1 + digits(s[i+1:])
	if j == i+1 || !strings.HasPrefix(s[j:], "] ") {
		return s, piece{}
	}
	p := piece{number(s[1:i]), number(s[i+1 : j])}
	if p.number < 1 || p.number > p.of || p.of < 2 || p.of > maxPieces {
		return s, piece{}
	}
	return s[j+2:], p
}

// joiner puts pieces together again. The pieces of several programs may come mixed.
type joiner struct {
	open map[joinKey]*joined
}

type joinKey struct{ host, program, pid string }

type joined struct {
	line logLine
	next int // number of the next piece
}

// maxOpen bounds the lines that wait for a piece.
const maxOpen = 256

// join adds a piece, and returns the whole line with the last one.
func (j *joiner) join(l logLine) (logLine, bool) {
	key := joinKey{l.host, l.program, l.pid}
	if l.piece.number == 1 {
		if len(j.open) >= maxOpen {
			clear(j.open) // something writes first pieces only
		}
		if j.open == nil {
			j.open = map[joinKey]*joined{}
		}
		j.open[key] = &joined{line: l, next: 2}
		return l, false
	}
	have := j.open[key]
	if have == nil || have.next != l.piece.number || have.line.piece.of != l.piece.of {
		delete(j.open, key)
		return l, false
	}
	if len(have.line.message)+len(l.message) <= maxLine {
		have.line.message += l.message
	}
	if have.next++; l.piece.number < l.piece.of {
		return l, false
	}
	delete(j.open, key)
	whole := have.line
	whole.piece = piece{}
	return whole, true
}

// duration reads seconds with a fraction: "3.2", "604800".
func duration(s string) time.Duration {
	whole, frac, _ := strings.Cut(s, ".")
	n := number(whole)
	if n < 0 || n > 1e9 || digits(frac) < len(frac) || len(frac) > 9 {
		return 0
	}
	return time.Duration(n)*time.Second + time.Duration(nanoseconds("."+frac))
}
