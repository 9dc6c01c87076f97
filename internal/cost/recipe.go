// Package cost makes messages that might be expensive to read, and measures what they
// cost. A test checks the bounds on counted work with it, and the search (make cost)
// looks for messages that take more time than they may.
package cost

import (
	"fmt"
	"math/rand/v2"
	"strings"
)

// Recipe says how to make a message: a unit of text, repeated, at one place in the
// message.
type Recipe struct {
	Place  string   // see Places
	Before string   // text before the first unit
	Unit   []string // a "%d" in it becomes the number of the unit
	After  string   // text after the last unit
	Each   int      // octets of units in one field or part, if the place has many
}

func (r Recipe) String() string {
	return fmt.Sprintf("place %s, before %q, unit %q, after %q, each %d", r.Place, r.Before, r.Unit, r.After, r.Each)
}

// Message returns a message of about so many octets.
func (r Recipe) Message(size int) []byte {
	var b strings.Builder
	b.Grow(size + size/8)
	place := places[r.Place]
	n := 0
	place(&b, size, max(1, r.Each), func(octets int) string { return r.fill(octets, &n) })
	return []byte(b.String())
}

// fill returns text of so many octets, made of units that are numbered from n.
func (r Recipe) fill(octets int, n *int) string {
	var b strings.Builder
	octets = max(0, octets)
	b.Grow(octets + 64)
	b.WriteString(r.Before)
	room := octets - len(r.Before) - len(r.After)
	for begun := b.Len(); b.Len()-begun < room; *n++ {
		at := b.Len()
		for _, s := range r.Unit {
			if strings.Contains(s, "%d") {
				s = strings.ReplaceAll(s, "%d", fmt.Sprint(*n))
			}
			b.WriteString(s)
		}
		if b.Len() == at {
			break
		}
	}
	s := b.String()
	return s[:min(len(s), max(0, octets-len(r.After)))] + r.After
}

// randomRecipe returns a recipe of random atoms.
func randomRecipe(rnd *rand.Rand, atoms []string) Recipe {
	r := Recipe{Place: Places[rnd.IntN(len(Places))], Each: eaches[rnd.IntN(len(eaches))]}
	for range 1 + rnd.IntN(4) {
		r.Unit = append(r.Unit, atom(rnd, atoms))
	}
	if rnd.IntN(2) == 0 {
		r.Before = atom(rnd, atoms)
	}
	if rnd.IntN(3) == 0 {
		r.After = atom(rnd, atoms)
	}
	return r
}

// eaches are the choices for Recipe.Each.
var eaches = []int{1, 30, 100, 300, 1000, 2000, 4000, 8000, 16000, 64000}

// atom picks an atom; half of the time it is one of the Signs.
func atom(rnd *rand.Rand, atoms []string) string {
	if rnd.IntN(2) == 0 {
		return Signs[rnd.IntN(len(Signs))]
	}
	return atoms[rnd.IntN(len(atoms))]
}

// mutate changes a recipe, or takes a part of another recipe.
func (r Recipe) mutate(rnd *rand.Rand, atoms []string, other Recipe) Recipe {
	unit := append([]string(nil), r.Unit...)
	switch at := rnd.IntN(len(unit)); rnd.IntN(11) {
	case 0:
		unit[at] = atom(rnd, atoms)
	case 1:
		unit = append(unit, atom(rnd, atoms))
	case 2:
		if len(unit) > 1 {
			unit = append(unit[:at], unit[at+1:]...)
		}
	case 3:
		unit = append(unit[:at:at], other.Unit[rnd.IntN(len(other.Unit)):]...)
	case 4:
		r.Place = other.Place
	case 5:
		r.Place = Places[rnd.IntN(len(Places))]
	case 6:
		r.Each = eaches[rnd.IntN(len(eaches))]
	case 7:
		r.Before = atom(rnd, atoms)
	case 8:
		r.Before, r.After = other.Before, other.After
	case 9:
		r.After = atom(rnd, atoms)
	case 10: // cut or double a piece
		if s := unit[at]; len(s) > 1 && rnd.IntN(2) == 0 {
			unit[at] = s[:1+rnd.IntN(len(s)-1)]
		} else {
			unit[at] = s + s
		}
	}
	if len(unit) > 12 {
		unit = unit[:12]
	}
	r.Unit = unit
	return r
}
