package dsn

import (
	"github.com/bounce-milter/bounce-milter/classify/dsn/notice"
	"github.com/bounce-milter/bounce-milter/internal/ascii"
)

// Gate decides by the header alone whether a message is worth reading: a bounce,
// a complaint, a receipt or an automatic reply shows there what it is. It is the
// one gate of the daemon, which is spared the body of ordinary mail, and of
// [Read], so that both call the same messages the same.
//
// What opens it is data: the cues marked `gate` in notice/data/cues.toml, and
// those of notice/data/autoreply.toml where they leave only words to be wanted.
//
// The zero Gate, which knows what is built in, is ready for the header of a message,
// and so is that of [Reader.Gate]. Hand it the fields in the
// order of the message, the first being the Return-Path where the envelope
// sender is known. Of several fields of one name the first counts.
type Gate struct {
	gate  notice.Gate
	ready bool // gate has its data
}

// Field takes note of a field of the header: its name, and its value as it
// stands, folds and all.
func (g *Gate) Field(name, value []byte) {
	if !g.ready {
		*g = Reader{}.Gate()
	}
	g.gate.Field(name, value)
}

// Open reports whether the message is worth reading, once its whole header was
// seen. A message whose envelope sender is not known (a file without a
// Return-Path) always is: it may have been the null sender.
func (g *Gate) Open() bool { return !g.ready || g.gate.Open() }

// Decisive reports whether a field of that name decides what a message is, or
// how it is read: it is to be kept where a header is cut short.
func Decisive(name []byte) bool { return Reader{}.Decisive(name) }

// Gate returns the gate for one message.
func (r Reader) Gate() Gate { return Gate{gate: r.known().Gate(decodeWords), ready: true} }

// Decisive is [Decisive] by what the reader knows.
func (r Reader) Decisive(name []byte) bool {
	return r.known().Decisive(name) || ascii.EqualFold(name, "Content-Transfer-Encoding") || ascii.EqualFold(name, "MIME-Version")
}
