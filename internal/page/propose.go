package page

import (
	"fmt"
	"hash/fnv"
	"strings"
	"unicode/utf8"

	"github.com/bounce-milter/bounce-milter/internal/ascii"
	"github.com/bounce-milter/bounce-milter/internal/mask"
	"github.com/bounce-milter/bounce-milter/internal/toml"
)

// wordTable finds Words.
type wordTable struct {
	Words
	reasons map[string]*Reason
}

func newWordTable(w Words) *wordTable {
	t := &wordTable{w, map[string]*Reason{}}
	for i := range w.Reasons {
		t.reasons[w.Reasons[i].ID] = &w.Reasons[i]
	}
	return t
}

// reason returns what is known about a reason.
func (t *wordTable) reason(id string) Reason {
	if r := t.reasons[id]; r != nil {
		return *r
	}
	return Reason{ID: id}
}

// Bounds of a proposed phrase in octets: one that is short says little, one that is long
// says it to one message.
const (
	minPhrase = 8
	maxPhrase = 72
)

// phrase returns the longest stretch of words in a reply that a rule can go by, "" if there
// is none. known are the names in it, see [mask.Find].
func (t *wordTable) phrase(said string, known ...string) string {
	if t.Understand == nil {
		return ""
	}
	// No phrase can run over an address.
	words := t.Understand(mask.Replace(said, mask.Find(said, known...), func(mask.Span) string { return " x@example.com " }))
	best := ""
	stretch := func(s string) {
		s = strings.TrimFunc(s, func(r rune) bool { return r < utf8.RuneSelf && !ascii.IsAlnum(byte(r)) })
		if len(s) > maxPhrase {
			cut := strings.LastIndexByte(s[:maxPhrase], ' ')
			if cut < 0 { // a language without spaces
				for cut = maxPhrase; !utf8.RuneStart(s[cut]); cut-- {
				}
			}
			s = strings.TrimRight(s[:cut], " ,;:-")
		}
		if len(s) > len(best) {
			best = s
		}
	}
	at := 0
	for _, p := range mask.Find(words) {
		stretch(words[at:p.From])
		at = p.To
	}
	stretch(words[at:])
	if len(best) < minPhrase || strings.ContainsRune(best, '@') {
		return ""
	}
	return best
}

// rule proposes a rule, without its reason, for a reply that no rule understood; "" if it
// has no words to go by. It goes into a file of rules.d, where `rules test` accepts it once
// its reason is chosen.
func (r *reply) rule() string {
	if r.Phrase == "" {
		return ""
	}
	h := fnv.New32a()
	h.Write([]byte(r.Phrase))
	id := strings.Builder{}
	for _, w := range strings.FieldsFunc(r.Phrase, func(c rune) bool { return c >= utf8.RuneSelf || !ascii.IsAlnum(byte(c)) }) {
		if id.Len()+len(w) > 32 {
			break
		}
		id.WriteString(w + "-")
	}
	return fmt.Sprintf("[[rule]]\nid = \"mine-%s%06x\"\nreason = \"CHOOSE\"  # see: bounce-milter rules list\nany = [%s]\nexamples = [%s]\n",
		id.String(), h.Sum32()&0xffffff, toml.Quote(r.Phrase), toml.Quote(r.Example))
}
