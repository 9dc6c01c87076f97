package rules

import "slices"

// reasons reads reasons.toml.
func (b *builder) reasons(f File) {
	b.reasonByID = map[string]Reason{}
	b.sections(f, []string{"[[reason]]"}, func(s *section, r reader) {
		var v Reason
		for _, f := range s.fields {
			switch f.key {
			case "id":
				v.ID = r.str(f)
			case "category":
				if v.Category = r.str(f); !slices.Contains(categories, v.Category) {
					r.complain(f.line, "unknown category %q%s", v.Category, didYouMean(v.Category, categories))
				}
			case "type":
				if v.Type = r.str(f); !slices.Contains(types, v.Type) {
					r.complain(f.line, "unknown type %q%s", v.Type, didYouMean(v.Type, types))
				}
			case "given_up":
				v.GivenUp = r.boolean(f)
			case "meaning":
				v.Meaning = r.str(f)
			case "advice":
				v.Advice = r.str(f)
			default:
				if !v.Address.set(f, r) {
					r.unknown(f, "id", "category", "type", "given_up", "meaning", "hard", "soft", "block", "advice")
				}
			}
		}
		switch _, twice := b.reasonByID[v.ID]; {
		case !validID(v.ID):
			r.complain(s.line, "a reason needs an id of lower-case letters, digits and dashes")
		case twice:
			r.complain(s.line, "reason %q is there twice", v.ID)
		case v.Category == "" || v.Type == "" || v.Meaning == "" || v.Advice == "":
			r.complain(s.line, "reason %q needs category, type, meaning and advice", v.ID)
		}
		b.reasonByID[v.ID] = v
		b.set.Reasons = append(b.set.Reasons, v)
	})
	if _, ok := b.reasonByID[Unknown]; !ok {
		b.complain(f.Name, 0, "reason %q is missing", Unknown)
	}
}

// set reads the key of a type, and reports whether f is one.
func (t *ByType) set(f field, r reader) bool {
	switch f.key {
	case "hard":
		t.Hard = r.str(f)
	case "soft":
		t.Soft = r.str(f)
	case "block":
		t.Block = r.str(f)
	default:
		return false
	}
	return true
}

// advice reads advice.toml and gives every reason the words about the address
// that it has none of its own for.
func (b *builder) advice(f File) {
	var address, doubted ByType
	b.sections(f, []string{"[address]", "[doubted]", "[bare]", "[unread]"}, func(s *section, r reader) {
		switch s.name {
		case "address":
			byType(&address, s, r)
		case "doubted":
			byType(&doubted, s, r)
		case "bare":
			b.set.Bare = caution(s, r)
		case "unread":
			b.set.Unread = caution(s, r)
		}
	})
	doubted = doubted.or(address)
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

func byType(t *ByType, s *section, r reader) {
	for _, f := range s.fields {
		if !t.set(f, r) {
			r.unknown(f, "hard", "soft", "block")
		}
	}
}

func caution(s *section, r reader) Caution {
	var c Caution
	for _, f := range s.fields {
		switch f.key {
		case "meaning":
			c.Meaning = r.str(f)
		case "advice":
			c.Advice = r.str(f)
		default:
			r.unknown(f, "meaning", "advice")
		}
	}
	return c
}

func (c Caution) empty() bool { return c.Meaning == "" || c.Advice == "" }
