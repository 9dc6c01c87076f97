package cost

import (
	"math/rand/v2"
	"testing"

	"github.com/bounce-milter/bounce-milter/classify"
)

// maxAllocated bounds what reading and judging one message allocates, in octets.
const maxAllocated = 20 << 20

// TestCostOfRecipes makes messages of random pieces in every place, at random
// and from those that were dear, and holds each to bounds on what can be counted:
// the work, its growth, and the memory. The time is for make cost.
func TestCostOfRecipes(t *testing.T) {
	root, err := Root()
	if err != nil {
		t.Fatal(err)
	}
	atoms, err := Atoms(root)
	if err != nil || len(atoms) < 1000 {
		t.Fatalf("%d phrases, %v", len(atoms), err)
	}
	e, err := classify.New(classify.Options{})
	if err != nil {
		t.Fatal(err)
	}
	unbounded, err := Unbounded()
	if err != nil {
		t.Fatal(err)
	}
	tries := 200
	if testing.Short() {
		tries = 40
	}
	p := NewPopulation(rand.New(rand.NewPCG(9, 1)), atoms)
	for range tries {
		r := p.Next()
		c := Count(e, r.Message(16<<10))
		p.Add(r, "", float64(c.Work)/float64(c.Octets))
		if why := Grows(unbounded, r); why != "" {
			t.Errorf("%s\n\t%v", why, r)
		}
		if c = Count(e, r.Message(MaxOctets)); c.Allocated > maxAllocated {
			t.Errorf("%d octets allocated for %d\n\t%v", c.Allocated, c.Octets, r)
		}
	}
}
