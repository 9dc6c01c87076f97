package main

import (
	"fmt"
	"slices"
	"strings"

	"github.com/bounce-milter/bounce-milter/classify"
	"github.com/bounce-milter/bounce-milter/classify/dsn"
)

// typeColour shows how urgent each type is.
var typeColour = map[classify.Type]string{classify.Hard: red, classify.Soft: yellow, classify.Block: magenta}

// classifyTable prints one row for each recipient, and adds up.
type classifyTable struct {
	a     *app
	style style
	begun bool
	acts  bool // actions are configured, and have a column

	messages, unreadable, recipients int
	kinds                            map[dsn.Kind]int
	categories                       map[classify.Category]int
	types                            map[classify.Type]int
}

func newClassifyTable(a *app, acts bool) *classifyTable {
	return &classifyTable{a: a, acts: acts, style: newStyle(a.stdout), kinds: map[dsn.Kind]int{},
		categories: map[classify.Category]int{}, types: map[classify.Type]int{}}
}

// columns prints one row. Columns of fixed width come first, so that rows can be
// printed as they come while long addresses and paths stay whole.
func (t *classifyTable) columns(category, typ, reason, action, codes, recipient, takes, file, colour string) error {
	if t.acts {
		recipient = pad(recipient, 30) + "  " + pad(takes, 20)
	}
	_, err := fmt.Fprintln(t.a.out, strings.TrimRight(strings.Join([]string{
		t.style.paint(colour, pad(category, 17)), t.style.paint(colour, pad(typ, 5)), pad(reason, 20), pad(action, 9),
		pad(codes, 11), pad(recipient, 30), file}, "  "), " "))
	return err
}

func (t *classifyTable) row(c classified) error {
	t.messages++
	if c.Error != "" {
		t.unreadable++
		t.a.complain(fmt.Errorf("%s: %s", clean(c.File), c.Error))
		return nil
	}
	if !t.begun {
		t.begun = true
		if t.style.on {
			t.columns("category", "type", "reason", "action", "code", "recipient", "takes", "file", dim)
		} else {
			t.columns("CATEGORY", "TYPE", "REASON", "ACTION", "CODE", "RECIPIENT", "TAKES", "FILE", "")
		}
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
		return t.columns(what, "", about, "", "", clean(who), c.plan.short(), file, dim)
	}
	for _, r := range c.Recipients {
		t.recipients++
		if r.Action.Bounced() {
			t.categories[r.Category]++
			t.types[r.Type]++
		}
		name := r.Address
		if name == "" {
			name = r.Original
		}
		if err := t.columns(string(r.Category), string(r.Type), r.Reason, string(r.Action),
			codes(r.SMTPCode, r.Status), clean(name), c.plan.short(), file, typeColour[r.Type]); err != nil {
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

// summary prints the totals of many messages: by kind, by category with bars, and by
// type.
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
	for _, typ := range classify.Types() {
		k := t.types[typ]
		fmt.Fprintf(out, "  %s %9s %5.1f %%\n", t.style.paint(typeColour[typ], pad(string(typ), 18)), grouped(k), 100*float64(k)/float64(total))
	}
}
