package dsn

import (
	"bytes"
	"slices"
	"strings"

	"github.com/bounce-milter/bounce-milter/internal/address"
	"github.com/bounce-milter/bounce-milter/internal/ascii"
)

// This file says whether every program reads the same recipients from a report. This
// package is lenient, and others are so in other places: where it reads one recipient from
// a field with two, or fields that stand in a text, another program may read the second, or
// see no report, and search the words of the message.

// plain reports whether a message is a report just as RFC 3464 and RFC 6522 have it. raw is
// the message as it came.
func (r *reading) plain(raw []byte) bool {
	body := r.body
	if bytes.HasPrefix(raw, []byte("From ")) { // of an mbox
		_, raw = cutLine(raw)
	}
	if !r.inParts || r.tree.odd || !r.work.Take((len(raw)+len(body))/8+1) {
		return false
	}
	if loneCR(raw) || !plainHeader(raw[:len(raw)-len(body)]) || isOdd(r.top) {
		return false
	}
	bounced := false
	for i := range r.tree.parts {
		p := &r.tree.parts[i]
		if !isReport(p.header) {
			continue
		}
		groups, ok := plainGroups(p.body)
		if !ok || !p.identity() {
			return false
		}
		for _, g := range groups {
			a, ok := g.plain()
			if !ok {
				return false
			}
			bounced = bounced || a.Bounced()
		}
	}
	// Other programs may find a report where none is said to be: below "From " in a part,
	// or before the first boundary.
	return bounced && r.tree.named == countStatus(body)
}

// isReport reports whether a part is of the type that RFC 3464 describes, in so many words.
func isReport(h header) bool {
	name, _, _ := strings.Cut(string(h.raw("Content-Type")), ";")
	return strings.EqualFold(strings.Trim(name, " \t"), "message/delivery-status")
}

// note notes what plain asks about the header of a part: b is the header as it stands there.
func (w *tree) note(h header, b []byte) {
	if !w.strict {
		return
	}
	w.odd = w.odd || isOdd(h) || !plainHeader(b)
	if isReport(h) || parseMediaType(h.raw("Content-Type")).multipart() {
		w.named += countStatus(b)
	}
}

// isOdd reports whether programs may disagree about what a part holds: by two fields about
// it, or one with comments, continued or repeated parameters (RFC 2231).
func isOdd(h header) bool {
	seen := false
	for i := range h {
		if !ascii.EqualFold(h[i].name, "Content-Type") {
			continue
		}
		if seen || !plainParams(h[i].value) {
			return true
		}
		seen = true
		_, params, _ := strings.Cut(strings.ToLower(unfold(h[i].value)), ";")
		boundaries := 0
		for params != "" {
			var key string
			if key, _, params = nextParam(params); key == "boundary" {
				boundaries++
			}
		}
		if boundaries > 1 {
			return true
		}
	}
	return false
}

// plainParams reports whether a field has parameters without comments, continuations and
// escaped characters.
func plainParams(value []byte) bool {
	quoted := false
	for _, c := range value {
		switch {
		case c == '"':
			quoted = !quoted
		case c == '\\', !quoted && (c == '(' || c == ')' || c == '*'):
			return false
		}
	}
	return !quoted
}

// plainHeader reports whether a header has nothing but fields, and an empty line after
// them.
func plainHeader(b []byte) bool {
	for first := true; len(b) > 0; first = false {
		line, rest := cutLine(b)
		switch {
		case len(line) == 0:
			return len(rest) == 0
		case line[0] == ' ' || line[0] == '\t':
			if first || len(bytes.TrimLeft(line, " \t")) == 0 {
				return false
			}
		default:
			if n, colon := fieldName(line); n == 0 || n != colon {
				return false
			}
		}
		b = rest
	}
	return false
}

// plainGroup are the fields about one recipient; nil is one that is not there.
type plainGroup struct{ final, original, actual, action []byte }

// plainGroups reads the fields of a report (RFC 3464 section 2.1). ok is false if something
// among them is no field, or a field about a recipient is not where it should be.
func plainGroups(b []byte) (groups []plainGroup, ok bool) {
	var g plainGroup
	end := func() bool {
		if g.final == nil {
			return g.original == nil && g.action == nil && g.actual == nil
		}
		groups, g = append(groups, g), plainGroup{}
		return true
	}
	var last *[]byte
	start, field := 0, false // of the last value; whether there is one in this group
	for at := 0; at < len(b); {
		line, rest := cutLine(b[at:])
		to := at + len(line)
		n, colon := fieldName(line)
		switch {
		case bytes.ContainsFunc(line, isControl):
			return nil, false
		case len(line) == 0:
			if !end() {
				return nil, false
			}
			last, field = nil, false
		case line[0] == ' ' || line[0] == '\t':
			if !field || len(bytes.TrimLeft(line, " \t")) == 0 {
				return nil, false
			}
			if last != nil {
				*last = b[start:to]
			}
		case n == 0 || n != colon:
			return nil, false
		default:
			last, start, field = g.place(line[:n]), at+colon+1, true
			if last != nil && *last != nil { // twice
				return nil, false
			}
			if last != nil {
				*last = b[start:to]
			}
		}
		at = len(b) - len(rest)
	}
	return groups, end()
}

func isControl(c rune) bool { return c < ' ' && c != '\t' || c == 0x7f }

// place returns where the value of a field goes, nil if it does not say who failed.
func (g *plainGroup) place(name []byte) *[]byte {
	switch {
	case ascii.EqualFold(name, fieldNames[fieldFinal]):
		return &g.final
	case ascii.EqualFold(name, fieldNames[fieldOriginal]):
		return &g.original
	case ascii.EqualFold(name, fieldNames[fieldAction]):
		return &g.action
	case ascii.EqualFold(name, "X-Actual-Recipient"):
		return &g.actual
	}
	return nil
}

// plain returns the action. ok is false if it is not a registered one, with or without a
// comment, or if an address can be read in two ways.
func (g *plainGroup) plain() (a Action, ok bool) {
	word, _, _ := strings.Cut(strings.ToLower(strings.Trim(string(g.action), " \t")), " ")
	a = Action(word)
	if !slices.Contains(Actions(), a) || !plainAddress(g.final) || g.original != nil && !plainAddress(g.original) {
		return "", false
	}
	// Exim, Sendmail: the address behind an alias.
	return a, g.actual == nil || same(g.actual, g.final) || same(g.actual, g.original)
}

func same(a, b []byte) bool { return strings.EqualFold(unfold(a), unfold(b)) }

// plainAddress reports whether the value of Final-Recipient or Original-Recipient is
// "rfc822;" and one address without quotation marks, comments and the like.
func plainAddress(value []byte) bool {
	kind, addr, ok := strings.Cut(unfold(value), ";")
	addr = strings.TrimSpace(addr)
	if n := len(addr); n > 2 && addr[0] == '<' && addr[n-1] == '>' {
		addr = addr[1 : n-1]
	}
	at := strings.IndexByte(addr, '@')
	if !ok || !strings.EqualFold(strings.TrimSpace(kind), "rfc822") || at <= 0 || !address.IsMailbox(addr) || strings.Contains(addr, "=?") {
		return false
	}
	for i := 0; i < len(addr); i++ {
		c := addr[i]
		switch {
		case ascii.IsAlnum(c), c == '.', c == '-', c == '_', i == at:
		case i > at, strings.IndexByte("!#$%&'+/=?^`{|}~", c) < 0: // RFC 5322 section 3.2.3, without "*"
			return false
		}
	}
	return strings.EqualFold(readAddress(string(value)), addr)
}

// countStatus counts where a text names a part with the fields of a report.
func countStatus(b []byte) (n int) {
	for {
		at := findStatus(b)
		if at < 0 {
			return n
		}
		n++
		b = b[at:]
	}
}
