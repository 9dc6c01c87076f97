package classify

import (
	"context"
	"strings"

	"github.com/bounce-milter/bounce-milter/classify/dsn"
	"github.com/bounce-milter/bounce-milter/classify/reply"
	"github.com/bounce-milter/bounce-milter/internal/work"
)

// Classify reads a message and judges every recipient that it reports. It
// never fails: a message that is no bounce has no recipients, one that is
// broken has those that could be read. When ctx ends, reading and judging end soon
// after; the answer is what was found by then, and Truncated is set.
func (e *Engine) Classify(ctx context.Context, raw []byte) Result {
	return e.message(ctx, raw, nil)
}

// message judges a message. If seen is not nil, it is called with the evidence about
// each recipient, and whether all of it was read.
func (e *Engine) message(ctx context.Context, raw []byte, seen func(ev Evidence, unread bool)) Result {
	lim := e.limits
	lim.Work -= lim.Work / 4 // an expensive message leaves something for the judging
	rep := e.reader.Read(ctx, raw, lim)
	res := Result{Kind: rep.Kind, ReportingMTA: rep.ReportingMTA, EnvelopeID: rep.EnvelopeID,
		ReturnedMessageID: rep.Returned.MessageID,
		Recipients:        make([]Recipient, 0, len(rep.Recipients)), Dropped: rep.Dropped, Truncated: rep.Truncated, Ambiguous: rep.Ambiguous, Aside: rep.Aside}
	res.Returned, res.Sender, res.DeliveredTo, res.Feedback = rep.Returned, rep.Sender, rep.DeliveredTo, rep.Feedback
	if f := res.Feedback; f != nil && len(f.Recipients) == 0 {
		if a := rep.Returned.Recipient(); a != "" {
			f.Recipients, res.guessed = []string{a}, true
		} else {
			f.Recipients = []string{} // in JSON, an empty list
		}
	}
	author := dsn.Address(rep.Returned.From)
	q := e.inquest()
	defer e.end(q)
	q.budget = *work.New(ctx, e.limits.Work-rep.Work)
	q.work, q.incomplete = &q.budget, rep.Spent
	for i := range rep.Recipients {
		if ctx.Err() != nil {
			break
		}
		r := &rep.Recipients[i]
		out := Recipient{Address: r.Address, Original: r.Original, Action: r.Action,
			Status: r.Status.String(), SMTPCode: r.SMTPCode, RemoteMTA: r.RemoteMTA, Diagnostic: r.Diagnostic}
		ev := Evidence{Reply: r.Diagnostic, Notice: r.Notice, Status: r.Status, SMTPCode: r.SMTPCode,
			Action: r.Action, RemoteMTA: r.RemoteMTA, ReportingMTA: rep.ReportingMTA, Reporter: rep.Reporter,
			Recipient: r.Address, Sender: rep.Sender, Author: author, reported: r}
		q.prepare(&ev)
		if r.Action == "" || r.Action.Bounced() {
			v, shadowed := q.judge()
			out.set(v)
			res.Shadowed = append(res.Shadowed, shadowed...)
		} else {
			out.Provider = q.providerName()
		}
		if seen != nil {
			seen(ev, q.incomplete || q.unread || q.work.Spent())
		}
		res.Recipients = append(res.Recipients, out)
	}
	res.Truncated = res.Truncated || q.work.Spent() || ctx.Err() != nil
	res.Work = rep.Work + q.work.Used()
	spareAliases(res.Recipients)
	return res
}

// spareAliases makes a hard verdict soft if the report tells another fate of the same
// address: an address that an alias leads to may be dead, but the alias took the mail.
func spareAliases(rs []Recipient) {
	if len(rs) < 2 {
		return
	}
	lives := map[string]bool{}
	for i := range rs {
		if rs[i].Type != Hard && rs[i].Address != "" {
			lives[strings.ToLower(rs[i].Address)] = true
		}
	}
	for i := range rs {
		if rs[i].Type == Hard && lives[strings.ToLower(rs[i].Address)] {
			rs[i].Type = Soft
		}
	}
}

// judged is the last verdict, and what it was found from apart from the reply.
type judged struct {
	valid    bool
	notice   string
	status   reply.Status
	code     int
	action   dsn.Action
	remote   string
	named    party
	domain   string // of the recipient, whose name does not matter
	verdict  Verdict
	shadowed []string
}

// judge says what the evidence means, and which shadow rules would have decided.
// If many recipients share one reply, it is judged once.
func (q *inquest) judge() (Verdict, []string) {
	l := &q.last
	if l.valid && q.sameReply && l.notice == q.ev.Notice && l.status == q.ev.Status && l.code == q.ev.SMTPCode &&
		l.action == q.ev.Action && l.remote == q.ev.RemoteMTA && l.named == q.named && l.domain == domain(q.ev.Recipient) {
		return l.verdict, l.shadowed
	}
	f := q.climb()
	*l = judged{valid: true, notice: q.ev.Notice, status: q.ev.Status, code: q.ev.SMTPCode, action: q.ev.Action,
		remote: q.ev.RemoteMTA, named: q.named, domain: domain(q.ev.Recipient), verdict: q.verdict(f), shadowed: q.shadowed(f)}
	return l.verdict, l.shadowed
}

func domain(addr string) string { return addr[strings.LastIndexByte(addr, '@')+1:] }

// ClassifyReply judges a bare reply and answers as for a recipient of a report. An
// action that is not known follows from the reply: a permanent refusal makes the mail
// fail, a request to try again delays it.
func (e *Engine) ClassifyReply(ev *Evidence) Recipient {
	q := e.begin(ev)
	r := q.recipient(q.verdict(q.climb()))
	e.end(q)
	return r
}

func (q *inquest) recipient(v Verdict) Recipient {
	status := q.status
	if status.Class == 0 {
		status = q.ev.Status
	}
	r := Recipient{Action: q.ev.Action, Status: status.String(), SMTPCode: q.code,
		RemoteMTA: q.ev.RemoteMTA, Diagnostic: q.ev.Reply}
	if r.Action == "" {
		r.Action = dsn.ActionFailed
		if !q.permanent() {
			r.Action = dsn.ActionDelayed
		}
	}
	r.set(v)
	return r
}

func (r *Recipient) set(v Verdict) {
	r.Category, r.Type, r.Reason = v.Category, v.Type, v.Reason
	r.Provider, r.Rule, r.Evidence = v.Provider, v.Rule, v.Evidence
}

// shadowed lists the ids of shadow rules that would have decided had they been
// live ones.
func (q *inquest) shadowed(won finding) []string {
	var ids []string
	for _, m := range q.shadows {
		if won.rung == RungAdmin && !m.before(won.match) {
			continue
		}
		ids = append(ids, m.rule.ID)
	}
	return ids
}
