package dsn

import (
	"github.com/bounce-milter/bounce-milter/classify/dsn/notice"
	"github.com/bounce-milter/bounce-milter/internal/ascii"
)

// Gate decides by the header alone whether a message is worth reading: bounces,
// complaints, receipts and automatic replies can be recognised there. The daemon uses it
// so that it need not read the body of ordinary mail, and [Read] uses it too, so that
// both treat the same message alike.
//
// What opens the gate is data: the cues marked `gate` in notice/data/cues.toml, and the
// automatic replies of notice/data/autoreply.toml whose header matches and whose words
// must still be read.
//
// The zero Gate, which has the built-in data, is ready for the header of a message, and
// so is one from [Reader.Gate]. Pass it the fields in the order of the message; if the
// envelope sender is known, a Return-Path with it comes first. Of several fields with
// one name the first counts.
type Gate struct {
	gate  notice.Gate
	ready bool // gate has its data
}

// Field looks at a field of the header: its name, and its value, still folded and
// encoded.
func (g *Gate) Field(name, value []byte) {
	if !g.ready {
		*g = Reader{}.Gate()
	}
	g.gate.Field(name, value)
}

// Open reports, after the whole header, whether the message is worth reading. A message
// whose envelope sender is not known (a file without a Return-Path) always is, since it
// may have had a null sender.
func (g *Gate) Open() bool { return !g.ready || g.gate.Open() }

// Gate returns the gate for one message.
func (r Reader) Gate() Gate { return Gate{gate: r.known().Gate(decodeWords), ready: true} }

// Decisive reports whether a field of this name decides what a message is or how it is
// read, and so must be kept if a header is cut short.
func (r Reader) Decisive(name []byte) bool {
	return r.known().Decisive(name) || ascii.EqualFold(name, "Content-Transfer-Encoding") || ascii.EqualFold(name, "MIME-Version")
}
