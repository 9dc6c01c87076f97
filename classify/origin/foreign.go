package origin

import (
	"net/mail"
	"net/netip"
	"strings"
	"time"

	"github.com/bounce-milter/bounce-milter/internal/ascii"
)

// foreign says why a message is not ours, "" if that does not show. marked is true if a
// ticket or a signature of ours is there, even one that is not valid.
//
// It needs a header that seems to be whole: servers drop fields from what they return, and a
// missing field proves nothing.
func (j *Judge) foreign(h *header, m *Message, marked bool, now time.Time) string {
	if m.Cut || h.broken || marked {
		return ""
	}
	w := j.look(h)
	if !w.whole() {
		return ""
	}
	switch {
	case w.mentioned:
		return ""
	case j.unticketed(h, now):
		return "all of our mail has a ticket, and this message came back with a whole header and without one"
	case w.elsewhere():
		return "its author, its Message-ID and the server that it came from are of another site"
	}
	return ""
}

// unticketed reports whether a message would have a ticket if it were ours: all of our mail
// has had one for longer than a message takes to come back, and this one is not older than
// that.
func (j *Judge) unticketed(h *header, now time.Time) bool {
	if j.keys == nil || j.since.IsZero() || now.Sub(j.since) <= j.maxAge {
		return false
	}
	date := h.first("Date")
	t, err := mail.ParseDate(date[:min(len(date), maxDate)])
	return err == nil && t.After(j.since)
}

// whereabouts are what a header says about where its message comes from.
type whereabouts struct {
	j         *Judge
	from, id  string // domains
	date      bool
	extension bool   // an X- field came back, so fields of that kind were not dropped
	received  int    // how many Received fields
	source    string // the oldest of them
	mentioned bool   // one of our hosts or domains has had the message
}

const (
	maxDomain = 253 // octets of a domain
	maxDate   = 200 // octets of a Date that are read
)

// maxReceived is how many Received fields a message can have on its way: servers take more
// for a loop (RFC 5321 section 6.3 wants at least 100).
const maxReceived = 200

func (j *Judge) look(h *header) *whereabouts {
	w := &whereabouts{j: j}
	for i := range h.fields {
		f := &h.fields[i]
		name := strings.ToLower(string(f.name))
		switch name {
		case "from":
			if w.from == "" {
				w.from = domainOf(firstAuthor(unfold(f.value)))
			}
		case "message-id":
			if w.id == "" {
				id := canonicalID(unfold(f.value))
				if at := strings.LastIndexByte(id, '@'); at >= 0 {
					w.id = canonicalDomain(id[at+1:])
				}
			}
		case "date":
			w.date = true
		case "received":
			if w.received++; w.received <= maxReceived {
				w.source = unfold(f.value)
				w.mentioned = w.mentioned || j.hasHad(w.source)
			}
		}
		switch {
		case name == "sender", name == "reply-to", name == "dkim-signature", strings.HasPrefix(name, "list-"), strings.HasPrefix(name, "resent-"):
			// A list of ours, or somebody here who sent it on.
			w.mentioned = w.mentioned || j.namesUs(string(f.value))
		case strings.HasPrefix(name, "x-"):
			w.extension = true
		}
	}
	return w
}

// whole reports whether a header seems to be all of what the message had.
func (w *whereabouts) whole() bool {
	return w.from != "" && w.id != "" && w.date && w.extension && w.received > 0 && w.received <= maxReceived
}

// elsewhere reports whether author, Message-ID and the oldest Received all name other
// sites.
func (w *whereabouts) elsewhere() bool {
	return isPublic(w.from) && !w.j.under(w.from) && isPublic(w.id) && !w.j.under(w.id) && namesHost(w.source)
}

// site adds a domain or host of ours.
func (j *Judge) site(name string) {
	j.names[name] = true
	for parent := name; ; {
		at := strings.IndexByte(parent, '.')
		if at < 0 {
			return
		}
		parent = parent[at+1:]
		j.parents[parent] = true
	}
}

// under reports whether a domain is one of ours, or below or above one.
func (j *Judge) under(domain string) bool {
	if len(domain) > maxDomain {
		return false
	}
	if j.parents[domain] {
		return true
	}
	for {
		if j.names[domain] {
			return true
		}
		at := strings.IndexByte(domain, '.')
		if at < 0 {
			return false
		}
		domain = domain[at+1:]
	}
}

// isPublic reports whether a domain has the form of one in the public DNS.
func isPublic(domain string) bool { return strings.IndexByte(domain, '.') > 0 && IsDomain(domain) }

// words calls yield for every word in a text that may be a host, a domain or an address
// of one, with the octet before it. It stops when yield returns false.
func words(s string, yield func(word string, before byte) bool) {
	in := func(c byte) bool {
		return ascii.IsAlnum(c) || c == '-' || c == '.' || c == ':' || c == '_' || c >= 0x80
	}
	for i := 0; i < len(s); {
		if !in(s[i]) {
			i++
			continue
		}
		end := i
		for end < len(s) && in(s[end]) {
			end++
		}
		before := byte(' ')
		if i > 0 {
			before = s[i-1]
		}
		if !yield(strings.Trim(s[i:end], ".:"), before) {
			return
		}
		i = end
	}
}

// namesUs reports whether a text has one of our domains in it.
func (j *Judge) namesUs(s string) (yes bool) {
	words(s, func(w string, _ byte) bool {
		yes = strings.IndexByte(w, '.') > 0 && j.under(canonicalDomain(w))
		return !yes
	})
	return yes
}

// hasHad reports whether a Received field (RFC 5321 section 4.4) names a host or an
// address of ours. An address of a mailbox in it says nothing: it is the envelope's, which
// is ours in any case, since the bounce came here.
func (j *Judge) hasHad(received string) (yes bool) {
	words(received, func(w string, before byte) bool {
		if before == '@' || len(w) > maxDomain {
			return true
		}
		if ip, err := netip.ParseAddr(strings.TrimPrefix(strings.ToLower(w), "ipv6:")); err == nil {
			ip = ip.Unmap()
			for _, n := range j.networks {
				yes = yes || n.Contains(ip)
			}
			return !yes
		}
		yes = strings.IndexByte(w, '.') > 0 && j.under(canonicalDomain(w))
		return !yes
	})
	return yes
}

// namesHost reports whether a Received field names a server of the public Internet.
func namesHost(received string) (yes bool) {
	words(received, func(w string, before byte) bool {
		yes = before != '@' && isPublic(canonicalDomain(w))
		return !yes
	})
	return yes
}
