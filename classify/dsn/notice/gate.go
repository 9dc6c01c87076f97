package notice

import "github.com/bounce-milter/bounce-milter/internal/ascii"

// Gate decides by the header alone whether a message is worth reading, see
// [Data.Gate].
type Gate struct {
	d      *gateData
	decode func(value []byte) string
	open   bool
	sender bool      // the envelope sender is known
	score  int       // of the cues of automatic replies
	fields numberSet // fields seen already
	cues   numberSet // cues of automatic replies counted already
}

// Gate returns a gate for one message. The cues marked `gate` open it, and so do cues of
// automatic replies if only the words are missing to make the message one. decode decodes
// the encoded-words (RFC 2047) of a field.
func (d *Data) Gate(decode func(value []byte) string) Gate {
	return Gate{d: &d.gate, decode: decode}
}

// Field looks at a field of the header: its name, and its value, still folded and
// encoded. Of several fields with one name the first counts.
func (g *Gate) Field(name, value []byte) {
	if g.open {
		return
	}
	f := g.d.field(name)
	if f == nil || !g.fields.add(f.number) {
		return
	}
	g.sender = g.sender || f.name == "Return-Path"

	var room foldRoom
	f.match(room.raw(value, g.decode), func(c *cue) {
		if c.Gate {
			g.open = true
		} else if g.cues.add(c.number) {
			g.score += c.Weight
		}
	})
}

// Open reports, after the whole header, whether the message is worth reading. One whose
// envelope sender is not known (no Return-Path) always is, since it may have had a null
// sender.
func (g *Gate) Open() bool {
	return g.open || !g.sender || g.score >= g.d.wanted
}

// Decisive reports whether the cues look at a field of that name.
func (d *Data) Decisive(name []byte) bool { return d.gate.field(name) != nil }

// gateData indexes cues by the field that they look at.
type gateData struct {
	byLength [maxFieldName + 1][]*gateField
	wanted   int // score of an automatic reply's header from which on common words suffice
}

// maxFieldName is longer than any field that a cue looks at.
const maxFieldName = 64

// gateField holds the cues marked `gate` and those of automatic replies.
type gateField struct {
	fieldCues
	number int
}

// field returns the cues for a field, nil if there are none. For nearly every field,
// length and first letter are enough to tell.
func (d *gateData) field(name []byte) *gateField {
	if len(name) == 0 || len(name) > maxFieldName {
		return nil
	}
	for _, f := range d.byLength[len(name)] {
		if f.name[0]|0x20 == name[0]|0x20 && ascii.EqualFold(name, f.name) {
			return f
		}
	}
	return nil
}

func makeGate(n *cueSet, a *autoReplies) gateData {
	d := gateData{wanted: max(1, a.threshold-a.words)}
	count := 0
	get := func(name string) *gateField {
		if f := d.field([]byte(name)); f != nil {
			return f
		}
		f := &gateField{fieldCues: fieldCues{name: name}, number: count}
		count++
		d.byLength[len(name)] = append(d.byLength[len(name)], f)
		return f
	}
	for _, f := range n.fields {
		for _, c := range f.cues {
			if c.Gate {
				get(f.name).add(c)
			}
		}
	}
	for _, f := range a.cues.fields {
		for _, c := range f.cues {
			get(f.name).add(c)
		}
	}
	return d
}
