package rules

import (
	"maps"
	"slices"

	"github.com/bounce-milter/bounce-milter/internal/toml"
)

// reasons reads reasons.toml.
func (b *builder) reasons(f File) {
	var data struct {
		Reason []struct {
			Line               toml.Line
			ID, Category, Type toml.Text
			GivenUp            bool `toml:"given_up"`
			Meaning, Advice    string
			ByType
		}
	}
	b.decode(f, &data)
	b.reasonByID = map[string]Reason{}
	for _, r := range data.Reason {
		b.oneOf(f, "category", r.Category, categories)
		b.oneOf(f, "type", r.Type, types)
		v := Reason{ID: r.ID.S, Category: r.Category.S, Type: r.Type.S, GivenUp: r.GivenUp, Meaning: r.Meaning, Address: r.ByType, Advice: r.Advice}
		switch _, twice := b.reasonByID[v.ID]; {
		case !validID(v.ID):
			b.complain(f.Name, int(r.Line), "a reason needs an id of lower-case letters, digits and dashes")
		case twice:
			b.complain(f.Name, int(r.Line), "reason %q is there twice", v.ID)
		case v.Category == "" || v.Type == "" || v.Meaning == "" || v.Advice == "":
			b.complain(f.Name, int(r.Line), "reason %q needs category, type, meaning and advice", v.ID)
		}
		b.reasonByID[v.ID] = v
		b.set.Reasons = append(b.set.Reasons, v)
	}
	if _, ok := b.reasonByID[Unknown]; !ok {
		b.complain(f.Name, 0, "reason %q is missing", Unknown)
	}
}

// advice reads advice.toml, and gives every reason the words about the address that it
// lacks.
func (b *builder) advice(f File) {
	var data struct {
		Address, Doubted ByType
		Bare, Unread     Caution
	}
	b.decode(f, &data)
	b.set.Bare, b.set.Unread = data.Bare, data.Unread
	address, doubted := data.Address, data.Doubted.or(data.Address)
	if address.Hard == "" || address.Soft == "" || address.Block == "" || b.set.Bare.empty() || b.set.Unread.empty() {
		b.complain(f.Name, 0, "advice needs hard, soft and block of [address], and meaning and advice of [bare] and [unread]")
	}
	for i := range b.set.Reasons {
		v := &b.set.Reasons[i]
		general := address
		if v.Type == "hard" {
			general = doubted
		}
		v.Address = v.Address.or(general)
		b.reasonByID[v.ID] = *v
	}
}

func (c Caution) empty() bool { return c.Meaning == "" || c.Advice == "" }

func reasonIDs(m map[string]Reason) []string { return slices.Sorted(maps.Keys(m)) }
