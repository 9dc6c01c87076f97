package main

import (
	"cmp"
	"fmt"
	"slices"
	"strings"

	"github.com/bounce-milter/bounce-milter/classify"
	"github.com/bounce-milter/bounce-milter/classify/dsn"
)

// typeColour shows how urgent each type is.
var typeColour = map[classify.Type]string{classify.Hard: red, classify.Soft: yellow, classify.Block: magenta}

// verdictColumns are the columns of a table of verdicts. files, origins and takes say
// whether several files are shown, whether it is known whose mail came back, and whether
// actions are configured.
func verdictColumns(files, origins, takes bool) []column {
	c := []column{
		{head: "CATEGORY", width: 17},
		{head: "TYPE", width: 5},
		{head: "REASON", width: 18, most: 20, rank: 3},
		{head: "ACTION", width: 9, rank: 5},
		{head: "CODE", width: 11, rank: 1},
		{head: "ORIGIN", width: 10, rank: 4},
		{head: "RECIPIENT", width: 21, most: 40},
		{head: "TAKES", width: 16, most: 28, rank: 4},
		{head: "FILE", width: 16, most: 60, keep: keepEnd, rank: 2},
	}
	if !origins {
		c[5].rank = never
	}
	if !takes {
		c[7].rank = never
	}
	if !files {
		c[8].rank = never
	}
	return c
}

// classifyTable prints one row for each recipient, and adds up.
type classifyTable struct {
	table
	path  string // of the only file; it is not repeated in every row
	owned bool   // it is known whose mail came back, which has a column
	acts  bool   // actions are configured, and have a column
	sums  bool   // only these are asked for

	messages, unreadable, recipients int
	kinds                            map[dsn.Kind]int
	categories                       map[classify.Category]int
	types                            map[classify.Type]int
}

func newClassifyTable(a *app, paths []string, owned, acts bool) *classifyTable {
	t := &classifyTable{table: newTable(a), owned: owned, acts: acts, sums: a.options.sum,
		kinds: map[dsn.Kind]int{}, categories: map[classify.Category]int{}, types: map[classify.Type]int{}}
	if len(paths) == 1 && kindOf(paths[0]) != aFolder {
		t.path = paths[0]
	}
	return t
}

// print prints a row, if any are wanted.
func (t *classifyTable) print(cells []string, colour string) error {
	if t.sums {
		return nil
	}
	last := len(cells) - 1
	if t.path != "" {
		// In an mbox the number of the message is left.
		cells[last] = strings.TrimPrefix(cells[last], clean(t.path))
	}
	columns := func() []column { return verdictColumns(cells[last] != "", t.owned, t.acts) }
	return t.row(columns, cells, colour)
}

// message prints what a message says, and counts it.
func (t *classifyTable) message(c classified) error {
	t.messages++
	if c.Error != "" {
		t.unreadable++
		t.a.complain(fmt.Errorf("%s: %s", clean(c.File), c.Error))
		return nil
	}
	t.kinds[c.Kind]++
	file := clean(c.File)
	if len(c.Recipients) == 0 {
		what := string(c.Kind)
		switch c.Kind {
		case dsn.KindNone:
			what = "no bounce"
		case dsn.KindDSN, dsn.KindText:
			what = "no recipient"
		}
		about, who := "", ""
		if f := c.Feedback; f != nil {
			about, who = string(f.Type), strings.Join(f.Recipients, ", ")
		}
		return t.print([]string{what, "", about, "", "", originShort(c.whose, 0), clean(who), c.plan.short(), file}, dim)
	}
	for i, r := range c.Recipients {
		t.recipients++
		if r.Action.Bounced() {
			t.categories[r.Category]++
			t.types[r.Type]++
		}
		if err := t.print([]string{string(r.Category), string(r.Type), r.Reason, string(r.Action), codes(r.SMTPCode, r.Status), originShort(c.whose, i),
			clean(cmp.Or(r.Address, r.Original)), c.plan.short(), file}, typeColour[r.Type]); err != nil {
			return err
		}
	}
	return nil
}

// codes joins the SMTP code and the enhanced code as in a reply.
func codes(smtp int, status string) string {
	switch {
	case smtp == 0:
		return status
	case status == "":
		return fmt.Sprint(smtp)
	}
	return fmt.Sprintf("%d %s", smtp, status)
}

// manyMessages is the number of messages from which on a summary follows the table.
const manyMessages = 10

// summary prints the totals of many messages, or those that are asked for: by kind, by
// category with bars, and by type.
func (t *classifyTable) summary(asked bool) {
	if t.messages < manyMessages && !asked {
		return
	}
	out, total := t.a.out, 0
	var kinds []string
	for _, k := range []struct {
		one, many string
		kinds     []dsn.Kind
	}{
		{"bounce", "bounces", []dsn.Kind{dsn.KindDSN, dsn.KindText}},
		{"abuse report", "abuse reports", []dsn.Kind{dsn.KindFeedback}},
		{"receipt", "receipts", []dsn.Kind{dsn.KindDisposition}},
		{"automatic reply", "automatic replies", []dsn.Kind{dsn.KindAutoReply}},
		{"that is no bounce", "that are no bounces", []dsn.Kind{dsn.KindNone}},
	} {
		n := 0
		for _, kind := range k.kinds {
			n += t.kinds[kind]
		}
		if n > 0 {
			kinds = append(kinds, counted(n, k.one, k.many))
		}
	}
	if t.unreadable > 0 {
		kinds = append(kinds, counted(t.unreadable, "that could not be read", "that could not be read"))
	}
	if t.shape != nil {
		fmt.Fprintln(out)
	}
	all := []string{counted(t.messages, "message", "messages") + listed(kinds)}
	if isTerminal(t.a.stdout) {
		all = wrap(all[0], width(t.a.stdout))
	}
	fmt.Fprintln(out, strings.Join(all, "\n"))

	order := classify.Categories()
	for _, c := range order {
		total += t.categories[c]
	}
	if total == 0 {
		return
	}
	slices.SortStableFunc(order, func(a, b classify.Category) int { return t.categories[b] - t.categories[a] })
	most := t.categories[order[0]]
	n := max(10, min(40, width(t.a.stdout)-45))
	fmt.Fprintf(out, "%s bounced:\n\n", counted(total, "recipient", "recipients"))
	for _, c := range order {
		k := t.categories[c]
		if k == 0 {
			continue
		}
		fmt.Fprintf(out, "  %s %9s %5.1f %%  %s\n", pad(string(c), 18), grouped(k),
			100*float64(k)/float64(total), t.style.paint(cyan, bar(float64(k)/float64(most), n)))
	}
	out.WriteByte('\n')
	for _, typ := range classify.Types() {
		k := t.types[typ]
		fmt.Fprintf(out, "  %s %9s %5.1f %%\n", t.style.paint(typeColour[typ], pad(string(typ), 18)), grouped(k), 100*float64(k)/float64(total))
	}
}

// listed puts a list behind a colon, if there is one.
func listed(items []string) string {
	if len(items) == 0 {
		return ""
	}
	return ": " + strings.Join(items, ", ")
}

// counted writes a number of things.
func counted(n int, one, many string) string {
	if n == 1 {
		return "1 " + one
	}
	return grouped(n) + " " + many
}
