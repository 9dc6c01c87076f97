package classify

import (
	"bytes"
	"slices"
	"strings"
)

// recogniseProviders finds who refused. In this order: the Remote-MTA; a host
// named before the innermost reply ("host X said: …"); words of the reply; and,
// the weakest sign, the Reporting-MTA. The first found is named. Rules for the
// provider whose words the reply carries hold as well, for one provider passes
// another's replies on. The words of a notice are always the Reporting-MTA's.
func (q *inquest) recogniseProviders() {
	byHost := q.provider(q.ev.RemoteMTA, &q.e.byMX)
	if byHost < 0 && q.reply.inner > 0 {
		for _, h := range q.reply.hosts {
			if h.from >= q.reply.inner {
				break
			}
			if p := q.e.byMX.lookUp(q.reply.norm[h.from:h.to]); p >= 0 {
				byHost = p
			}
		}
	}
	q.who = [3]int16{-1, -1, -1}
	n := 0
	for _, p := range [...]int16{byHost, q.reply.from} {
		if p >= 0 {
			q.who[n] = p
			n++
		}
	}
	if n == 0 {
		q.who[0] = q.provider(q.ev.ReportingMTA, &q.e.byReporting)
	}
}

// maxHostField is how long a field may be that names a host, in octets.
const maxHostField = 1024

// provider looks a reported host name up.
func (q *inquest) provider(host string, index *hostIndex) int16 {
	if host == "" || len(host) > maxHostField {
		return -1
	}
	q.lower = q.lower[:0]
	for i := 0; i < len(host); i++ {
		c := host[i]
		if c|0x20 >= 'a' && c|0x20 <= 'z' {
			c |= 0x20
		} else if octets[c]&octetHost == 0 {
			if len(q.lower) > 0 && index.lookUp(q.lower) >= 0 {
				break // "mx.example.com (192.0.2.7)"
			}
			q.lower = q.lower[:0] // "dns; mx.example.com"
			continue
		}
		q.lower = append(q.lower, c)
	}
	return index.lookUp(q.lower)
}

// isAt reports whether one of the hosts that a rule asks for refused: by the
// Remote-MTA, or named before the innermost reply ("host X said: …").
func (q *inquest) isAt(r *rule) bool {
	if len(r.RemoteMTAs) == 0 {
		return true
	}
	if len(q.ev.RemoteMTA) <= maxHostField {
		isNoHost := func(c rune) bool { return c > 0x7F || octets[c]&octetHost == 0 }
		for _, host := range strings.FieldsFunc(strings.ToLower(q.ev.RemoteMTA), isNoHost) {
			if below(host, r.RemoteMTAs) {
				return true
			}
		}
	}
	for _, h := range q.reply.hosts {
		if h.from >= q.reply.inner {
			break
		}
		if below(string(q.reply.norm[h.from:h.to]), r.RemoteMTAs) {
			return true
		}
	}
	return false
}

// below reports whether a host is one of those named, or below one.
func below(host string, names []string) bool {
	host = strings.Trim(host, ".")
	return slices.ContainsFunc(names, func(name string) bool {
		above, ok := strings.CutSuffix(host, name)
		return ok && (above == "" || above[len(above)-1] == '.')
	})
}

// hostIndex finds the provider that a host belongs to. Most hosts belong to
// none: lengths, of the names with each first octet, tells that without a look
// at the map.
type hostIndex struct {
	names   map[string]int16
	lengths [256]uint64
}

func (x *hostIndex) add(name string, provider int16) {
	if name == "" {
		return
	}
	if x.names == nil {
		x.names = map[string]int16{}
	}
	x.names[name] = provider
	x.lengths[name[0]] |= 1 << min(len(name), 63)
}

// lookUp returns the provider with the longest suffix of host, -1 if there is
// none.
func (x *hostIndex) lookUp(host []byte) int16 {
	for len(host) > 0 && host[len(host)-1] == '.' {
		host = host[:len(host)-1]
	}
	for len(host) > 0 {
		if x.lengths[host[0]]&(1<<min(len(host), 63)) != 0 {
			if p, ok := x.names[string(host)]; ok {
				return p
			}
		}
		i := bytes.IndexByte(host, '.')
		if i < 0 {
			break
		}
		host = host[i+1:]
	}
	return -1
}

// isFrom reports whether a rule holds for the recognised providers. A rule that
// holds because no provider was recognised ("other") is general to this reply.
func (q *inquest) isFrom(r *rule) (t tier, ok bool) {
	if len(r.providers) == 0 {
		return r.tier, true
	}
	for _, p := range r.providers {
		for _, w := range q.who {
			if w >= 0 && w == p {
				return r.tier, true
			}
		}
		if p == otherProvider && q.who[0] < 0 {
			t, ok = r.tierGroup(), true
		}
	}
	return t, ok
}

// otherProvider stands in a rule for "no provider that is known".
const otherProvider int16 = -2
