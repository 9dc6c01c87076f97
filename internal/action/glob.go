package action

import (
	"errors"
	"fmt"
	"strings"

	"github.com/bounce-milter/bounce-milter/internal/ascii"
)

// globs are patterns of addresses in which "*" stands for any characters, none included.
// Case does not matter. Matching takes time in proportion to the address: the first place
// where a piece fits is the best, so nothing is tried twice.
type globs struct {
	whole map[string]bool // those without a "*"
	rest  []glob
}

// glob is what stands between the "*" of a pattern: more than one piece, of which the
// first and the last may be empty.
type glob []string

// maxAddress is longer than an address may be (RFC 5321 section 4.5.3.1.3). No pattern
// fits a longer one.
const maxAddress = 320

func newGlobs(patterns []string) *globs {
	if len(patterns) == 0 {
		return nil
	}
	g := &globs{whole: map[string]bool{}}
	for _, p := range patterns {
		p = strings.ToLower(p)
		if pieces := strings.Split(p, "*"); len(pieces) > 1 {
			g.rest = append(g.rest, pieces)
		} else {
			g.whole[p] = true
		}
	}
	return g
}

// match reports whether one of the patterns fits an address, which is in lower case.
func (g *globs) match(addr string) bool {
	if addr == "" || len(addr) > maxAddress {
		return false
	}
	if g.whole[addr] {
		return true
	}
	for _, p := range g.rest {
		if p.match(addr) {
			return true
		}
	}
	return false
}

func (p glob) match(s string) bool {
	first, last := p[0], p[len(p)-1]
	if !strings.HasPrefix(s, first) {
		return false
	}
	s = s[len(first):]
	if !strings.HasSuffix(s, last) {
		return false
	}
	s = s[:len(s)-len(last)]
	for _, piece := range p[1 : len(p)-1] {
		i := strings.Index(s, piece)
		if i < 0 {
			return false
		}
		s = s[i+len(piece):]
	}
	return true
}

// covers reports whether the patterns fit every address that one of q fits. Only a "*" of
// theirs can fit a "*" of q, so that it is enough to match q's own text.
func (g *globs) covers(q []string) bool {
	for _, p := range q {
		if !g.match(strings.ToLower(p)) {
			return false
		}
	}
	return true
}

// checkGlob says what is wrong with a pattern, and the mend.
func checkGlob(p string) error {
	bad := func(r rune) bool { return ascii.IsBlank(r) || strings.ContainsRune("<>,;:?[]{}()\\\"", r) }
	switch {
	case p == "":
		return errors.New(`is empty: write an address, or a part of one with "*"`)
	case strings.Trim(p, "*") == "":
		return errors.New("fits every address: leave it out")
	case strings.Contains(p, "**"):
		return errors.New(`has two "*" side by side: write one`)
	case len(p) > maxAddress:
		return fmt.Errorf("is longer than any address: write at most %d octets", maxAddress)
	case strings.ContainsFunc(p, bad):
		i := strings.IndexFunc(p, bad)
		return fmt.Errorf(`has %q, which stands for nothing here: write letters as they are, and "*" for any others`, []rune(p[i:])[0])
	case strings.Count(p, "@") > 1:
		return errors.New(`has two "@": write one`)
	case !strings.ContainsAny(p, "@*"):
		return fmt.Errorf(`is no whole address: write "%s@*" or "*@%[1]s"`, p)
	case strings.HasPrefix(p, "@"), strings.HasSuffix(p, "@"):
		return fmt.Errorf(`is no whole address: write a "*" where something may stand, as in "*@example.org"`)
	}
	return nil
}
