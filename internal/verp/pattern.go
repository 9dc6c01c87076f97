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
	fieldLocal  field = iota // local part of the recipient's address
	fieldDomain              // domain of that address
	fieldList
	fieldToken
	fieldMAC
	fieldNumber // only in well-known forms
	fields
)

var fieldNames = [fields]string{"local", "domain", "list", "token", "mac", "number"}

// configurable is how many of the fields an administrator may use: the first so many.
const configurable = int(fieldNumber)

// punctuation is what a field may contain besides letters and digits. A local part may
// contain the dot and all of atext (RFC 5322 section 3.2.3). Local parts and domains may
// also contain characters outside ASCII (RFC 6531).
var punctuation = [fields]string{
	fieldLocal: atext,
	// RFC 1123 section 2.1.
	fieldDomain: "-.",
	fieldList:   "-._",
	fieldToken:  "-._~", // UUIDs, base64url, numbers; RFC 3986 section 2.3
	fieldMAC:    "",     // hexadecimal or base32
}

const atext = "!#$%&'*+-/=?^_`{|}~."

// holds reports whether a field may contain an octet.
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

// excludes reports whether a field cannot contain a text, because it cannot contain one of
// its octets.
func excludes(f field, text string) bool {
	for i := 0; i < len(text); i++ {
		if !holds(f, text[i]) {
			return true
		}
	}
	return false
}

// pattern describes a local part: fields with text before, between and after them.
type pattern struct {
	text   string   // as it was written
	domain string   // lower case, "" for any
	fields []field  // at least one
	texts  []string // lower case; one more than there are fields
	cuts   []cut    // one for each text between two fields
}

// maxPattern is how many octets may precede the "@". It limits the work of comparing
// patterns. SMTP allows 64 (RFC 5321 section 4.5.3.1.1).
const maxPattern = 128

// parse reads a pattern. The error says what to write instead.
func parse(text string) (*pattern, error) {
	const example = `as in "bounces+{local}={domain}@lists.example.org"`
	local, domain, ok := cutDomain(text)
	if !ok || strings.IndexByte(local, '@') >= 0 {
		return nil, fmt.Errorf(`is not an address: write one "@" with something before and after it, %s`, example)
	}
	if strings.ContainsAny(domain, "{}") {
		return nil, fmt.Errorf(`has a placeholder after the "@": write the domain itself, one pattern for each domain, %s`, example)
	}
	if len(local) > maxPattern {
		return nil, fmt.Errorf(`has %d octets before the "@": write at most %d`, len(local), maxPattern)
	}
	domain = strings.TrimSuffix(lower(domain), ".")
	if !isHost(domain) {
		return nil, fmt.Errorf("%q is not a domain: write what follows the \"@\" in your bounce addresses", domain)
	}
	p := &pattern{text: text, domain: domain}
	if err := p.parse(lower(local), configurable); err != nil {
		return nil, err
	}
	has := func(f field) bool { return slices.Contains(p.fields, f) }
	switch {
	case !has(fieldLocal) && !has(fieldDomain) && !has(fieldToken):
		return nil, fmt.Errorf("does not say whom the mail was sent to: write {local} and {domain}, or {token}, %s", example)
	case has(fieldLocal) != has(fieldDomain):
		return nil, fmt.Errorf("has only one of {local} and {domain}, which are an address only together: write both, %s", example)
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
			return fmt.Errorf(`has a single brace: write a placeholder as in "{local}"`)
		}
		name := local[1:end]
		local = local[end+1:]
		f := slices.Index(fieldNames[:known], name)
		if f < 0 {
			return fmt.Errorf("has {%s}, which is not a placeholder%s", name, toml.DidYouMean(name, fieldNames[:known]))
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
			return fmt.Errorf("has %q, which contains a character that no address may contain: take it out", t)
		}
	}
	return nil
}

// cut divides a run of fields in two at the text before one of them. The text may occur
// several times in an address: the cut is where it occurs first in the run, or last.
type cut struct {
	field    int // the text is the one before this field
	from, to int // the run
	last     bool
}

// order decides where to cut the fields apart, so that every address can be read in only
// one way. If some address can be read in two ways, the error says where.
func (p *pattern) order() error { return p.orderRun(0, len(p.fields)) }

// orderRun does the same for a run of fields. If a text has an octet that cannot occur in
// what precedes it in the run, the text is where it occurs first; if it has an octet that
// cannot occur in what follows it, the text is where it occurs last. Such a text cuts the
// run in two.
func (p *pattern) orderRun(from, to int) error {
	for i := from + 1; i < to; i++ {
		if p.texts[i] == "" {
			return fmt.Errorf(`has {%s}{%s} side by side, so it is unclear where the first ends: write something between them, such as "+" or "="`,
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
	return fmt.Errorf(`can be read in two ways, because it is unclear which %q is the one before {%s}: write something else there, such as "+" or "="`,
		p.texts[to-1], fieldNames[p.fields[to-1]])
}

func (p *pattern) cutRun(c cut) error {
	p.cuts = append(p.cuts, c)
	if err := p.orderRun(c.from, c.field); err != nil {
		return err
	}
	return p.orderRun(c.field, c.to)
}

// lacks reports whether a text has an octet that cannot occur in a run of fields or in the
// texts between them.
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

// match reads a local part; low is the local part in lower case.
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
	if m.MAC != "" {
		m.Signed = p.signed(value)
	}
	return m
}

// signed returns the address with these values, and {mac} in the place of its MAC.
func (p *pattern) signed(value [fields]string) string {
	value[fieldMAC] = "{" + fieldNames[fieldMAC] + "}"
	var b strings.Builder
	for i, f := range p.fields {
		b.WriteString(p.texts[i] + value[f])
	}
	return b.String() + p.texts[len(p.fields)] + "@" + p.domain
}

// values returns the value of each field.
func (p *pattern) values(local, low string) (value [fields]string, ok bool) {
	front, back := p.texts[0], p.texts[len(p.fields)]
	if len(low) < len(front)+len(back) || !strings.HasPrefix(low, front) || !strings.HasSuffix(low, back) {
		return value, false
	}
	var start, end [fields]int // of each field; a run starts with its first field and ends with its last
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
