// Package verp reads variable envelope return paths (VERP). The sender makes a return
// address of its own for each recipient, so the address to which a bounce comes back
// says whom the bounced message was for.
//
// The forms of a site's addresses are configured as patterns, such as
// bounces+{local}={domain}@lists.example.org. A few forms of well-known list managers,
// which cannot be mistaken for anything else, are read without a pattern. What
// forwarders (SRS) and gateways (BATV) wrap around an address is removed first.
//
// Addresses come from strangers: anybody can send a bounce to an address that decodes to
// a recipient of their choice. The work is linear in the length of an address for each
// pattern, and there are at most [MaxPatterns].
package verp

import (
	"strings"

	"github.com/bounce-milter/bounce-milter/classify"
	"github.com/bounce-milter/bounce-milter/internal/address"
)

// MaxPatterns is how many patterns there may be.
const MaxPatterns = 64

// maxAddress is the length of the longest address that is decoded, in octets: twice what
// SMTP allows (RFC 5321 section 4.5.3.1.3), because VERP makes addresses longer.
const maxAddress = 512

// Match is what an address was decoded to.
type Match struct {
	Address string // whom the bounced message was sent to, "" if the pattern has only a token
	List    string // value of {list}
	Token   string // value of {token}
	MAC     string // value of {mac}, which is not verified
	Signed  string // the address that the MAC should fit, with {mac} in its place
}

// found reports whether there was a match.
func (m Match) found() bool { return m.Address != "" || m.Token != "" }

// Patterns are the forms of a site's bounce addresses. They do not change. A nil *Patterns
// has no patterns and decodes only the well-known forms.
type Patterns struct{ list []*pattern }

// First decodes the first address that can be decoded.
func (ps *Patterns) First(addrs ...string) Match {
	for _, a := range addrs {
		if m := ps.Decode(a); m.found() {
			return m
		}
	}
	return Match{}
}

// Attribute finds out whom the message that a result is about was sent to, and sets it in
// the result. It decodes the addresses that the report came to, and for a complaint also
// the envelope sender that the complaint names.
func (ps *Patterns) Attribute(res *classify.Result, to ...string) Match {
	if f := res.Feedback; f != nil {
		to = append(to[:len(to):len(to)], f.MailFrom)
	}
	m := ps.First(to...)
	res.Attribute(m.Address)
	return m
}

// Decode decodes an address. If it has none of the forms, the match is empty.
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
			if m := p.match(local, low); m.found() {
				return m
			}
		}
	}
	for _, p := range wellKnown {
		if m := p.match(local, low); m.found() && isPublic(m.Address) && p.once(low) {
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

// lower turns ASCII letters to lower case. It keeps the length, so that offsets into the
// result are offsets into s.
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

// isPublic reports whether the domain of an address may be in the public DNS: it has a
// dot, and its last label is not a number.
func isPublic(addr string) bool {
	domain := addr[strings.LastIndexByte(addr, '@')+1:]
	dot := strings.LastIndexByte(domain, '.')
	return dot > 0 && strings.Trim(domain[dot+1:], "0123456789") != ""
}
