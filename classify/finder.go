package classify

import "sync/atomic"

// finder finds every occurrence of many patterns: in a [book] until it has read so much
// that an [automaton] would have paid for itself, and from then on in that.
type finder struct {
	texts    []string // the patterns
	in       atomic.Pointer[bookOrAutomaton]
	read     atomic.Int64 // octets, in the book
	building atomic.Bool
}

// bookOrAutomaton holds one of the two.
type bookOrAutomaton struct {
	book *book
	auto *automaton
}

const (
	// patience is how many octets are read in the book: about as many as the automaton
	// could have read by the time that it takes to make one.
	patience = 1 << 19
	// maxBook is how many octets of patterns the automaton has room for whatever they are.
	maxBook = 1 << 20
)

// init fails if there are more patterns than an automaton has room for.
func (f *finder) init(patterns []string) error {
	f.texts = patterns
	octets := 0
	for _, p := range patterns {
		octets += len(p)
	}
	if octets <= maxBook {
		f.in.Store(&bookOrAutomaton{book: newBook(patterns)})
		return nil
	}
	return f.build()
}

func (f *finder) build() error {
	a, err := newAutomaton(f.texts)
	if err == nil {
		f.in.Store(&bookOrAutomaton{auto: a})
	}
	return err
}

// prepare makes the automaton now.
func (f *finder) prepare() {
	if f.in.Load().book != nil && f.building.CompareAndSwap(false, true) {
		f.build() // else the book remains, which is right too
	}
}

// scan calls found with the patterns that end at each place where any does, the longest
// first, all occurrences in the order of their ends.
func (f *finder) scan(text []byte, found func(patterns []int32, end int)) {
	in := f.in.Load()
	if in.book == nil {
		in.auto.scan(text, found)
		return
	}
	in.book.scan(text, found)
	if f.read.Add(int64(len(text))) > patience {
		f.prepare()
	}
}
