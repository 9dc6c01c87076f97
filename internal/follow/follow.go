// Package follow reads a mail log as it grows: it counts deliveries by verdict, hands
// records of failures to the sinks of events, and says once an hour what happened.
//
// Its place in the log is saved together with the counts, before Prometheus sees them. So
// each line is counted once, whenever the process is killed.
package follow

import (
	"bufio"
	"bytes"
	"context"
	"fmt"
	"io"
	"log/slog"
	"os"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/bounce-milter/bounce-milter/classify"
	"github.com/bounce-milter/bounce-milter/classify/maillog"
	"github.com/bounce-milter/bounce-milter/internal/event"
	"github.com/bounce-milter/bounce-milter/internal/lines"
	"github.com/prometheus/client_golang/prometheus"
)

// Stdin is the path that stands for standard input.
const Stdin = "-"

// saveEvery is how often the state is written at least, while lines come in.
const saveEvery = time.Second

// Options say what to follow.
type Options struct {
	// Path is the log's file, Stdin or Journal.
	Path string
	// Stdin is what Stdin reads.
	Stdin io.Reader
	// StateFile is where the place and the counts are kept; "" for nowhere.
	StateFile string
	// Every is how often a line says what was counted; 0 means an hour.
	Every time.Duration
}

// Recorder takes records; it returns when they are safe.
type Recorder interface {
	Record(records []event.Record)
}

// Follower follows one log.
type Follower struct {
	opts Options
	log  *slog.Logger
	rec  Recorder
	host string

	parser  maillog.Parser
	judge   atomic.Pointer[maillog.Judge]
	entries []maillog.Entry

	mu      sync.Mutex // guards what follows: the log up to a place
	counts  counts
	place   *Place
	cursor  string
	changed bool
	hour    hour
	saved   time.Time

	public  atomic.Pointer[[]count] // what was kept
	latest  atomic.Int64            // time of the latest line, in seconds
	health  atomic.Pointer[string]  // what is wrong, nil or "" if nothing is
	unsaved atomic.Pointer[string]  // why the state cannot be kept
}

// New returns a follower. A state that cannot be used is logged, and counting begins at
// zero. rec may be nil. It registers its metrics on reg.
func New(opts Options, engine *classify.Engine, rec Recorder, reg prometheus.Registerer, log *slog.Logger) *Follower {
	host, err := os.Hostname()
	if err != nil {
		host = "localhost"
	}
	f := &Follower{opts: opts, log: log, rec: rec, host: host, counts: counts{}, hour: newHour()}
	f.SetEngine(engine)
	if opts.Every == 0 {
		f.opts.Every = time.Hour
	}
	if opts.StateFile != "" && opts.Path != Stdin {
		s, err := readState(opts.StateFile, opts.Path)
		if err != nil {
			log.Error("the state is not taken over from "+opts.StateFile+", which "+err.Error(), "path", opts.StateFile)
		}
		if s != nil {
			f.place, f.cursor = s.Place, s.Cursor
			for _, c := range s.Counts {
				f.counts[c.labels] = c.N
			}
		}
	}
	list := f.counts.list()
	f.public.Store(&list)
	reg.MustRegister(shown{f}, prometheus.NewGaugeFunc(prometheus.GaugeOpts{
		Name: "bounce_milter_follow_last_line_timestamp_seconds",
		Help: "Time of the latest line of the log that tells of a delivery, 0 before the first.",
	}, func() float64 { return float64(f.latest.Load()) }), prometheus.NewGaugeFunc(prometheus.GaugeOpts{
		Name: "bounce_milter_follow_reading",
		Help: "Whether the log can be read: 1 or 0.",
	}, func() float64 {
		if len(f.Trouble()) > 0 {
			return 0
		}
		return 1
	}))
	return f
}

// SetEngine puts other rules in force.
func (f *Follower) SetEngine(e *classify.Engine) { f.judge.Store(maillog.NewJudge(e)) }

// Trouble says what is wrong, one a line; nil if nothing is.
func (f *Follower) Trouble() []string {
	var list []string
	if p := f.health.Load(); p != nil && *p != "" {
		list = append(list, *p)
	}
	if p := f.unsaved.Load(); p != nil && *p != "" {
		list = append(list, *p)
	}
	return list
}

func (f *Follower) wrong(what string) { f.health.Store(&what) }

// Run follows the log until ctx ends, or standard input does.
func (f *Follower) Run(ctx context.Context) error {
	tick := time.NewTicker(f.opts.Every)
	defer tick.Stop()
	done := make(chan error, 1)
	go func() { done <- f.read(ctx) }()
	for {
		select {
		case <-tick.C:
			f.sayHour()
		case err := <-done:
			f.mu.Lock()
			f.save()
			f.mu.Unlock()
			f.sayHour()
			return err
		}
	}
}

func (f *Follower) read(ctx context.Context) error {
	switch f.opts.Path {
	case Stdin:
		return f.stdin(ctx)
	case Journal:
		j := &journal{f: f, cursor: f.cursor}
		j.follow(ctx)
		return nil
	}
	t := &tail{path: f.opts.Path, log: f.log}
	f.mu.Lock()
	t.resume(f.place, f.lines)
	f.took(t)
	f.mu.Unlock()
	defer t.close()
	tick := time.NewTicker(poll)
	defer tick.Stop()
	for ctx.Err() == nil {
		f.mu.Lock()
		more := t.step(time.Now(), f.lines)
		f.took(t)
		if time.Since(f.saved) >= saveEvery {
			f.save()
		}
		f.mu.Unlock()
		if more {
			continue
		}
		select {
		case <-ctx.Done():
		case <-tick.C:
		}
	}
	return nil
}

// took notes where the tail is.
func (f *Follower) took(t *tail) {
	if f.place == nil || *f.place != t.place {
		place := t.place
		f.place, f.changed = &place, true
	}
	what := ""
	if t.trouble != "" {
		what = fmt.Sprintf("the log %s: %s", t.path, t.trouble)
	}
	f.wrong(what)
}

// stdin reads lines until the end. It saves no place: that is up to the writer.
func (f *Follower) stdin(ctx context.Context) error {
	read := make(chan []byte)
	failed := make(chan error, 1)
	go func() {
		defer close(read)
		br := bufio.NewReaderSize(f.opts.Stdin, chunk)
		for {
			line, err := lines.Read(br, maxLine)
			if len(line) > 0 {
				select {
				case read <- line:
				case <-ctx.Done():
					return
				}
			}
			if err != nil {
				if err != io.EOF {
					failed <- fmt.Errorf("reading standard input: %w", err)
				}
				return
			}
		}
	}()
	for {
		select {
		case <-ctx.Done():
			return nil
		case line, ok := <-read:
			if !ok {
				select {
				case err := <-failed:
					return err
				default:
					return nil
				}
			}
			f.mu.Lock()
			f.lines(line)
			f.mu.Unlock()
		}
	}
}

// journalLine counts an entry of the journal. last is true if no other entry is waiting.
func (f *Follower) journalLine(line []byte, cursor string, last bool) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.lines(line)
	if cursor != "" {
		f.cursor, f.changed = cursor, true
	}
	if last && time.Since(f.saved) >= saveEvery {
		f.save()
	}
}

// begins keeps the place in the journal behind which counting begins.
func (f *Follower) begins(cursor string) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.cursor, f.changed = cursor, true
	f.save()
}

// lines counts what lines say. The caller holds mu.
func (f *Follower) lines(text []byte) {
	judge := f.judge.Load()
	for line := range bytes.Lines(text) {
		f.hour.lines++
		f.entries = f.parser.Append(f.entries[:0], line)
		for i := range f.entries {
			f.entry(judge, &f.entries[i])
		}
	}
	f.changed = true
}

func (f *Follower) entry(judge *maillog.Judge, e *maillog.Entry) {
	if !counted[e.Result] {
		return
	}
	var v classify.Recipient
	if e.Recipient != "" {
		v = judge.Recipient(e)
	}
	f.counts.add(e.Result, &v)
	f.hour.results[string(e.Result)]++
	if t := e.Time.Unix(); !e.Time.IsZero() && t > f.latest.Load() {
		f.latest.Store(t)
	}
	if !e.Result.Failed() || e.Recipient == "" {
		return
	}
	f.hour.failures[string(v.Category)+" at "+v.Provider]++
	if f.rec == nil {
		return
	}
	when := e.Time
	if when.IsZero() {
		when = time.Now()
	}
	records := event.Build(&classify.Result{Kind: maillog.Kind, Recipients: []classify.Recipient{v}},
		event.Envelope{Time: when, Source: event.SourceLog, Host: f.host, QueueID: e.QueueID})
	for i := range records {
		// If a line is read again after a crash, its record has the same id.
		records[i].ID = event.IDOf(when, strings.Join([]string{e.Host, e.Program, e.PID, e.QueueID, e.Recipient, string(e.Result), e.Words}, "\x00"))
	}
	f.rec.Record(records)
}

// current returns the counts that Prometheus sees: those that were saved.
func (f *Follower) current() []count {
	if f.mu.TryLock() {
		f.save()
		f.mu.Unlock()
	}
	return *f.public.Load()
}

// save keeps place and counts, and makes the counts public. The caller holds mu.
func (f *Follower) save() {
	if !f.changed {
		return
	}
	f.saved = time.Now()
	list := f.counts.list()
	if f.opts.StateFile != "" && f.opts.Path != Stdin {
		s := state{Source: f.opts.Path, Place: f.place, Cursor: f.cursor, Counts: list}
		what := ""
		if err := s.write(f.opts.StateFile); err != nil {
			what = fmt.Sprintf("the place in the log is not kept: %s %v", f.opts.StateFile, err)
		}
		if was := f.unsaved.Swap(&what); what != "" && (was == nil || *was != what) {
			f.log.Error(what)
		}
	}
	f.changed = false
	f.public.Store(&list)
}

func (f *Follower) sayHour() {
	f.mu.Lock()
	h := f.hour
	f.hour = newHour()
	f.mu.Unlock()
	f.log.Info("deliveries", append([]any{"log", f.opts.Path}, h.attrs()...)...)
}
