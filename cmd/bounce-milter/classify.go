package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strings"

	"github.com/bounce-milter/bounce-milter/classify"
	"github.com/bounce-milter/bounce-milter/classify/dsn"
	"github.com/bounce-milter/bounce-milter/classify/mailbox"
	"github.com/bounce-milter/bounce-milter/classify/rules"
	"github.com/bounce-milter/bounce-milter/config"
)

// classified is one line of classify --format json.
type classified struct {
	File string `json:"file"`
	classify.Result
	Error string `json:"error"`
}

func runClassify(a *app, paths []string) error {
	cfg, engine, err := loadEngine(a.options.config)
	if err != nil {
		return err
	}
	if len(paths) == 0 {
		paths = []string{mailbox.Stdin}
		a.hint("a message")
	}
	src := &mailbox.Source{Stdin: a.stdin, MaxOctets: max(mailbox.DefaultMaxOctets, cfg.Limits.Report.Octets+1)}
	var bar *progress
	if isTerminal(a.stderr) {
		bar = newProgress(a.stderr, width(a.stderr), src.Size(paths...))
	}
	show := classifyJSON(a)
	var table *classifyTable
	if !a.options.json() {
		table = newClassifyTable(a)
		show = table.row
	}
	// A bar and rows on one terminal take turns.
	shared := bar != nil && isTerminal(a.stdout)
	failed := false
	for m := range src.Messages(paths...) {
		var c classified
		if m.Err != nil {
			failed = true
			c = classified{File: m.Name, Result: classify.Result{Kind: dsn.KindNone}, Error: m.Err.Error()}
		} else {
			c = classified{File: m.Name, Result: engine.Message(context.Background(), m.Raw)}
		}
		if c.Recipients == nil {
			c.Recipients = []classify.Recipient{}
		}
		if shared || m.Err != nil {
			bar.clear()
		}
		if err := show(c); err != nil {
			return fmt.Errorf("writing standard output: %w", err)
		}
		if shared {
			a.out.Flush()
		}
		bar.add(m.Octets)
	}
	bar.clear()
	if table != nil {
		table.summary()
	}
	if failed {
		return errSaid
	}
	return nil
}

// loadEngine reads the configuration and builds the engine that it asks for.
func loadEngine(file string) (*config.Config, *classify.Engine, error) {
	cfg, err := config.Load(file)
	if err != nil {
		return nil, nil, err
	}
	engine, err := classify.New(classify.Options{RulesDir: cfg.RulesFolder(), Limits: cfg.Limits.Report})
	if err != nil {
		var problems rules.Problems
		if errors.As(err, &problems) {
			return nil, nil, problems // each says for itself where it is
		}
		return nil, nil, err
	}
	return cfg, engine, nil
}

func classifyJSON(a *app) func(classified) error {
	enc := newEncoder(a)
	return func(c classified) error { return enc.Encode(c) }
}

func newEncoder(a *app) *json.Encoder {
	enc := json.NewEncoder(oneLine{a.out})
	enc.SetEscapeHTML(false)
	return enc
}

// oneLine writes JSON so that a value is one line for every reader. The encoder
// escapes C0 controls, U+2028 and U+2029; it leaves DEL and the C1 controls,
// among them U+0085, which readers such as Python's splitlines take for the
// end of a line. All stand within strings only.
type oneLine struct{ w io.Writer }

func (o oneLine) Write(p []byte) (int, error) {
	var out []byte
	done := 0
	for i := 0; i < len(p); i++ {
		n, c := 1, p[i]
		if c == 0xC2 && i+1 < len(p) && p[i+1] < 0xA0 {
			n, c = 2, p[i+1] // U+0080 to U+009F in UTF-8
		} else if c != 0x7F {
			continue
		}
		out = fmt.Appendf(append(out, p[done:i]...), "\\u%04x", c)
		i += n - 1
		done = i + 1
	}
	if done > 0 {
		if _, err := o.w.Write(append(out, p[done:]...)); err != nil {
			return 0, err
		}
		return len(p), nil
	}
	return o.w.Write(p)
}

// typeColour paints the types as urgent as they are.
var typeColour = map[classify.Type]string{classify.Hard: red, classify.Soft: yellow, classify.Block: magenta}

// classifyTable prints one row a recipient, and adds up.
type classifyTable struct {
	a     *app
	style style
	begun bool

	messages, unreadable, recipients int
	kinds                            map[dsn.Kind]int
	categories                       map[classify.Category]int
	types                            map[classify.Type]int
}

func newClassifyTable(a *app) *classifyTable {
	return &classifyTable{a: a, style: newStyle(a.stdout), kinds: map[dsn.Kind]int{},
		categories: map[classify.Category]int{}, types: map[classify.Type]int{}}
}

// columns prints one row, what has a fixed width first: so rows can be printed as
// they come, and long addresses and paths still be whole.
func (t *classifyTable) columns(category, typ, reason, action, codes, recipient, file, colour string) error {
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
			t.columns("category", "type", "reason", "action", "code", "recipient", "file", dim)
		} else {
			t.columns("CATEGORY", "TYPE", "REASON", "ACTION", "CODE", "RECIPIENT", "FILE", "")
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
		return t.columns(what, "", "", "", "", "", file, dim)
	}
	for _, r := range c.Recipients {
		t.recipients++
		if r.Action.Bounced() {
			t.categories[r.Category]++
			t.types[r.Type]++
		}
		name := r.Recipient
		if name == "" {
			name = r.OriginalRecipient
		}
		if err := t.columns(string(r.Category), string(r.Type), r.Reason, string(r.Action),
			codes(r.SMTPCode, r.Status), clean(name), file, typeColour[r.Type]); err != nil {
			return err
		}
	}
	return nil
}

// codes writes the SMTP and the enhanced code as a reply does.
func codes(smtp int, status string) string {
	switch {
	case smtp == 0:
		return status
	case status == "":
		return fmt.Sprint(smtp)
	}
	return fmt.Sprintf("%d %s", smtp, status)
}
