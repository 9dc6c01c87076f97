package verp

import "strings"

// wellKnown are the addresses of list managers that are read though nobody configured
// them: with a mark in them that no other address has, and a domain of the public DNS
// behind it. An address such as bounces+user=domain is not among them: it may as well be
// an address with an extension, and some senders put more before the user.
var wellKnown = func() []*pattern {
	var list []*pattern
	for _, text := range []string{
		"{list}-bounces+{local}={domain}",         // Mailman
		"owner-{list}+{local}={domain}",           // Postfix, sendmail -V, as its VERP_README has it
		"{list}-owner+{local}={domain}",           // the same of lists that name their owner so
		"{list}-return-{number}-{local}={domain}", // ezmlm
		"{list}-owner-{local}={domain}",           // qmail (QMAILINJECT=r, "-owner-@host-@[]")
		"bounce+{local}==a=={domain}=={list}",     // Sympa
		"owner-{list}*{local}**{domain}",          // LISTSERV
	} {
		p := &pattern{text: text}
		if err := p.parse(text, len(fieldNames)); err != nil {
			panic("verp: " + text + " " + err.Error())
		}
		if p.order() != nil {
			// The mark behind the list occurs once (see once): it cuts the list off.
			p.cuts = p.cuts[:0]
			if err := p.cutRun(cut{field: 1, to: len(p.fields)}); err != nil {
				panic("verp: " + text + " " + err.Error())
			}
		}
		list = append(list, p)
	}
	return list
}()

// once reports whether the mark by which a well-known form is known occurs once in a
// local part, in lower case: otherwise it can be read in two ways.
func (p *pattern) once(low string) bool {
	for _, t := range p.texts {
		if len(t) > 2 && strings.Count(low, t) != 1 {
			return false
		}
	}
	return true
}
