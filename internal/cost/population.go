package cost

import (
	"math/rand/v2"
	"slices"
)

// Population keeps the most expensive recipes of every place, so that no place drives the
// others out.
type Population struct {
	rnd   *rand.Rand
	atoms []string
	best  map[string][]scored // by place and by the kind of cost
	all   []Recipe            // all recipes that are kept now
}

type scored struct {
	recipe Recipe
	score  float64
}

// kept is how many recipes are kept for a place.
const kept = 6

// NewPopulation returns an empty population.
func NewPopulation(rnd *rand.Rand, atoms []string) *Population {
	return &Population{rnd: rnd, atoms: atoms, best: map[string][]scored{}}
}

// Next returns a recipe to try: from random atoms, or from expensive recipes.
func (p *Population) Next() Recipe {
	if len(p.all) < 20 || p.rnd.IntN(5) == 0 {
		return randomRecipe(p.rnd, p.atoms)
	}
	r := p.pick().mutate(p.rnd, p.atoms, p.pick())
	for p.rnd.IntN(2) == 0 {
		r = r.mutate(p.rnd, p.atoms, p.pick())
	}
	return r
}

func (p *Population) pick() Recipe { return p.all[p.rnd.IntN(len(p.all))] }

// Add keeps a recipe if it is among the most expensive ones of its place, and reports
// whether it is the most expensive one. what names the kind of cost.
func (p *Population) Add(r Recipe, what string, score float64) bool {
	k := what + r.Place
	list := p.best[k]
	i, _ := slices.BinarySearchFunc(list, score, func(s scored, v float64) int {
		if s.score > v {
			return -1
		}
		return 1
	})
	if i == kept {
		return false
	}
	list = slices.Insert(list, i, scored{r, score})
	p.best[k] = list[:min(len(list), kept)]
	p.all = p.all[:0]
	for _, l := range p.best {
		for _, s := range l {
			p.all = append(p.all, s.recipe)
		}
	}
	return i == 0
}
