// Package event is the record that programs get of each verdict, and what takes
// records away.
//
// A [Record] says of one recipient of one message what the headers say of it, in the
// JSON of packaging/schema/event.v1.json. A [Sink] hands records to somebody outside: a
// file, a webhook, a stream. How they get from the mail to the sinks, and wait in
// between, is the business of package stream.
package event

import (
	"bytes"
	"encoding/json"
	"fmt"
	"time"

	"github.com/bounce-milter/bounce-milter/classify"
	"github.com/bounce-milter/bounce-milter/classify/dsn"
)

// Version is the version of the schema, "v" in each record. Under the same version a
// field is never taken away or given another meaning; new ones may come.
const Version = 1

// Source says who saw what a record tells.
type Source string

// The sources.
const (
	SourceMilter   Source = "milter"   // the daemon, while the mail came in
	SourceLog      Source = "log"      // a line of a mail log
	SourceClassify Source = "classify" // bounce-milter classify --events
)

// Sources lists every source, in the order of the constants.
func Sources() []Source { return []Source{SourceMilter, SourceLog, SourceClassify} }

// Record is one verdict. Strings are "" where nothing is known; all but
// Host, Source and ID may have been written by a stranger, and are bounded and free of
// control characters.
type Record struct {
	V      int    `json:"v"`
	ID     string `json:"id"`   // a ULID, the same however often the record is delivered
	Time   Time   `json:"time"` // of the verdict
	Source Source `json:"source"`
	Host   string `json:"host"` // the name of this machine

	QueueID      string   `json:"queue_id"`
	Client       string   `json:"client"`        // address of the MTA's client
	EnvelopeFrom string   `json:"envelope_from"` // RFC 5321 reverse-path, "" for the null sender
	EnvelopeTo   []string `json:"envelope_to"`   // never null

	Kind dsn.Kind `json:"kind"`

	Origin string `json:"origin"` // "ours", "foreign", "unproven"; "" where nobody asked
	Proof  string `json:"proof"`  // "ticket", "dkim", "local"; "" where there is none

	// VERP is the address that the sender wrote to, decoded from the envelope
	// recipient, and Token what stood in the place of {token}.
	VERP  string `json:"verp"`
	Token string `json:"token"`

	classify.Recipient

	Returned Returned  `json:"returned"`
	Feedback *Feedback `json:"feedback,omitempty"`

	ActionTaken string `json:"action_taken"`
}

// Returned is what is known of the message that came back.
type Returned struct {
	MessageID string            `json:"message_id"`
	From      string            `json:"from"` // address of its author
	Date      string            `json:"date"`
	Headers   map[string]string `json:"headers"` // by the names that were asked for; never null
}

// Feedback is what a complaint says (RFC 5965).
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
	return t.UTC().AppendFormat(nil, `"2006-01-02T15:04:05.000Z"`), nil
}

// JSON returns the record as one line, without a line end.
func (r *Record) JSON() ([]byte, error) {
	out := *r
	out.V = Version
	if out.EnvelopeTo == nil {
		out.EnvelopeTo = []string{}
	}
	if out.Returned.Headers == nil {
		out.Returned.Headers = map[string]string{}
	}
	var b bytes.Buffer
	enc := json.NewEncoder(&b)
	enc.SetEscapeHTML(false)
	if err := enc.Encode(&out); err != nil {
		return nil, fmt.Errorf("writing a record: %w", err)
	}
	return bytes.TrimSuffix(b.Bytes(), []byte("\n")), nil
}
