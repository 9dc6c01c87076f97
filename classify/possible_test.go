package classify

import (
	"slices"
	"strconv"
	"testing"
)

// No reply of the corpus gets a verdict that Verdicts does not list.
func TestVerdictsAreAll(t *testing.T) {
	e := builtIn(t)
	all := e.Verdicts()
	for _, impossible := range []Verdict{
		{Category: MailboxFull, Type: Soft, Reason: "unknown-recipient"},
		{Category: MailboxFull, Type: Hard, Reason: "mailbox-full"},
		{Category: Unclassified, Type: Hard, Reason: "unknown"},
		{Category: Unclassified, Type: Block, Reason: "unknown"},
	} {
		if slices.Contains(all, impossible) {
			t.Errorf("%v is listed", impossible)
		}
	}
	n := 0
	check := func(ev *Evidence) {
		n++
		got := e.Judge(ev)
		if v := (Verdict{Category: got.Category, Type: got.Type, Reason: got.Reason}); !slices.Contains(all, v) {
			t.Errorf("%v of %q is not listed", v, ev.Reply)
		}
	}
	for _, r := range e.Rules() {
		for _, ex := range r.Examples {
			check(&Evidence{Reply: ex.Reply, Notice: ex.Notice})
			check(&Evidence{Reply: ex.Reply, Notice: ex.Notice, Action: "delayed"})
		}
	}
	for code := 400; code < 600; code++ {
		for _, words := range []string{"", " Zzyzx xyzzy", " <a@example.org> zzyzx"} {
			for _, status := range []string{"", " 5.1.1", " 5.7.1", " 4.2.2", " 5.7.26", " 4.4.7", " 5.2.1", " 5.9.9"} {
				check(&Evidence{Reply: strconv.Itoa(code) + status + words, Sender: "a@example.org"})
			}
		}
	}
	if n < 4000 {
		t.Errorf("%d replies only", n)
	}
}
