// Package work counts what reading and judging one message costs.
//
// A unit is roughly one octet read. Code that loops over what a stranger wrote takes
// units from the budget first, and stops when it is spent; what was found by then is
// the answer.
package work

import "context"

// Budget is the work that one message may still cost. It belongs to one
// goroutine. A nil Budget is unlimited.
type Budget struct {
	ctx  context.Context
	now  int // units left in this stretch
	rest int // units left after it
	used int // units of the stretches before it
	step int // units of this stretch in all
	over bool
}

// stretch is how many units are taken between two looks at the context: a fraction of
// a millisecond.
const stretch = 1 << 16

// New returns a budget of that many units, which also ends with ctx.
func New(ctx context.Context, units int) *Budget {
	b := &Budget{ctx: ctx, rest: units}
	b.refill()
	return b
}

// Take takes units and reports whether the budget had them. If not, the caller must
// not do the work.
func (b *Budget) Take(units int) bool {
	if b == nil {
		return true
	}
	b.now -= units
	return b.now >= 0 || b.refill()
}

// refill checks the context and begins the next stretch.
func (b *Budget) refill() bool {
	if b.over {
		return false
	}
	b.rest += min(b.now, 0) // subtract what was taken beyond the stretch
	b.used += b.step - min(b.now, 0)
	b.step, b.now = 0, 0
	if b.rest < 0 || b.ctx.Err() != nil {
		b.over = true
		b.now = -1
		return false
	}
	b.step = min(b.rest, stretch)
	b.now = b.step
	b.rest -= b.step
	return true
}

// Spent reports whether work was refused, because all units are taken or the context
// has ended.
func (b *Budget) Spent() bool { return b != nil && b.over }

// Used returns how many units were taken.
func (b *Budget) Used() int { return b.used + b.step - max(b.now, 0) }
