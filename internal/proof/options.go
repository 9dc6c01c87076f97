// Package proof says whether the mail that a report returns is ours. It reads and checks
// the table [origin] of the configuration, and asks package origin about each report. The
// daemon and the command line share it, so that both say the same.
package proof

import (
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"time"

	"github.com/bounce-milter/bounce-milter/classify/origin"
	"github.com/bounce-milter/bounce-milter/internal/toml"
)

// Options is what an administrator writes in the table [origin]. Start from
// [DefaultOptions].
type Options struct {
	Domains  []string       // of our senders
	Networks []netip.Prefix // clients whose mail is ours, beside authenticated ones
	Hosts    []string       // our mail servers that are not in Domains

	Ticket      bool          // put a ticket on our mail
	KeyFile     string        // keys of tickets and of VERP addresses, "" for none
	MaxAge      time.Duration // how long tickets and signatures prove something
	MaxBound    int           // recipients that a ticket names
	TicketSince time.Time     // since when all of our mail has a ticket, zero for not yet

	DKIM []DKIM // keys with which our domains sign

	// Resolver looks up keys in DNS, nil for the host's.
	Resolver origin.Resolver
}

// DKIM is a table [[origin.dkim]].
type DKIM struct {
	Domain        string
	Selector      string
	PublicKeyFile string
	DNS           bool // the key is looked up in DNS, where Selector may be "", for any
}

// DefaultOptions are those of a configuration without [origin]: nobody asks whose mail comes
// back.
func DefaultOptions() Options {
	return Options{MaxAge: origin.DefaultMaxAge, MaxBound: origin.DefaultMaxBound}
}

// On reports whether reports are examined at all.
func (o *Options) On() bool { return len(o.Domains) > 0 }

// Bounds on what may be written. With them a message costs microseconds at most.
const (
	maxDomains = 10_000
	maxDKIM    = 1000

	leastAge = time.Hour
	mostAge  = 366 * 24 * time.Hour
)

// Validate returns everything that is wrong with the options. The keys are those of the
// configuration file.
func (o *Options) Validate() toml.Problems {
	var ps toml.Problems
	names(&ps, "origin.domains", o.Domains, `is no domain: write what stands behind the "@" of your senders, as in "example.org"`)
	names(&ps, "origin.hosts", o.Hosts, `is no name of a host: write it in full, as in "mx1.example.org"`)
	const keygen = `make keys with "bounce-milter ticket keygen --append FILE", and name the file in key_file`
	if o.KeyFile == "" && o.Ticket {
		ps.Add("origin.ticket", "needs a key: %s", keygen)
	}
	if o.KeyFile == "" && !o.TicketSince.IsZero() {
		ps.Add("origin.ticket_since", "needs a key to verify tickets with: %s", keygen)
	}
	if key := o.idle(); key != "" && len(o.Domains) == 0 {
		ps.Add(key, `says nothing without domains: name those of your senders, as in domains = ["example.org"]`)
	}
	if o.MaxAge < leastAge || o.MaxAge > mostAge {
		ps.Add("origin.max_age", "%s is out of bounds: write a time from %s to %s", toml.Duration(o.MaxAge), toml.Duration(leastAge), toml.Duration(mostAge))
	}
	if o.MaxBound < 1 || o.MaxBound > origin.MostBound {
		ps.Add("origin.max_bound", "%d is out of bounds: write a number from 1 to %d", o.MaxBound, origin.MostBound)
	}
	if len(o.DKIM) > maxDKIM {
		ps.Add(fmt.Sprintf("origin.dkim[%d]", maxDKIM), "is one of %d: write at most %d", len(o.DKIM), maxDKIM)
	}
	seen := map[string]bool{}
	for i := range o.DKIM {
		o.DKIM[i].check(&ps, fmt.Sprintf("origin.dkim[%d]", i), seen)
	}
	return ps
}

// idle returns a key that is set but has no effect without domains, "" if there is none.
func (o *Options) idle() string {
	for _, k := range []struct {
		set  bool
		name string
	}{
		{o.Ticket, "ticket"}, {o.KeyFile != "", "key_file"}, {!o.TicketSince.IsZero(), "ticket_since"},
		{len(o.Networks) > 0, "networks"}, {len(o.Hosts) > 0, "hosts"}, {len(o.DKIM) > 0, "dkim[0]"},
	} {
		if k.set {
			return "origin." + k.name
		}
	}
	return ""
}

// names checks a list of domains or hosts.
func names(ps *toml.Problems, key string, list []string, wrong string) {
	if len(list) > maxDomains {
		ps.Add(fmt.Sprintf("%s[%d]", key, maxDomains), "is one of %d: write at most %d", len(list), maxDomains)
	}
	seen := make(map[string]bool, len(list))
	for i, name := range list {
		at := fmt.Sprintf("%s[%d]", key, i)
		switch low := strings.ToLower(strings.TrimSuffix(name, ".")); {
		case !origin.IsDomain(name):
			ps.Add(at, "%q %s", name, wrong)
		case seen[low]:
			ps.Add(at, "%q is listed twice: remove one", name)
		default:
			seen[low] = true
		}
	}
}

// check adds what is wrong with a table [[origin.dkim]]. seen are the names of the tables
// before it.
func (d *DKIM) check(ps *toml.Problems, at string, seen map[string]bool) {
	switch {
	case d.Domain == "":
		ps.Add(at+".domain", "is missing: write the d= of your DKIM signatures")
	case !origin.IsDomain(d.Domain):
		ps.Add(at+".domain", "%q is no domain: write the d= of your DKIM signatures", d.Domain)
	}
	switch {
	case d.Selector == "" && !d.DNS:
		ps.Add(at+".selector", "is missing: write the s= of your DKIM signatures")
	case d.Selector != "" && !origin.IsDomain(d.Selector+".example"):
		ps.Add(at+".selector", "%q is no selector: write the s= of your DKIM signatures", d.Selector)
	}
	switch {
	case d.PublicKeyFile == "" && !d.DNS:
		ps.Add(at, "has no key: write public_key_file, or dns = true to look it up")
	case d.PublicKeyFile != "" && d.DNS:
		ps.Add(at+".dns", "stands beside public_key_file: take one of them out")
	}
	name := strings.ToLower(d.Selector + "@" + d.Domain)
	if seen[name] {
		ps.Add(at, "is the second one of this domain and selector: remove one")
	}
	seen[name] = true
}

// Networks so large that nearly everybody is in them.
const (
	wide4 = 7  // bits of a prefix: registries give out /8 at most
	wide6 = 11 // likewise /12
)

// Warn returns what is valid but hardly meant.
func (o *Options) Warn(now time.Time) toml.Problems {
	var ps toml.Problems
	for i, n := range o.Networks {
		widest := wide6
		if n.Addr().Is4() {
			widest = wide4
		}
		if n.Bits() <= widest {
			ps.Add(fmt.Sprintf("origin.networks[%d]", i), "%s covers a large part of the Internet, so that strangers' mail with a sender of yours counts as yours: name your own networks only", n)
		}
	}
	if o.TicketSince.After(now) {
		ps.Add("origin.ticket_since", "is in the future: until then nothing is called foreign for having no ticket")
	}
	if len(o.Domains) > 0 && o.KeyFile == "" && len(o.DKIM) == 0 {
		ps.Add("origin.domains[0]", "nothing can prove that mail is of these domains, apart from bounces that this host makes: add a key_file with ticket = true, or a table [[origin.dkim]]")
	}
	return ps
}

// Files returns the files that the daemon's user must be able to read.
func (o *Options) Files() []string {
	files := []string{o.KeyFile}
	for _, d := range o.DKIM {
		files = append(files, d.PublicKeyFile)
	}
	return slices.DeleteFunc(files, func(f string) bool { return f == "" })
}
