package classify

// recogniseProviders finds who refused. In this order: the Remote-MTA; a host
// named before the innermost reply ("host X said: …"); words of the reply; and,
// the weakest sign, the Reporting-MTA. The first found is named. Rules for the
// provider whose words the reply carries hold as well, for one provider passes
// another's replies on. The words of a notice are always the Reporting-MTA's.
func (q *inquest) recogniseProviders() {
	byHost := q.provider(q.ev.RemoteMTA, q.e.byMX)
	if byHost < 0 && q.reply.inner > 0 {
		for _, h := range q.reply.hosts {
			if h.from >= q.reply.inner {
				break
			}
			if p := lookUpSuffix(q.reply.norm[h.from:h.to], q.e.byMX); p >= 0 {
				byHost = p
			}
		}
	}
	byWords, at := int16(-1), int32(-1)
	for _, h := range q.reply.hits {
		// The last words win: they are those of the innermost reply.
		if p := q.e.match.patterns[h].provider; p >= 0 && q.reply.seen[h].last > at {
			byWords, at = p, q.reply.seen[h].last
		}
	}
	q.who = [3]int16{-1, -1, -1}
	n := 0
	for _, p := range []int16{byHost, byWords} {
		if p >= 0 {
			q.who[n] = p
			n++
		}
	}
	if n == 0 {
		q.who[0] = q.provider(q.ev.ReportingMTA, q.e.byReporting)
	}
}

// provider looks a reported host name up.
func (q *inquest) provider(host string, index map[string]int16) int16 {
	if host == "" || len(host) > 1024 {
		return -1
	}
	q.lower = q.lower[:0]
	for i := 0; i < len(host); i++ {
		c := host[i]
		if c|0x20 >= 'a' && c|0x20 <= 'z' {
			c |= 0x20
		} else if octets[c]&octetHost == 0 {
			if len(q.lower) > 0 && lookUpSuffix(q.lower, index) >= 0 {
				break // "mx.example.com (192.0.2.7)"
			}
			q.lower = q.lower[:0] // "dns; mx.example.com"
			continue
		}
		q.lower = append(q.lower, c)
	}
	return lookUpSuffix(q.lower, index)
}

// lookUpSuffix returns the provider with the longest suffix of host, -1 if
// there is none.
func lookUpSuffix(host []byte, index map[string]int16) int16 {
	for len(host) > 0 && host[len(host)-1] == '.' {
		host = host[:len(host)-1]
	}
	for {
		if p, ok := index[string(host)]; ok {
			return p
		}
		i := 0
		for i < len(host) && host[i] != '.' {
			i++
		}
		if i == len(host) {
			return -1
		}
		host = host[i+1:]
	}
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
