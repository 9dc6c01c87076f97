package main

import (
	"cmp"
	"context"
	"fmt"
	"io"
	"os"
	"runtime/debug"
	"time"

	"github.com/bounce-milter/bounce-milter/classify"
	"github.com/bounce-milter/bounce-milter/classify/dsn"
	"github.com/bounce-milter/bounce-milter/classify/maillog"
	"github.com/bounce-milter/bounce-milter/internal/event"
)

// logged is a line of classify --format json about a mail log.
type logged struct {
	File              string               `json:"file"`
	Kind              dsn.Kind             `json:"kind"`
	ReportingMTA      string               `json:"reporting_mta"`
	EnvelopeID        string               `json:"envelope_id"`
	ReturnedMessageID string               `json:"returned_message_id"`
	Recipients        []classify.Recipient `json:"recipients"`

	QueueID      string         `json:"queue_id"`
	Result       maillog.Result `json:"result"`
	Attempts     int            `json:"attempts"`
	Time         string         `json:"time"`       // of the last attempt, "" if it is not known
	FirstTime    string         `json:"first_time"` // of the first that was seen
	Delay        float64        `json:"delay"`      // seconds since the message arrived, 0 if not known
	RelayAddress string         `json:"relay_address"`
	DelayReason  string         `json:"delay_reason"` // why a message that was sent had to wait
	Error        string         `json:"error"`
}

// logReader reads logs, and shows what is in them.
type logReader struct {
	a       *app
	engine  *classify.Engine
	summary *logSummary // of text alone
	bar     *progress
	show    func(file string, s *maillog.Story) error
	fault   func(file string, err error) // reports what could not be read; nil for standard error
	file    string
	err     error // the first of show
}

// Chunks of a log are garbage after a moment, so that little memory is enough: the heap may
// grow to twice what is in use, in percent, and the collector works harder above logMemory,
// in octets.
const (
	logGrowth = 100
	logMemory = 72 << 20
)

// logs reads logs and reports whether all of them could be read.
func (a *app) logs(ctx context.Context, engine *classify.Engine, paths []string, stdin io.Reader) (ok bool, err error) {
	debug.SetGCPercent(logGrowth)
	debug.SetMemoryLimit(logMemory)
	r := &logReader{a: a, engine: engine}
	judge := maillog.NewJudge(engine)
	src := &maillog.Source{Stdin: stdin, Judge: judge, Format: maillog.Format(a.options.as.word)}
	if src.Format == "journal" {
		src.Format = ""
	}
	r.bar = a.progress("classify", "lines", totalSize(paths))
	switch {
	case a.options.events:
		r.show = r.events()
	case a.options.json():
		r.show = r.json()
	default:
		r.summary = newLogSummary(a, engine)
		if r.show = r.row(); a.options.sum {
			r.show = func(string, *maillog.Story) error { return nil }
		}
	}
	stories := maillog.NewStories(judge, r.story)
	ok = r.read(ctx, src, maillog.Order(paths), stories)
	stories.Close()
	r.bar.clear()
	if r.summary != nil && r.err == nil {
		r.summary.print()
	}
	return ok, r.err
}

func totalSize(paths []string) (sum int64) {
	for _, path := range paths {
		if info, err := os.Stat(path); err == nil && path != maillog.Stdin {
			sum += info.Size()
		}
	}
	return sum
}

// read reads the logs one after another.
func (r *logReader) read(ctx context.Context, src *maillog.Source, paths []string, stories *maillog.Stories) (ok bool) {
	ok = true
	shared := r.bar != nil && isTerminal(r.a.stdout)
	ahead := "" // the file that was said to be in another zone
	for b := range src.Batches(paths...) {
		if ctx.Err() != nil {
			break
		}
		r.file = b.File
		if shared {
			r.bar.clear()
		}
		for i := range b.Attempts {
			at := &b.Attempts[i]
			if at.Time.Sub(b.Latest) > 15*time.Minute && ahead != b.File {
				ahead = b.File
				r.complain(b.File, fmt.Errorf("time stamps are later than the file (%s): if it was written in another time zone, set TZ to that zone",
					at.Time.Sub(b.Latest).Round(time.Minute)))
			}
			r.attempt(at, stories)
		}
		if r.summary != nil {
			r.summary.lines += b.Lines
		}
		if b.LongLine {
			ok = false
			r.complain(b.File, fmt.Errorf("a line is longer than 512 KB: only its beginning was read"))
		}
		if b.Err != nil {
			ok = false
			r.complain(b.File, b.Err)
		}
		if r.err != nil {
			break
		}
		if shared {
			r.a.out.Flush()
		}
		r.bar.add(b.Octets, b.Lines)
	}
	return ok
}

func (r *logReader) complain(file string, err error) {
	r.bar.clear()
	if r.fault != nil {
		r.fault(file, err)
		return
	}
	r.a.complain(fmt.Errorf("%s: %w", clean(file), err))
}

// attempt counts an attempt. With --every-attempt it is a story of its own.
func (r *logReader) attempt(at *maillog.Attempt, stories *maillog.Stories) {
	if r.summary != nil {
		r.summary.attempt(at)
	}
	if !r.a.options.everyAttempt {
		stories.Add(&at.Entry, &at.Verdict)
		return
	}
	if at.Result == maillog.Sent || at.Result.Failed() {
		r.story(&maillog.Story{Entry: at.Entry, Verdict: at.Verdict, Attempts: 1, First: at.Time})
	}
}

// story shows and counts a story. What was delivered at once is only counted.
func (r *logReader) story(s *maillog.Story) {
	if r.summary != nil {
		r.summary.story(s)
	}
	if r.err != nil || s.Result == maillog.Sent && s.Attempts == 1 && !r.a.options.everyAttempt {
		return
	}
	if err := r.show(r.file, s); err != nil {
		r.err = fmt.Errorf("writing standard output: %w", err)
	}
}

// json prints stories as JSON.
func (r *logReader) json() func(string, *maillog.Story) error {
	enc := newEncoder(r.a)
	r.fault = func(file string, err error) {
		enc.Encode(logged{File: file, Kind: maillog.Kind, Recipients: []classify.Recipient{}, Error: err.Error()})
	}
	return func(file string, s *maillog.Story) error {
		return enc.Encode(logged{File: file, Kind: maillog.Kind, ReportingMTA: s.Host, Recipients: []classify.Recipient{s.Verdict},
			QueueID: s.QueueID, Result: s.Result, Attempts: s.Attempts, Time: stampText(s.Time), FirstTime: stampText(s.First),
			Delay: s.Delay.Seconds(), RelayAddress: s.RelayAddress, DelayReason: s.Before.Reason})
	}
}

func stampText(t time.Time) string {
	if t.IsZero() {
		return ""
	}
	b, _ := event.Time{Time: t}.MarshalText()
	return string(b)
}

// events prints the records of failures.
func (r *logReader) events() func(string, *maillog.Story) error {
	here := hostname()
	return func(_ string, s *maillog.Story) error {
		if !s.Result.Failed() {
			return nil
		}
		env := event.Envelope{Time: s.Time, Source: event.SourceClassify, Host: cmp.Or(s.Host, here), QueueID: s.QueueID}
		if env.Time.IsZero() {
			env.Time = time.Now()
		}
		return r.a.printRecords(&classify.Result{Kind: maillog.Kind, Recipients: []classify.Recipient{s.Verdict}}, env)
	}
}

// storyColumns are the columns of a table of stories.
func storyColumns() []column {
	return []column{
		{head: "CATEGORY", width: 17},
		{head: "TYPE", width: 5},
		{head: "REASON", width: 18, most: 20, rank: 4},
		{head: "ACTION", width: 9, rank: 5},
		{head: "CODE", width: 11, rank: 1},
		{head: "RECIPIENT", width: 21, most: 40},
		{head: "TRIES", width: 5, rank: 6},
		{head: "LAST", width: 16, rank: 3},
		{head: "QUEUE-ID", width: 12, most: 23, rank: 2},
	}
}

// row prints stories as rows of a table.
func (r *logReader) row() func(string, *maillog.Story) error {
	t := newTable(r.a)
	return func(_ string, s *maillog.Story) error {
		v, when := s.Verdict, ""
		if !s.Time.IsZero() {
			when = s.Time.Format("2006-01-02 15:04")
		}
		return t.row(storyColumns, []string{string(v.Category), string(v.Type), cmp.Or(v.Reason, s.Before.Reason), string(v.Action),
			codes(v.SMTPCode, v.Status), clean(v.Address), fmt.Sprint(s.Attempts), when, clean(s.QueueID)}, typeColour[v.Type])
	}
}
