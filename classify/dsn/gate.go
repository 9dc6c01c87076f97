package dsn

// Gate decides by the header alone whether a message is worth reading: a bounce,
// a complaint, a receipt or an automatic reply shows there what it is. It is the
// one gate of the daemon, which is spared the body of ordinary mail, and of
// [Read], so that both call the same messages the same.
//
// What opens it is data: the cues marked `gate` in data/notice-cues.toml, and
// those of data/autoreply.toml where they leave only words to be wanted.
//
// The zero Gate is ready for the header of a message. Hand it the fields in the
// order of the message, the first being the Return-Path where the envelope
// sender is known. Of several fields of one name the first counts.
type Gate struct {
	open   bool
	sender bool      // the envelope sender is known
	score  int       // of the cues of automatic replies
	fields numberSet // seen already
	cues   numberSet // of automatic replies, counted already
}

// Field takes note of a field of the header: its name, and its value as it
// stands, folds and all.
func (g *Gate) Field(name, value []byte) {
	if g.open {
		return
	}
	d := gates()
	f := d.field(name)
	if f == nil || !g.fields.add(f.number) {
		return
	}
	g.sender = g.sender || f.name == "Return-Path"

	var room foldRoom
	f.match(room.field(value), func(c *noticeCue) {
		if c.Gate {
			g.open = true
		} else if g.cues.add(c.number) {
			g.score += c.Weight
		}
	})
}

// Open reports whether the message is worth reading, once its whole header was
// seen. A message whose envelope sender is not known (a file without a
// Return-Path) always is: it may have been the null sender.
func (g *Gate) Open() bool {
	return g.open || !g.sender || g.score >= gates().wanted
}

// Decisive reports whether a field of that name decides what a message is, or
// how it is read: it is to be kept where a header is cut short.
func Decisive(name []byte) bool {
	return gates().field(name) != nil || equalFold(name, "Content-Transfer-Encoding") || equalFold(name, "MIME-Version")
}

// gateData files the cues that a header can show by the field that they look at.
type gateData struct {
	byLength [maxFieldName + 1][]*gateField
	wanted   int // score of an automatic reply's header from which common words decide
}

// maxFieldName is longer than any field that a cue looks at.
const maxFieldName = 64

// gateField holds the cues marked `gate` and those of automatic replies.
type gateField struct {
	fieldCues
	number int
}

// field returns what is known about a field, nil if nothing is: of nearly every
// field its length and first letter are enough to tell.
func (d *gateData) field(name []byte) *gateField {
	if len(name) == 0 || len(name) > maxFieldName {
		return nil
	}
	for _, f := range d.byLength[len(name)] {
		if f.name[0]|0x20 == name[0]|0x20 && equalFold(name, f.name) {
			return f
		}
	}
	return nil
}

func makeGate(n *noticeData, a *autoReplyData) *gateData {
	d := &gateData{wanted: max(1, a.threshold-a.words)}
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
	for _, f := range n.cues.fields {
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
