package origin

import (
	"bytes"
	"crypto/hmac"
	"encoding/base64"
	"slices"
	"strconv"
	"strings"
	"time"
)

// TicketField is the name of the header field that holds a ticket.
const TicketField = "X-Bounce-Ticket"

const (
	// DefaultMaxAge is how long a ticket is valid.
	DefaultMaxAge = 14 * 24 * time.Hour
	// DefaultMaxBound is how many recipients a ticket names at most.
	DefaultMaxBound = 20
	// MostBound is the most that may be configured.
	MostBound = 200

	digestSize = 8  // octets of a digest
	ticketSize = 16 // octets of the HMAC
	roundUp    = 4  // the number of digests is a multiple of it, so that blind copies do not show

	maxTicket = 8 << 10 // octets of a ticket that are read
	maxSkew   = 10 * time.Minute
)

// Mail is an outgoing message.
type Mail struct {
	Sender     string   // of the envelope, "" for <>
	MessageID  string   // value of the field as it is, "" if the message has none
	From       string   // value of the first From field as it is
	Recipients []string // of the envelope
	More       bool     // it has further recipients that are not known, so that a ticket names none
}

// Sign returns the ticket of an outgoing message: the value of an X-Bounce-Ticket field,
// folded with "\n\t". It names the recipients if there are no more than maxBound, 0 for
// [DefaultMaxBound], in a form that only the holder of the key can check.
func (k *Keys) Sign(m *Mail, now time.Time, maxBound int) string {
	signing := &k.list[0]
	h := newMAC(signing.secret)
	t := ticket{id: signing.id, time: strconv.FormatInt(now.Unix(), 10)}
	mid, from := canonicalID(m.MessageID), firstAuthor(m.From)
	t.sender = t.digest(h, labelSender, mid, canonical(m.Sender))
	if m.bound(withDefault(maxBound)) {
		t.recipients = t.digests(h, mid, m.Recipients)
	}
	t.mac = t.sum(h, mid, from)
	return t.write()
}

// bound reports whether a ticket names the recipients.
func (m *Mail) bound(maxBound int) bool { return !m.More && len(m.Recipients) <= maxBound }

// renewAfter is how old a ticket may be for a server not to add its own.
const renewAfter = 24 * time.Hour

// Covers reports whether a ticket that a message has already says all that [Keys.Sign]
// would say: by one of the keys, within the last day, about this message and envelope
// sender, with each of the recipients, unless Sign would name none. So a message needs
// one ticket only, however many of our servers it passes.
func (k *Keys) Covers(ticket string, m *Mail, now time.Time, maxBound int) bool {
	t, bad := parseTicket([]byte(ticket))
	if bad != "" {
		return false
	}
	p, _, _ := k.verify(&t, signedFacts(m.MessageID, m.From), now, renewAfter)
	if p == nil || !p.from(m.Sender) {
		return false
	}
	if !m.bound(withDefault(maxBound)) {
		return true
	}
	return !slices.ContainsFunc(m.Recipients, func(r string) bool { return exact(r) != "" && !p.names(r) })
}

// withDefault returns how many recipients a ticket names.
func withDefault(maxBound int) int {
	if maxBound <= 0 {
		maxBound = DefaultMaxBound
	}
	return min(maxBound, MostBound)
}

// ticket is a ticket as it is written; the digests and the MAC are decoded.
type ticket struct {
	id, time   string
	sender     string // digest of the envelope sender
	recipients string // digests, sorted, without anything between them
	mac        string
}

// The first of the fields of each MAC says what it is for.
const (
	ticketLabel    = "bounce-milter ticket 1"
	labelSender    = ticketLabel + " sender"
	labelRecipient = ticketLabel + " recipient"
)

// digest returns a keyed digest. It means nothing without the key, and differs from message
// to message.
func (t *ticket) digest(h mac, label, mid, addr string) string {
	return h.of(digestSize, label, t.id, t.time, mid, addr)
}

func (t *ticket) digests(h mac, mid string, recipients []string) string {
	var list []string
	for _, r := range recipients {
		if a := exact(r); a != "" {
			list = append(list, t.digest(h, labelRecipient, mid, a))
		}
	}
	slices.Sort(list)
	list = slices.Compact(list)
	if n := len(list) % roundUp; n > 0 {
		nobody := h.of((roundUp-n)*digestSize, ticketLabel+" nobody", t.id, t.time, mid)
		for at := 0; at < len(nobody); at += digestSize {
			list = append(list, nobody[at:at+digestSize])
		}
	}
	slices.Sort(list) // so that the order says nothing
	return strings.Join(list, "")
}

// sum returns what only the holder of the key can compute.
func (t *ticket) sum(h mac, mid, from string) string {
	return h.of(ticketSize, ticketLabel, t.id, t.time, t.sender, t.recipients, mid, from)
}

var base64url = base64.RawURLEncoding.Strict()

// lineLength is where lines of a ticket are folded, in octets.
const lineLength = 76

// write writes the ticket, folded (RFC 5322 section 2.2.3).
func (t *ticket) write() string {
	var b strings.Builder
	line := len(TicketField) + len(": ")
	put := func(s string) {
		if line+1+len(s) > lineLength && line > 8 {
			b.WriteString("\n\t")
			line = 8
		} else if b.Len() > 0 {
			b.WriteByte(' ')
			line++
		}
		for len(s) > lineLength-line {
			n := lineLength - line
			b.WriteString(s[:n] + "\n\t")
			s, line = s[n:], 8
		}
		b.WriteString(s)
		line += len(s)
	}
	put("v=1;")
	put("k=" + t.id + ";")
	put("t=" + t.time + ";")
	put("m=" + base64url.EncodeToString([]byte(t.sender)) + ";")
	put("r=" + base64url.EncodeToString([]byte(t.recipients)) + ";")
	put("h=" + base64url.EncodeToString([]byte(t.mac)))
	return b.String()
}

// parseTicket reads a ticket. White space may stand anywhere: fields are folded anew on
// their way. why says what is wrong with it, "" if nothing is.
func parseTicket(value []byte) (t ticket, why string) {
	if len(value) > maxTicket {
		return t, "the ticket is too long"
	}
	list, ok := tags(withoutSpace(string(value)))
	if !ok || len(list) == 0 || list[0].name != "v" {
		return t, "the ticket is malformed"
	}
	if list[0].value != "1" {
		return t, "the ticket is of another version"
	}
	for _, tag := range list {
		var err error
		switch tag.name {
		case "k":
			t.id = tag.value
		case "t":
			t.time = tag.value
		case "m":
			t.sender, err = decode(tag.value)
		case "r":
			t.recipients, err = decode(tag.value)
		case "h":
			if t.mac, err = decode(tag.value); err != nil {
				return t, "the ticket is cut"
			}
		}
		if err != nil {
			return t, "the ticket is malformed"
		}
	}
	switch {
	case !isKeyID(t.id) || strings.Trim(t.time, "0123456789") != "":
		return t, "the ticket is malformed"
	case len(t.mac) < ticketSize:
		return t, "the ticket is cut"
	case len(t.mac) > ticketSize || len(t.sender) != digestSize || len(t.recipients)%digestSize != 0:
		return t, "the ticket is malformed"
	case len(t.recipients) > (MostBound+roundUp)*digestSize:
		return t, "the ticket is too long"
	}
	return t, ""
}

func decode(s string) (string, error) {
	b, err := base64url.DecodeString(s)
	return string(b), err
}

// proof is a ticket that verified.
type proof struct {
	ticket
	h   mac
	mid string // with which it did
}

// maxTickets is how many tickets of our keys are looked at, maxForeign how many in all.
const (
	maxTickets = 8
	maxForeign = 100
)

// tickets verifies the tickets of a header. It returns those that are valid, whether there
// are any at all, and if none is valid, why.
func (k *Keys) tickets(h *header, now time.Time, maxAge time.Duration) (valid []proof, found bool, why string) {
	var facts *signed
	ours, seen := 0, 0
	for i := range h.fields {
		if len(h.fields[i].name) != len(TicketField) || !bytes.EqualFold(h.fields[i].name, []byte(TicketField)) {
			continue
		}
		found = true
		if seen++; seen > maxForeign || ours == maxTickets {
			break
		}
		t, bad := parseTicket(h.fields[i].value)
		if bad == "" && facts == nil {
			facts = h.signed()
		}
		if bad == "" {
			var p *proof
			var known bool
			if p, known, bad = k.verify(&t, facts, now, maxAge); known {
				ours++
			}
			if p != nil && !slices.ContainsFunc(valid, func(other proof) bool { return other.mac == p.mac }) {
				valid = append(valid, *p)
			}
			if p != nil {
				continue
			}
		}
		// What is wrong with a ticket of our keys matters more than with another one.
		if why == "" || bad != whyUnknownKey && bad != "" {
			why = bad
		}
	}
	if len(valid) > 0 {
		why = ""
	}
	return valid, found, why
}

const whyUnknownKey = "the ticket is of a key that is not in the key file"

// signed are the fields of a header that a ticket is computed from.
type signed struct{ ids, froms []string }

// signed returns the facts in their possible forms: a server may have added a
// Message-ID to a message without one, and a domain to an author without one, after the
// message was signed.
func (h *header) signed() *signed {
	id, from := h.first("Message-Id"), h.first("From")
	return signedFacts(id, from)
}

func signedFacts(id, from string) *signed {
	s := &signed{ids: []string{canonicalID(id)}, froms: []string{firstAuthor(from)}}
	if s.ids[0] != "" {
		s.ids = append(s.ids, "")
	}
	if s.froms[0] != "" {
		s.froms = append(s.froms, "")
	}
	return s
}

// verify verifies one ticket. known is true if it names a key of ours.
func (k *Keys) verify(t *ticket, facts *signed, now time.Time, maxAge time.Duration) (p *proof, known bool, why string) {
	i := slices.IndexFunc(k.list, func(key key) bool { return key.id == t.id })
	if i < 0 {
		return nil, false, whyUnknownKey
	}
	h := newMAC(k.list[i].secret)
	mid, ok := "", false
	for _, from := range facts.froms {
		for _, mid = range facts.ids {
			if ok = equal(t.sum(h, mid, from), t.mac); ok {
				break
			}
		}
		if ok {
			break
		}
	}
	if !ok {
		return nil, true, "the ticket does not fit the message: its Message-ID, From or the ticket was changed"
	}
	// The time is covered by the MAC, so it is a number that we wrote.
	unix, err := strconv.ParseInt(t.time, 10, 64)
	switch age := now.Sub(time.Unix(unix, 0)); {
	case err != nil, age < -maxSkew:
		return nil, true, "the ticket is from the future"
	case age > maxAge:
		return nil, true, "the ticket is older than max_age"
	}
	return &proof{*t, h, mid}, true, ""
}

// equal compares in constant time.
func equal(a, b string) bool { return hmac.Equal([]byte(a), []byte(b)) }

// unbound reports whether the ticket names no recipient.
func (p *proof) unbound() bool { return p.recipients == "" }

// names reports whether the ticket names a recipient.
func (p *proof) names(addr string) bool {
	if addr = canonical(addr); addr == "" {
		return false
	}
	want := p.digest(p.h, labelRecipient, p.mid, addr)
	for at := 0; at < len(p.recipients); at += digestSize {
		if equal(want, p.recipients[at:at+digestSize]) {
			return true
		}
	}
	return false
}

// from reports whether an address is the envelope sender.
func (p *proof) from(addr string) bool {
	return equal(p.digest(p.h, labelSender, p.mid, canonical(addr)), p.sender)
}
