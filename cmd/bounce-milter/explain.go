package main

import (
	"bufio"
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
	"strings"

	"github.com/bounce-milter/bounce-milter/classify"
	"github.com/bounce-milter/bounce-milter/classify/dsn"
	"github.com/bounce-milter/bounce-milter/classify/mailbox"
	"github.com/bounce-milter/bounce-milter/classify/reply"
	"github.com/bounce-milter/bounce-milter/internal/lines"
	"github.com/bounce-milter/bounce-milter/internal/proof"
)

// maxLine bounds a line of standard input; the rest of the line is skipped.
const maxLine = 1 << 20

// question is a line of JSON on standard input.
type question struct {
	Reply        string `json:"reply"`
	RemoteMTA    string `json:"remote_mta"`
	ReportingMTA string `json:"reporting_mta"`
	Status       string `json:"status"`
	SMTPCode     int    `json:"smtp_code"`
}

func runExplain(a *app, args []string) error {
	if strings.TrimSpace(strings.Join(args, "")) == "" {
		return usagef(`explain: no reply: write it in quotes, or "-" to read replies from standard input`)
	}
	cfg, engine, err := loadEngine(a.options.config)
	if err != nil {
		return err
	}
	e := explainer{a: a, engine: engine, json: a.options.json(), remote: a.options.remoteMTA, plans: newPlans(cfg), owner: newOwner(a, cfg),
		mail: mailboxes(cfg, a.stdin)}
	if len(args) == 1 && args[0] == "-" {
		a.hint("replies, one per line,")
		return e.lines(a.stdin)
	}
	return e.arguments(args)
}

// explainer explains replies and messages.
type explainer struct {
	a      *app
	engine *classify.Engine
	json   bool
	remote string // remote MTA if a question names none
	count  int

	plans *plans
	owner *owner
	mail  *mailbox.Source
}

// arguments explains each argument: a reply, or the message in a file of that name.
// Words without quotes arrive one by one; up to the next file they are one reply.
func (e *explainer) arguments(args []string) error {
	first := slices.IndexFunc(args, func(arg string) bool { return kindOf(arg) != aFile })
	unquoted := first >= 0 && !strings.ContainsAny(args[first], " \t\n")
	failed := false
	for i := 0; i < len(args); i++ {
		switch kindOf(args[i]) {
		case aFile:
			ok, err := e.messages(args[i])
			if err != nil {
				return err
			}
			failed = failed || !ok
			continue
		case aFolder:
			if len(args) == 1 {
				return fmt.Errorf("explain: %s is a folder: use bounce-milter classify", clean(args[i]))
			}
		}
		reply := args[i]
		for unquoted && i+1 < len(args) && kindOf(args[i+1]) != aFile {
			i++
			reply += " " + args[i]
		}
		if strings.TrimSpace(reply) == "" {
			return usagef("explain: a reply is empty")
		}
		if err := e.answer(question{Reply: reply}); err != nil {
			return err
		}
	}
	if failed {
		return errSaid
	}
	return nil
}

// named is what an argument names.
type named int

const (
	aReply named = iota
	aFile
	aFolder
)

func kindOf(arg string) named {
	info, err := os.Stat(arg)
	switch {
	case err != nil:
		return aReply
	case info.IsDir():
		return aFolder
	}
	return aFile
}

// messages explains each recipient in a file, which may be an mbox, and reports
// whether the whole file could be read.
func (e *explainer) messages(name string) (ok bool, err error) {
	ok = true
	for m := range e.mail.Messages(name) {
		var res classify.Result
		var all []*classify.Explanation
		if m.Err == nil {
			res, all = e.engine.ExplainMessage(context.Background(), m.Raw)
			m.Err = isMessage(m.Raw, res.Kind)
		}
		if m.Err != nil {
			ok = false
			e.a.complain(fmt.Errorf("%s: %w", clean(m.Name), m.Err))
			continue
		}
		whose := e.owner.of(&res)
		plan := e.plans.of(&res, whose, res.DeliveredTo)
		if !e.json {
			e.message(m.Name, res, all, whose)
			if res.Kind != dsn.KindNone {
				e.plan(plan)
			}
			continue
		}
		for i, r := range res.Recipients {
			if err := newEncoder(e.a).Encode(explained{r, ownershipOf(whose, i), plan.taken()}); err != nil {
				return ok, err
			}
		}
	}
	return ok, nil
}

// message prints the explanations of a message.
func (e *explainer) message(name string, res classify.Result, all []*classify.Explanation, whose *proof.Report) {
	p := newPaper(e.a)
	if len(all) == 0 {
		e.rule()
		p.print(clean(fmt.Sprintf("%s: %s", name, nothingSaid(res.Kind))))
		if whose != nil {
			originText(&p, &whose.Message)
		}
	}
	for i, x := range all {
		e.rule()
		r := res.Recipients[i]
		who := cmp.Or(r.Address, r.Original, "a recipient without a name")
		p.print(p.style.paint(bold, clean(fmt.Sprintf("%s: %s, %s", name, who, r.Action))))
		if x == nil {
			p.quote(r.Diagnostic)
			p.text("No bounce: the report says that the mail was delivered or passed on.")
		} else {
			explainText(e.a, x)
		}
		if whose != nil {
			originText(&p, &whose.Each[i])
		}
	}
}

// nothingSaid returns why a message has no recipient to explain.
func nothingSaid(kind dsn.Kind) string {
	switch kind {
	case dsn.KindNone:
		return "no bounce"
	case dsn.KindDSN, dsn.KindText:
		return "a bounce that names no recipient"
	}
	return "no bounce, but of the kind " + string(kind)
}

// rule draws a line between explanations.
func (e *explainer) rule() {
	if e.count++; e.count > 1 {
		fmt.Fprint(e.a.out, "\n", strings.Repeat("─", min(72, width(e.a.stdout))), "\n\n")
	}
}

// lines answers every line of r. A line that cannot be understood is answered with an
// error, so that there is one answer per line.
func (e *explainer) lines(r io.Reader) error {
	br := bufio.NewReaderSize(r, 64<<10)
	failed := false
	for n := 1; ; n++ {
		line, err := lines.Read(br, maxLine)
		if err != nil && err != io.EOF {
			return fmt.Errorf("reading standard input: %w", err)
		}
		if err == io.EOF && len(line) == 0 {
			break
		}
		if bad := e.line(line); bad != nil {
			failed = true
			bad = fmt.Errorf("line %d: %w", n, bad)
			if e.json {
				if err := newEncoder(e.a).Encode(map[string]string{"error": bad.Error()}); err != nil {
					return err
				}
			} else {
				e.a.complain(bad)
			}
		}
		if br.Buffered() == 0 { // the other side may be waiting for the answer
			if err := e.a.out.Flush(); err != nil {
				return fmt.Errorf("writing standard output: %w", err)
			}
		}
		if err == io.EOF {
			break
		}
	}
	if failed {
		return errSaid
	}
	return nil
}

// line answers one line.
func (e *explainer) line(line []byte) error {
	line = bytes.TrimRight(line, "\r\n")
	if len(bytes.TrimSpace(line)) == 0 && !e.json {
		return nil
	}
	q, err := parseQuestion(line)
	if err != nil {
		return err
	}
	return e.answer(q)
}

// parseQuestion reads a line of input: a reply, or a JSON object.
func parseQuestion(line []byte) (q question, err error) {
	line = bytes.TrimRight(line, "\r\n")
	if !bytes.HasPrefix(line, []byte("{")) {
		return question{Reply: string(line)}, nil
	}
	if err := json.Unmarshal(line, &q); err != nil {
		return q, fmt.Errorf("not a JSON object: %s", jsonMessage(err))
	}
	return q, nil
}

// evidence returns what is known about the answer to a question. As of a status that is
// none, nothing is known of a code that no server answers.
func (q *question) evidence() *classify.Evidence {
	if q.SMTPCode < 200 || q.SMTPCode > 599 {
		q.SMTPCode = 0
	}
	return &classify.Evidence{Reply: q.Reply, Status: reply.ParseStatus(q.Status), SMTPCode: q.SMTPCode,
		RemoteMTA: q.RemoteMTA, ReportingMTA: q.ReportingMTA}
}

// jsonMessage describes an error without Go's names of types.
func jsonMessage(err error) string {
	var te *json.UnmarshalTypeError
	if errors.As(err, &te) {
		want := "a string"
		if te.Type.Kind().String() == "int" {
			want = "a number"
		}
		return fmt.Sprintf("%s is a %s: write %s", te.Field, te.Value, want)
	}
	return err.Error()
}

func (e *explainer) answer(q question) error {
	if q.RemoteMTA == "" {
		q.RemoteMTA = e.remote
	}
	ev := q.evidence()
	if e.json {
		r := e.engine.ClassifyReply(ev)
		return newEncoder(e.a).Encode(explained{r, nil, e.plans.ofReply(r).taken()})
	}
	e.rule()
	x := e.engine.Explain(ev)
	explainText(e.a, x)
	e.plan(e.plans.ofReply(x.Recipient))
	return nil
}

// explained is a line of explain --format json.
type explained struct {
	classify.Recipient
	*ownership // nil if [origin] is not configured, or it is a reply
	// ActionTaken is there if actions are configured.
	ActionTaken *string `json:"action_taken,omitempty"`
}

// plan prints what would be done with the message.
func (e *explainer) plan(p *plan) {
	if p != nil {
		out := newPaper(e.a)
		p.text(&out, e.plans.cfg)
	}
}
