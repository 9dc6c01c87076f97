package notice

import "github.com/bounce-milter/bounce-milter/internal/address"

// place is an address in the text of a notice, and its line.
type place struct {
	address.Place
	line int
}

// maxAddresses bounds how many addresses are found.
const maxAddresses = 2 * maxNoticeLines

// scanAddresses finds the addresses in the text, without message ids.
func (n *Notice) scanAddresses() {
	line, seen := 0, 0
	for a := range address.In(n.orig) {
		if seen++; seen > maxAddresses {
			break
		}
		for line+1 < len(n.lines) && n.lines[line+1].start <= a.Start {
			line++
		}
		if line >= len(n.lines) || !n.lines[line].ids {
			n.addrs = append(n.addrs, place{a, line})
		}
	}
}
