package milter

import (
	"bytes"
	"crypto/sha256"
	"hash"
	"unicode/utf8"
)

// maxDeletionWork bounds what the deletions of one message may cost the mail
// server. Postfix reads the header from its beginning for each, 1000 fields in
// 0.13 ms and a megabyte in 0.5 ms; a unit of work is an octet, and a line
// counts as lineWork of them. The bound is half a second of its cleanup, or
// 2,700 forged fields at the top of a header: many times more than honest
// relays leave, since a report has 55 of ours at most. A message with more is
// refused.
const (
	maxDeletionWork = 1 << 30
	lineWork        = 256
)

// ownNames are the names of the header fields that we write: all by these names
// that come from outside are forged. Names that merely begin with our prefix
// belong to others.
type ownNames struct {
	names   []string // whole, as we write them
	lengths uint64   // bit n is set when a name has n octets, 63 and more as one
}

func newOwnNames(names []string) ownNames {
	o := ownNames{names: names}
	for _, n := range names {
		o.lengths |= 1 << min(len(n), 63)
	}
	return o
}

// index returns the place of a field's name in o, ASCII case aside as in MTAs,
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

// forged counts the header fields of a message that bear names of ours.
type forged struct {
	count    int   // fields seen
	verdicts int   // of these, fields by other names than X-Bounce-Forged
	left     int   // of these, fields whose deletion would be too much work
	work     int   // units of maxDeletionWork, of all deletions
	n        []int // fields to delete, the first ones, by place in ownNames
	sum      hash.Hash
}

// add counts a field by the name at this place of own, before which so many
// octets of header in so many lines have come.
func (f *forged) add(own *ownNames, place int, value []byte, octets, lines int) {
	f.count++
	if place != placeForged {
		f.verdicts++
	}
	if f.sum == nil {
		f.sum = sha256.New()
	}
	if f.count <= maxTags {
		addToSum(f.sum, own.names[place], value)
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

// each calls del for every field to delete, the highest index of a name first:
// Postfix counts anew after each deletion, Sendmail does not, and so both are
// right. It stops when del returns false.
func (f *forged) each(own *ownNames, del func(name string, index int) bool) {
	for place, n := range f.n {
		for i := n; i > 0; i-- {
			if !del(own.names[place], i) {
				return
			}
		}
	}
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

func isUTF8(b []byte) bool { return utf8.Valid(b) }
