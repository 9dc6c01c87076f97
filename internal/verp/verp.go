// Package verp reads variable envelope return paths: addresses to which bounces come
// back and that say whom the bounced message was for, since the sender made one for
// each recipient.
//
// What the addresses of a site look like is configured: patterns such as
// bounces+{local}={domain}@lists.example.org. Beside these a few forms of well-known
// list managers are read that cannot be mistaken for anything else. What forwarders
// (SRS) and gateways (BATV) wrap around an address is taken off first.
//
// Addresses come from strangers: whoever wants to can send a bounce to any address that
// decodes. Nothing here costs more than linear time in the length of an address, for
// each of the patterns, of which there are [MaxPatterns] at most.
package verp

import (
	"strings"

	"github.com/bounce-milter/bounce-milter/classify"
	"github.com/bounce-milter/bounce-milter/internal/address"
)

// MaxPatterns is how many patterns there may be.
const MaxPatterns = 64

// maxAddress bounds the addresses that are looked at, in octets: twice what SMTP
// carries (RFC 5321 section 4.5.3.1.3), since VERP makes them longer.
const maxAddress = 512

// Match is what an address says.
type Match struct {
	Address string // to whom the bounced message was sent, "" where the pattern has a token only
	List    string // what stands in the place of {list}, Token and MAC likewise
	Token   string
	MAC     string // not verified
}

// Found reports whether there was a match.
func (m Match) Found() bool { return m.Address != "" || m.Token != "" }

// Patterns are what a site's bounce addresses look like. They do not change. A nil
// *Patterns has none: it decodes the well-known forms alone.
type Patterns struct{ list []*pattern }

// First decodes the first of the addresses that can be decoded.
func (ps *Patterns) First(addrs ...string) Match {
	for _, a := range addrs {
		if m := ps.Decode(a); m.Found() {
			return m
		}
	}
	return Match{}
}

// Attribute finds out to whom the message was sent that a result is about, by the
// addresses to which the report came, and of a complaint by the envelope sender that it
// names, and tells the result.
func (ps *Patterns) Attribute(res *classify.Result, to ...string) Match {
	if f := res.Feedback; f != nil {
		to = append(to[:len(to):len(to)], f.MailFrom)
	}
	m := ps.First(to...)
	res.Attribute(m.Address)
	return m
}

// Decode says what an address means; the match is not Found where it means nothing
// beside itself.
func (ps *Patterns) Decode(addr string) Match {
	if len(addr) > maxAddress {
		return Match{}
	}
	addr = unwrap(addr)
	local, domain, ok := cutDomain(addr)
	if !ok {
		return Match{}
	}
	low := lower(local)
	if ps != nil {
		domain := strings.TrimSuffix(lower(domain), ".")
		for _, p := range ps.list {
			if p.domain != domain {
				continue
			}
			if m := p.match(local, low); m.Found() {
				return m
			}
		}
	}
	for _, p := range wellKnown {
		if m := p.match(local, low); m.Found() && isPublic(m.Address) && p.once(low) {
			return m
		}
	}
	return Match{}
}

func cutDomain(addr string) (local, domain string, ok bool) {
	at := strings.LastIndexByte(addr, '@')
	if at <= 0 || at == len(addr)-1 {
		return "", "", false
	}
	return addr[:at], addr[at+1:], true
}

// lower makes ASCII letters small and leaves all else where it is.
func lower(s string) string {
	for i := 0; i < len(s); i++ {
		if 'A' <= s[i] && s[i] <= 'Z' {
			b := []byte(s)
			for ; i < len(b); i++ {
				if 'A' <= b[i] && b[i] <= 'Z' {
					b[i] += 'a' - 'A'
				}
			}
			return string(b)
		}
	}
	return s
}

// isHost reports whether s has the form of a host's name (RFC 1123 section 2.1, or
// RFC 5890).
func isHost(s string) bool {
	if s == "" || len(s) > address.MaxDomain {
		return false
	}
	for label := range strings.SplitSeq(s, ".") {
		if label == "" || len(label) > 63 || label[0] == '-' || label[len(label)-1] == '-' {
			return false
		}
		for i := 0; i < len(label); i++ {
			if !holds(fieldDomain, label[i]) {
				return false
			}
		}
	}
	return true
}

// isPublic reports whether an address is in a domain as the public DNS has them: with a
// dot, and no number at its end.
func isPublic(addr string) bool {
	domain := addr[strings.LastIndexByte(addr, '@')+1:]
	dot := strings.LastIndexByte(domain, '.')
	return dot > 0 && strings.Trim(domain[dot+1:], "0123456789") != ""
}
