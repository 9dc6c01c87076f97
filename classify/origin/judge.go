package origin

import (
	"cmp"
	"context"
	"crypto"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"slices"
	"strings"
	"time"

	"github.com/bounce-milter/bounce-milter/internal/ascii"
	"github.com/bounce-milter/bounce-milter/internal/work"
)

// Origin says whether a returned message is ours.
type Origin string

// The origins.
const (
	Ours     Origin = "ours"     // proved
	Foreign  Origin = "foreign"  // what came back shows that it is not ours
	Unproven Origin = "unproven" // neither
)

// Origins lists every origin, in the order of the constants.
func Origins() []Origin { return []Origin{Ours, Foreign, Unproven} }

// Proof says what proved that a message is ours.
type Proof string

// The proofs. A message that is not [Ours] has NoProof.
const (
	NoProof     Proof = ""
	ProofLocal  Proof = "local"  // this host made the bounce itself
	ProofTicket Proof = "ticket" // a ticket in the returned header
	ProofDKIM   Proof = "dkim"   // a signature of one of our domains over it
	ProofVERP   Proof = "verp"   // the address to which the bounce came, by its MAC
)

// Proofs lists every proof.
func Proofs() []Proof { return []Proof{ProofLocal, ProofTicket, ProofDKIM, ProofVERP} }

// Options say what is ours.
type Options struct {
	// Domains of our senders. Their subdomains are only protected: mail of theirs is never
	// foreign.
	Domains []string
	// Hosts are names of our mail servers that are not in Domains, and Networks their
	// addresses. Both only keep messages from being foreign.
	Hosts    []string
	Networks []netip.Prefix

	// Keys verify tickets and VERP; nil for none.
	Keys *Keys
	// MaxAge is how long tickets and signatures are valid, 0 for [DefaultMaxAge].
	MaxAge time.Duration
	// TicketsSince is since when every message of ours has a ticket. The zero time means
	// that some may have none.
	TicketsSince time.Time

	// DKIM are the keys with which our domains sign.
	DKIM []DKIMKey
	// Resolver looks up those that have no Public; nil for the host's.
	Resolver Resolver
	// Deadline is how long a message waits for DNS in all, 0 for [DefaultDeadline].
	Deadline time.Duration
	// Work bounds how many octets are looked at for one message; 0 means 4 million. Beyond
	// that nothing more is proved.
	Work int
}

// Judge says whether returned messages are ours. It changes only by the keys from DNS that
// it keeps, and is safe for concurrent use.
type Judge struct {
	domains  map[string]bool
	names    map[string]bool // domains and hosts, in lower case
	parents  map[string]bool // domains above them
	networks []netip.Prefix
	keys     *Keys
	maxAge   time.Duration
	since    time.Time
	files    map[string]crypto.PublicKey // by DNS name
	dns      map[string]bool             // the same, or the domain alone for any selector
	signing  map[string]bool             // domains that sign
	cache    *cache
	deadline time.Duration
	work     int
}

// New returns a judge. The error has a line for each problem.
func New(o Options) (*Judge, error) {
	j := &Judge{domains: map[string]bool{}, names: map[string]bool{}, parents: map[string]bool{}, networks: o.Networks, keys: o.Keys, maxAge: cmp.Or(o.MaxAge, DefaultMaxAge), since: o.TicketsSince,
		files: map[string]crypto.PublicKey{}, dns: map[string]bool{}, signing: map[string]bool{}, deadline: cmp.Or(o.Deadline, DefaultDeadline), work: cmp.Or(o.Work, 4_000_000)}
	var problems []error
	for _, d := range o.Domains {
		name := canonicalDomain(d)
		if !IsDomain(d) {
			problems = append(problems, fmt.Errorf("%q is no domain: write what stands behind the @ of your senders", d))
		}
		j.domains[name] = true
		j.site(name)
	}
	for _, h := range o.Hosts {
		j.site(canonicalDomain(h))
	}
	for i := range o.DKIM {
		k := &o.DKIM[i]
		domain, selector := canonicalDomain(k.Domain), canonicalDomain(k.Selector)
		name := keyName(domain, selector)
		if !IsDomain(k.Domain) {
			problems = append(problems, fmt.Errorf("%q is no domain: write the d= of your DKIM signatures", k.Domain))
		}
		switch {
		case k.Public == nil && selector == "":
			j.dns[domain] = true
		case !isName(selector):
			problems = append(problems, fmt.Errorf("%q is no selector: write the s= of your DKIM signatures", k.Selector))
		case k.Public == nil:
			j.dns[name] = true
		default:
			key := k.Public
			if s, ok := key.(strictKey); ok {
				key = s.PublicKey
			}
			if err := checkKey(key); err != nil {
				problems = append(problems, fmt.Errorf("the DKIM key of %s: %w", name, err))
			}
			j.files[name] = k.Public
		}
		j.signing[domain] = true
	}
	if len(j.dns) > 0 {
		dns := o.Resolver
		if dns == nil {
			dns = net.DefaultResolver
		}
		j.cache = newCache(dns, time.Now)
	}
	return j, errors.Join(problems...)
}

// IsDomain reports whether s has the form of a domain name, in ASCII or not.
func IsDomain(s string) bool {
	s = canonicalDomain(s)
	last := s[strings.LastIndexByte(s, '.')+1:]
	return isName(s) && strings.Trim(last, "0123456789") != "" // else it is an address of a host
}

// isName reports whether s has the form of a name in DNS (RFC 1035 section 2.3.1, RFC 2181
// section 11): labels of letters, digits, hyphens and underscores.
func isName(s string) bool {
	for label := range strings.SplitSeq(s, ".") {
		if label == "" || len(label) > 63 || label[0] == '-' || label[len(label)-1] == '-' {
			return false
		}
		for i := 0; i < len(label); i++ {
			if c := label[i]; c != '-' && c != '_' && (c < '0' || c > '9') && (c < 'a' || c > 'z') {
				return false
			}
		}
	}
	return len(s) <= maxDomain
}

// Signs reports whether an envelope sender is of one of our domains.
func (j *Judge) Signs(sender string) bool { return j.domains[domainOf(exact(sender))] }

func keyName(domain, selector string) string { return selector + "._domainkey." + domain }

// isOurs reports whether signatures of a domain are verified.
func (j *Judge) isOurs(domain string) bool { return j.signing[domain] }

// Message is a bounce and the message that it returns.
type Message struct {
	// Local is true if this host made the bounce itself.
	Local bool
	// To are the addresses to which the bounce came.
	To []string

	// Header is the header of the returned message as it came, with its folds and line
	// ends; nil if none came back. Cut is true if fields of it may be missing.
	Header []byte
	Cut    bool
	// Body is its body. WholeBody is true unless some of it may be missing; only then it
	// must be the one that was signed.
	Body      []byte
	WholeBody bool

	// VERP is the recipient that the address says to which the bounce came, and VERPProved
	// is true if its MAC was verified, see [Keys.VerifyVERP].
	VERP       string
	VERPProved bool
}

// Recipient is of whom a report speaks.
type Recipient struct {
	Final    string // Final-Recipient
	Original string // Original-Recipient, "" if there is none
}

// Result is the answer for one recipient.
type Result struct {
	Origin Origin
	Proof  Proof
	// Bound is true if the proof says that the message went to Recipient. Without it
	// anybody who got the message could have written a report about anybody else: such a
	// report is no reason to remove an address from a list.
	Bound bool
	// Recipient is the address to which the message went, as the report or the VERP address
	// has it: for a message to an alias, the alias. It is "" if the proof is not Bound.
	Recipient string
	// Why says in words what decided.
	Why string
}

// Examination is what was found out about a returned message. It belongs to one
// goroutine.
type Examination struct {
	m       *Message
	tickets []proof
	dkim    []valid
	named   map[string]bool // in To and Cc that a signature covers
	strange bool            // a signature covers an author of another site
	why     []string        // why nothing is proved
	foreign string          // why the message is not ours, "" if that does not show
}

// Examine examines a returned message. It never waits longer than [Options.Deadline], and
// ends with ctx.
func (j *Judge) Examine(ctx context.Context, m *Message, now time.Time) *Examination {
	e := &Examination{m: m}
	if len(m.Header) == 0 {
		e.why = append(e.why, "no header came back")
		return e
	}
	budget := work.New(ctx, j.work)
	if !budget.Take(2 * len(m.Header)) {
		e.why = append(e.why, "the header is too long")
		return e
	}
	h := parseHeader(m.Header)
	hasTicket, hasSignature := false, false
	if j.keys != nil {
		var why string
		if e.tickets, hasTicket, why = j.keys.tickets(&h, now, j.maxAge); !hasTicket {
			why = "the header that came back has no ticket"
		}
		e.say(why)
	} else {
		hasTicket = h.has(TicketField)
	}
	// Each signature may hash the whole header and body.
	if len(j.signing) > 0 && !j.settles(e) {
		if budget.Take(maxSignatures * (len(m.Header) + len(m.Body))) {
			var why string
			if e.dkim, hasSignature, why = j.signatures(ctx, m, &h, now); !hasSignature {
				why = "the header that came back has no DKIM signature of ours"
			}
			e.say(why)
			j.readNames(e)
		} else {
			e.say("the message is too long for its DKIM signatures to be verified")
		}
	}
	if len(e.tickets) == 0 && len(e.dkim) == 0 && !m.Local && !m.VERPProved && budget.Take(4*len(m.Header)) {
		e.foreign = j.foreign(&h, m, hasTicket || hasSignature, now)
	}
	return e
}

// settles reports whether tickets say all that signatures could: they name the recipients.
func (j *Judge) settles(e *Examination) bool {
	return slices.ContainsFunc(e.tickets, func(p proof) bool { return !p.unbound() })
}

func (e *Examination) say(why string) {
	if why != "" {
		e.why = append(e.why, why)
	}
}

// readNames reads the recipients that a signature covers. If the author is of another site,
// as in mail that a list of ours signs and sends on, a stranger wrote To and Cc, and they
// prove nothing.
func (j *Judge) readNames(e *Examination) {
	e.named = map[string]bool{}
	for _, v := range e.dkim {
		if !j.wrote(&v) {
			e.strange = true
			continue
		}
		for _, f := range v.fields {
			if name := strings.ToLower(string(f.name)); name == "to" || name == "cc" {
				for a := range authors(unfold(f.value)) {
					e.named[a] = true
				}
			}
		}
	}
}

// wrote reports whether every author that a signature covers is of our site. One who cannot
// be read may be anybody.
func (j *Judge) wrote(v *valid) bool {
	any := false
	for _, f := range v.fields {
		if !ascii.EqualFold(f.name, "From") {
			continue
		}
		from := unfold(f.value)
		if len(from) > maxFrom {
			return false
		}
		for a := range entries(from) {
			any = true
			if d := domainOf(a); d != v.domain && !j.under(d) && !strings.HasSuffix(d, "."+v.domain) {
				return false
			}
		}
	}
	return any
}

// key returns the key of a domain and selector, or why there is none.
func (j *Judge) key(ctx context.Context, l *lookups, domain, selector string) (key crypto.PublicKey, why string) {
	name := keyName(domain, selector)
	if key := j.files[name]; key != nil {
		return key, ""
	}
	if !j.dns[name] && !j.dns[domain] {
		return nil, "the DKIM signature is of a selector that is not configured"
	}
	if !isName(name) {
		return nil, malformedSignature
	}
	a := j.cache.cached(name)
	if a == nil {
		if l.left == 0 {
			return nil, whyTooMany
		}
		l.left--
		if a = j.cache.ask(name); a == nil {
			return nil, whyTooMany
		}
	}
	if l.ctx == nil {
		l.ctx, l.cancel = context.WithTimeout(ctx, j.deadline)
	}
	return a.wait(l.ctx)
}

// lookups are what a message may still ask DNS.
type lookups struct {
	left   int
	ctx    context.Context // ends with the deadline, which begins with the first question
	cancel context.CancelFunc
}

// Of says whether the message is ours, and whether it went to a recipient.
func (e *Examination) Of(r Recipient) Result {
	candidates := []string{r.Final, r.Original, e.m.VERP}
	// This host knows the address that it tried. Original-Recipient and a VERP address are
	// from whoever sent the message, which may have come from outside.
	if e.m.Local && r.Final != "" && (e.m.VERP == "" || canonical(e.m.VERP) == canonical(r.Final)) {
		return Result{Ours, ProofLocal, true, r.Final, "this host made the bounce itself"}
	}
	if e.m.VERPProved && e.m.VERP != "" {
		return Result{Ours, ProofVERP, true, e.m.VERP, "the bounce came to an address that only we can make"}
	}
	bare := false // a ticket without recipients
	for i := range e.tickets {
		p := &e.tickets[i]
		bare = bare || p.unbound()
		for _, a := range candidates {
			if p.names(a) {
				return Result{Ours, ProofTicket, true, a, "its ticket is ours and names the recipient" + e.sender(p)}
			}
		}
	}
	if len(e.tickets) > 0 && !e.m.Local && r == (Recipient{}) && e.m.VERP == "" {
		return Result{Origin: Ours, Proof: ProofTicket, Why: "its ticket is ours, and the report names nobody"}
	}
	if len(e.tickets) > 0 && !bare && !e.m.Local {
		return Result{Origin: Unproven, Why: "its ticket is ours, but the message went to other recipients"}
	}
	if len(e.dkim) > 0 {
		for _, a := range candidates {
			if c := canonical(a); c != "" && e.named[c] {
				return Result{Ours, ProofDKIM, true, a, "it has a DKIM signature of " + e.dkim[0].domain + " that covers the recipient in To or Cc" + e.body()}
			}
		}
	}
	switch {
	case e.m.Local:
		return Result{Origin: Ours, Proof: ProofLocal, Why: "this host made the bounce itself, about another address than the sender's"}
	case bare:
		return Result{Origin: Ours, Proof: ProofTicket, Why: "its ticket is ours, but names no recipient, as of a message to more than max_bound"}
	case len(e.dkim) > 0 && e.strange && len(e.named) == 0:
		return Result{Origin: Ours, Proof: ProofDKIM, Why: "it has a DKIM signature of " + e.dkim[0].domain + ", but its author is of another site, so that its To and Cc prove nothing" + e.body()}
	case len(e.dkim) > 0:
		return Result{Origin: Ours, Proof: ProofDKIM, Why: "it has a DKIM signature of " + e.dkim[0].domain + ", but no To or Cc that it covers names the recipient" + e.body()}
	case e.foreign != "":
		return Result{Origin: Foreign, Why: e.foreign}
	case len(e.why) == 0:
		return Result{Origin: Unproven, Why: "neither tickets nor DKIM are configured"}
	}
	return Result{Origin: Unproven, Why: strings.Join(e.why, "; ")}
}

// sender says whether the bounce came to the address that the message was sent from.
func (e *Examination) sender(p *proof) string {
	switch {
	case len(e.m.To) == 0:
		return ""
	case slices.ContainsFunc(e.m.To, p.from):
		return ", and the bounce came back to its envelope sender"
	}
	return "; the bounce came to another address than its envelope sender"
}

func (e *Examination) body() string {
	for _, v := range e.dkim {
		if v.body {
			return "; its body is the one that was signed"
		}
	}
	return ""
}
