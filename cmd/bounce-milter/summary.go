package main

import (
	"fmt"
	"slices"
	"strings"

	"github.com/bounce-milter/bounce-milter/classify"
	"github.com/bounce-milter/bounce-milter/classify/dsn"
)

// manyMessages is from how many messages on a table is followed by its sum.
const manyMessages = 10

// summary prints what many messages add up to: by kind, by category with bars,
// by type.
func (t *classifyTable) summary() {
	if t.messages < manyMessages {
		return
	}
	out, total := t.a.out, 0
	var kinds []string
	for _, k := range []struct {
		name  string
		kinds []dsn.Kind
	}{
		{"with bounces", []dsn.Kind{dsn.KindDSN, dsn.KindText}},
		{"abuse reports", []dsn.Kind{dsn.KindFeedback}},
		{"receipts", []dsn.Kind{dsn.KindDisposition}},
		{"automatic replies", []dsn.Kind{dsn.KindAutoReply}},
		{"no bounces", []dsn.Kind{dsn.KindNone}},
	} {
		n := 0
		for _, kind := range k.kinds {
			n += t.kinds[kind]
		}
		if n > 0 {
			kinds = append(kinds, grouped(n)+" "+k.name)
		}
	}
	if t.unreadable > 0 {
		kinds = append(kinds, grouped(t.unreadable)+" unreadable")
	}
	fmt.Fprintf(out, "\n%s messages: %s\n", grouped(t.messages), strings.Join(kinds, ", "))

	order := slices.Clone(classify.Categories)
	for _, c := range order {
		total += t.categories[c]
	}
	if total == 0 {
		return
	}
	slices.SortStableFunc(order, func(a, b classify.Category) int { return t.categories[b] - t.categories[a] })
	most := t.categories[order[0]]
	n := max(10, min(40, width(t.a.stdout)-45))
	fmt.Fprintf(out, "%s recipients bounced:\n\n", grouped(total))
	for _, c := range order {
		k := t.categories[c]
		if k == 0 {
			continue
		}
		fmt.Fprintf(out, "  %s %9s %5.1f %%  %s\n", pad(string(c), 18), grouped(k),
			100*float64(k)/float64(total), t.style.paint(cyan, bar(float64(k)/float64(most), n)))
	}
	out.WriteByte('\n')
	for _, typ := range classify.Types {
		k := t.types[typ]
		fmt.Fprintf(out, "  %s %9s %5.1f %%\n", t.style.paint(typeColour[typ], pad(string(typ), 18)), grouped(k), 100*float64(k)/float64(total))
	}
}
