package propose

import (
	"fmt"
	"hash/fnv"
	"slices"
	"strings"
	"unicode/utf8"

	"github.com/bounce-milter/bounce-milter/internal/ascii"
	"github.com/bounce-milter/bounce-milter/internal/lines"
	"github.com/bounce-milter/bounce-milter/internal/mask"
	"github.com/bounce-milter/bounce-milter/internal/toml"
)

// Bounds of a proposed phrase in octets: a short phrase fits too many replies, a long one
// fits only one.
const (
	minPhrase = 8
	minWord   = 16 // of a single word, if its language puts spaces between words
	maxPhrase = 72
)

// Choose stands in a proposed rule where its reason goes.
const Choose = "CHOOSE"

// Phrases returns stretches of words, the longest first, by which a rule can recognise these
// replies: each stands in all of them, in the form that phrases are matched on.
func Phrases(understood []string) []string {
	if len(understood) == 0 {
		return nil
	}
	var list []string
	words := understood[0]
	at := 0
	for _, p := range append(mask.Find(words), mask.Span{From: len(words), To: len(words)}) {
		for _, s := range stretches(words[at:p.From], understood[1:]) {
			if s = fit(s); len(s) >= minPhrase && !isOneWord(s) && !strings.ContainsRune(s, '@') {
				list = append(list, s)
			}
		}
		at = p.To
	}
	slices.SortStableFunc(list, func(a, b string) int { return len(b) - len(a) })
	return list
}

// isOneWord reports whether a phrase is a word such as "delivery", which many other replies
// have: whoever wants to spoil somebody's rules may reply with nothing else.
func isOneWord(s string) bool {
	return len(s) < minWord && strings.IndexByte(s, ' ') < 0 && ascii.Only(s)
}

// stretches splits text into runs of words that stand in every other text too.
func stretches(text string, others []string) []string {
	if len(others) == 0 {
		return []string{text}
	}
	everywhere := func(s string) bool {
		for _, o := range others {
			if !strings.Contains(o, s) {
				return false
			}
		}
		return true
	}
	words := strings.Fields(text)
	var out []string
	for i := 0; i < len(words); {
		run := ""
		for i < len(words) {
			longer := strings.TrimLeft(run+" "+words[i], " ")
			if !everywhere(longer) {
				break
			}
			run = longer
			i++
		}
		if run == "" {
			i++
			continue
		}
		out = append(out, run)
	}
	return out
}

// fit trims a stretch of words to what a phrase may be.
func fit(s string) string {
	trim := func(s string) string {
		return strings.TrimFunc(s, func(r rune) bool { return r < utf8.RuneSelf && !ascii.IsAlnum(byte(r)) })
	}
	s = trim(s)
	if len(s) <= maxPhrase {
		return s
	}
	if cut := strings.LastIndexByte(s[:maxPhrase], ' '); cut >= 0 {
		return trim(s[:cut])
	}
	return trim(lines.Cut(s, maxPhrase)) // a language without spaces
}

// ID makes the id of a rule from its phrase.
func ID(phrase string) string {
	h := fnv.New32a()
	h.Write([]byte(phrase))
	var id strings.Builder
	for _, w := range strings.FieldsFunc(phrase, func(c rune) bool { return c >= utf8.RuneSelf || !ascii.IsAlnum(byte(c)) }) {
		if id.Len()+len(w) > 32 {
			break
		}
		id.WriteString(strings.ToLower(w) + "-")
	}
	return fmt.Sprintf("mine-%s%06x", id.String(), h.Sum32()&0xffffff)
}

// Rule writes a rule that goes by a phrase. hint is a comment behind its reason; without one,
// a reason that is still to be chosen gets one that says where reasons are listed.
func Rule(phrase, reason, hint string, examples []string) string {
	quoted := make([]string, len(examples))
	for i, e := range examples {
		quoted[i] = "\n  " + toml.Quote(e) + ","
	}
	if hint == "" && reason == Choose {
		hint = "see: bounce-milter rules list"
	}
	if hint != "" {
		hint = "  # " + hint
	}
	return fmt.Sprintf("[[rule]]\nid = %s\nreason = %s%s\nany = [%s]\nexamples = [%s\n]\n",
		toml.Quote(ID(phrase)), toml.Quote(reason), hint, toml.Quote(phrase), strings.Join(quoted, ""))
}
