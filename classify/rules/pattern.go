package rules

import (
	"fmt"
	"strings"

	"github.com/bounce-milter/bounce-milter/classify/reply"
)

// CodePattern matches SMTP codes digit by digit; 'x' is any digit.
type CodePattern [3]byte

// parseCode reads "552", "45x", "4xx".
func parseCode(s string) (CodePattern, error) {
	var p CodePattern
	if len(s) != 3 {
		return p, fmt.Errorf("code %q must be three digits, x for any", s)
	}
	for i := range 3 {
		c := s[i] | 0x20
		if c != 'x' && (c < '0' || c > '9') {
			return p, fmt.Errorf("code %q must be three digits, x for any", s)
		}
		p[i] = c
	}
	if p[0] == 'x' || p[0] < '2' {
		return p, fmt.Errorf("code %q must begin with a digit from 2", s)
	}
	return p, nil
}

// Match reports whether the code n, from 200 to 999, fits.
func (p CodePattern) Match(n int) bool {
	return n >= 200 && n <= 999 &&
		(p[0] == 'x' || int(p[0]-'0') == n/100) &&
		(p[1] == 'x' || int(p[1]-'0') == n/10%10) &&
		(p[2] == 'x' || int(p[2]-'0') == n%10)
}

// Class returns the first digit of a pattern that says nothing more ("5xx"), else 0.
func (p CodePattern) Class() int {
	if p[1] == 'x' && p[2] == 'x' {
		return int(p[0] - '0')
	}
	return 0
}

// number reads one to three digits without a needless zero before them (RFC 3463
// section 2), -1 for anything else.
func number(s string) int {
	if len(s) == 0 || len(s) > 3 || s[0] == '0' && len(s) > 1 {
		return -1
	}
	n := 0
	for i := 0; i < len(s); i++ {
		if s[i] < '0' || s[i] > '9' {
			return -1
		}
		n = n*10 + int(s[i]-'0')
	}
	return n
}

// StatusPattern matches enhanced codes: "5.2.2", "x.2.2", "5.2.*", "5.7.606-649".
type StatusPattern struct {
	class, subject int16 // -1 is any
	lo, hi         int16 // of the detail
}

// parseStatusPattern reads one pattern of a rule.
func parseStatusPattern(s string) (StatusPattern, error) {
	bad := fmt.Errorf("status %q must be like 5.2.2, x.2.2, 5.2.* or 5.7.606-649", s)
	parts := strings.Split(s, ".")
	if len(parts) != 3 {
		return StatusPattern{}, bad
	}
	p := StatusPattern{class: -1, subject: -1, hi: 999}
	if !anyPart(parts[0]) {
		n := number(parts[0])
		if n != 2 && n != 4 && n != 5 {
			return p, bad
		}
		p.class = int16(n)
	}
	if !anyPart(parts[1]) {
		n := number(parts[1])
		if n < 0 {
			return p, bad
		}
		p.subject = int16(n)
	}
	if anyPart(parts[2]) {
		return p, nil
	}
	from, to, ranged := strings.Cut(parts[2], "-")
	if !ranged {
		to = from
	}
	lo, hi := number(from), number(to)
	if lo < 0 || hi < lo {
		return p, bad
	}
	p.lo, p.hi = int16(lo), int16(hi)
	return p, nil
}

func anyPart(s string) bool { return s == "x" || s == "X" || s == "*" }

// Match reports whether s fits. The zero Status fits nothing.
func (p StatusPattern) Match(s reply.Status) bool {
	return s.Class != 0 && (p.class < 0 || p.class == s.Class) &&
		(p.subject < 0 || p.subject == s.Subject) && p.lo <= s.Detail && s.Detail <= p.hi
}

// validID reports whether s is made of lower-case letters, digits and dashes.
func validID(s string) bool {
	for i := 0; i < len(s); i++ {
		c := s[i]
		if !(c >= 'a' && c <= 'z' || c >= '0' && c <= '9' || c == '-' && i > 0 && i < len(s)-1) {
			return false
		}
	}
	return s != "" && len(s) <= 64
}
