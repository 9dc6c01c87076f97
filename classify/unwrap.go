package classify

import (
	"bytes"

	"github.com/bounce-milter/bounce-milter/classify/reply"
	"github.com/bounce-milter/bounce-milter/classify/rules"
)

// unwrap records that a quoted reply may begin at norm[at:], after the marker
// norm[from:at]. The last one that says something is the innermost; a note behind it
// quotes nothing.
func (t *text) unwrap(w *rules.Wrapper, from, at int) {
	b := t.norm
	if w.Skip != "" {
		i := bytes.Index(b[at:min(len(b), at+reach)], []byte(w.Skip))
		if i < 0 {
			return
		}
		at += i + len(w.Skip)
	}
	for end := at + maxQuotes; at < len(b) && at < end && (b[at] == ' ' || b[at] == '\'' || b[at] == '"'); {
		at++
	}
	if at <= t.inner || at < len(b) && t.marks[at]&markTail != 0 || w.Code && !startsWithCode(b[at:]) || !t.hasLetters(at) {
		return
	}
	for i := from; i < at && i < from+maxMarker; i++ {
		t.marks[i] |= markWrap
	}
	t.inner = at
}

// closeQuote hides the brackets and quotes behind the quoted reply that the wrapper
// opened before it: "(u@example.com:550 who knows)".
func (t *text) closeQuote() {
	end := len(t.norm)
	for open := t.count('(', end) - t.count(')', end); end > t.inner; {
		switch c := t.norm[end-1]; {
		case c == ')' && open < 0:
			open++
		case (c == '\'' || c == '"') && t.count(c, end)%2 == 1:
		case c == ' ':
			end--
			continue
		default:
			return
		}
		end--
		t.marks[end] |= markTail
		t.tails = true
	}
}

// count counts an octet in the innermost reply up to end.
func (t *text) count(c byte, end int) int { return bytes.Count(t.norm[t.inner:end], []byte{c}) }

// maxQuotes bounds the quotes and spaces that are skipped before a quoted reply. Each
// may be part of a marker, and must not make all the others be looked at again.
const maxQuotes = 8

// maxMarker bounds the octets that are hidden as a wrapper's own words.
const maxMarker = 100

// startsWithCode reports whether b begins with a reply code that refuses, and
// something behind it.
func startsWithCode(b []byte) bool { return len(b) > 3 && reply.LeadingCode(b) >= 400 }
