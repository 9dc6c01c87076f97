package rules

import (
	"strconv"
	"strings"

	"github.com/bounce-milter/bounce-milter/classify/reply"
	"github.com/bounce-milter/bounce-milter/internal/ascii"
	"github.com/bounce-milter/bounce-milter/internal/toml"
)

// Choice is one category that the seed table gives a pair of codes.
type Choice struct {
	Category string `json:"category"`
	Reason   string `json:"reason"`
	Rows     int    `json:"rows"` // rows of the table that say so
}

// Pair is what the seed table says of one (SMTP code, enhanced code).
type Pair struct {
	Name    string   // "550 5.1.1", or "550" for a bare SMTP code
	Choices []Choice // the one that wins without words first
}

// Meaning is what a registry says of one code.
type Meaning struct {
	Name    string // "5.1.1" or "550"
	Reason  string // Unknown if the code says nothing that has a name
	Meaning string // in our words
}

// Codes are the tables, indexed for look-ups that allocate nothing.
type Codes struct {
	pairs    map[pairKey]*Pair
	statuses map[reply.Status]*Meaning // every registered code in the classes 2, 4 and 5
	smtp     map[int]*Meaning
	order    []pairKey // of first appearance in the seed table
}

type pairKey struct {
	code   int
	status reply.Status // zero for "-"
}

// Pair returns the seed table's entry, nil if it has none. The zero Status
// asks for the row of the bare SMTP code.
func (c *Codes) Pair(code int, s reply.Status) *Pair { return c.pairs[pairKey{code, s}] }

// Status returns the registered meaning of an enhanced code. A detail that
// nobody registered counts as the "other" of its subject (RFC 3463 section 2).
func (c *Codes) Status(s reply.Status) *Meaning {
	if m := c.statuses[s]; m != nil {
		return m
	}
	s.Detail = 0
	return c.statuses[s]
}

// SMTP returns the registered meaning of a reply code, nil if it has none.
func (c *Codes) SMTP(code int) *Meaning { return c.smtp[code] }

// Pairs calls f for every pair of the seed table, in the table's order.
func (c *Codes) Pairs(f func(code int, s reply.Status, p *Pair)) {
	for _, k := range c.order {
		f(k.code, k.status, c.pairs[k])
	}
}

// table is a TSV file with a heading, read row by row.
type table struct {
	file string
	rows []row
}

type row struct {
	line int
	cell []string
}

func parseTable(file, data string, columns int, problems *Problems) table {
	t := table{file: file}
	for i, l := range strings.Split(strings.TrimRight(data, "\n"), "\n") {
		cell := strings.Split(strings.TrimRight(l, "\r"), "\t")
		if len(cell) != columns {
			*problems = append(*problems, Problem{File: file, Line: i + 1,
				Message: "row of " + strconv.Itoa(len(cell)) + " columns in a table of " + strconv.Itoa(columns)})
			continue
		}
		if i > 0 {
			t.rows = append(t.rows, row{i + 1, cell})
		}
	}
	return t
}

// codesBuilder fills Codes and collects what is wrong with the tables.
type codesBuilder struct {
	*Codes
	gists    map[string]string
	reasons  map[string]Reason
	problems *Problems
}

func (b codesBuilder) complain(file string, line int, msg string) {
	*b.problems = append(*b.problems, Problem{File: file, Line: line, Message: msg})
}

// reason checks a reason's name.
func (b codesBuilder) reason(file string, line int, name string) string {
	if r, ok := b.gists[name]; ok {
		name = r
	}
	if _, ok := b.reasons[name]; !ok {
		b.complain(file, line, "unknown reason "+strconv.Quote(name)+toml.DidYouMean(name, reasonIDs(b.reasons)))
	}
	return name
}

// addSeed adds a row of the published table. If a pair has several categories, the one
// with more rows wins, then the one listed first. The same holds for the gists of a
// category.
func (b codesBuilder) addSeed(t table) {
	type gistKey struct {
		pairKey
		category, reason string
	}
	gists := map[gistKey]int{}
	for _, r := range t.rows {
		k := pairKey{code: AnyCode(r.cell[1])}
		name := r.cell[1]
		if r.cell[2] != "-" {
			k.status = reply.ParseStatus(r.cell[2])
			name += " " + r.cell[2]
		}
		if k.code == 0 || r.cell[2] != "-" && k.status == (reply.Status{}) {
			b.complain(t.file, r.line, "not a pair of codes: "+r.cell[1]+" "+r.cell[2])
			continue
		}
		category, reason := r.cell[0], b.reason(t.file, r.line, r.cell[3])
		p := b.pairs[k]
		if p == nil {
			p = &Pair{Name: name}
			b.pairs[k] = p
			b.order = append(b.order, k)
		}
		at := 0
		for at < len(p.Choices) && p.Choices[at].Category != category {
			at++
		}
		if at == len(p.Choices) {
			p.Choices = append(p.Choices, Choice{Category: category, Reason: reason})
		}
		c := &p.Choices[at]
		c.Rows++
		g := gistKey{k, category, reason}
		gists[g]++
		if gists[g] > gists[gistKey{k, category, c.Reason}] {
			c.Reason = reason
		}
	}
	for _, p := range b.pairs {
		best := 0
		for i, c := range p.Choices {
			if c.Rows > p.Choices[best].Rows {
				best = i
			}
		}
		first := p.Choices[best]
		copy(p.Choices[1:best+1], p.Choices[:best])
		p.Choices[0] = first
	}
}

// addStatuses adds registered enhanced codes; "x" as class stands for 2, 4 and
// 5, a row for one class beats it.
func (b codesBuilder) addStatuses(t table) {
	for _, specific := range []bool{false, true} {
		for _, r := range t.rows {
			code := r.cell[0]
			if strings.HasPrefix(code, "x.") == specific {
				continue
			}
			classes := []string{code[:min(1, len(code))]}
			if !specific {
				classes = []string{"2", "4", "5"}
			}
			reason := b.reason(t.file, r.line, r.cell[1])
			for _, class := range classes {
				name := class + code[min(1, len(code)):]
				s := reply.ParseStatus(name)
				if s == (reply.Status{}) {
					b.complain(t.file, r.line, "not an enhanced code: "+code)
					break
				}
				b.statuses[s] = &Meaning{name, reason, r.cell[3]}
			}
		}
	}
}

func (b codesBuilder) addSMTP(t table) {
	for _, r := range t.rows {
		n := AnyCode(r.cell[0])
		if n == 0 {
			b.complain(t.file, r.line, "not an SMTP code: "+r.cell[0])
			continue
		}
		b.smtp[n] = &Meaning{r.cell[0], b.reason(t.file, r.line, r.cell[1]), r.cell[3]}
	}
}

// AnyCode reads a number of three digits from 200 up and nothing else. It also accepts
// codes that no server should send, because published tables contain some. It returns 0
// for anything else.
func AnyCode(s string) int {
	if len(s) != 3 || s[0] < '2' {
		return 0
	}
	n := 0
	for _, c := range []byte(s) {
		if !ascii.IsDigit(c) {
			return 0
		}
		n = 10*n + int(c-'0')
	}
	return n
}
