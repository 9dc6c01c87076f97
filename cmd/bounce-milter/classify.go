package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/signal"
	"time"

	"github.com/bounce-milter/bounce-milter/classify"
	"github.com/bounce-milter/bounce-milter/classify/dsn"
	"github.com/bounce-milter/bounce-milter/classify/mailbox"
	"github.com/bounce-milter/bounce-milter/internal/event"
	"github.com/bounce-milter/bounce-milter/internal/proof"
	"github.com/bounce-milter/bounce-milter/internal/verp"
)

// classified is one line of classify --format json.
type classified struct {
	File string `json:"file"`
	classify.Result
	VERP string `json:"verp,omitempty"`
	// ActionTaken is there if actions are configured.
	ActionTaken *string `json:"action_taken,omitempty"`
	Error       string  `json:"error"`

	sent  verp.Match
	whose *proof.Report // nil if [origin] is not configured, or nothing came back
	plan  *plan
}

// errNotMessage is the error for a file that holds something else.
var errNotMessage = errors.New("is no message: its first line is not a header field")

// packed are the programs that unpack what their octets begin; of mail only gzip is read.
var packed = []struct{ magic, unpack string }{
	{"\xfd7zXZ\x00", "xz -dc"},
	{"\x28\xb5\x2f\xfd", "zstd -dc"},
	{"BZh", "bzip2 -dc"},
}

// isMessage says why something was not read as a message, if it is none.
func isMessage(raw []byte, kind dsn.Kind) error {
	if kind != dsn.KindNone || mailbox.LooksLikeMessage(raw) {
		return nil
	}
	for _, p := range packed {
		if bytes.HasPrefix(raw, []byte(p.magic)) {
			return fmt.Errorf("is compressed in a way that only logs may be: unpack it first (%s)", p.unpack)
		}
	}
	return errNotMessage
}

func runClassify(a *app, paths []string) error {
	if a.options.events && a.options.format.word == "text" {
		return usagef("classify: --events prints JSON: leave --format text out")
	}
	if a.options.sum && (a.options.events || a.options.json()) {
		return usagef("classify: --sum is a text for people: leave --format json and --events out")
	}
	cfg, engine, err := loadEngineFor(a.options.config, a.options.events)
	if err != nil {
		return err
	}
	if len(paths) == 0 {
		paths = []string{mailbox.Stdin}
		a.hint("a message")
	}
	// An interrupt ends the reading, not the program: what was added up is printed. A
	// second one ends the program, if the input does not go on.
	interrupted, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	context.AfterFunc(interrupted, stop)
	logs, paths, stdin := a.sortLogs(paths)
	failed := false
	if len(logs) > 0 {
		good, err := a.logs(interrupted, engine, logs, stdin)
		if failed = !good; err != nil {
			return err
		}
		if len(paths) == 0 || interrupted.Err() != nil {
			return ended(interrupted, a, failed)
		}
	}
	patterns, _ := verp.Compile(cfg.Milter.VERP) // they were checked with the file
	src := &mailbox.Source{Stdin: stdin, MaxOctets: max(mailbox.DefaultMaxOctets, cfg.Milter.Limits.Report.Octets+1)}
	plans, owner := newPlans(cfg), newOwner(a, cfg)
	var bar *progress
	if isTerminal(a.stderr) {
		bar = newProgress(a.stderr, width(a.stderr), src.Size(paths...))
	}
	show := classifyJSON(a)
	var table *classifyTable
	if a.options.events {
		show = classifyEvents(a)
	} else if !a.options.json() {
		table = newClassifyTable(a, paths, owner != nil, plans != nil)
		show = table.row
	}
	// If bar and table share a terminal, the bar is cleared before each row.
	shared := bar != nil && isTerminal(a.stdout) && !a.options.sum
	for m := range src.Messages(paths...) {
		if interrupted.Err() != nil {
			break
		}
		var c classified
		if m.Err != nil {
			failed = true
			c = classified{File: m.Name, Result: classify.Result{Kind: dsn.KindNone}, Error: m.Err.Error()}
		} else {
			c = classified{File: m.Name, Result: engine.Classify(context.Background(), m.Raw)}
			if m.Err = isMessage(m.Raw, c.Kind); m.Err != nil {
				failed = true
				c.Error = m.Err.Error()
			}
			if a.options.events || cfg.Milter.WantsRecipients() {
				// The last server wrote down to whom it delivered the message,
				// or the reporting one to whom it was sent.
				c.sent = patterns.Attribute(&c.Result, append(c.DeliveredTo, c.Sender)...)
				c.VERP = c.sent.Address
			}
			c.whose = owner.of(&c.Result)
			c.plan = plans.of(&c.Result, c.whose, c.DeliveredTo)
			c.ActionTaken = c.plan.taken()
		}
		if c.Recipients == nil {
			c.Recipients = []classify.Recipient{}
		}
		if shared || m.Err != nil {
			bar.clear()
		}
		if m.Err != nil && a.options.events {
			a.complain(fmt.Errorf("%s: %w", m.Name, m.Err)) // no record is about it
		} else if err := show(c); err != nil {
			return fmt.Errorf("writing standard output: %w", err)
		}
		if shared {
			a.out.Flush()
		}
		bar.add(m.Octets)
	}
	bar.clear()
	if table != nil {
		table.summary(a.options.sum || interrupted.Err() != nil)
	}
	return ended(interrupted, a, failed)
}

// ended returns how the command ends.
func ended(interrupted context.Context, a *app, failed bool) error {
	if interrupted.Err() != nil {
		a.complain(errors.New("classify: interrupted: the rest was not read"))
		return errSaid
	}
	if failed {
		return errSaid
	}
	return nil
}

func classifyJSON(a *app) func(classified) error {
	enc := newEncoder(a)
	return func(c classified) error {
		if c.whose != nil {
			return enc.Encode(ownedOf(c))
		}
		return enc.Encode(c)
	}
}

// classifyEvents prints the records of what messages report.
func classifyEvents(a *app) func(classified) error {
	host, err := os.Hostname()
	if err != nil {
		host = "localhost"
	}
	return func(c classified) error {
		env := event.Envelope{Time: time.Now(), Source: event.SourceClassify, Host: host, To: c.DeliveredTo,
			VERP: c.sent.Address, Token: c.sent.Token,
			Origins: c.whose.Events()}
		for _, r := range event.Build(&c.Result, env) {
			line, err := r.JSON()
			if err != nil {
				return err
			}
			if _, err := (plainJSON{a.out}).Write(append(line, '\n')); err != nil {
				return err
			}
		}
		return nil
	}
}
