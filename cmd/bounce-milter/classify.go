package main

import (
	"context"
	"fmt"

	"github.com/bounce-milter/bounce-milter/classify"
	"github.com/bounce-milter/bounce-milter/classify/dsn"
	"github.com/bounce-milter/bounce-milter/classify/mailbox"
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
	src := &mailbox.Source{Stdin: a.stdin, MaxOctets: max(mailbox.DefaultMaxOctets, cfg.Milter.Limits.Report.Octets+1)}
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
	// If bar and table share a terminal, the bar is cleared before each row.
	shared := bar != nil && isTerminal(a.stdout)
	failed := false
	for m := range src.Messages(paths...) {
		var c classified
		if m.Err != nil {
			failed = true
			c = classified{File: m.Name, Result: classify.Result{Kind: dsn.KindNone}, Error: m.Err.Error()}
		} else {
			c = classified{File: m.Name, Result: engine.Classify(context.Background(), m.Raw)}
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

func classifyJSON(a *app) func(classified) error {
	enc := newEncoder(a)
	return func(c classified) error { return enc.Encode(c) }
}
