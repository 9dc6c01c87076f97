// Package dsn reads bounces: the bytes of one message in, what it reports out.
//
// It knows delivery status notifications (RFC 3464 in RFC 6522 containers, and
// their internationalised form, RFC 6533), bounces that are words only, and
// tells both from abuse reports (RFC 5965), receipts (RFC 8098), automatic
// replies (RFC 3834) and ordinary mail. It judges nothing: what a refusal
// means is the business of package classify.
//
// Every octet it reads was written by a stranger. Nothing here panics, fails
// or costs more than linear time in the octets looked at, which [Limits]
// bound; what cannot be read is left out.
//
// [Read] reads a message, for any number of goroutines at once; what it returns is
// the caller's own. A [Gate] tells from the header alone whether that is worth the
// trouble. [Excerpt] makes a long message short and keeps what counts, for programs that
// cannot hold all of it. No function needs to be called before another: what is known
// of reports and notices is part of the program, and is loaded when first wanted.
//
// Names and fields are under Semantic Versioning (docs/api in the repository). What is
// read out of a message that keeps to no standard may get better with any release.
package dsn

import "github.com/bounce-milter/bounce-milter/classify/reply"

// Kind says what a message is.
type Kind string

// The kinds of message. Only [KindDSN] and [KindText] carry recipients.
const (
	KindDSN         Kind = "dsn"         // delivery report, RFC 3464 or 6533
	KindText        Kind = "text"        // a bounce in words only
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

	// Per-message fields (RFC 3464 section 2.2), names and values without
	// their type prefix, "" where the message has none.
	ReportingMTA    string
	ReceivedFromMTA string
	DSNGateway      string
	EnvelopeID      string // Original-Envelope-Id, xtext decoded
	ArrivalDate     string
	Extensions      []Field // fields that RFC 3464 does not name

	Recipients []Recipient
	Returned   Returned

	// Sender is the address that the report was sent to, bare: who sent the
	// returned message, by its envelope. "" where the report does not say.
	Sender string

	// Reporter is the domain of the mail system that sent the report, by its From
	// field, where there is no ReportingMTA.
	Reporter string

	// Dropped counts recipients beyond Limits.Recipients.
	Dropped int
	// Truncated is true when a limit kept a part of the message unread.
	Truncated bool
	// Spent is true when that limit was Limits.Work: of any recipient something
	// may be missing.
	Spent bool `json:"-"`
	// Work is what the reading cost, in units of which one is roughly an octet
	// that is looked at with care: some ten nanoseconds.
	Work int `json:"-"`
}

// Recipient is what a report says of one recipient. The three kinds of
// evidence stay apart: the remote server's reply, the notice's own words, and
// (not here at all) the returned message.
type Recipient struct {
	Address  string // Final-Recipient, bare: user@example.com
	Original string // Original-Recipient, bare, "" where it says nothing new
	Action   Action

	// Status is the most specific enhanced status code that the report
	// states for this recipient (RFC 3463), the zero one where it states none.
	Status reply.Status
	// StatusField is the value of the Status field alone: the reporting
	// MTA's opinion, the zero one where there is none.
	StatusField reply.Status
	// SMTPCode is the three-digit code of the final reply, 0 where none was seen.
	SMTPCode int

	// Diagnostic is the remote server's reply or, without one, what the
	// reporting MTA says in its place: unfolded, UTF-8, without the type.
	Diagnostic     string
	DiagnosticType string // "smtp", "x-postfix", "x-unix" ..., lower case

	// said is the reply of which Diagnostic is the text, see Reply.
	said reply.Reply

	// Notice holds the notice's words about this recipient, unfolded, "" where
	// they say nothing beyond Diagnostic.
	Notice string

	RemoteMTA      string
	FinalLogID     string
	LastAttempt    string
	WillRetryUntil string
	Extensions     []Field
}

// Reply returns Diagnostic as it was parsed when the report was read.
func (r *Recipient) Reply() reply.Reply {
	if r.said.Text != r.Diagnostic {
		return reply.Parse(r.Diagnostic)
	}
	return r.said
}

// quote notes what the remote server said.
func (r *Recipient) quote(said reply.Reply) { r.said, r.Diagnostic = said, said.Text }

// Field is a header-like field as it stands: name as written, value unfolded.
type Field struct{ Name, Value string }

// Returned names the message that did not arrive. Its words are never judged.
type Returned struct{ MessageID, From, To, Date string }

// Limits bound what reading one message may cost. A zero field means its default.
// The cost grows linearly with the octets looked at, times the depth at worst.
// Beside these there are bounds that no real message meets: 64 KB of words after
// decoding, 2000 extension fields a report.
type Limits struct {
	Octets       int // octets looked at; the rest is skipped
	Depth        int // nesting of MIME parts
	Parts        int // MIME parts in all
	HeaderFields int // fields of one header or of one group of a report
	FieldLength  int // octets of one field, folds included; the rest is cut
	Recipients   int // recipients of one report
	Work         int // units of work, see Report.Work; then what was found by then is the answer
}

// DefaultLimits hold room for every report seen in the wild several times over.
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
