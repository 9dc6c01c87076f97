package proof

import (
	"bytes"
	"cmp"
	"context"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/bounce-milter/bounce-milter/classify"
	"github.com/bounce-milter/bounce-milter/classify/dsn"
	"github.com/bounce-milter/bounce-milter/classify/origin"
	"github.com/bounce-milter/bounce-milter/internal/action"
	"github.com/bounce-milter/bounce-milter/internal/verp"
)

// Envelope is what is known about a report beside what it says.
type Envelope struct {
	To    []string   // addresses that it came to
	VERP  verp.Match // what these say
	Local bool       // this host made it itself
	Host  string     // name of the mail server that it came to, "" if it is not known
	// Shortened is true if something may be missing within the report.
	Shortened bool
}

// Finding is the answer about one recipient.
type Finding struct {
	Origin origin.Origin
	Proof  origin.Proof
	// WentTo is the address to which the message is proved to have gone, "" if that is
	// not proved. It is one that the report or the VERP address names for the recipient.
	WentTo string
	// Bound is true if every address that the report and the VERP address name for the
	// recipient is proved like that. An address that is not proved may be whatever a
	// stranger wrote, or sent the report to.
	Bound bool
	Why   string // what decided, in words
}

// Report says whose mail a report returns.
type Report struct {
	// Message is about the recipient that the headers describe. For a complaint, or a
	// report that names nobody, it says what is true for all of them.
	Message Finding
	// Each are the findings about the recipients of a result, or of its complaint.
	Each []Finding
	// Bound is true if the message is proved to have gone to everybody whom the report
	// names, as far as it was read, and no other report is in it. Then the whole report may
	// be given to a program that removes every address in it from its lists.
	Bound bool
}

// Applies reports whether a message can return mail: a bounce or a complaint.
func Applies(res *classify.Result) bool {
	return res.Kind == dsn.KindDSN || res.Kind == dsn.KindText || res.Kind == dsn.KindFeedback
}

// Waits reports whether Examine may have to wait for DNS.
func (e *Examiner) Waits() bool { return e.quick != nil }

// ExamineNow does what Examine does without asking DNS: signatures whose keys are there
// prove nothing.
func (e *Examiner) ExamineNow(ctx context.Context, res *classify.Result, env Envelope, now time.Time) *Report {
	return e.examine(ctx, cmp.Or(e.quick, e.Judge), res, env, now)
}

// Examine says whose mail a report returns, nil if a message of its kind returns none. It
// never waits longer than [origin.DefaultDeadline].
func (e *Examiner) Examine(ctx context.Context, res *classify.Result, env Envelope, now time.Time) *Report {
	return e.examine(ctx, e.Judge, res, env, now)
}

func (e *Examiner) examine(ctx context.Context, j *origin.Judge, res *classify.Result, env Envelope, now time.Time) *Report {
	if !Applies(res) {
		return nil
	}
	m := &origin.Message{Local: env.Local, To: env.To, VERP: env.VERP.Address}
	if e.Keys != nil && env.VERP.MAC != "" {
		m.VERPProved = e.Keys.VerifyVERP(env.VERP.Signed, env.VERP.MAC)
	}
	if s := res.Returned.Source; s != nil {
		m.Header, m.Body = s.Header, s.Body
		m.Cut, m.WholeBody = s.Cut || env.Shortened, s.Whole && !env.Shortened && !res.Truncated
	}
	x := examination{Examination: j.Examine(ctx, m, now), m: m}
	x.namesHost = sync.OnceValue(func() bool { return namesHost(m.Header, env.Host) })
	r := report(res, x.of)
	r.Bound = r.Bound && !slices.ContainsFunc(res.Aside, func(a string) bool {
		itself := func(to string) bool { return strings.EqualFold(to, a) } // to whom the report came
		return !slices.ContainsFunc(env.To, itself) && !x.proves(a, origin.Recipient{Final: a})
	})
	return r
}

// Unproven is the report about mail that could not be examined.
func Unproven(res *classify.Result, why string) *Report {
	if !Applies(res) {
		return nil
	}
	return report(res, func(origin.Recipient) Finding { return Finding{Origin: origin.Unproven, Why: why} })
}

// report asks about each recipient of a result.
func report(res *classify.Result, of func(origin.Recipient) Finding) *Report {
	r := &Report{Bound: res.Dropped == 0 && !res.Truncated && !res.Ambiguous}
	if f := res.Feedback; f != nil {
		for _, a := range f.Recipients {
			r.add(of(origin.Recipient{Final: a}))
		}
	} else {
		primary := action.Primary(res.Recipients)
		for i := range res.Recipients {
			rcpt := &res.Recipients[i]
			r.add(of(origin.Recipient{Final: rcpt.Address, Original: rcpt.Original}))
			if rcpt == primary {
				r.Message = r.Each[i]
			}
		}
	}
	switch {
	case len(r.Each) == 0:
		r.Message, r.Bound = of(origin.Recipient{}), false
	case r.Message.Origin == "":
		r.Message = r.weakest()
	}
	return r
}

func (r *Report) add(f Finding) {
	r.Each = append(r.Each, f)
	r.Bound = r.Bound && f.Bound
}

// weakest returns the finding that claims least.
func (r *Report) weakest() Finding {
	least := r.Each[0]
	for _, f := range r.Each[1:] {
		if least.Origin == origin.Ours && (f.Origin != origin.Ours || least.Bound && !f.Bound) {
			least = f
		}
	}
	return least
}

// examination is what was found out about one message.
type examination struct {
	*origin.Examination
	m         *origin.Message
	namesHost func() bool // once, however many recipients ask
}

// of answers about one recipient.
func (x *examination) of(r origin.Recipient) Finding {
	res := x.Of(r)
	f := Finding{Origin: res.Origin, Proof: res.Proof, Why: res.Why}
	switch {
	case res.Bound:
		f.WentTo = res.Recipient
		f.Bound = x.proves(r.Final, origin.Recipient{Final: r.Final}) && x.proves(r.Original, origin.Recipient{Original: r.Original}) &&
			(strings.EqualFold(x.m.VERP, r.Final) || x.proves(x.m.VERP, origin.Recipient{}))
	case res.Origin == origin.Ours:
	case x.m.VERPProved: // of a pattern with a token alone
		f.Origin, f.Proof, f.Why = origin.Ours, origin.ProofVERP, "the bounce came to an address that only we can make, which names no recipient"
	case res.Origin == origin.Foreign && x.namesHost():
		f.Origin, f.Why = origin.Unproven, "its header names this host"
	}
	return f
}

// proves reports whether an address that a report names for a recipient is, by itself,
// proved to be the one that the message went to. An empty address needs no proof.
func (x *examination) proves(addr string, alone origin.Recipient) bool {
	if addr == "" {
		return true
	}
	res := x.Of(alone)
	return res.Bound && strings.EqualFold(res.Recipient, addr)
}

// namesHost reports whether the header that came back names the server that the bounce
// came to: then the message has been here, whoever wrote it.
func namesHost(header []byte, host string) bool {
	return strings.Contains(host, ".") && bytes.Contains(bytes.ToLower(header), []byte(strings.ToLower(host)))
}
