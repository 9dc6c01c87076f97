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
	d := decoder{buf: body}
	saved, then, since := d.number(), d.number(), d.number()
	message, bounce := d.number(), d.number()
	// If the clock was set back, no time has passed.
	down := max(0, b.wall().Unix()-saved)
	shift := b.second() - (then + down)

	names := newNames()
	old := names
	for _, t := range []struct{ from, to *table }{{&old.providers, &names.providers}, {&old.reasons, &names.reasons}, {&old.counters, &names.counters}} {
		t.from.list = nil
		for range d.length() {
			name := d.text(maxName)
			t.from.list = append(t.from.list, name)
			t.to.number(name)
		}
	}
	rings := newRings()
	rings.minute = b.rings.minute
	translate := func(k key) key {
		if i, ok := k.counter(); ok {
			return names.counter(old.counters.list[i])
		}
		rest := k.without(maxProviders - 1 | (maxReasons-1)<<reasonAt)
		return rest | key(names.providers.number(old.providers.list[k.provider()])) |
			key(names.reasons.number(old.reasons.list[k.reason()]))<<reasonAt
	}
	take := func(unit int64, ring [][]cell, ats []int64, open map[key]uint32, limit int) {
		now := rings.minute * 60 / unit
		for range d.length() {
			at := floor(d.number()*unit+shift, unit)
			var cells []cell
			for range d.length() {
				k, n := key(d.number()), uint32(d.number())
				if !k.valid(&old) || len(cells) >= limit {
					d.bad = true
					return
				}
				cells = append(cells, cell{translate(k), n})
			}
			switch {
			case at > now || at <= now-int64(len(ring)) || at < 0:
			case at == now:
				for _, c := range cells {
					open[c.key] = sum(open[c.key], uint64(c.n))
				}
			default:
				ring[at%int64(len(ring))], ats[at%int64(len(ring))] = cells, at
			}
		}
	}
	take(60, rings.minutes, rings.minutesAt, rings.inMinute, maxMinuteCells)
	take(3600, rings.hours, rings.hoursAt, rings.inHour, maxHourCells)
	var list []reply
	for range d.length() {
		p := reply{Text: d.text(4 * maxReply), Example: d.text(4 * maxReply), Phrase: d.text(4 * maxReply),
			Category: classify.Category(d.text(maxName)), Provider: d.text(maxName)}
		p.Times, p.Last = uint32(d.number()), d.number()+shift
		list = append(list, p)
	}
	if d.bad || len(d.buf) > 0 || len(list) > maxReplies {
		return errDamaged
	}
	moved := func(second int64) int64 {
		if second == 0 {
			return 0
		}
		return min(second+shift, b.second())
	}
	b.since = min(since+shift, b.since)
	b.seen = seen{moved(message), moved(bounce)}
	b.names, b.rings, b.replies.list = names, rings, list
	return nil
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
