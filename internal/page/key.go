package page

import (
	"slices"

	"github.com/bounce-milter/bounce-milter/classify"
)

// key is what is counted, in 32 bits: a counter's number, or of a bounce its provider,
// reason, category, type and whether the mail was only delayed.
type key uint32

const (
	providerBits = 11
	reasonBits   = 10

	reasonAt   = providerBits
	categoryAt = reasonAt + reasonBits
	typeAt     = categoryAt + 4
	delayedAt  = typeAt + 2
	counterAt  = 31

	maxProviders = 1 << providerBits
	maxReasons   = 1 << reasonBits
)

var (
	categories = classify.Categories()
	types      = classify.Types()
)

func (k key) counter() (int, bool) { return int(k &^ (1 << counterAt)), k>>counterAt == 1 }
func (k key) provider() int        { return int(k & (maxProviders - 1)) }
func (k key) reason() int          { return int(k >> reasonAt & (maxReasons - 1)) }
func (k key) category() int        { return int(k >> categoryAt & 15) } // in categories
func (k key) kind() int            { return int(k >> typeAt & 3) }      // in types
func (k key) delayed() bool        { return k>>delayedAt&1 == 1 }

// valid reports whether a key that was read from a file is one.
func (k key) valid(n *names) bool {
	if i, ok := k.counter(); ok {
		return i < len(n.counters.list)
	}
	return k.provider() < len(n.providers.list) && k.reason() < len(n.reasons.list) &&
		k.category() < len(categories) && k.kind() < len(types)
}

// coarser are functions that each forget one more thing that tells bounces apart. Category
// and counters always stay.
var coarser = []func(key) key{
	func(k key) key { return k.without(maxProviders - 1) },
	func(k key) key { return k.without((maxReasons - 1) << reasonAt) },
	func(k key) key { return k.without(1 << delayedAt) },
}

func (k key) without(bits key) key {
	if _, ok := k.counter(); ok {
		return k
	}
	return k &^ bits
}

// names number the names that keys hold.
type names struct{ providers, reasons, counters table }

func newNames() names {
	return names{newTable(maxProviders, "other"), newTable(maxReasons, "unknown"), newTable(256, "")}
}

func (n *names) counter(name string) key { return 1<<counterAt | key(n.counters.number(name)) }

func (n *names) bounce(x *Bounce) key {
	category, kind := slices.Index(categories, x.Category), slices.Index(types, x.Type)
	if category < 0 {
		category = len(categories) - 1 // unclassified
	}
	if kind < 0 {
		kind = slices.Index(types, classify.Soft)
	}
	k := key(n.providers.number(x.Provider)) | key(n.reasons.number(x.Reason))<<reasonAt | key(category)<<categoryAt |
		key(kind)<<typeAt
	if x.Delayed {
		k |= 1 << delayedAt
	}
	return k
}

// translate returns the key that means in n what k means in old, in which it is valid.
func (n *names) translate(k key, old *names) key {
	if i, ok := k.counter(); ok {
		return n.counter(old.counters.list[i])
	}
	rest := k.without(maxProviders - 1 | (maxReasons-1)<<reasonAt)
	return rest | key(n.providers.number(old.providers.list[k.provider()])) |
		key(n.reasons.number(old.reasons.list[k.reason()]))<<reasonAt
}

// table numbers names, up to a limit. The first has the number 0, and every name that finds
// no room.
type table struct {
	limit int
	list  []string
	index map[string]int
}

// maxName bounds a name in octets.
const maxName = 64

func newTable(limit int, first string) table {
	return table{limit, []string{first}, map[string]int{first: 0}}
}

func (t *table) number(name string) int {
	i, ok := t.index[name]
	if !ok && len(t.list) < t.limit && len(name) <= maxName {
		i = len(t.list)
		t.list = append(t.list, name)
		t.index[name] = i
	}
	return i
}
