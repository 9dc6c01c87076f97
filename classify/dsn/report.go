// Package dsn reads bounces: the bytes of one message in, what it reports out.
//
// It reads delivery status notifications (RFC 3464 in RFC 6522 containers, and their
// internationalised form, RFC 6533) and bounces in words only. It tells both from abuse
// reports (RFC 5965), receipts (RFC 8098), automatic replies (RFC 3834) and ordinary
// mail. It does not judge: what a refusal means is the business of package classify.
//
// Every octet it reads was written by a stranger. Nothing here panics, fails or takes
// more than linear time in the octets read, which [Limits] bound; what cannot be read is
// left out.
//
// [Read] reads a message. It is safe for concurrent use, and what it returns belongs to
// the caller. A [Gate] tells from the header alone whether a message is worth reading.
// [Excerpt] shortens a long message and keeps what counts, for programs that cannot hold
// all of it. Nothing needs to be initialised: the data about reports and notices are
// embedded and loaded when they are first needed.
//
// Names and fields are under Semantic Versioning (docs/api in the repository). What is
// read from messages that follow no standard may improve in any release.
package dsn

import "github.com/bounce-milter/bounce-milter/classify/reply"

// Kind says what a message is.
type Kind string

// The kinds of message. Only [KindDSN] and [KindText] carry recipients.
const (
	KindDSN         Kind = "dsn"         // delivery report, RFC 3464 or 6533
	KindText        Kind = "text"        // bounce in words only
	KindFeedback    Kind = "feedback"    // abuse report, RFC 5965
	KindDisposition Kind = "disposition" // receipt, RFC 8098
	KindAutoReply   Kind = "auto-reply"  // vacation and the like, RFC 3834
	KindNone        Kind = "none"        // anything else
)

// Kinds lists every kind, in the order of the constants.
func Kinds() []Kind {
	return []Kind{KindDSN, KindText, KindFeedback, KindDisposition, KindAutoReply, KindNone}
}

// Action is what the reporting MTA says it did (RFC 3464 section 2.3.3).
type Action string

// The registered actions. An invented one is read as the registered action
// that it stands for.
const (
	ActionFailed    Action = "failed"
	ActionDelayed   Action = "delayed"
	ActionDelivered Action = "delivered"
	ActionRelayed   Action = "relayed"
	ActionExpanded  Action = "expanded"
)

// Actions lists every action, in the order of the constants.
func Actions() []Action {
	return []Action{ActionFailed, ActionDelayed, ActionDelivered, ActionRelayed, ActionExpanded}
}

// Bounced reports whether the action is that of a bounce: a failure or a delay.
func (a Action) Bounced() bool { return a == ActionFailed || a == ActionDelayed }

// Report is what one message reports.
type Report struct {
	Kind Kind

	// Per-message fields (RFC 3464 section 2.2) without their type prefix, ""
	// if the message does not have them.
	ReportingMTA    string
	ReceivedFromMTA string
	DSNGateway      string
	EnvelopeID      string // Original-Envelope-Id, xtext decoded
	ArrivalDate     string
	Extensions      []Field // fields that RFC 3464 does not name

	Recipients []Recipient
	Returned   Returned
	Feedback   *Feedback // of a KindFeedback, nil of all others

	// Sender is the bare address that the report was sent to, which is the
	// envelope sender of the returned message; "" if the report does not say.
	Sender string

	// Reporter is the domain in the From field of the mail system that sent
	// the report, if there is no ReportingMTA.
	Reporter string

	// DeliveredTo are the addresses to which the message was delivered, as the last
	// server noted on top of it: X-Original-To, Delivered-To and Envelope-To above the
	// first Received, so that nobody on its way could write them.
	DeliveredTo []string

	// Dropped counts recipients beyond Limits.Recipients.
	Dropped int
	// Truncated is true if a limit left a part of the message unread.
	Truncated bool
	// Ambiguous is true if other programs may read recipients that are neither in Recipients
	// nor in Aside: a message that is attached to the report, such as the one that it
	// returns, holds a report too, which programs read that walk through all parts, however
	// deep; the report is not written just as RFC 3464 has it, so that they may read its
	// fields in another way, or search its words; or more words were in it than are searched
	// for Aside. The last two are looked at only by [Reader.WithSource].
	Ambiguous bool
	// Aside are addresses that the words of the message name where notices list
	// recipients, or its X-Failed-Recipients does, and Recipients does not. Other programs may
	// take them for recipients. They are looked for only by [Reader.WithSource].
	Aside []string
	// Spent is true if that limit was Limits.Work. Then something may be
	// missing about any recipient.
	Spent bool `json:"-"`
	// Work is what the reading cost. A unit is about ten nanoseconds, the time
	// to examine one octet closely.
	Work int `json:"-"`
}

// Recipient is what a report says about one recipient. The three kinds of evidence stay
// apart: the remote server's reply, the notice's own words, and the returned message,
// which is not here at all.
type Recipient struct {
	Address  string // Final-Recipient, bare: user@example.com
	Original string // Original-Recipient, bare; "" if it is the same
	Action   Action

	// Status is the most specific enhanced status code that the report states
	// for this recipient (RFC 3463), zero if it states none.
	Status reply.Status
	// StatusField is the code in the Status field, which is the reporting
	// MTA's opinion; zero if there is none.
	StatusField reply.Status
	// SMTPCode is the three-digit code of the final reply, 0 if there is none.
	SMTPCode int

	// Diagnostic is the remote server's reply or, if there is none, what the
	// reporting MTA says instead: unfolded, in UTF-8, without the type.
	Diagnostic     string
	DiagnosticType string // "smtp", "x-postfix", "x-unix" ..., lower case

	// said is the parsed reply whose text is Diagnostic, see Reply.
	said reply.Reply

	// Notice is what the notice says about this recipient, unfolded; "" if
	// that is no more than Diagnostic.
	Notice string

	RemoteMTA      string
	FinalLogID     string
	LastAttempt    string
	WillRetryUntil string
	Extensions     []Field
}

// Reply returns Diagnostic parsed.
func (r *Recipient) Reply() reply.Reply {
	if r.said.Text != r.Diagnostic {
		return reply.Parse(r.Diagnostic)
	}
	return r.said
}

// quote sets Diagnostic to what the remote server said.
func (r *Recipient) quote(said reply.Reply) { r.said, r.Diagnostic = said, said.Text }

// Field is a field of a report: its name as written, its value unfolded.
type Field struct{ Name, Value string }

// Returned identifies the message that did not arrive. Its words are never judged.
type Returned struct {
	MessageID, From, To, Date string

	// Fields are those that the reader was asked to note, see [Reader.Returning], under
	// the names by which it was asked; the first of each name, cut to 1000 octets.
	Fields []Field

	// Source is the message as it came back, nil unless the reader was asked for it, see
	// [Reader.WithSource], and a part of the report holds it.
	Source *Source `json:"-"`
}

// Limits bound what reading one message may cost. A zero field means its default.
// The cost grows linearly with the octets read, at worst times the depth. There are
// other bounds that no real message reaches: 64 KB of words after decoding, 2000
// extension fields per report.
type Limits struct {
	Octets       int // octets read; the rest is skipped
	Depth        int // nesting of MIME parts
	Parts        int // MIME parts in all
	HeaderFields int // fields of one header, or of one group of a report
	FieldLength  int // octets of one field, folds included; the rest is cut
	Recipients   int // recipients of one report
	Work         int // units of work, see Report.Work; when they are spent, reading ends
}

// DefaultLimits returns limits several times as high as any report seen in the wild needs.
func DefaultLimits() Limits {
	return Limits{
		Octets:       256 << 10,
		Depth:        8,
		Parts:        64,
		HeaderFields: 500,
		FieldLength:  16 << 10,
		Recipients:   1000,
		Work:         1_500_000,
	}
}

// WithDefaults returns l with every zero field set to its default.
func (l Limits) WithDefaults() Limits {
	set := func(v *int, d int) {
		if *v <= 0 {
			*v = d
		}
	}
	d := DefaultLimits()
	set(&l.Octets, d.Octets)
	set(&l.Depth, d.Depth)
	set(&l.Parts, d.Parts)
	set(&l.HeaderFields, d.HeaderFields)
	set(&l.FieldLength, d.FieldLength)
	set(&l.Recipients, d.Recipients)
	set(&l.Work, d.Work)
	return l
}
