package classify

import (
	"github.com/bounce-milter/bounce-milter/classify/dsn"
	"github.com/bounce-milter/bounce-milter/classify/reply"
)

// Category is the class of a bounce, one of the nine of the published
// classification, or Unclassified. Administrators write filters against
// these names; they do not change.
type Category string

// The categories.
const (
	InvalidAddress   Category = "invalid-address"
	Mailbox          Category = "mailbox"
	MailboxFull      Category = "mailbox-full"
	RateLimit        Category = "rate-limit"
	RecipientError   Category = "recipient-error"
	Rejection        Category = "rejection"
	DMARC            Category = "dmarc"
	SenderReputation Category = "sender-reputation"
	Blocked          Category = "blocked"
	Unclassified     Category = "unclassified"
)

// Categories lists every category, Unclassified last.
func Categories() []Category {
	return []Category{InvalidAddress, Mailbox, MailboxFull, RateLimit, RecipientError,
		Rejection, DMARC, SenderReputation, Blocked, Unclassified}
}

// Type says what the sender should do about the address.
type Type string

// The types.
const (
	Hard  Type = "hard"  // the address will not work: stop mailing it
	Soft  Type = "soft"  // it may work later: keep it
	Block Type = "block" // the sender was refused: fix the sending side, keep it
)

// Types lists every type.
func Types() []Type { return []Type{Hard, Soft, Block} }

// Rung is a step of the evidence ladder: the kind of evidence that decided.
type Rung string

// The rungs, from the one that decides first to the one that decides last.
const (
	RungAdmin  Rung = "admin"  // an administrator's rule
	RungText   Rung = "text"   // a built-in text rule
	RungCode   Rung = "code"   // a row of the code table with an enhanced code
	RungStatus Rung = "status" // the enhanced code's registered meaning
	RungSMTP   Rung = "smtp"   // the SMTP code's row without one, or its registered meaning
	RungNone   Rung = "none"   // nothing decided: unclassified
)

// Rungs lists the ladder from top to bottom.
func Rungs() []Rung {
	return []Rung{RungAdmin, RungText, RungCode, RungStatus, RungSMTP, RungNone}
}

// Evidence is what is known about one refused recipient.
type Evidence struct {
	Reply        string       // the remote server's words, codes and all, any number of lines
	Notice       string       // what the notice says about this recipient beside the reply
	Status       reply.Status // enhanced status code as reported, the zero one where none
	SMTPCode     int          // SMTP reply code as reported, 0 where none
	Action       dsn.Action   // "" is taken as failed
	RemoteMTA    string
	ReportingMTA string
	Reporter     string // domain of whoever sent the report, "" where it is not known
	Recipient    string // whom the message was for, "" where that is not known
	Sender       string // who sent it by its envelope, "" likewise
	Author       string // who sent it by its header, "" likewise

	reported *dsn.Recipient // who has Reply parsed already, nil of a bare reply
}

// Verdict is what a piece of evidence means.
type Verdict struct {
	Category Category `json:"category"`
	Type     Type     `json:"type"`
	Reason   string   `json:"reason"`
	Provider string   `json:"provider"` // "other" where none was recognised
	Rule     string   `json:"rule"`     // what decided: a rule's id, or the code ("550 5.1.1"), or ""
	Evidence Rung     `json:"evidence"`
}

// Recipient is the verdict on one recipient beside what was reported of it.
// A success (delivered, relayed, expanded) has empty category, type, reason.
type Recipient struct {
	Address    string     `json:"recipient"`          // bare, "" where the report names nobody
	Original   string     `json:"original_recipient"` // as the sender wrote it, "" where that is the same or unknown
	Action     dsn.Action `json:"action"`
	Category   Category   `json:"category"`
	Type       Type       `json:"type"`
	Reason     string     `json:"reason"`
	Status     string     `json:"status"`
	SMTPCode   int        `json:"smtp_code"`
	RemoteMTA  string     `json:"remote_mta"`
	Provider   string     `json:"provider"`
	Diagnostic string     `json:"diagnostic"`
	Rule       string     `json:"rule"`
	Evidence   Rung       `json:"evidence"`
}

// Result is the verdict on one message.
type Result struct {
	Kind              dsn.Kind    `json:"kind"`
	ReportingMTA      string      `json:"reporting_mta"`
	EnvelopeID        string      `json:"envelope_id"`
	ReturnedMessageID string      `json:"returned_message_id"`
	Recipients        []Recipient `json:"recipients"`

	// Feedback is what a complaint says, nil of all other messages. A complaint that
	// does not say whom the message was for has the address in that message's To, if
	// it is one.
	Feedback *dsn.Feedback `json:"feedback,omitempty"`

	// Returned is the message that came back, Sender and DeliveredTo are as in
	// [dsn.Report]; none of them is part of the JSON.
	Returned    dsn.Returned `json:"-"`
	Sender      string       `json:"-"`
	DeliveredTo []string     `json:"-"`

	// Dropped counts recipients beyond the limit, Truncated tells that a
	// limit left something unread; neither is part of the JSON.
	Dropped   int  `json:"-"`
	Truncated bool `json:"-"`
	// Ambiguous and Aside are as in [dsn.Report].
	Ambiguous bool     `json:"-"`
	Aside     []string `json:"-"`
	// Work is what the message cost, in the units of [dsn.Report].
	Work int `json:"-"`
	// Shadowed lists the administrator's rules marked shadow that would
	// have decided, one entry a recipient they match.
	Shadowed []string `json:"-"`

	guessed bool // Feedback's recipient is from the To of the message
}
