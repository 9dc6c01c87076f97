package milter

import (
	"bytes"
	"unicode/utf8"
)

// Deletions are limited, since they are what a stranger's mail may cost the
// mail server: Postfix reads the header from its beginning for each, and its
// cleanup gives up a queue file, and so refuses the mail, after 10,000. Fields
// beyond these limits stay. They are counted as forged, logged, and counted in
// errors_total; the message gets a field of its own at its top, X-Bounce-Forged,
// by which the administrator may hold or refuse it (milter_header_checks).
const (
	// maxOwnDeletions is how many fields by our own names one message may
	// make us delete, the first ones: 0.1 s of Postfix's cleanup. More
	// results than one report may have, many times over.
	maxOwnDeletions = 1000
	// maxOtherDeletions is the same for all other names under our prefix, by
	// which nobody routes. They are limited apart, so that no number of them
	// hides one of ours.
	maxOtherDeletions = 250
	// maxDeletionWork bounds the octets of header that are read for all
	// deletions of a message, each from the header's beginning: under a second
	// of cleanup when every field is as short as can be.
	maxDeletionWork = 64 << 20
	// minDeletions of our own names are granted however far down they are.
	minDeletions = 8

	// maxForgedName is the longest other name that is remembered, in octets;
	// with their number it bounds the memory of names. That memory is taken
	// from the budget of all messages.
	maxForgedName = 255
	// forgedNameCost is what a remembered name costs apart from its octets,
	// which are kept twice.
	forgedNameCost = 96
)

// forged counts the header fields of a message that bear our prefix, by name,
// without case: MTAs index them so.
type forged struct {
	count int // fields seen
	left  int // of these, fields that stay, beyond all limits
	tags  int // fields by the names of tagNames
	work  int // octets of header before the fields to delete, summed up

	own      [len(ownNames)]forgedName
	ownCount int // fields to delete
	names    []forgedName
	index    map[string]int // of names, by name in lower case
	others   int            // fields to delete

	budget *budget
	taken  int // octets taken from the budget
}

type forgedName struct {
	name string // as first seen
	n    int    // fields to delete, the first ones of this name
}

// reset gives the memory back and readies f for a message that takes its own
// from b.
func (f *forged) reset(b *budget) {
	if f.taken > 0 {
		f.budget.give(f.taken)
	}
	*f = forged{budget: b}
}

// add counts a field of this name, which begins with our prefix of so many
// octets and has so many octets of header before it.
func (f *forged) add(name []byte, prefix, before int) {
	// QUIRK: some write "Name : value", and MTAs ignore that space when they
	// compare names.
	name = bytes.TrimRight(name, " \t")
	f.count++
	own := ownName(name[min(prefix, len(name)):])
	if own >= 0 && own < len(tagNames) {
		f.tags++
	}
	n, least, limit := f.others, 0, maxOtherDeletions
	if own >= 0 {
		n, least, limit = f.ownCount, minDeletions, maxOwnDeletions
	}
	if n >= limit || n >= least && f.work+before > maxDeletionWork {
		f.left++
		return
	}
	if own >= 0 {
		if f.own[own].n == 0 {
			f.own[own].name = string(name)
		}
		f.own[own].n++
		f.ownCount++
	} else {
		i := f.remember(name)
		if i < 0 {
			f.left++
			return
		}
		f.names[i].n++
		f.others++
	}
	f.work += before
}

// remember returns the place of another name, -1 where there is none for it.
func (f *forged) remember(name []byte) int {
	if len(name) > maxForgedName {
		return -1
	}
	var buf [maxForgedName]byte
	key := buf[:len(name)]
	// Only ASCII has two cases in header names; every other octet is itself.
	for i, c := range name {
		key[i] = lower(c)
	}
	if i, ok := f.index[string(key)]; ok {
		return i
	}
	cost := 2*len(name) + forgedNameCost
	if !f.budget.take(f.taken, cost) {
		return -1
	}
	f.taken += cost
	if f.index == nil {
		f.index = make(map[string]int)
	}
	i := len(f.names)
	f.index[string(key)] = i
	f.names = append(f.names, forgedName{name: string(name)})
	return i
}

// each calls del for every field to delete, the highest index of a name first:
// Postfix counts anew after each deletion, Sendmail does not, and so both are
// right. It stops when del returns false.
func (f *forged) each(del func(name string, index int) bool) {
	for _, names := range [...][]forgedName{f.own[:], f.names} {
		for _, n := range names {
			for i := n.n; i > 0; i-- {
				if !del(n.name, i) {
					return
				}
			}
		}
	}
}

// ownName returns the index in ownNames of what follows the prefix, -1 if it is
// no name that we write.
func ownName(rest []byte) int {
	for i, s := range ownNames {
		if len(rest) == len(s) && hasPrefixFold(rest, s) {
			return i
		}
	}
	return -1
}

// hasPrefixFold reports whether name begins with prefix, ASCII case aside.
func hasPrefixFold(name []byte, prefix string) bool {
	if len(name) < len(prefix) {
		return false
	}
	for i := 0; i < len(prefix); i++ {
		if lower(name[i]) != lower(prefix[i]) {
			return false
		}
	}
	return true
}

func lower(c byte) byte {
	if 'A' <= c && c <= 'Z' {
		c += 'a' - 'A'
	}
	return c
}

func isASCII[T string | []byte](s T) bool {
	for i := 0; i < len(s); i++ {
		if s[i] >= utf8.RuneSelf {
			return false
		}
	}
	return true
}

func isUTF8(b []byte) bool { return utf8.Valid(b) }
