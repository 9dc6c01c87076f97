package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"time"

	"github.com/bounce-milter/bounce-milter/classify"
	"github.com/bounce-milter/bounce-milter/classify/dsn"
	"github.com/bounce-milter/bounce-milter/classify/mailbox"
	"github.com/bounce-milter/bounce-milter/config"
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
	logs, mails, stdin := a.sortLogs(paths)
	good := true
	if len(logs) > 0 {
		if good, err = a.logs(interrupted, engine, logs, stdin); err != nil {
			return err
		}
	}
	if len(mails) > 0 && interrupted.Err() == nil {
		ok, err := newClassifier(a, cfg, engine).mail(interrupted, mails, stdin)
		if err != nil {
			return err
		}
		good = good && ok
	}
	if interrupted.Err() != nil {
		a.complain(errors.New("classify: interrupted: the rest was not read"))
		return errSaid
	}
	if !good {
		return errSaid
	}
	return nil
}

// classifier classifies mail.
type classifier struct {
	a        *app
	cfg      *config.Config
	engine   *classify.Engine
	patterns *verp.Patterns
	owner    *owner
	plans    *plans
}

func newClassifier(a *app, cfg *config.Config, engine *classify.Engine) *classifier {
	patterns, _ := verp.Compile(cfg.Milter.VERP) // they were checked with the file
	return &classifier{a: a, cfg: cfg, engine: engine, patterns: patterns, owner: newOwner(a, cfg), plans: newPlans(cfg)}
}

// mail shows the messages at the paths, until it is interrupted, and reports whether all of
// them could be read.
func (c *classifier) mail(interrupted context.Context, paths []string, stdin io.Reader) (good bool, err error) {
	src := mailboxes(c.cfg, stdin)
	bar := c.a.progress("classify", "messages", src.Size(paths...))
	var table *classifyTable
	var show func(classified) error
	switch {
	case c.a.options.events:
		show = classifyEvents(c.a)
	case c.a.options.json():
		show = classifyJSON(c.a)
	default:
		table = newClassifyTable(c.a, paths, c.owner != nil, c.plans != nil)
		show = table.message
	}
	// If bar and table share a terminal, the bar is cleared before each row.
	shared := bar != nil && isTerminal(c.a.stdout) && !c.a.options.sum
	good = true
	for m := range src.Messages(paths...) {
		if interrupted.Err() != nil {
			break
		}
		said, err := c.message(m)
		if shared || err != nil {
			bar.clear()
		}
		good = good && err == nil
		if err != nil && c.a.options.events {
			c.a.complain(fmt.Errorf("%s: %w", m.Name, err)) // no record is about it
		} else if err := show(said); err != nil {
			return false, fmt.Errorf("writing standard output: %w", err)
		}
		if shared {
			c.a.out.Flush()
		}
		bar.add(m.Octets, 1)
	}
	bar.clear()
	if table != nil {
		table.summary(c.a.options.sum || interrupted.Err() != nil)
	}
	return good, nil
}

// message classifies a message. The error says why it could not be read, as the result does.
func (c *classifier) message(m mailbox.Message) (classified, error) {
	said := classified{File: m.Name, Result: classify.Result{Kind: dsn.KindNone}}
	err := m.Err
	if err == nil {
		said.Result = c.engine.Classify(context.Background(), m.Raw)
		err = isMessage(m.Raw, said.Kind)
		if c.a.options.events || c.cfg.Milter.WantsRecipients() {
			// The last server wrote down to whom it delivered the message,
			// or the reporting one to whom it was sent.
			said.sent = c.patterns.Attribute(&said.Result, append(said.DeliveredTo, said.Sender)...)
			said.VERP = said.sent.Address
		}
		said.whose = c.owner.of(&said.Result)
		said.plan = c.plans.of(&said.Result, said.whose, said.DeliveredTo)
		said.ActionTaken = said.plan.taken()
	}
	if err != nil {
		said.Error = err.Error()
	}
	if said.Recipients == nil {
		said.Recipients = []classify.Recipient{}
	}
	return said, err
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
	here := hostname()
	return func(c classified) error {
		return a.printRecords(&c.Result, event.Envelope{Time: time.Now(), Source: event.SourceClassify, Host: here, To: c.DeliveredTo,
			VERP: c.sent.Address, Token: c.sent.Token, Origins: c.whose.Events()})
	}
}
