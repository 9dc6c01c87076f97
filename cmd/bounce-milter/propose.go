package main

import (
	"bufio"
	"bytes"
	"compress/gzip"
	"context"
	"errors"
	"fmt"
	"io"
	netmail "net/mail"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/bounce-milter/bounce-milter/classify"
	"github.com/bounce-milter/bounce-milter/classify/mailbox"
	"github.com/bounce-milter/bounce-milter/classify/maillog"
	"github.com/bounce-milter/bounce-milter/internal/files"
	"github.com/bounce-milter/bounce-milter/internal/lines"
	"github.com/bounce-milter/bounce-milter/internal/propose"
)

// mostProposed is how many groups are shown to people.
const mostProposed = 100

// proposer collects what no rule understood.
type proposer struct {
	a        *app
	engine   *classify.Engine
	rulesDir string
	mail     *mailbox.Source
	bar      *progress
	groups   propose.Groups

	failures int // replies that were looked at
	misses   int
	failed   bool // something could not be read
}

func runRulesPropose(a *app, paths []string) error {
	cfg, engine, err := loadEngine(a.options.config)
	if err != nil {
		return err
	}
	if len(paths) == 0 {
		paths = []string{mailbox.Stdin}
		a.hint("a log, mail, or replies, one per line,")
	}
	logs, others, stdin := a.sortLogs(paths)
	p := &proposer{a: a, engine: engine, rulesDir: cfg.RulesFolder(), mail: mailboxes(cfg, stdin)}
	p.bar = a.progress("rules propose", "items", totalSize(logs)+p.mail.Size(others...))
	p.logs(maillog.Order(logs), stdin)
	for _, path := range others {
		p.path(path, stdin)
	}
	p.bar.clear()
	list := p.groups.List()
	drafter := propose.Drafter{Test: p.test, Words: func(reply string) string {
		return engine.Explain(&classify.Evidence{Reply: reply}).Words
	}}
	for _, r := range engine.Rules() {
		for _, x := range r.Examples {
			drafter.Others = append(drafter.Others, x.Reply)
		}
	}
	rules, err := drafter.Rules(list[:min(len(list), mostProposed)])
	if err != nil {
		return err
	}
	if !a.options.json() {
		p.text(list, rules)
	} else if err := p.json(list, rules); err != nil {
		return fmt.Errorf("writing standard output: %w", err)
	}
	if p.failed {
		return errSaid
	}
	return nil
}

func (p *proposer) logs(paths []string, stdin io.Reader) {
	if len(paths) == 0 {
		return
	}
	src := &maillog.Source{Stdin: stdin, Judge: maillog.NewJudge(p.engine)}
	for b := range src.Batches(paths...) {
		if b.Err != nil {
			p.fail(b.File, b.Err)
		}
		for i := range b.Attempts {
			p.attempt(&b.Attempts[i])
		}
		p.bar.add(b.Octets, b.Lines)
	}
}

// path reads mail, or a file of replies: its first octets tell which. Only mail is read from
// folders.
func (p *proposer) path(path string, stdin io.Reader) {
	var in io.Reader
	if path == mailbox.Stdin {
		in = stdin
	} else if isRegular(path) {
		f, err := os.Open(path)
		if err != nil {
			p.fail(path, err)
			return
		}
		defer f.Close()
		in = f
	}
	if in != nil {
		br, err := unpacked(in)
		if err != nil {
			p.fail(path, err)
			return
		}
		begin, _ := br.Peek(1 << 10)
		switch {
		case len(begin) == 0 || mailbox.LooksLikeMessage(begin):
			stdin = br
		case bytes.IndexByte(begin, 0) >= 0:
			p.fail(path, errors.New("a binary file: neither a log, nor mail, nor replies"))
			return
		default:
			p.replies(path, br)
			return
		}
	}
	src := *p.mail
	src.Stdin = stdin
	for m := range src.Messages(path) {
		if m.Err != nil {
			p.fail(m.Name, m.Err)
			continue
		}
		p.message(m.Raw)
		p.bar.add(m.Octets, 1)
	}
}

// gzipMagic begins a file of gzip (RFC 1952 section 2.3.1).
var gzipMagic = []byte{0x1f, 0x8b, 8}

// unpacked returns what is in r, which may be compressed.
func unpacked(r io.Reader) (*bufio.Reader, error) {
	br := bufio.NewReaderSize(r, 64<<10)
	if begin, _ := br.Peek(len(gzipMagic)); !bytes.Equal(begin, gzipMagic) {
		return br, nil
	}
	zr, err := gzip.NewReader(br)
	if err != nil {
		return nil, fmt.Errorf("decompressing: %w", err)
	}
	return bufio.NewReaderSize(zr, 64<<10), nil
}

func (p *proposer) fail(name string, err error) {
	p.failed = true
	p.bar.clear()
	p.a.complain(fmt.Errorf("%s: %w", clean(name), files.Why(err)))
}

// understood reports whether a rule decided.
func understood(r *classify.Recipient) bool {
	return r.Evidence == classify.RungText || r.Evidence == classify.RungAdmin
}

// miss adds a reply that no rule understood.
func (p *proposer) miss(r *classify.Recipient, reply string, when time.Time) {
	p.failures++
	if understood(r) || strings.TrimSpace(reply) == "" {
		return
	}
	p.misses++
	hint := ""
	if r.Category != classify.Unclassified {
		hint = fmt.Sprintf("its codes stand for %s, %s", r.Category, r.Reason)
	}
	p.groups.Add(propose.Miss{Reply: reply, Known: []string{r.Address, r.Original}, Time: when, Hint: hint})
}

func (p *proposer) attempt(at *maillog.Attempt) {
	if !at.Result.Failed() {
		return
	}
	reply := at.Reply
	if reply == "" {
		reply = at.Words
	}
	p.miss(&at.Verdict, reply, at.Time)
}

func (p *proposer) message(raw []byte) {
	res := p.engine.Classify(context.Background(), raw)
	missing := func(r classify.Recipient) bool { return r.Action.Bounced() && !understood(&r) }
	var all []*classify.Explanation
	if slices.ContainsFunc(res.Recipients, missing) {
		// The words of the notice count too, and only an explanation has them.
		res, all = p.engine.ExplainMessage(context.Background(), raw)
	}
	when := dateOf(raw)
	for i := range res.Recipients {
		r := &res.Recipients[i]
		if !r.Action.Bounced() {
			continue
		}
		reply := r.Diagnostic
		if reply == "" && i < len(all) && all[i] != nil {
			reply = all[i].Notice
		}
		p.miss(r, reply, when)
	}
}

// dateOf returns when a message was written, as far as it says.
func dateOf(raw []byte) time.Time {
	header, _, _ := bytes.Cut(raw, []byte("\r\n\r\n"))
	header, _, _ = bytes.Cut(header, []byte("\n\n"))
	for line := range bytes.Lines(header) {
		if name, value, ok := bytes.Cut(line, []byte(":")); ok && strings.EqualFold(string(name), "Date") && len(value) < 100 {
			t, err := netmail.ParseDate(strings.TrimSpace(string(value)))
			if err == nil {
				return t
			}
		}
	}
	return time.Time{}
}

// replies reads replies as explain does, one a line.
func (p *proposer) replies(path string, br *bufio.Reader) {
	for n := 1; ; n++ {
		line, err := lines.Read(br, maxLine)
		if err != nil && err != io.EOF {
			p.fail(path, fmt.Errorf("reading: %w", err))
			return
		}
		p.bar.add(int64(len(line)), 1)
		if len(bytes.TrimSpace(line)) > 0 {
			q, bad := parseQuestion(line)
			if bad != nil {
				p.fail(fmt.Sprintf("%s:%d", path, n), bad)
			} else {
				r := p.engine.ClassifyReply(q.evidence())
				p.miss(&r, q.Reply, time.Time{})
			}
		}
		if err == io.EOF {
			return
		}
	}
}

// test returns the lines of a file of rules on which there are problems, as rules test finds
// them.
func (p *proposer) test(file string) ([]int, error) {
	folder, err := os.MkdirTemp("", "bounce-milter")
	if err != nil {
		return nil, fmt.Errorf("testing the proposed rules: %w", err)
	}
	defer os.RemoveAll(folder)
	path := filepath.Join(folder, "proposed.toml")
	if err := os.WriteFile(path, []byte(file), 0o600); err != nil {
		return nil, fmt.Errorf("testing the proposed rules: %w", err)
	}
	var lines []int
	for _, problem := range classify.Check(p.rulesDir, []string{path}) {
		if problem.File == path {
			lines = append(lines, problem.Line)
		}
	}
	return lines, nil
}

// proposal is a line of JSON.
type proposal struct {
	Pattern  string   `json:"pattern"`
	Count    int      `json:"count"`
	First    string   `json:"first"` // RFC 3339, "" if not known
	Last     string   `json:"last"`
	Examples []string `json:"examples"`
	Hint     string   `json:"hint"`
	Rule     string   `json:"rule"` // "" if there is nothing to go by, and of all but the most frequent groups
}

func (p *proposer) json(list []*propose.Group, rules map[*propose.Group]string) error {
	enc := newEncoder(p.a)
	for _, g := range list {
		x := proposal{Pattern: g.Pattern, Count: g.Count, Examples: g.Examples, Hint: g.Hint, Rule: rules[g]}
		if !g.First.IsZero() {
			x.First, x.Last = g.First.UTC().Format(time.RFC3339), g.Last.UTC().Format(time.RFC3339)
		}
		if err := enc.Encode(x); err != nil {
			return err
		}
	}
	return nil
}

// text prints a file of rules, with what they were made from in comments.
func (p *proposer) text(list []*propose.Group, rules map[*propose.Group]string) {
	out := p.a.out
	fmt.Fprintf(out, "# Of %s no rule understood %s", counted(p.failures, "failure", "failures"), grouped(p.misses))
	if p.groups.Wordless > 0 {
		fmt.Fprintf(out, "; %s no words to go by", counted(p.groups.Wordless, "has", "have"))
	}
	if p.groups.Dropped > 0 {
		fmt.Fprintf(out, "; %s rare ones were left out to save memory", grouped(p.groups.Dropped))
	}
	fmt.Fprintln(out, ".")
	if len(list) == 0 {
		return
	}
	fmt.Fprintf(out, "# Choose a reason for each rule (bounce-milter rules list shows them), put those that you\n# want into a file of rules_dir, and run: bounce-milter rules test\n")
	for _, g := range list[:min(len(list), mostProposed)] {
		fmt.Fprintf(out, "\n# %s%s\n", counted(g.Count, "reply", "replies"), period(g))
		fmt.Fprintf(out, "#   %s\n", g.Pattern)
		for _, e := range g.Examples {
			if e != g.Pattern {
				fmt.Fprintf(out, "#   as in: %s\n", e)
			}
		}
		if rule := rules[g]; rule != "" {
			fmt.Fprint(out, rule)
		} else {
			fmt.Fprintln(out, "# No words stand in all of them that no other rule goes by: write this one by hand, or\n# choose it by its codes.")
		}
	}
	if more := len(list) - mostProposed; more > 0 {
		fmt.Fprintf(out, "\n# %s more, each of them rarer: --format json has all.\n", counted(more, "group", "groups"))
	}
}

func period(g *propose.Group) string {
	if g.First.IsZero() {
		return ""
	}
	const day = "2006-01-02 15:04"
	if g.First.Equal(g.Last) {
		return ", on " + g.First.Format(day)
	}
	return fmt.Sprintf(", from %s to %s", g.First.Format(day), g.Last.Format(day))
}
