package main

import (
	"fmt"
	"strings"

	"github.com/bounce-milter/bounce-milter/classify"
	"github.com/bounce-milter/bounce-milter/classify/rules"
)

// Bounds on how much of a stranger's words is repeated above the explanation.
const (
	longestReply = 2000 // octets
	mostLines    = 40
)

// explainText prints everything about a verdict: what was judged, the verdict, the
// ladder, the rules, the other candidates, why, and what to do.
func explainText(a *app, x *classify.Explanation) {
	p := newPaper(a)
	r := x.Recipient
	p.quote(r.Diagnostic)
	if x.Notice != "" && x.Notice != r.Diagnostic {
		p.print(p.style.paint(dim, "The notice says:"))
		p.quote(x.Notice)
	}
	p.print("")
	p.print("  " + p.style.paint(bold, p.style.paint(typeColour[r.Type], fmt.Sprintf("%s, %s", r.Category, r.Type))))
	p.field("reason", r.Reason+": "+x.Meaning)
	if c := codes(r.SMTPCode, r.Status); c != "" {
		p.field("codes", c)
	}
	p.field("provider", strings.Join(x.Providers, ", "))
	p.field("evidence", strings.TrimSpace(string(r.Evidence)+" "+r.Rule))

	p.head("Ladder")
	for _, s := range x.Ladder {
		mark, colour := "  ", ""
		text := "–"
		if s.Category != "" {
			text = string(s.Category)
			if s.Reason != "" && s.Reason != text && s.Reason != rules.Unknown {
				text += ", " + s.Reason
			}
			text += ": " + s.Text
		} else {
			colour = dim
			if s.Note != "" {
				text += " " + s.Note
			}
		}
		if s.Won {
			mark, colour = "→ ", green
		}
		p.hang("  "+p.style.paint(colour, mark+pad(string(s.Rung), 7))+" ", 12, text)
	}

	if len(x.Matches) > 0 {
		p.head("Rules that matched, the first one first")
		for i, m := range x.Matches {
			p.hang(fmt.Sprintf("  %2d ", i+1), 5, fmt.Sprintf("%s (%s:%d): %s", m.ID, m.File, m.Line, m.Reason))
			p.hang("     ", 5, fmt.Sprintf("%s, by %s in the %s", m.Tier, strings.Join(m.By, " and "), m.Where))
			if m.Lost != "" {
				p.hang("     ", 5, "lost: "+m.Lost)
			} else {
				p.hang("     ", 5, "won")
			}
		}
	}
	if len(x.Choices) > 1 {
		p.head("Candidates of " + x.Pair)
		for _, c := range x.Choices {
			p.print(fmt.Sprintf("  %s %s", pad(string(c.Category), 18), rows(c.Rows)))
		}
	}
	p.head("Why")
	p.text(x.Why)
	if x.Advice != "" {
		p.head("What to do")
		p.text(x.Advice)
	}
}

func rows(n int) string {
	if n == 1 {
		return "1 row of the code table"
	}
	return fmt.Sprintf("%d rows of the code table", n)
}
