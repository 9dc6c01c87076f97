// Package event defines the records in which other programs get verdicts, and the sinks
// that deliver them.
//
// A [Record] is the verdict about one recipient of one message, with what the headers say
// about it, as JSON in the form of packaging/schema/event.v1.json. A [Sink] delivers
// records to a file, a webhook or a stream. Package stream carries records from the mail
// to the sinks, and keeps them while they wait.
package event

import (
	"time"

	"github.com/bounce-milter/bounce-milter/classify"
	"github.com/bounce-milter/bounce-milter/classify/dsn"
)

// Version is the version of the schema, "v" in each record. Within a version no field is
// removed or changes its meaning; fields may be added.
const Version = 1

// Source says where a verdict comes from.
type Source string

// The sources.
const (
	SourceMilter   Source = "milter"   // the daemon, while the mail came in
	SourceLog      Source = "log"      // a line of a mail log
	SourceClassify Source = "classify" // bounce-milter classify --events
)

// Sources lists every source, in the order of the constants.
func Sources() []Source { return []Source{SourceMilter, SourceLog, SourceClassify} }

// Record is one verdict. A string is "" if nothing is known. All strings but Host, Source
// and ID may have been written by a stranger; their length is limited and they contain no
// control characters.
type Record struct {
	V      int    `json:"v"`
	ID     string `json:"id"`   // a ULID, the same each time the record is delivered
	Time   Time   `json:"time"` // of the verdict
	Source Source `json:"source"`
	Host   string `json:"host"` // the name of this machine

	QueueID      string   `json:"queue_id"`
	Client       string   `json:"client"`        // IP address of the MTA's client
	EnvelopeFrom string   `json:"envelope_from"` // RFC 5321 reverse-path, "" for the null sender
	EnvelopeTo   []string `json:"envelope_to"`   // never null

	Kind dsn.Kind `json:"kind"`

	Whose

	VERP  string `json:"verp"`  // address that the sender wrote to, decoded from the envelope recipient
	Token string `json:"token"` // value of {token} there

	classify.Recipient

	Returned Returned  `json:"returned"`
	Feedback *Feedback `json:"feedback,omitempty"`

	ActionTaken string `json:"action_taken"`
}

// Whose says whether the message that came back is ours, and whether it went to the
// recipient.
type Whose struct {
	Origin string `json:"origin"` // "ours", "foreign", "unproven"; "" if it was not examined
	Proof  string `json:"proof"`  // "ticket", "dkim", "verp", "local"; "" if there is none
	// Bound is true if all addresses that the record has for the recipient are proved to
	// be those to which the message went.
	Bound bool `json:"bound"`
	// WentTo is the address to which the message is proved to have gone.
	WentTo string `json:"went_to"`
}

// Returned is what is known about the message that came back.
type Returned struct {
	MessageID string            `json:"message_id"`
	From      string            `json:"from"` // address of its author
	Date      string            `json:"date"`
	Headers   map[string]string `json:"headers"` // by the configured names; never null
}

// Feedback is what a complaint contains (RFC 5965).
type Feedback struct {
	Type        string `json:"type"` // "abuse", "fraud", "not-spam" ...
	SourceIP    string `json:"source_ip"`
	ArrivalDate string `json:"arrival_date"` // as the report writes it
}

// Time is a time that is written in UTC with milliseconds (RFC 3339).
type Time struct{ time.Time }

// MarshalText writes the time.
func (t Time) MarshalText() ([]byte, error) {
	return t.UTC().AppendFormat(nil, "2006-01-02T15:04:05.000Z"), nil
}

// MarshalJSON writes the time as a string.
func (t Time) MarshalJSON() ([]byte, error) {
	return t.append(nil), nil
}

func (t Time) append(b []byte) []byte { return t.UTC().AppendFormat(b, `"2006-01-02T15:04:05.000Z"`) }
