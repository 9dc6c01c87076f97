package milter

import (
	"bytes"
	"unicode/utf8"
)

// maxDeletionWork bounds what deleting the forged headers of one message may cost the
// mail server. For each deletion, Postfix reads the header from its beginning: 1000
// fields in 0.13 ms, a megabyte in 0.5 ms. A unit of work is an octet, and a line
// counts as lineWork octets. The bound is half a second of Postfix's cleanup, or 2,700
// forged fields at the top of a header. That is far more than honest relays leave,
// since a report has at most 55 of our fields. A message with more is refused.
const (
	maxDeletionWork = 1 << 30
	lineWork        = 256
)

// ownNames are the names of the header fields that we write. A field from outside with
// one of these names is forged. Other names that begin with our prefix belong to other
// programs.
type ownNames struct {
	names   []string // full names, as we write them
	lengths uint64   // bit n is set if a name has n octets; bit 63 stands for 63 and more
}

func newOwnNames(names []string) ownNames {
	o := ownNames{names: names}
	for _, n := range names {
		o.lengths |= 1 << min(len(n), 63)
	}
	return o
}

// index returns the index of a field's name in o.names, ignoring ASCII case as MTAs do,
// or -1 if we do not write such a field.
func (o *ownNames) index(name []byte) int {
	// QUIRK: some write "Name : value", and MTAs ignore that space when they
	// compare names.
	if n := len(name); n > 0 && (name[n-1] == ' ' || name[n-1] == '\t') {
		name = bytes.TrimRight(name, " \t")
	}
	if o.lengths>>min(len(name), 63)&1 == 0 {
		return -1
	}
	for i, own := range o.names {
		if len(name) == len(own) && hasPrefixFold(name, own) {
			return i
		}
	}
	return -1
}

// forged counts the header fields of a message that have names of ours.
type forged struct {
	count    int       // fields seen
	verdicts int       // of these, all but X-Bounce-Forged and those of actions
	left     int       // of these, fields whose deletion would be too much work
	work     int       // of all deletions, in the units of maxDeletionWork
	n        []int     // how many fields to delete, from the first one on, by index in ownNames
	sum      *fieldSum // of names and values, to recognise what we wrote
}

// add counts a field whose name has the index place in own. octets and lines say how much
// of the header came before it.
func (f *forged) add(own *ownNames, place int, value []byte, octets, lines int) {
	f.count++
	if place != placeForged && place < tagNames {
		f.verdicts++
	}
	if f.sum == nil {
		f.sum = newFieldSum()
	}
	if f.count <= maxTags {
		f.sum.add(own.names[place], value)
	}
	cost := octets + lines*lineWork
	if f.work+cost > maxDeletionWork {
		f.left++
		return
	}
	f.work += cost
	if f.n == nil {
		f.n = make([]int, len(own.names))
	}
	f.n[place]++
}

// each calls del for every field to delete, for each name from the highest index down.
// Postfix counts anew after each deletion and Sendmail does not; in this order both
// delete the right fields. It stops when del returns false.
func (f *forged) each(own *ownNames, del func(name string, index int) bool) {
	for place, n := range f.n {
		for i := n; i > 0; i-- {
			if !del(own.names[place], i) {
				return
			}
		}
	}
}

// hasPrefixFold reports whether name begins with prefix, ignoring ASCII case.
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

func isUTF8(b []byte) bool { return utf8.Valid(b) }
