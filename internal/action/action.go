// Package action decides what else is done with a bounce: to whom it goes instead,
// whether it is held or refused. It reads and checks the tables [[action]] of the
// configuration, and finds the first one that matches a message. The daemon and the
// command line share it, so that both say the same.
//
// Nothing here touches mail: package milter does, with what the mail server offers.
package action

import (
	"slices"

	"github.com/bounce-milter/bounce-milter/classify"
	"github.com/bounce-milter/bounce-milter/classify/dsn"
)

// Verb is what an action does.
type Verb string

// The verbs.
const (
	Redirect   Verb = "redirect"   // to other recipients, and none of its own
	Copy       Verb = "copy"       // to more recipients
	Quarantine Verb = "quarantine" // held in the mail server's queue
	Discard    Verb = "discard"    // accepted and thrown away
	Reject     Verb = "reject"     // refused
	Header     Verb = "header"     // more header fields
	None       Verb = "none"       // passes, whatever later actions say
)

// withholds reports whether a message does not reach its own recipients. Such an action
// takes an unclassified bounce only if it names that category.
func (v Verb) withholds() bool {
	return v == Redirect || v == Quarantine || v == Discard || v == Reject
}

// Options is what an administrator writes in a table [[action]]. Exactly one verb is set.
type Options struct {
	Name         string
	Match        Match
	AnyRecipient bool // one recipient of the report is enough; else the primary one decides

	Redirect   []string // addresses
	Copy       []string // addresses
	Quarantine string   // why, for the mail server's log
	Discard    bool
	Reject     string // enhanced code and text
	Header     []Field
	None       bool

	DryRun bool // counted and logged, and of no effect
}

// Match says which messages an action is for. Of each list one value must fit, and every
// list that is not empty must fit.
type Match struct {
	Category, Type, Reason, Provider []string
	Action                           []string // that the report names: "failed", "delayed" ...
	Kind                             []string
	Origin                           []string
	Recipient                        []string // globs
	EnvelopeRecipient                []string // globs
	Bound                            bool     // the report names only those whom our message went to
}

// Field is a header field to add.
type Field struct{ Name, Value string }

// DefaultReason and DefaultReply stand in for a reason of quarantine and a reply that are
// not written out.
const (
	DefaultReason = "held by bounce-milter"
	DefaultReply  = "5.7.1 This bounce is not accepted here"
)

// verbs lists the verbs that are set.
func (o *Options) verbs() []Verb {
	var list []Verb
	for _, v := range []struct {
		set  bool
		verb Verb
	}{
		{o.Redirect != nil, Redirect}, {o.Copy != nil, Copy}, {o.Quarantine != "", Quarantine}, {o.Discard, Discard},
		{o.Reject != "", Reject}, {o.Header != nil, Header}, {o.None, None},
	} {
		if v.set {
			list = append(list, v.verb)
		}
	}
	return list
}

// Verb returns what the action does, "" if that is not one thing.
func (o *Options) Verb() Verb {
	if list := o.verbs(); len(list) == 1 {
		return list[0]
	}
	return ""
}

// Targets are the addresses that the action sends to.
func (o *Options) Targets() []string {
	if o.Verb() == Copy {
		return o.Copy
	}
	return o.Redirect
}

// Kinds are the kinds of messages that actions can match: all but ordinary mail.
func Kinds() []dsn.Kind {
	return slices.DeleteFunc(dsn.Kinds(), func(k dsn.Kind) bool { return k == dsn.KindNone })
}

// reported are the actions of reports.
var reported = []dsn.Action{dsn.ActionFailed, dsn.ActionDelayed, dsn.ActionDelivered, dsn.ActionRelayed, dsn.ActionExpanded}

// Primary returns the recipient that the headers describe and that actions go by: failed
// before delayed before the rest, then hard before block before soft, then the first
// listed; nil if there is none.
func Primary(rcpts []classify.Recipient) *classify.Recipient {
	best, bestRank := (*classify.Recipient)(nil), 0
	for i := range rcpts {
		rank := 1
		switch rcpts[i].Action {
		case dsn.ActionFailed:
			rank += 8
		case dsn.ActionDelayed:
			rank += 4
		}
		switch rcpts[i].Type {
		case classify.Hard:
			rank += 2
		case classify.Block:
			rank++
		}
		if rank > bestRank {
			best, bestRank = &rcpts[i], rank
		}
	}
	return best
}
