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

	"github.com/bounce-milter/bounce-milter/internal/toml"
	"github.com/bounce-milter/bounce-milter/milter"
)

// value is a field of Config as the file writes it.
type value interface {
	// set takes a value of the file. It reports what is wrong to bad, with
	// the index of a list's item, or whole.
	set(in toml.Value, bad report)
	// text returns the value in TOML.
	text() string
	// wants describes the form, with an example: `a string, as in "tag"`.
	wants() string
}

type report func(item int, format string, a ...any)

// whole is the index that stands for the value itself, not an item of a list.
const whole = -1

// is reports whether a value is of a kind; if not, it tells bad what is wanted.
func is(k toml.Kind, in toml.Value, v value, bad report) bool {
	if in.Kind != k {
		bad(whole, "is %s: write %s", in.Kind, v.wants())
	}
	return in.Kind == k
}

// takeList returns the strings of a list.
func takeList(in toml.Value, v value, bad report) ([]string, bool) {
	if !is(toml.List, in, v, bad) {
		return nil, false
	}
	ok := true
	list := make([]string, len(in.List))
	for i, item := range in.List {
		if item.Kind != toml.String {
			bad(i, "has %s in the list: write %s", item.Kind, v.wants())
			ok = false
		}
		list[i] = item.Text
	}
	return list, ok
}

type sockets struct{ p *[]milter.Socket }

func (v sockets) wants() string { return `a list of strings, as in ["inet:8894@127.0.0.1"]` }
func (v sockets) text() string  { return toml.QuoteList(*v.p) }

// set leaves the zero Socket for an item that is wrong, so that the others keep
// their indices.
func (v sockets) set(in toml.Value, bad report) {
	list, ok := takeList(in, v, bad)
	if !ok {
		return
	}
	*v.p = make([]milter.Socket, len(list))
	for i, s := range list {
		var err error
		if (*v.p)[i], err = milter.ParseSocket(s); err != nil {
			bad(i, "%q %v", s, err)
		}
	}
}

type metricsSocket struct{ p *milter.Socket }

func (v metricsSocket) wants() string { return `a string, as in "127.0.0.1:9894"` }

// text is host:port if that means the same: metrics are served over HTTP.
func (v metricsSocket) text() string {
	if s, err := milter.ParseMetricsSocket(v.p.Address); err == nil && s == *v.p && s.Network == "tcp" {
		return toml.Quote(s.Address)
	}
	return toml.Quote(v.p.String())
}

func (v metricsSocket) set(in toml.Value, bad report) {
	if !is(toml.String, in, v, bad) {
		return
	}
	s := in.Text
	sock, err := milter.ParseMetricsSocket(s)
	if err != nil {
		bad(whole, "%q %v", s, err)
		return
	}
	*v.p = sock
}

type word struct {
	p       *string
	example string
}

func (v word) wants() string { return "a string, as in " + toml.Quote(v.example) }
func (v word) text() string  { return toml.Quote(*v.p) }

func (v word) set(in toml.Value, bad report) {
	if is(toml.String, in, v, bad) {
		*v.p = in.Text
	}
}

// link is a URL, of which the log does not get what stands behind its "?": some put
// secrets there.
type link struct{ word }

func (v link) logged() string {
	if before, _, ok := strings.Cut(*v.p, "?"); ok {
		return toml.Quote(before + "?…")
	}
	return v.text()
}

// folder is the path of a folder, or of a file.
type folder struct {
	p       *string
	example string
}

func (v folder) wants() string { return "a string, as in " + toml.Quote(v.example) }
func (v folder) text() string  { return toml.Quote(*v.p) }

func (v folder) set(in toml.Value, bad report) {
	if !is(toml.String, in, v, bad) {
		return
	}
	s := in.Text
	if s != "" && !filepath.IsAbs(s) {
		bad(whole, "%q is a relative path: write it from the root", s)
		return
	}
	*v.p = s
}

// both is one key that fills two fields, of which one counts.
type both struct {
	value
	other value
}

func (v both) set(in toml.Value, bad report) {
	v.value.set(in, bad)
	v.other.set(in, func(int, string, ...any) {}) // said above
}

// words is a list of strings. Validate checks it, in the package that defines them.
type words struct {
	p       *[]string
	example string
}

func (v words) wants() string { return "a list of strings, as in [" + toml.Quote(v.example) + "]" }

func (v words) text() string { return toml.QuoteList(*v.p) }

func (v words) set(in toml.Value, bad report) {
	if list, ok := takeList(in, v, bad); ok {
		*v.p = append([]string(nil), list...) // nil if empty, as where nobody set it
	}
}

// choice is one of a few words. Validate checks it, in the package that defines them.
type choice[T ~string] struct {
	p   *T
	all []T
}

func (v choice[T]) text() string  { return toml.Quote(string(*v.p)) }
func (v choice[T]) wants() string { return toml.OneOf(v.all) }

func (v choice[T]) set(in toml.Value, bad report) {
	if is(toml.String, in, v, bad) {
		*v.p = T(in.Text)
	}
}

type level struct{ p *slog.Level }

func (v level) text() string { return toml.Quote(levelName(*v.p)) }

func (v level) wants() string {
	var names []string
	for _, l := range logLevels {
		names = append(names, levelName(l))
	}
	return toml.OneOf(names)
}

func (v level) set(in toml.Value, bad report) {
	if !is(toml.String, in, v, bad) {
		return
	}
	for _, l := range logLevels {
		if in.Text == levelName(l) {
			*v.p = l
			return
		}
	}
	bad(whole, "%q is not a level: write %s", in.Text, v.wants())
}

func levelName(l slog.Level) string { return strings.ToLower(l.String()) }

// mappedBits is the length of ::ffff:0:0/96, IPv4-mapped IPv6 (RFC 4291,
// section 2.5.5.2).
const mappedBits = 96

type networks struct{ p *[]netip.Prefix }

func (v networks) wants() string { return `a list of strings, as in ["192.0.2.0/24"]` }
func (v networks) text() string  { return toml.QuoteList(*v.p) }

func (v networks) set(in toml.Value, bad report) {
	list, ok := takeList(in, v, bad)
	if !ok {
		return
	}
	*v.p = nil
	for i, s := range list {
		if ip, err := netip.ParseAddr(s); err == nil {
			ip = ip.Unmap() // clients' addresses are compared unmapped
			*v.p = append(*v.p, netip.PrefixFrom(ip, ip.BitLen()))
			continue
		}
		p, err := netip.ParsePrefix(s)
		switch {
		case err != nil:
			bad(i, `%q is not a network: write an address, or a network with its prefix length, as in "192.0.2.0/24"`, s)
		case p != p.Masked():
			bad(i, "%q is an address within a network: write %q for the network, or %q for the address",
				s, p.Masked(), p.Addr())
		case p.Addr().Is4In6(): // a masked prefix of these has 96 bits or more
			*v.p = append(*v.p, netip.PrefixFrom(p.Addr().Unmap(), p.Bits()-mappedBits))
		default:
			*v.p = append(*v.p, p)
		}
	}
}

type fileMode struct{ p *fs.FileMode }

func (v fileMode) wants() string { return `a string of octal digits, as in "0660"` }
func (v fileMode) text() string  { return fmt.Sprintf(`"%04o"`, uint32(*v.p)) }

func (v fileMode) set(in toml.Value, bad report) {
	if !is(toml.String, in, v, bad) {
		return
	}
	s := in.Text
	n, err := strconv.ParseUint(s, 8, 32)
	if err != nil {
		bad(whole, "%q is not a file mode: write %s", s, v.wants())
		return
	}
	*v.p = fs.FileMode(n)
}

type count struct{ p *int }

func (v count) wants() string { return "a number, as in " + v.text() }
func (v count) text() string  { return strconv.Itoa(*v.p) }

func (v count) set(in toml.Value, bad report) {
	if is(toml.Integer, in, v, bad) {
		*v.p = int(in.Int())
	}
}

type duration struct{ p *time.Duration }

func (v duration) wants() string { return `a time with its unit, as in "30s" or "2h"` }
func (v duration) text() string  { return toml.Duration(*v.p) }

func (v duration) set(in toml.Value, bad report) {
	if !is(toml.String, in, v, bad) {
		return
	}
	s := in.Text
	d, err := time.ParseDuration(s)
	if err != nil {
		bad(whole, "%q is not a time: write %s", s, v.wants())
		return
	}
	*v.p = d
}

// size is a number of octets: a bare number, or a string with its unit.
type size[T int | int64] struct{ p *T }

func (v size[T]) wants() string { return `a number of octets, or a string as in "256KiB"` }
func (v size[T]) text() string  { return toml.Size(int64(*v.p)) }

func (v size[T]) set(in toml.Value, bad report) {
	switch in.Kind {
	case toml.Integer:
		*v.p = T(in.Int())
	case toml.String:
		n, ok := toml.ParseSize(in.Text)
		if !ok {
			bad(whole, "%q is not a size: write %s", in.Text, v.wants())
			return
		}
		*v.p = T(n)
	default:
		is(toml.String, in, v, bad)
	}
}
