package classify

import (
	"errors"
	"fmt"
	"slices"
	"sync"

	"github.com/bounce-milter/bounce-milter/classify/dsn"
	"github.com/bounce-milter/bounce-milter/classify/rules"
	"github.com/bounce-milter/bounce-milter/internal/work"
)

// Options choose what an [Engine] judges by.
type Options struct {
	RulesDir string     // folder of the administrator's rule files *.toml, "" for none
	Limits   dsn.Limits // bounds on reading and judging a message; a zero field has its default

	// ReturnedFields are fields of returned messages to note in Result.Returned.
	ReturnedFields []string
	// ReturnedSource is true to have Result.Returned.Source, the returned message as it
	// came back.
	ReturnedSource bool
}

// Engine judges. It does not change once made, and serves any number of
// goroutines; new rules are a new Engine.
type Engine struct {
	set         *rules.Set
	limits      dsn.Limits
	reader      dsn.Reader
	match       *matcher
	reasons     map[string]rules.Reason
	byMX        hostIndex
	byReporting hostIndex
	hasAdmin    bool
	testing     bool // shadow rules count as live ones
	pool        sync.Pool
}

// New loads the built-in rules and the administrator's, which must pass [Check]. Only
// the examples of the administrator's notices are not tested: a new release may read one
// differently, and a daemon must not stay down for that. A folder that does not exist
// holds no rules. If files are wrong, the error wraps [Problems]: every problem there
// is, each with its file and line.
func New(opts Options) (*Engine, error) {
	set, problems := rules.Load(opts.RulesDir)
	reader, err := dsn.NewReader(noticeFiles(set)...)
	if wrong := Problems(nil); errors.As(err, &wrong) {
		problems = append(problems, wrong...)
		problems.Sort()
	} else if err != nil {
		return nil, err
	}
	if len(problems) > 0 {
		return nil, fmt.Errorf("reading rules: %w", problems)
	}
	e, err := newEngine(set)
	if err != nil {
		return nil, err
	}
	e.limits, e.reader = opts.Limits.WithDefaults(), reader.Returning(opts.ReturnedFields...)
	if opts.ReturnedSource {
		e.reader = e.reader.WithSource()
	}
	set.Notices = nil // they were read
	if e.hasAdmin || len(set.OwnWords) > 0 {
		if problems, _ := checkSet(set, true); len(problems) > 0 {
			return nil, fmt.Errorf("checking rules: %w", problems)
		}
	}
	for _, r := range set.Rules {
		r.Written = nil // for the checks, and a megabyte
	}
	return e, nil
}

// noticeFiles are the administrator's files that teach notices in words.
func noticeFiles(set *rules.Set) []dsn.File {
	var files []dsn.File
	for _, f := range set.Notices {
		files = append(files, dsn.File{Name: f.Name, Data: f.Data})
	}
	return files
}

// newEngine makes an engine of data without problems.
func newEngine(set *rules.Set) (*Engine, error) {
	e := &Engine{set: set, limits: dsn.DefaultLimits(), reasons: map[string]rules.Reason{}}
	for _, r := range set.Reasons {
		e.reasons[r.ID] = r
	}
	names := map[string]int16{rules.OtherProvider: otherProvider}
	for i, p := range set.Providers {
		names[p.Name] = int16(i)
		for _, h := range p.MX {
			e.byMX.add(h, int16(i))
		}
		for _, h := range p.Reporting {
			e.byReporting.add(h, int16(i))
		}
	}
	var err error
	if e.match, err = compile(set, names); err != nil {
		return nil, err
	}
	e.hasAdmin = slices.ContainsFunc(set.Rules, func(r *rules.Compiled) bool { return r.Admin })
	e.pool.New = func() any {
		return &inquest{e: e, asked: make([]int32, len(e.match.rules))}
	}
	return e, nil
}

// inquest takes an inquest from the pool.
func (e *Engine) inquest() *inquest {
	q := e.pool.Get().(*inquest)
	if q.round > 1<<30 {
		q.round = 0
		clear(q.asked)
	}
	return q
}

// begin takes an inquest from the pool and reads the evidence.
func (e *Engine) begin(ev *Evidence) *inquest {
	q := e.inquest()
	q.prepare(ev)
	return q
}

func (e *Engine) end(q *inquest) {
	q.ev, q.work, q.budget, q.last = nil, nil, work.Budget{}, judged{}
	q.replyOf, q.replyRead, q.noticeOf, q.noticeRead = "", false, "", false
	q.explains, q.incomplete = false, false
	for i := range q.seenTexts {
		q.seenTexts[i].shown = q.seenTexts[i].shown[:0]
	}
	e.pool.Put(q)
}

// Judge says what a piece of evidence means. [Engine.ClassifyReply] also says which
// codes were read, and what became of the mail by them.
func (e *Engine) Judge(ev *Evidence) Verdict {
	q := e.begin(ev)
	v := q.verdict(q.climb())
	e.end(q)
	return v
}

// verdict makes a finding safe and puts it into words.
func (q *inquest) verdict(f finding) Verdict {
	kind, _ := q.safe(f)
	return Verdict{Category: f.category, Type: kind, Reason: f.reason, Provider: q.providerName(),
		Rule: f.by, Evidence: f.rung}
}

func (q *inquest) providerName() string {
	if q.who[0] < 0 {
		return rules.OtherProvider
	}
	return q.e.set.Providers[q.who[0]].Name
}

// reasonType is the default type of a reason.
// Prepare makes what is otherwise made after some hundred kilobytes of mail, so that no
// message waits for it. Programs that run for long call it once.
func (e *Engine) Prepare() { e.match.prepare() }

func (e *Engine) reasonType(id string) Type { return Type(e.reasons[id].Type) }

// Rules lists the rules in force, in the order of files and lines. They are the
// caller's own copies, as are those of the other methods here.
func (e *Engine) Rules() []rules.Rule {
	list := make([]rules.Rule, len(e.set.Rules))
	for i, r := range e.set.Rules {
		r.NeedExamples()
		list[i] = r.Clone()
	}
	return list
}

// Rule returns the rule with an id.
func (e *Engine) Rule(id string) (rules.Rule, bool) {
	for _, r := range e.set.Rules {
		if r.ID == id {
			r.NeedExamples()
			return r.Clone(), true
		}
	}
	return rules.Rule{}, false
}

// RuleIDs lists the ids of all rules, for counters that exist from the start.
func (e *Engine) RuleIDs() []string {
	ids := make([]string, len(e.set.Rules))
	for i, r := range e.set.Rules {
		ids[i] = r.ID
	}
	return ids
}

// Reasons lists the reasons in the order in which they are defined.
func (e *Engine) Reasons() []rules.Reason { return slices.Clone(e.set.Reasons) }

// Reason returns the reason with an id.
func (e *Engine) Reason(id string) (rules.Reason, bool) {
	r, ok := e.reasons[id]
	return r, ok
}

// Providers lists the names of the providers, "other" last.
func (e *Engine) Providers() []string {
	names := make([]string, 0, len(e.set.Providers)+1)
	for _, p := range e.set.Providers {
		names = append(names, p.Name)
	}
	return append(names, rules.OtherProvider)
}

// Reader is what the engine reads messages by. A program that is handed mail in pieces
// asks its gate whether a message is worth keeping for [Engine.Classify].
func (e *Engine) Reader() dsn.Reader { return e.reader }

// Warnings says what works in the administrator's rules but may not be meant: a rule that
// replaces a built-in one without saying so. [Examine] finds more.
func (e *Engine) Warnings() Problems { return slices.Clone(e.set.Warnings) }

// BuiltInVersion is the [Engine.Version] of an engine with the built-in rules alone. It
// takes no engine.
func BuiltInVersion() string { return rules.Version() }

// Version names the rule set: a hash over all of its data, which changes with
// every change of it.
func (e *Engine) Version() string { return e.set.Version }
