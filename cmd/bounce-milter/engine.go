package main

import (
	"errors"
	"io"
	"slices"

	"github.com/bounce-milter/bounce-milter/classify"
	"github.com/bounce-milter/bounce-milter/classify/mailbox"
	"github.com/bounce-milter/bounce-milter/config"
	"github.com/bounce-milter/bounce-milter/internal/action"
	"github.com/bounce-milter/bounce-milter/internal/page"
	"github.com/bounce-milter/bounce-milter/milter"
)

// loadEngine reads the configuration and builds the engine that it asks for.
func loadEngine(file string) (*config.Config, *classify.Engine, error) {
	return loadEngineFor(file, false)
}

// loadEngineFor does so, and says whether there are records to write, beside those of the
// configured sinks.
func loadEngineFor(file string, records bool) (*config.Config, *classify.Engine, error) {
	cfg, err := config.Load(file)
	if err != nil {
		return nil, nil, err
	}
	if ps := cfg.CheckRulesFolder(); len(ps) > 0 {
		return nil, nil, ps
	}
	engine, err := newEngine(cfg, records)
	return cfg, engine, err
}

// newEngine builds the engine that a configuration asks for.
func newEngine(cfg *config.Config, records bool) (*classify.Engine, error) {
	opts := classify.Options{RulesDir: cfg.RulesFolder(), Limits: cfg.Milter.Limits.Report,
		ReturnedSource: cfg.Milter.Origin.On()}
	if records || len(cfg.Events.Sinks) > 0 {
		opts.ReturnedFields = cfg.Events.Headers()
	}
	engine, err := classify.New(opts)
	if err != nil {
		var problems classify.Problems
		if errors.As(err, &problems) {
			return nil, problems // each names its own file and line
		}
		return nil, err
	}
	if len(cfg.Milter.Actions) > 0 {
		if err := cfg.CheckActions(action.VocabularyOf(engine)).Err(); err != nil {
			return nil, err
		}
	}
	return engine, nil
}

// mailboxes returns a source of messages, of each of which it keeps what the daemon reads and
// the next octet, by which the reader knows that it is longer.
func mailboxes(cfg *config.Config, stdin io.Reader) *mailbox.Source {
	return &mailbox.Source{Stdin: stdin, MaxOctets: max(mailbox.DefaultMaxOctets, cfg.Milter.Limits.Report.Octets+1)}
}

// milterRules wraps an engine for the daemon, with every value that its verdicts can
// have.
func milterRules(e *classify.Engine) milter.Rules {
	l := milter.Labels{Providers: e.Providers(), Rules: e.RuleIDs()}
	for _, r := range e.Reasons() {
		l.Reasons = append(l.Reasons, r.ID)
	}
	for _, v := range e.Verdicts() {
		v.Reason = ""
		if !slices.Contains(l.Verdicts, v) {
			l.Verdicts = append(l.Verdicts, v)
		}
	}
	return milter.Rules{Inspector: e, Reader: e.Reader(), Labels: l, Words: pageWords(e), Version: e.Version()}
}

// pageWords says what the verdicts of an engine mean, for the status page.
func pageWords(e *classify.Engine) page.Words {
	var w page.Words
	for _, r := range e.Reasons() {
		w.Reasons = append(w.Reasons, page.Reason{ID: r.ID, Category: classify.Category(r.Category), Type: classify.Type(r.Type),
			Meaning: r.Meaning, Advice: r.Address.Of(r.Type) + " " + r.Advice})
	}
	w.Understand = func(reply string) string { return e.Explain(&classify.Evidence{Reply: reply}).Words }
	return w
}
