package page

import (
	"encoding/binary"
	"errors"

	"github.com/bounce-milter/bounce-milter/classify"
)

// encode returns the state as numbers and strings. It is called with mu held.
func (b *Board) encode() []byte {
	b.collect()
	e := encoder{buf: make([]byte, 0, 16<<10)}
	e.number(b.wall().Unix())
	e.number(b.second())
	e.number(b.since)
	e.number(b.seen.message)
	e.number(b.seen.bounce)
	for _, t := range []*table{&b.names.providers, &b.names.reasons, &b.names.counters} {
		e.number(int64(len(t.list)))
		for _, name := range t.list {
			e.text(name)
		}
	}
	r := &b.rings
	e.slots(r.minutes, r.minutesAt, r.inMinute, r.minute, maxMinuteCells)
	e.slots(r.hours, r.hoursAt, r.inHour, r.minute/60, maxHourCells)
	e.number(int64(len(b.replies.list)))
	for i := range b.replies.list {
		p := &b.replies.list[i]
		for _, s := range []string{p.Text, p.Example, p.Phrase, string(p.Category), p.Provider} {
			e.text(s)
		}
		e.number(int64(p.Times))
		e.number(p.Last)
	}
	return e.buf
}

type encoder struct{ buf []byte }

func (e *encoder) number(n int64) { e.buf = binary.AppendVarint(e.buf, n) }

func (e *encoder) text(s string) {
	e.number(int64(len(s)))
	e.buf = append(e.buf, s...)
}

func (e *encoder) slots(ring [][]cell, at []int64, open map[key]uint32, now int64, limit int) {
	list := make([]slot, 0, len(ring))
	for i, cells := range ring {
		if len(cells) > 0 {
			list = append(list, slot{at[i], cells})
		}
	}
	if len(open) > 0 {
		list = append(list, slot{now, compact(open, limit)})
	}
	e.number(int64(len(list)))
	for _, s := range list {
		e.number(s.at)
		e.number(int64(len(s.cells)))
		for _, c := range s.cells {
			e.number(int64(c.key))
			e.number(int64(c.n))
		}
	}
}

var errDamaged = errors.New("is cut off or damaged: it is written anew")

// decode takes over a state, with its times moved so that everything is as long ago as it
// really is. If it cannot be read, the Board stays as it was. It is called with mu held.
func (b *Board) decode(body []byte) error {
	p := past{decoder: decoder{buf: body}, names: newNames()}
	saved, then, since := p.number(), p.number(), p.number()
	message, bounce := p.number(), p.number()
	// If the clock was set back, no time has passed.
	down := max(0, b.wall().Unix()-saved)
	p.shift = b.second() - (then + down)

	p.tables()
	rings := newRings()
	rings.minute = b.rings.minute
	p.slots(60, rings.minutes, rings.minutesAt, rings.inMinute, rings.minute, maxMinuteCells)
	p.slots(3600, rings.hours, rings.hoursAt, rings.inHour, rings.minute/60, maxHourCells)
	list := p.replies()
	if p.bad || len(p.buf) > 0 || len(list) > maxReplies {
		return errDamaged
	}
	moved := func(second int64) int64 {
		if second == 0 {
			return 0
		}
		return min(second+p.shift, b.second())
	}
	b.since = min(since+p.shift, b.since)
	b.seen = seen{moved(message), moved(bounce)}
	b.names, b.rings, b.replies.list = p.names, rings, list
	return nil
}

// past is the state of an earlier process, and how it is translated.
type past struct {
	decoder
	shift int64 // seconds from its clock to the Board's
	old   names // by its numbers
	names names // by the numbers of this process
}

func (p *past) tables() {
	for _, t := range []struct{ from, to *table }{
		{&p.old.providers, &p.names.providers}, {&p.old.reasons, &p.names.reasons}, {&p.old.counters, &p.names.counters},
	} {
		for range p.length() {
			name := p.text(maxName)
			t.from.list = append(t.from.list, name)
			t.to.number(name)
		}
	}
}

// slots reads what was counted in minutes or hours, each of a number of seconds, into a
// ring and the counts of the current one.
func (p *past) slots(seconds int64, ring [][]cell, at []int64, open map[key]uint32, now int64, limit int) {
	for range p.length() {
		when := floor(p.number()*seconds+p.shift, seconds)
		var cells []cell
		for range p.length() {
			k, n := key(p.number()), uint32(p.number())
			if !k.valid(&p.old) || len(cells) >= limit {
				p.bad = true
				return
			}
			cells = append(cells, cell{p.names.translate(k, &p.old), n})
		}
		switch {
		case when > now || when <= now-int64(len(ring)) || when < 0:
		case when == now:
			for _, c := range cells {
				open[c.key] = sum(open[c.key], uint64(c.n))
			}
		default:
			ring[when%int64(len(ring))], at[when%int64(len(ring))] = cells, when
		}
	}
}

func (p *past) replies() []reply {
	var list []reply
	for range p.length() {
		r := reply{Text: p.text(4 * maxReply), Example: p.text(4 * maxReply), Phrase: p.text(4 * maxReply),
			Category: classify.Category(p.text(maxName)), Provider: p.text(maxName)}
		r.Times, r.Last = uint32(p.number()), p.number()+p.shift
		list = append(list, r)
	}
	return list
}

// floor divides and rounds down, also below zero.
func floor(a, b int64) int64 {
	q := a / b
	if a%b < 0 {
		q--
	}
	return q
}

// decoder reads what an encoder wrote. What is wrong makes bad true, and all further numbers 0.
type decoder struct {
	buf []byte
	bad bool
}

func (d *decoder) number() int64 {
	v, n := binary.Varint(d.buf)
	if n <= 0 || v < -1<<40 || v > 1<<40 {
		d.bad, d.buf = true, nil
		return 0
	}
	d.buf = d.buf[n:]
	return v
}

// length reads a number of things, each of which takes an octet at least.
func (d *decoder) length() int {
	n := d.number()
	if n < 0 || n > int64(len(d.buf)) {
		d.bad, d.buf = true, nil
		return 0
	}
	return int(n)
}

func (d *decoder) text(limit int) string {
	n := d.length()
	if n > limit {
		d.bad, d.buf = true, nil
		return ""
	}
	s := string(d.buf[:n])
	d.buf = d.buf[n:]
	return s
}
