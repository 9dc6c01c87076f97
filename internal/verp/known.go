package verp

import "strings"

// wellKnown are the forms of list managers that are read without being configured. Each
// contains a mark that no other address has, followed by a domain of the public DNS. An
// address such as bounces+user=domain is not among them, because it may also be an
// ordinary address with an extension, and some senders put more before the user.
var wellKnown = func() []*pattern {
	var list []*pattern
	for _, text := range []string{
		"{list}-bounces+{local}={domain}",         // Mailman
		"owner-{list}+{local}={domain}",           // Postfix, sendmail -V, as its VERP_README has it
		"{list}-owner+{local}={domain}",           // the same, for lists whose owner is LIST-owner
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
			// The mark after the list occurs only once (see once), so it ends the list.
			p.cuts = p.cuts[:0]
			if err := p.cutRun(cut{field: 1, to: len(p.fields)}); err != nil {
				panic("verp: " + text + " " + err.Error())
			}
		}
		list = append(list, p)
	}
	return list
}()

// once reports whether the mark of a well-known form occurs only once in a local part,
// which is given in lower case. If it occurs twice, the address can be read in two ways.
func (p *pattern) once(low string) bool {
	for _, t := range p.texts {
		if len(t) > 2 && strings.Count(low, t) != 1 {
			return false
		}
	}
	return true
}
