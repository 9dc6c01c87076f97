package milter

import (
	"strings"
	"unicode/utf8"
)

// maxForgedNames bounds the different names under our prefix that one message
// may make us remember. Names that we write ourselves are remembered beyond it,
// so that nobody hides one behind many others.
const maxForgedNames = 4096

// forged counts the header fields of a message that bear our prefix, by name,
// without case: MTAs index them so.
type forged struct {
	count int // fields to delete
	names []forgedName
	index map[string]int // of names, by name in lower case
}

type forgedName struct {
	name string // as first seen
	n    int
}

func (f *forged) reset() {
	f.count, f.names = 0, f.names[:0]
	if len(f.index) > 64 {
		f.index, f.names = nil, nil
	}
	clear(f.index)
}

// add counts a field of this name.
func (f *forged) add(name []byte) {
	// QUIRK: some write "Name : value", and MTAs ignore that space when they
	// compare names.
	trimmed := strings.TrimRight(string(name), " \t")
	key := strings.ToLower(trimmed)
	i, ok := f.index[key]
	if !ok {
		if len(f.names) >= maxForgedNames && !isTagName(key) {
			return
		}
		if f.index == nil {
			f.index = make(map[string]int)
		}
		i = len(f.names)
		f.index[key] = i
		f.names = append(f.names, forgedName{name: trimmed})
	}
	f.names[i].n++
	f.count++
}

// each calls del for every field, the highest index of a name first: Postfix
// counts anew after each deletion, Sendmail does not, and so both are right.
func (f *forged) each(del func(name string, index int)) {
	for _, n := range f.names {
		for i := n.n; i > 0; i-- {
			del(n.name, i)
		}
	}
}

// isTagName reports whether a name in lower case ends like one of ours; the
// prefix was checked before.
func isTagName(name string) bool {
	for _, s := range tagNames {
		if len(name) >= len(s) && strings.EqualFold(name[len(name)-len(s):], s) {
			return true
		}
	}
	return false
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
