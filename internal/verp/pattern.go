package verp

import (
	"fmt"
	"slices"
	"strings"

	"github.com/bounce-milter/bounce-milter/internal/address"
	"github.com/bounce-milter/bounce-milter/internal/ascii"
	"github.com/bounce-milter/bounce-milter/internal/toml"
)

// field is a placeholder.
type field uint8

const (
	fieldLocal  field = iota // of the recipient's address
	fieldDomain              // of it
	fieldList
	fieldToken
	fieldMAC
	fieldNumber // in well-known forms alone
	fields
)

var fieldNames = [fields]string{"local", "domain", "list", "token", "mac", "number"}

// configurable is how many fields an administrator may write.
const configurable = int(fieldNumber)

// punctuation is what a field may hold beside letters and digits. All of RFC 5322's
// atext and the dot may stand in a local part, and in letters outside ASCII (RFC 6531)
// as in a domain.
var punctuation = [fields]string{
	fieldLocal: atext,
	// RFC 1123 section 2.1.
	fieldDomain: "-.",
	fieldList:   "-._",
	fieldToken:  "-._~", // UUIDs, base64url, numbers; RFC 3986 section 2.3
	fieldMAC:    "",     // hexadecimal or base32
}

const atext = "!#$%&'*+-/=?^_`{|}~."

// holds reports whether an octet may stand in a field.
func holds(f field, c byte) bool { return octets[f][c] }

var octets = func() (may [fields][256]bool) {
	for f := range fields {
		for c := range 256 {
			switch c := byte(c); {
			case c >= 0x80:
				may[f][c] = f == fieldLocal || f == fieldDomain
			case f == fieldNumber:
				may[f][c] = ascii.IsDigit(c)
			default:
				may[f][c] = ascii.IsAlnum(c) || c != 0 && strings.IndexByte(punctuation[f], c) >= 0
			}
		}
	}
	return may
}()

// excludes reports whether a text can never stand in a field: one of its octets cannot.
func excludes(f field, text string) bool {
	for i := 0; i < len(text); i++ {
		if !holds(f, text[i]) {
			return true
		}
	}
	return false
}

// pattern is what a local part looks like: fields with text before, between and behind
// them.
type pattern struct {
	text   string   // as it was written
	domain string   // lower case, "" for any
	fields []field  // at least one
	texts  []string // lower case; one more than there are fields
	cuts   []cut    // one for each text between two fields
}

// maxPattern bounds what stands before the "@", in octets: it bounds the work of
// comparing patterns. SMTP carries 64 (RFC 5321 section 4.5.3.1.1).
const maxPattern = 128

// parse reads a pattern. The error says the mend.
func parse(text string) (*pattern, error) {
	const example = `as in "bounces+{local}={domain}@lists.example.org"`
	local, domain, ok := cutDomain(text)
	if !ok || strings.IndexByte(local, '@') >= 0 {
		return nil, fmt.Errorf(`is no address: write one "@" with something before and behind it, %s`, example)
	}
	if strings.ContainsAny(domain, "{}") {
		return nil, fmt.Errorf(`has a placeholder behind the "@": write the domain as it is, a pattern for each, %s`, example)
	}
	if len(local) > maxPattern {
		return nil, fmt.Errorf(`has %d octets before the "@": write at most %d`, len(local), maxPattern)
	}
	domain = strings.TrimSuffix(lower(domain), ".")
	if !isHost(domain) {
		return nil, fmt.Errorf("%q is no domain: write the name behind the \"@\" of your bounce addresses", domain)
	}
	p := &pattern{text: text, domain: domain}
	if err := p.parse(lower(local), configurable); err != nil {
		return nil, err
	}
	has := func(f field) bool { return slices.Contains(p.fields, f) }
	switch {
	case !has(fieldLocal) && !has(fieldDomain) && !has(fieldToken):
		return nil, fmt.Errorf("says of nobody to whom the mail was sent: write {local} and {domain}, or {token}, %s", example)
	case has(fieldLocal) != has(fieldDomain):
		return nil, fmt.Errorf("has one of {local} and {domain}, which are no address without each other: write both, %s", example)
	}
	return p, p.order()
}

// parse reads what is before the domain.
func (p *pattern) parse(local string, known int) error {
	text := ""
	for local != "" {
		i := strings.IndexAny(local, "{}")
		if i < 0 {
			i = len(local)
		}
		text, local = text+local[:i], local[i:]
		if local == "" {
			break
		}
		end := strings.IndexByte(local, '}')
		if local[0] == '}' || end < 0 {
			return fmt.Errorf(`has a brace by itself: write a placeholder as in "{local}"`)
		}
		name := local[1:end]
		local = local[end+1:]
		f := slices.Index(fieldNames[:known], name)
		if f < 0 {
			return fmt.Errorf("has {%s}, which is no placeholder%s", name, toml.DidYouMean(name, fieldNames[:known]))
		}
		if slices.Contains(p.fields, field(f)) {
			return fmt.Errorf("has {%s} twice: write it once", name)
		}
		p.fields, p.texts = append(p.fields, field(f)), append(p.texts, text)
		text = ""
	}
	p.texts = append(p.texts, text)
	for _, t := range p.texts {
		if excludes(fieldLocal, t) {
			return fmt.Errorf("has %q, in which something can stand in no address: take it out", t)
		}
	}
	return nil
}

// cut finds the text before a field, within the run of fields that is to be cut there:
// the first such text in the run, or the last one.
type cut struct {
	field    int
	from, to int // the run
	last     bool
}

// order finds out how to cut the fields apart so that there is one way only to read any
// address. The error says where there are two.
func (p *pattern) order() error { return p.orderRun(0, len(p.fields)) }

// orderRun does so in a run of fields. If a text has an octet that can stand nowhere
// before it in the run, it is the first such text; if it has one that can stand nowhere
// behind it, it is the last. Such a text cuts the run in two.
func (p *pattern) orderRun(from, to int) error {
	for i := from + 1; i < to; i++ {
		if p.texts[i] == "" {
			return fmt.Errorf(`has {%s}{%s} side by side, so that nobody can tell where one ends: write something between them, such as "+" or "="`,
				fieldNames[p.fields[i-1]], fieldNames[p.fields[i]])
		}
	}
	for i := from + 1; i < to; i++ {
		isFirst := p.lacks(p.texts[i], from, i)
		if !isFirst && !p.lacks(p.texts[i], i, to) {
			continue
		}
		return p.cutRun(cut{field: i, from: from, to: to, last: !isFirst})
	}
	if to-from < 2 {
		return nil
	}
	return fmt.Errorf(`can be read in two ways, for nothing tells which %q is the one before {%s}: write something else there, such as "+" or "="`,
		p.texts[to-1], fieldNames[p.fields[to-1]])
}

func (p *pattern) cutRun(c cut) error {
	p.cuts = append(p.cuts, c)
	if err := p.orderRun(c.from, c.field); err != nil {
		return err
	}
	return p.orderRun(c.field, c.to)
}

// lacks reports whether a text has an octet that can stand in none of a run of fields
// and of the texts between these.
func (p *pattern) lacks(text string, from, to int) bool {
next:
	for i := 0; i < len(text); i++ {
		for j := from; j < to; j++ {
			if holds(p.fields[j], text[i]) || j > from && strings.IndexByte(p.texts[j], text[i]) >= 0 {
				continue next
			}
		}
		return true
	}
	return false
}

// match reads a local part; low is the same in lower case.
func (p *pattern) match(local, low string) Match {
	value, ok := p.values(local, low)
	m := Match{List: value[fieldList], Token: value[fieldToken], MAC: value[fieldMAC]}
	if value[fieldDomain] != "" {
		m.Address = value[fieldLocal] + "@" + value[fieldDomain]
		ok = ok && isHost(value[fieldDomain]) && address.IsMailbox(m.Address)
	}
	if !ok {
		return Match{}
	}
	return m
}

// values returns what stands in the place of each field.
func (p *pattern) values(local, low string) (value [fields]string, ok bool) {
	front, back := p.texts[0], p.texts[len(p.fields)]
	if len(low) < len(front)+len(back) || !strings.HasPrefix(low, front) || !strings.HasSuffix(low, back) {
		return value, false
	}
	var start, end [fields]int // of each field; of a run, those of its first and its last
	start[0], end[len(p.fields)-1] = len(front), len(low)-len(back)
	for _, c := range p.cuts {
		text, run := p.texts[c.field], low[start[c.from]:end[c.to-1]]
		n := strings.Index(run, text)
		if c.last {
			n = strings.LastIndex(run, text)
		}
		if n < 0 {
			return value, false
		}
		end[c.field-1] = start[c.from] + n
		start[c.field] = end[c.field-1] + len(text)
	}
	for i, f := range p.fields {
		value[f] = local[start[i]:end[i]]
		if value[f] == "" || excludes(f, value[f]) {
			return value, false
		}
	}
	return value, true
}
