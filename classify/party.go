package classify

import (
	"bytes"
	"slices"
	"strings"
	"unicode/utf8"

	"github.com/bounce-milter/bounce-milter/internal/fold"
)

// party is whom a reply names by address or domain, a set of bits.
type party uint8

const (
	partySender party = 1 << iota
	partySenderDomain
	partyRecipient // by address or domain
	partyLocal     // no name: the recipient is in the reporting host's own domain
	partyOtherHost // a host, and none that is the recipient's domain
)

// findNamed looks for the sender and the recipient among the addresses and hosts
// of the innermost reply.
func (q *inquest) findNamed() {
	t := &q.reply
	q.work.Take(len(t.masks) + len(t.hosts)) // once the work is spent, nothing is hard
	q.named = q.hostsNamed(t)
	if q.ev.Sender == "" && q.ev.Author == "" {
		return
	}
	q.named |= q.said.named
	if slices.ContainsFunc(t.masks, func(m host) bool {
		is, domain := isParty(t.name(m), q.ev.Recipient)
		return m.from >= t.inner && (is || domain)
	}) {
		q.named |= partyRecipient
	}
	if q.named&(partySender|partySenderDomain) != 0 && q.named&partyRecipient == 0 {
		q.witness |= aboutSender
	}
}

// sendersNamed looks for the message's sender there. The result holds for all
// recipients that share the reply.
func (q *inquest) sendersNamed() (named party) {
	t := &q.reply
	for _, m := range t.masks {
		if m.from < t.inner {
			continue
		}
		for _, s := range [...]string{q.ev.Sender, q.ev.Author} {
			switch is, domain := isParty(t.name(m), s); {
			case is:
				named |= partySender
			case domain:
				named |= partySenderDomain
			}
		}
	}
	return named
}

// name returns a masked name without the dots around it.
func (t *text) name(m host) []byte { return bytes.Trim(t.norm[m.from:m.to], ".") }

// hostsNamed compares the hosts of a text (of a reply, the innermost) with the
// recipient's domain.
func (q *inquest) hostsNamed(t *text) (named party) {
	at := strings.LastIndexByte(q.ev.Recipient, '@')
	if at < 0 || at+1 == len(q.ev.Recipient) {
		return 0
	}
	domain := q.ev.Recipient[at+1:]
	for _, h := range t.hosts {
		if h.from < t.inner {
			continue
		}
		if equalFold(t.name(h), domain) {
			return 0
		}
		named = partyOtherHost
	}
	return named
}

// isParty reports whether a name in a reply is an address, or its domain.
func isParty(named []byte, addr string) (is, domain bool) {
	rest, ok := cutSuffixFold(addr, named)
	if !ok || len(named) == 0 {
		return false, false
	}
	if rest == "" {
		return strings.IndexByte(addr, '@') >= 0, false
	}
	return false, rest[len(rest)-1] == '@'
}

// equalFold compares text as it is matched with an address or domain.
func equalFold(text []byte, s string) bool {
	rest, ok := cutSuffixFold(s, text)
	return ok && rest == ""
}

// cutSuffixFold returns an address or domain without what a text holds of its end. Of
// ASCII only letters are folded; other letters are compared without their accents.
func cutSuffixFold(s string, text []byte) (rest string, ok bool) {
	for i := len(text); i > 0; {
		if s == "" {
			return "", false
		}
		if c := s[len(s)-1]; c < utf8.RuneSelf {
			if 'A' <= c && c <= 'Z' {
				c |= 0x20
			}
			if i--; c != text[i] {
				return "", false
			}
			s = s[:len(s)-1]
			continue
		}
		r, size := utf8.DecodeLastRuneInString(s)
		var room [utf8.UTFMax]byte
		first, second := fold.Bare(fold.Lower(r))
		letter := utf8.AppendRune(room[:0], max(first, 0))
		switch {
		case first < 0:
			letter = nil
		case second != 0:
			letter = append(letter, byte(second))
		}
		if !bytes.HasSuffix(text[:i], letter) {
			return "", false
		}
		i -= len(letter)
		s = s[:len(s)-size]
	}
	return s, true
}

// isAbout reports whether the evidence is about the party that a rule asks for. A
// notice names senders whatever happened.
func (q *inquest) isAbout(r *rule, s scope) bool {
	switch r.about {
	case 0:
		return true
	case partyLocal:
		return isLocal(q.ev.Recipient, q.ev.ReportingMTA) || isLocal(q.ev.Recipient, q.ev.Reporter)
	}
	if s == scopeNotice {
		return r.about == partyOtherHost && q.hostsNamed(&q.notice)&partyOtherHost != 0
	}
	return q.speaksOf(r.about)
}

// isLocal reports whether an address is in the domain of a host: the host bears
// that name, or one below it ("mx.example.com" for u@example.com).
func isLocal(addr, host string) bool {
	domain := addr[strings.LastIndexByte(addr, '@')+1:]
	n := len(host) - len(domain)
	if n < 0 || len(domain) == len(addr) || strings.IndexByte(domain, '.') < 0 {
		return false
	}
	return strings.EqualFold(host[n:], domain) && (n == 0 || host[n-1] == '.')
}

// speaksOf reports whether the reply names a party of the sender's side and nothing of
// the recipient's, or the other host that a rule is about.
func (q *inquest) speaksOf(p party) bool {
	if p == partyOtherHost {
		return q.named&p != 0
	}
	return q.named&p != 0 && q.named&partyRecipient == 0
}
