package main

import (
	"bufio"
	"bytes"
	"cmp"
	"context"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"runtime/debug"
	"strings"
	"time"

	"github.com/bounce-milter/bounce-milter/classify"
	"github.com/bounce-milter/bounce-milter/classify/dsn"
	"github.com/bounce-milter/bounce-milter/classify/mailbox"
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

// sortLogs tells logs from mail. A folder that has logs in it is taken apart; all others
// stay whole. Standard input is handed on as the last result, because it was looked at.
func (a *app) sortLogs(paths []string) (logs, mails []string, stdin io.Reader) {
	stdin = a.stdin
	switch as := a.options.as.word; as {
	case "":
	case "mail":
		return nil, paths, stdin
	default:
		return expandFolders(paths), nil, stdin
	}
	for _, path := range paths {
		switch info, err := os.Stat(path); {
		case path == mailbox.Stdin:
			var isLog bool
			if isLog, stdin = lookAtStdin(stdin); isLog {
				logs = append(logs, path)
				continue
			}
			mails = append(mails, path)
		case err == nil && info.IsDir():
			l, m := sortFolder(path)
			if logs = append(logs, l...); len(l) == 0 {
				m = []string{path}
			}
			mails = append(mails, m...)
		case looksLog(path):
			logs = append(logs, path)
		default:
			mails = append(mails, path)
		}
	}
	return logs, mails, stdin
}

// sortFolder returns the logs in a folder, and what else is in it. Hidden files are left
// out, as are pipes and devices; a Maildir has no logs.
func sortFolder(path string) (logs, mails []string) {
	entries, _ := os.ReadDir(path) // who reads the mail says what is wrong
	for _, e := range entries {
		if e.IsDir() && (e.Name() == "cur" || e.Name() == "new") {
			return nil, []string{path}
		}
	}
	for _, e := range entries {
		name := filepath.Join(path, e.Name())
		switch {
		case strings.HasPrefix(e.Name(), "."):
		case e.IsDir():
			l, m := sortFolder(name)
			if logs = append(logs, l...); len(l) == 0 {
				m = []string{name}
			}
			mails = append(mails, m...)
		case isRegular(name) && looksLog(name):
			logs = append(logs, name)
		default:
			mails = append(mails, name)
		}
	}
	return logs, mails
}

// expandFolders returns the files in folders, in place of the folders.
func expandFolders(paths []string) (files []string) {
	for _, path := range paths {
		if info, err := os.Stat(path); err != nil || !info.IsDir() {
			files = append(files, path)
			continue
		}
		filepath.WalkDir(path, func(name string, e fs.DirEntry, err error) error {
			switch {
			case err != nil:
				files = append(files, name) // the reader says what is wrong
			case name != path && strings.HasPrefix(e.Name(), "."):
				if e.IsDir() {
					return fs.SkipDir
				}
			case !e.IsDir() && isRegular(name):
				files = append(files, name)
			}
			return nil
		})
	}
	return files
}

func isRegular(name string) bool {
	info, err := os.Stat(name)
	return err == nil && info.Mode().IsRegular()
}

// looksLog reports whether a file is a log. Who reads it as mail says what is wrong.
func looksLog(path string) bool {
	if !isRegular(path) {
		return false
	}
	is, err := maillog.Look(path)
	return is && err == nil
}

// lookAtStdin looks at the beginning of standard input, and returns a reader that begins
// there again.
func lookAtStdin(r io.Reader) (bool, io.Reader) {
	if f, ok := r.(*os.File); ok {
		if info, err := f.Stat(); err == nil && info.Mode().IsRegular() {
			at, err := f.Seek(0, io.SeekCurrent)
			if err == nil {
				is, err := maillog.LookAt(io.NewSectionReader(f, at, info.Size()))
				return is && err == nil, f
			}
		}
	}
	br := bufio.NewReaderSize(r, 64<<10)
	br.Peek(1)
	head, _ := br.Peek(min(br.Buffered(), 32<<10))
	is, err := maillog.LookAt(bytes.NewReader(head))
	return is && err == nil, br
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
	if isTerminal(a.stderr) {
		r.bar = newProgress(a.stderr, width(a.stderr), totalSize(paths))
		r.bar.unit = "lines"
	}
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
		r.bar.addMany(b.Octets, b.Lines)
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
	host, err := os.Hostname()
	if err != nil {
		host = "localhost"
	}
	return func(_ string, s *maillog.Story) error {
		if !s.Result.Failed() {
			return nil
		}
		env := event.Envelope{Time: s.Time, Source: event.SourceClassify, Host: s.Host, QueueID: s.QueueID}
		if env.Host == "" {
			env.Host = host
		}
		if env.Time.IsZero() {
			env.Time = time.Now()
		}
		res := classify.Result{Kind: maillog.Kind, Recipients: []classify.Recipient{s.Verdict}}
		for _, rec := range event.Build(&res, env) {
			line, err := rec.JSON()
			if err != nil {
				return err
			}
			if _, err := (plainJSON{r.a.out}).Write(append(line, '\n')); err != nil {
				return err
			}
		}
		return nil
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
	paint, whole := newStyle(r.a.stdout), !isTerminal(r.a.stdout)
	var shape layout
	return func(_ string, s *maillog.Story) error {
		if shape == nil {
			window := 0
			if !whole {
				window = width(r.a.stdout)
			}
			shape = fit(storyColumns(), window)
			heads := shape.line(shape.heads(), true, func(_ int, cell string) string { return paint.paint(dim, cell) })
			if _, err := fmt.Fprintln(r.a.out, heads); err != nil {
				return err
			}
		}
		v, when := s.Verdict, ""
		if !s.Time.IsZero() {
			when = s.Time.Format("2006-01-02 15:04")
		}
		cells := []string{string(v.Category), string(v.Type), cmp.Or(v.Reason, s.Before.Reason), string(v.Action),
			codes(v.SMTPCode, v.Status), clean(v.Address), fmt.Sprint(s.Attempts), when, clean(s.QueueID)}
		_, err := fmt.Fprintln(r.a.out, shape.line(cells, whole, func(i int, cell string) string {
			if i < 2 {
				return paint.paint(typeColour[v.Type], cell)
			}
			return cell
		}))
		return err
	}
}
