package cost

import (
	"math/rand/v2"
	"testing"

	"github.com/bounce-milter/bounce-milter/classify"
)

// maxAllocated bounds what reading and judging one message allocates, in octets.
const maxAllocated = 20 << 20

// dearOnce are recipes that the search found: each cost seconds, or more than
// MaxTime, before something that was done for everybody was done once.
var dearOnce = []Recipe{
	{Place: "notice below a list", Unit: []string{"a@b "}},
	{Place: "notice below a list", Before: "\n550-5.1.1 ", Unit: []string{"a@"}},
	{Place: "notice below a list", Before: "\n550-5.1.1 ", Unit: []string{": 550 : 550 ", "}"}},
	{Place: "boundary", Unit: []string{"-"}, Each: 1},
	{Place: "nested parts", Unit: []string{"\n"}},
	{Place: "reply of each recipient", Unit: []string{"=?big5?b?pKQ=?= ", "=?hz-gb-2312?q?~{VP~}?= ", "=?utf-16?b?/v8A?= "}, Each: 16000},
	{Place: "reply of each recipient", Unit: []string{"a@"}, Each: 8000},
	{Place: "To", Unit: []string{"u%d@ex", "\n550-"}},
	{Place: "attached bounces", Unit: []string{"\\\"@"}, Each: 1000},
	{Place: "attached bounces", Unit: []string{"@["}, Each: 1000},
	{Place: "quoted-printable", Unit: []string{"=?=?", "\n"}},
	{Place: "address of each recipient", Unit: []string{"превышен размер ящика "}, Each: 2000},
	{Place: "one part after another", Before: "554 denied ", Unit: []string{"\n--b", "<u%d@a.b>:\n", "\xc3\xc3"}, Each: 8000},
}

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
	e.Prepare()
	unbounded, err := Unbounded()
	if err != nil {
		t.Fatal(err)
	}
	tries := 200
	if testing.Short() {
		tries = 40
	}
	p := NewPopulation(rand.New(rand.NewPCG(9, 1)), atoms)
	for i := range len(dearOnce) + tries {
		var r Recipe
		if i < len(dearOnce) {
			r = dearOnce[i]
		} else {
			r = p.Next()
		}
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
