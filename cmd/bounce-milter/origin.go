package main

import (
	"context"
	"fmt"
	"os"
	"time"

	"github.com/bounce-milter/bounce-milter/classify"
	"github.com/bounce-milter/bounce-milter/classify/origin"
	"github.com/bounce-milter/bounce-milter/config"
	"github.com/bounce-milter/bounce-milter/internal/proof"
	"github.com/bounce-milter/bounce-milter/internal/verp"
)

// owner says whose mail reports return; nil if [origin] is not configured.
type owner struct {
	a        *app
	cfg      *config.Config
	patterns *verp.Patterns
	host     string
	asked    bool            // the keys were read, or could not be
	examiner *proof.Examiner // nil if they could not be
}

func newOwner(a *app, cfg *config.Config) *owner {
	if !cfg.Milter.Origin.On() {
		return nil
	}
	o := &owner{a: a, cfg: cfg}
	o.patterns, _ = verp.Compile(cfg.Milter.VERP) // they were checked with the file
	o.host, _ = os.Hostname()
	return o
}

// of says whose mail a report returns, nil if it returns none. The keys are read when the
// first report comes: whoever explains a reply need not be able to read them.
func (o *owner) of(res *classify.Result) *proof.Report {
	if o == nil || !proof.Applies(res) {
		return nil
	}
	if !o.asked {
		o.asked = true
		var err error
		if o.examiner, err = proof.Open(o.cfg.Milter.Origin); err != nil {
			o.a.complain(fmt.Errorf("whose mail came back is not examined: %w", o.cfg.Place(err)))
		}
	}
	if o.examiner == nil {
		return nil
	}
	// The last server wrote down to whom it delivered the message, or the reporting one to
	// whom it was sent.
	env := proof.Envelope{To: res.DeliveredTo, VERP: o.patterns.First(append(res.DeliveredTo[:len(res.DeliveredTo):len(res.DeliveredTo)], res.Sender)...), Host: o.host}
	return o.examiner.Examine(context.Background(), res, env, time.Now())
}

// ownership are the fields of JSON about whose mail came back.
type ownership struct {
	Origin origin.Origin `json:"origin"`
	Proof  origin.Proof  `json:"proof"`
	Bound  bool          `json:"bound"`
	WentTo string        `json:"went_to"`
	Why    string        `json:"why"`
}

// ownershipOf returns those of a recipient, nil if nobody asked.
func ownershipOf(r *proof.Report, rcpt int) *ownership {
	if r == nil {
		return nil
	}
	f := &r.Each[rcpt]
	return &ownership{f.Origin, f.Proof, f.Bound, f.WentTo, f.Why}
}

// ownedRecipient is a recipient with whose mail came back.
type ownedRecipient struct {
	classify.Recipient
	*ownership
}

// owned is a line of classify --format json where [origin] is configured.
type owned struct {
	File string `json:"file"`
	classify.Result
	Recipients  []ownedRecipient `json:"recipients"`
	Origin      origin.Origin    `json:"origin"`
	VERP        string           `json:"verp,omitempty"`
	ActionTaken *string          `json:"action_taken,omitempty"`
	Error       string           `json:"error"`
}

func ownedOf(c classified) owned {
	o := owned{File: c.File, Result: c.Result, Recipients: make([]ownedRecipient, len(c.Recipients)),
		Origin: c.whose.Message.Origin, VERP: c.VERP, ActionTaken: c.ActionTaken, Error: c.Error}
	for i, r := range c.Result.Recipients {
		o.Recipients[i] = ownedRecipient{r, ownershipOf(c.whose, i)}
	}
	return o
}

// originText prints whose mail came back, below an explanation.
func originText(p *paper, f *proof.Finding) {
	p.head("Origin")
	said := string(f.Origin)
	if f.Proof != "" {
		said += ", by " + string(f.Proof)
	}
	p.text(said + ": " + f.Why + ".")
	switch {
	case f.Bound:
		p.text("It is proved to have gone to " + f.WentTo + ".")
	case f.WentTo != "":
		p.text("It is proved to have gone to " + f.WentTo + ", but to no other address that the report names.")
	case f.Origin == origin.Ours:
		p.text("It is not proved to have gone to this recipient, so this report is no reason to remove the address from a list.")
	}
}

// originShort is whose mail came back, in a column.
func originShort(r *proof.Report, rcpt int) string {
	switch {
	case r == nil:
		return ""
	case rcpt < 0 || rcpt >= len(r.Each):
		return string(r.Message.Origin)
	case r.Each[rcpt].Bound:
		return string(r.Each[rcpt].Origin) + " bound"
	}
	return string(r.Each[rcpt].Origin)
}
