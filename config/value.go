package config

import (
	"fmt"
	"io/fs"
	"log/slog"
	"net/netip"
	"path/filepath"
	"strconv"
	"strings"
	"time"
)

// value is a field of Config as the file writes it.
type value interface {
	// set takes a value as TOML has it. What is wrong with it is reported to
	// bad, for an item of a list with its index, else with whole.
	set(v any, bad report)
	// text is the value in TOML.
	text() string
	// wants names the form, with an example: `a string, as in "tag"`.
	wants() string
}

type report func(item int, format string, a ...any)

// whole is the item that stands for the value itself.
const whole = -1

// typeName says what a TOML value is.
func typeName(v any) string {
	switch v.(type) {
	case string:
		return "a string"
	case int64:
		return "a number"
	case float64:
		return "a fraction"
	case bool:
		return "a boolean"
	case []any:
		return "a list"
	case map[string]any:
		return "a table"
	}
	return "a date"
}

// take returns v if it is a T, and says what is wanted otherwise.
func take[T any](v any, val value, bad report) (t T, ok bool) {
	if t, ok = v.(T); !ok {
		bad(whole, "is %s: write %s", typeName(v), val.wants())
	}
	return t, ok
}

// takeList returns the strings of a list, empty where an item is none.
func takeList(v any, val value, bad report) ([]string, bool) {
	items, ok := take[[]any](v, val, bad)
	if !ok {
		return nil, false
	}
	list := make([]string, len(items))
	for i, item := range items {
		s, isString := item.(string)
		if !isString {
			bad(i, "has %s in the list: write %s", typeName(item), val.wants())
			ok = false
		}
		list[i] = s
	}
	return list, ok
}

func quoteList[T fmt.Stringer](items []T) string {
	list := make([]string, len(items))
	for i, item := range items {
		list[i] = quote(item.String())
	}
	return "[" + strings.Join(list, ", ") + "]"
}

// quote writes a TOML basic string.
func quote(s string) string {
	var b strings.Builder
	b.WriteByte('"')
	for _, r := range s {
		switch {
		case r == '"' || r == '\\':
			b.WriteByte('\\')
			b.WriteRune(r)
		case r < ' ' || r == 0x7f:
			fmt.Fprintf(&b, `\u%04X`, r)
		default:
			b.WriteRune(r)
		}
	}
	b.WriteByte('"')
	return b.String()
}

type socketList struct{ p *[]Socket }

func (v socketList) wants() string { return `a list of strings, as in ["inet:8894@127.0.0.1"]` }
func (v socketList) text() string  { return quoteList(*v.p) }

func (v socketList) set(in any, bad report) {
	list, ok := takeList(in, v, bad)
	if !ok {
		return
	}
	if len(list) == 0 {
		bad(whole, "is empty: name a socket, or leave the key out for %s", quoteList(Default().Listen))
	}
	*v.p = nil
	seen := map[string]bool{}
	for i, s := range list {
		sock, err := ParseSocket(s)
		if err != nil {
			bad(i, "%q %w", s, err)
			continue
		}
		if at := sock.Network[:1] + sock.Address; seen[at] {
			bad(i, "%q is listed twice: take one out", s)
		} else {
			seen[at] = true
		}
		*v.p = append(*v.p, sock)
	}
}

type webSocket struct{ p *Socket }

func (v webSocket) wants() string { return `a string, as in "127.0.0.1:9894"` }
func (v webSocket) text() string  { return quote(v.p.Spelling) }

func (v webSocket) set(in any, bad report) {
	s, ok := take[string](in, v, bad)
	if !ok {
		return
	}
	sock, err := parseWebSocket(s)
	if err != nil {
		bad(whole, "%q %w", s, err)
		return
	}
	*v.p = sock
}

type word struct{ p *string }

func (v word) wants() string { return `a string, as in "postfix"` }
func (v word) text() string  { return quote(*v.p) }

func (v word) set(in any, bad report) {
	if s, ok := take[string](in, v, bad); ok {
		*v.p = s
	}
}

type folder struct{ p *string }

func (v folder) wants() string { return `a string, as in "/etc/bounce-milter/rules.d"` }
func (v folder) text() string  { return quote(*v.p) }

func (v folder) set(in any, bad report) {
	s, ok := take[string](in, v, bad)
	if !ok {
		return
	}
	if s != "" && !filepath.IsAbs(s) {
		bad(whole, "%q is a relative path: write it from the root", s)
		return
	}
	*v.p = s
}

type choice[T ~string] struct {
	p   *T
	all []T
}

func (v choice[T]) text() string { return quote(string(*v.p)) }

func (v choice[T]) wants() string {
	list := make([]string, len(v.all))
	for i, s := range v.all {
		list[i] = quote(string(s))
	}
	return strings.Join(list, " or ")
}

func (v choice[T]) set(in any, bad report) {
	s, ok := take[string](in, v, bad)
	if !ok {
		return
	}
	for _, t := range v.all {
		if s == string(t) {
			*v.p = t
			return
		}
	}
	bad(whole, "%q is none of them: write %s", s, v.wants())
}

type level struct{ p *slog.Level }

var levelNames = []string{"debug", "info", "warn", "error"}

func (v level) text() string { return quote(strings.ToLower(v.p.String())) }

func (v level) wants() string { return choice[string]{all: levelNames}.wants() }

func (v level) set(in any, bad report) {
	name := v.p.String()
	choice[string]{&name, levelNames}.set(in, bad)
	_ = v.p.UnmarshalText([]byte(name)) // one of levelNames, or what it was
}

type prefix struct{ p *string }

func (v prefix) wants() string { return `a string, as in "X-Bounce-"` }
func (v prefix) text() string  { return quote(*v.p) }

// set takes the beginning of a header name (RFC 5322 section 2.2) that takes
// away no header that mail needs.
func (v prefix) set(in any, bad report) {
	s, ok := take[string](in, v, bad)
	if !ok {
		return
	}
	outside := func(r rune) bool { return r <= ' ' || r >= 0x7f || r == ':' }
	switch {
	case strings.ContainsFunc(s, outside):
		bad(whole, `%q has a character that no header name may have: use letters, digits and "-"`, s)
	case len(s) < 3 || !strings.EqualFold(s[:2], "X-"):
		bad(whole, `%q could take away a header that mail needs: begin it with "X-", as in "X-Bounce-"`, s)
	case len(s) > 64:
		bad(whole, "%q is %d octets long: use at most 64", s, len(s))
	default:
		*v.p = s
	}
}

// mappedBits is the length of ::ffff:0:0/96, IPv4-mapped IPv6 (RFC 4291,
// section 2.5.5.2).
const mappedBits = 96

type networks struct{ p *[]netip.Prefix }

func (v networks) wants() string { return `a list of strings, as in ["192.0.2.0/24"]` }
func (v networks) text() string  { return quoteList(*v.p) }

func (v networks) set(in any, bad report) {
	list, ok := takeList(in, v, bad)
	if !ok {
		return
	}
	*v.p = nil
	for i, s := range list {
		if ip, err := netip.ParseAddr(s); err == nil {
			ip = ip.Unmap() // as clients' addresses are compared
			*v.p = append(*v.p, netip.PrefixFrom(ip, ip.BitLen()))
			continue
		}
		p, err := netip.ParsePrefix(s)
		switch {
		case err != nil:
			bad(i, `%q is no network: write an address, or one with the length of its prefix, as in "192.0.2.0/24"`, s)
		case p != p.Masked():
			bad(i, "%q is an address within a network: write %q for it all, or %q for the one",
				s, p.Masked(), p.Addr())
		case p.Addr().Is4In6(): // and so of 96 bits at least, being masked
			*v.p = append(*v.p, netip.PrefixFrom(p.Addr().Unmap(), p.Bits()-mappedBits))
		default:
			*v.p = append(*v.p, p)
		}
	}
}

type fileMode struct{ p *fs.FileMode }

func (v fileMode) wants() string { return `a string of octal digits, as in "0660"` }
func (v fileMode) text() string  { return fmt.Sprintf(`"%04o"`, uint32(*v.p)) }

func (v fileMode) set(in any, bad report) {
	s, ok := take[string](in, v, bad)
	if !ok {
		return
	}
	n, err := strconv.ParseUint(s, 8, 32)
	if err != nil || n > 0o777 {
		bad(whole, "%q is no file mode: write %s", s, v.wants())
		return
	}
	*v.p = fs.FileMode(n)
}

type count struct {
	p        *int
	min, max int
}

func (v count) wants() string { return "a number, as in " + v.text() }
func (v count) text() string  { return strconv.Itoa(*v.p) }

func (v count) set(in any, bad report) {
	n, ok := take[int64](in, v, bad)
	if !ok {
		return
	}
	if n < int64(v.min) || n > int64(v.max) {
		bad(whole, "%d is out of bounds: write a number from %d to %d", n, v.min, v.max)
		return
	}
	*v.p = int(n)
}

type duration struct {
	p        *time.Duration
	min, max time.Duration
}

func (v duration) wants() string { return `a time with its unit, as in "30s" or "2h"` }

func (v duration) text() string { return quote(durationText(*v.p)) }

// durationText leaves out the units that are zero: "2h", not "2h0m0s".
func durationText(d time.Duration) string {
	s := d.String()
	if strings.HasSuffix(s, "m0s") {
		s = strings.TrimSuffix(s, "0s")
	}
	if strings.HasSuffix(s, "h0m") {
		s = strings.TrimSuffix(s, "0m")
	}
	return s
}

func (v duration) set(in any, bad report) {
	s, ok := take[string](in, v, bad)
	if !ok {
		return
	}
	d, err := time.ParseDuration(s)
	switch {
	case err != nil:
		bad(whole, "%q is no time: write %s", s, v.wants())
	case d < v.min || d > v.max:
		bad(whole, "%q is out of bounds: write a time from %s to %s", s, durationText(v.min), durationText(v.max))
	default:
		*v.p = d
	}
}

// size is a number of octets: bare, or a string with its unit.
type size[T int | int64] struct {
	p        *T
	min, max T
}

var units = []struct {
	name   string
	octets int64
}{{"GiB", gib}, {"MiB", mib}, {"KiB", kib}}

func (v size[T]) wants() string { return `a number of octets, or a string as in "256KiB"` }
func (v size[T]) text() string  { return sizeText(int64(*v.p)) }

func sizeText(n int64) string {
	for _, u := range units {
		if n >= u.octets && n%u.octets == 0 {
			return fmt.Sprintf(`"%d%s"`, n/u.octets, u.name)
		}
	}
	return strconv.FormatInt(n, 10)
}

func (v size[T]) set(in any, bad report) {
	var n int64
	switch in := in.(type) {
	case int64:
		n = in
	case string:
		var ok bool
		if n, ok = parseSize(in); !ok {
			bad(whole, "%q is no size: write %s", in, v.wants())
			return
		}
	default:
		take[string](in, v, bad)
		return
	}
	if n < int64(v.min) || n > int64(v.max) {
		bad(whole, "%v is out of bounds: write a size from %s to %s", in, sizeText(int64(v.min)), sizeText(int64(v.max)))
		return
	}
	*v.p = T(n)
}

// parseSize reads a number with a unit, which may be written K, KB or KiB for
// the same 1,024 octets.
func parseSize(s string) (int64, bool) {
	digits := strings.TrimRight(s, "KMGTiIBbkmgt ")
	n, err := strconv.ParseInt(digits, 10, 64)
	if err != nil || n < 0 {
		return 0, false
	}
	unit := strings.ToUpper(strings.TrimSpace(s[len(digits):]))
	unit = strings.TrimSuffix(strings.TrimSuffix(unit, "B"), "I")
	factor, ok := map[string]int64{"": 1, "K": kib, "M": mib, "G": gib}[unit]
	if !ok || n > 1<<62/factor {
		return 0, false
	}
	return n * factor, true
}
