package classify

import (
	"fmt"
	"slices"
	"strings"
	"unicode/utf8"

	"github.com/bounce-milter/bounce-milter/classify/rules"
)

// tier orders rules before anything else does: the administrator's first, then those
// for one provider, then general ones. Stock phrases come after all others, for they
// count only if nothing better was said.
type tier uint8

const (
	tierAdmin tier = iota
	tierProvider
	tierGeneral
	tierAdminStock
	tierProviderStock
	tierGeneralStock
)

// rule is a text rule ready for matching.
type rule struct {
	*rules.Compiled
	index       int // in the order of files and lines
	tier        tier
	conds       int
	category    Category
	kind        Type
	providers   []int16
	about       party
	givenUp     bool    // see rules.Reason
	any         []int32 // patterns of any and token
	all, none   []int32
	near        []int32 // one of these must stand near a pattern of any
	nearAddress bool    // or an address
	expression  *expression
	inTail      bool // the expression speaks of a note behind the reply
}

// matcher is all patterns, and what each of them is for.
type matcher struct {
	finder
	patterns []pattern
	phrases  []string   // of the patterns, as they are written
	setsOff  [2]idLists // rules that each pattern sets off, stock phrases apart
	heads    [][]string // see pattern.heads
	rules    []*rule
	// always holds the rules without words that could set them off.
	always [2][]int32
	tails  []tail
	light  map[string]bool // words that may stand between phrases near each other
	naming map[string]bool // words behind which a name stands
	things map[string]bool // words that are no name
	names  names
	mute   map[string]bool // words that explain nothing
}

// tail is a note behind a reply, ready for searching.
type tail struct {
	marker, end []byte
	rare        int // where in marker its rarest octet stands: the search begins there
}

// pattern is what must be known of a phrase or token where it occurs. It is kept small,
// because a text holds dozens of patterns, each at another place of a long list.
type pattern struct {
	length   int32 // octets
	runes    int32
	provider int16 // provider whose reply it marks, -1 if none
	wrapper  int16 // wrapper it is a marker of, -1 if none
	witness  uint8
	clause   uint8  // what it says of the clause that it stands in
	heads    uint16 // number of the list of what may stand before it within a word: "e" before "mail"
	place    bool   // its neighbours matter
	word     bool   // begins with a letter or digit, and so begins a word
	signs    bool   // holds a sign that addresses, hosts and URLs are never without
	inURL    bool   // a token: also matches within URLs, hosts and addresses
	setsOff  bool   // sets rules off
	greets   bool   // addresses the reader
}

// idLists holds a list of numbers for each of many things, one behind the other.
type idLists struct {
	ends []uint32 // by thing
	ids  []int32
}

func (l *idLists) of(thing int32) []int32 {
	from := uint32(0)
	if thing > 0 {
		from = l.ends[thing-1]
	}
	return l.ids[from:l.ends[thing]]
}

// What a pattern bears witness to.
const (
	aboutRecipient = 1 << iota
	inRCPT
	aboutSender
	beforeRCPT
)

// compiler collects the patterns.
type compiler struct {
	m       *matcher
	texts   []string                 // of the patterns, as texts hold them
	known   map[string][places]int32 // one more than the number of a phrase's pattern, by where it may occur
	setsOff [2][]setOff
}

// setOff says that a pattern sets a rule off.
type setOff struct{ pattern, rule int32 }

// where tells where a pattern may occur.
type where uint8

const (
	inWords  where = iota // at the beginning of a word, if it begins with a letter
	anywhere              // also within a word: what excludes a rule
	inURL                 // a token: also within URLs, hosts and addresses
	places                // how many there are
)

func (c *compiler) pattern(phrase string, in where) int32 {
	s := bare(phrase)
	ids := c.known[s]
	if ids[in] == 0 {
		c.m.phrases, c.texts = append(c.m.phrases, phrase), append(c.texts, s)
		c.m.patterns = append(c.m.patterns, pattern{length: int32(len(s)),
			runes: int32(utf8.RuneCountInString(s)), inURL: in == inURL, word: in == inWords && isAlnum(s[0]),
			provider: -1, wrapper: -1})
		ids[in] = int32(len(c.m.patterns))
		c.known[s] = ids
	}
	return ids[in] - 1
}

func (c *compiler) phrases(list []string, in where) []int32 {
	if len(list) == 0 {
		return nil
	}
	out := make([]int32, len(list))
	for i, s := range list {
		out[i] = c.pattern(s, in)
	}
	return out
}

// anyOf lists the patterns of phrases of which one is enough, with their other spellings.
func (c *compiler) anyOf(list []string, in where) []int32 {
	if len(list) == 0 {
		return nil
	}
	out := make([]int32, 0, len(list))
	for _, s := range list {
		out = append(out, c.pattern(s, in))
		for _, other := range spellings(s) {
			out = append(out, c.pattern(other, in))
		}
	}
	return out
}

func wordSet(list []string) map[string]bool {
	m := map[string]bool{}
	for _, w := range list {
		m[bare(w)] = true
	}
	return m
}

// clauseWords notes what words say of the clause that they stand in.
func (c *compiler) clauseWords(list []string, what uint8) {
	for _, s := range list {
		p := &c.m.patterns[c.pattern(s, inWords)]
		p.clause |= what
		p.place = true
	}
}

// compile makes the matcher of a set. It fails if the set has too many phrases.
func compile(set *rules.Set, providers map[string]int16) (*matcher, error) {
	most := 0 // how many patterns there may be of rules
	for _, r := range set.Rules {
		most += len(r.Any) + len(r.All) + len(r.None) + len(r.Tokens) + len(r.Near)
	}
	m := &matcher{heads: [][]string{nil}, rules: make([]*rule, 0, len(set.Rules)),
		patterns: make([]pattern, 0, most), phrases: make([]string, 0, most)}
	c := compiler{m: m, texts: make([]string, 0, most), known: make(map[string][places]int32, most)}
	reasons := map[string]rules.Reason{}
	for _, r := range set.Reasons {
		reasons[r.ID] = r
	}
	for i, r := range set.Rules {
		c.rule(i, r, reasons[r.Reason], providers)
	}
	c.marks(set)
	c.sort()
	c.describePatterns(newCompounds(set.Compounds))
	m.light, m.mute, m.naming = wordSet(set.Light), wordSet(set.Mute), wordSet(set.Naming)
	m.things = wordSet(set.Elsewhere.Behind)
	c.findTails(set)
	if err := m.finder.init(c.texts); err != nil {
		return nil, fmt.Errorf("compiling rules: %w", err)
	}
	return m, nil
}

// marks notes what phrases outside the rules say where they occur.
func (c *compiler) marks(set *rules.Set) {
	m := c.m
	for i, p := range set.Providers {
		for _, s := range p.Reply {
			m.patterns[c.pattern(s, inURL)].provider = int16(i)
		}
	}
	for i, w := range set.Wrappers {
		for _, s := range w.Marker {
			m.patterns[c.pattern(s, inWords)].wrapper = int16(i)
		}
	}
	for _, w := range []struct {
		list []string
		of   uint8
	}{
		{set.Witness.Recipient, aboutRecipient},
		{set.Witness.RCPT, aboutRecipient | inRCPT},
		{set.Witness.Sender, aboutSender},
		{set.Witness.Before, beforeRCPT},
	} {
		for _, s := range w.list {
			m.patterns[c.pattern(s, inWords)].witness |= w.of
		}
	}
	c.clauseWords(set.Elsewhere.Sender, ofSender)
	c.clauseWords(set.Elsewhere.Thing, ofThing)
	c.clauseWords(set.Elsewhere.Behind, ofBehind)
	c.clauseWords(set.Elsewhere.Subject, ofSubject)
	for _, s := range set.Elsewhere.Subject {
		for _, verb := range set.Elsewhere.Verbs {
			c.clauseWords([]string{s + " " + verb}, ofSubject)
		}
	}
	c.clauseWords(set.Elsewhere.Unless, notMeant)
	c.clauseWords(set.Elsewhere.Recipient, ofRecipient)
	for _, s := range set.Greetings {
		m.patterns[c.pattern(s, inWords)].greets = true
	}
}

// describePatterns notes what follows from the phrases of the patterns themselves.
func (c *compiler) describePatterns(compounds compounds) {
	m := c.m
	for i, phrase := range c.texts {
		p := &m.patterns[i]
		p.setsOff = len(m.setsOff[0].of(int32(i)))+len(m.setsOff[1].of(int32(i))) > 0
		p.signs = strings.IndexByte(phrase, '.') >= 0 || strings.IndexByte(phrase, '@') >= 0 || strings.IndexByte(phrase, ':') >= 0
		if p.word {
			p.heads = m.headsBefore(compounds, phrase)
		}
	}
}

// findTails prepares the search for notes behind replies, and notes which expressions
// speak of one.
func (c *compiler) findTails(set *rules.Set) {
	m := c.m
	var words []string
	_, rank := octetRanks(c.texts[:len(c.texts)/8]) // as many as tell what is rare
	for _, w := range set.Tails {
		words = append(words, w.Words...)
		for _, s := range w.Marker {
			marker := []byte(bare(s))
			m.tails = append(m.tails, tail{marker: marker, end: endOf(bare(w.End)), rare: rarest(marker, &rank)})
		}
	}
	m.names = newNames(words, markerWords(set.Wrappers), m.phrases)
	for _, r := range m.rules {
		r.inTail = m.names.in(r.Regex)&ofTail != 0
	}
}

// sort gives the patterns new numbers, the longest first, so that sorting the numbers
// found in a text puts the longest first.
func (c *compiler) sort() {
	m := c.m
	order := longestFirst(m.patterns)
	number := make([]int32, len(order))
	patterns, phrases, texts := make([]pattern, len(order)), make([]string, len(order)), make([]string, len(order))
	for to, from := range order {
		number[from], patterns[to], phrases[to], texts[to] = int32(to), m.patterns[from], m.phrases[from], c.texts[from]
	}
	m.patterns, m.phrases, c.texts = patterns, phrases, texts
	for _, r := range m.rules {
		for _, list := range [][]int32{r.any, r.all, r.none, r.near} {
			for i, p := range list {
				list[i] = number[p]
			}
		}
	}
	for stock, pairs := range c.setsOff {
		l := &m.setsOff[stock]
		l.ends, l.ids = make([]uint32, len(order)+1), make([]int32, len(pairs))
		for _, p := range pairs {
			l.ends[number[p.pattern]+1]++
		}
		for i := 1; i < len(l.ends); i++ {
			l.ends[i] += l.ends[i-1]
		}
		for _, p := range pairs { // now where each list begins, and then where it ends
			end := &l.ends[number[p.pattern]]
			l.ids[*end] = p.rule
			*end++
		}
		l.ends = l.ends[:len(order)]
	}
}

// longestFirst returns the numbers of the patterns in the order of their lengths; those
// of one length keep their order.
func longestFirst(patterns []pattern) []int32 {
	most := int32(0)
	for _, p := range patterns {
		most = max(most, p.runes)
	}
	next := make([]int32, most+2) // where the next one goes, by how much it is shorter than the longest
	for _, p := range patterns {
		next[most-p.runes+1]++
	}
	for i := range most {
		next[i+1] += next[i]
	}
	order := make([]int32, len(patterns))
	for i, p := range patterns {
		at := &next[most-p.runes]
		order[*at] = int32(i)
		*at++
	}
	return order
}

// endOf is nil if a note has no end of its own.
func endOf(s string) []byte {
	if s == "" {
		return nil
	}
	return []byte(s)
}

// markerWords lists the words of the markers. A phrase names a marker if it holds all
// of its words.
func markerWords(wrappers []rules.Wrapper) []string {
	var words []string
	for _, w := range wrappers {
		for _, m := range w.Marker {
			if m = strings.Trim(m, " ([:>-'\""); strings.IndexByte(m, ' ') >= 0 {
				words = append(words, m)
			}
		}
	}
	return words
}

func (c *compiler) rule(i int, r *rules.Compiled, reason rules.Reason, providers map[string]int16) {
	v := &rule{Compiled: r, index: i, category: Category(reason.Category), kind: Type(reason.Type), givenUp: reason.GivenUp}
	if r.Type != "" {
		v.kind = Type(r.Type)
	}
	switch r.About {
	case rules.AboutSender:
		v.about = partySender
	case rules.AboutSenderDomain:
		v.about = partySenderDomain
	case rules.AboutLocal:
		v.about = partyLocal
	case rules.AboutOtherHost:
		v.about = partyOtherHost
	}
	switch {
	case r.Admin:
		v.tier = tierAdmin
	case len(r.Providers) > 0:
		v.tier = tierProvider
	default:
		v.tier = tierGeneral
	}
	if r.StockPhrase {
		v.tier += tierAdminStock
	}
	for _, p := range r.Providers {
		v.providers = append(v.providers, providers[p])
	}
	in := inWords
	if r.Within {
		in = anywhere
	}
	v.any = append(c.anyOf(r.Any, in), c.phrases(r.Tokens, inURL)...)
	v.all, v.none = c.phrases(r.All, in), c.anyOf(r.None, anywhere)
	for _, s := range r.Near {
		if s == rules.NearAddress {
			v.nearAddress = true
			continue
		}
		v.near = append(v.near, c.anyOf([]string{s}, in)...)
	}
	if len(r.Near) > 0 {
		for _, p := range slices.Concat(v.any, v.near) {
			c.m.patterns[p].place = true
		}
	}
	v.conds, _ = conditions(&r.Rule)
	v.expression = newExpression(r.Regex)
	c.m.rules = append(c.m.rules, v)

	set := v.any
	if len(set) == 0 && len(v.all) > 0 {
		longest := v.all[0]
		for _, p := range v.all {
			if c.m.patterns[p].length > c.m.patterns[longest].length {
				longest = p
			}
		}
		set = []int32{longest}
	}
	stock := v.stock()
	for _, p := range set {
		c.setsOff[stock] = append(c.setsOff[stock], setOff{p, int32(i)})
	}
	if len(set) == 0 {
		c.m.always[stock] = append(c.m.always[stock], int32(i))
	}
}

// stock is 1 for a stock phrase, else 0.
func (r *rule) stock() int {
	if r.StockPhrase {
		return 1
	}
	return 0
}

// conditions counts what a rule asks for, and names it: one each for any and token
// together, near, regex, code, status, about, remote_mta, and every phrase of all. What it excludes (none) does
// not count, for that is no evidence, and a guard would put its rule before others. Its
// provider makes its tier and counts only among the administrator's rules.
func conditions(r *rules.Rule) (n int, names string) {
	words := "any or token"
	switch {
	case len(r.Tokens) == 0:
		words = "any"
	case len(r.Any) == 0:
		words = "token"
	}
	list := make([]string, 0, 8)
	for _, c := range []struct {
		name string
		has  bool
	}{
		{words, len(r.Any)+len(r.Tokens) > 0}, {"near", len(r.Near) > 0}, {"regex", r.Regex != ""},
		{"code", len(r.Codes) > 0}, {"status", len(r.Statuses) > 0}, {"about", r.About != ""},
		{"remote_mta", len(r.RemoteMTAs) > 0}, {"provider", r.Admin && len(r.Providers) > 0},
	} {
		if c.has {
			list = append(list, c.name)
		}
	}
	n = len(list) + len(r.All)
	if len(r.All) > 0 {
		list = append(list, plural(len(r.All), "phrase")+" of all")
	}
	return n, strings.Join(list, ", ")
}
