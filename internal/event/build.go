package event

import (
	"strings"
	"time"
	"unicode"

	"github.com/bounce-milter/bounce-milter/classify"
	"github.com/bounce-milter/bounce-milter/classify/dsn"
	"github.com/bounce-milter/bounce-milter/internal/lines"
)

// Envelope is what is known about a message in addition to what it reports.
type Envelope struct {
	Time    time.Time
	Source  Source
	Host    string
	QueueID string
	Client  string
	From    string
	To      []string
	VERP    string // decoded from To
	Token   string // decoded from To

	// Origins say of each recipient of the result, or of its complaint, whether the mail
	// that came back is ours; of a report that names nobody there is one. They are empty
	// if nobody asked.
	Origins []Whose

	ActionTaken string // what the daemon did besides tagging, "" for nothing
}

// Bounds on what a stranger wrote, in octets.
const (
	maxValue = 512

	// maxDetails is how much the records of one message may say in addition to their
	// verdicts, in total. Without this bound a short message that names many recipients
	// would become very large, because each record repeats what holds for all of them.
	maxDetails = 512 << 10
	maxInShort = 200 // octets of each reply once maxDetails is used up
)

// Build makes the records of what a message reports: one for each recipient, or one if no
// recipient is known. Ordinary mail has no records. The records share the memory of
// EnvelopeTo, Returned.Headers and Feedback.
func Build(res *classify.Result, env Envelope) []Record {
	if res.Kind == dsn.KindNone || res.Kind == "" {
		return nil
	}
	all := Record{
		V: Version, Time: Time{env.Time}, Source: env.Source, Host: env.Host,
		QueueID: clean(env.QueueID), Client: clean(env.Client), EnvelopeFrom: clean(env.From),
		EnvelopeTo: make([]string, len(env.To)),
		Kind:       res.Kind, VERP: clean(env.VERP), Token: clean(env.Token),
		Returned: returned(res), ActionTaken: env.ActionTaken,
	}
	shared := 0
	for _, v := range all.Returned.Headers {
		shared += len(v)
	}
	for i, to := range env.To {
		all.EnvelopeTo[i] = clean(to)
		shared += len(all.EnvelopeTo[i])
	}
	rcpts := res.Recipients
	if f := res.Feedback; f != nil {
		all.Feedback = &Feedback{Type: string(f.Type), SourceIP: f.SourceIP, ArrivalDate: clean(f.ArrivalDate)}
		rcpts = make([]classify.Recipient, len(f.Recipients))
		for i, a := range f.Recipients {
			rcpts[i].Address = a
		}
	}
	if len(rcpts) == 0 {
		rcpts = make([]classify.Recipient, 1)
	}
	records := make([]Record, len(rcpts))
	left := maxDetails
	for i := range rcpts {
		r := &records[i]
		*r = all
		r.ID = newID(env.Time)
		r.Recipient = rcpts[i]
		if i < len(env.Origins) {
			r.Whose = env.Origins[i]
			r.WentTo = clean(r.WentTo)
		}
		for _, s := range []*string{&r.Address, &r.Original, &r.Status, &r.RemoteMTA} {
			*s = clean(*s)
		}
		if left -= shared + len(r.Diagnostic); left < 0 {
			r.Diagnostic = lines.Cut(r.Diagnostic, maxInShort)
			r.EnvelopeTo = r.EnvelopeTo[:min(len(r.EnvelopeTo), 1)]
			r.Returned.Headers = nil
		}
		r.Diagnostic = printable(r.Diagnostic)
	}
	return records
}

// returned returns what is known about the message that came back. From is only the
// address of its author.
func returned(res *classify.Result) Returned {
	r := Returned{MessageID: clean(res.ReturnedMessageID), From: clean(dsn.Address(res.Returned.From)), Date: clean(res.Returned.Date)}
	if len(res.Returned.Fields) > 0 {
		r.Headers = make(map[string]string, len(res.Returned.Fields))
	}
	for _, f := range res.Returned.Fields {
		r.Headers[f.Name] = printable(f.Value)
	}
	return r
}

// clean shortens a value and removes what does not belong in a line of text.
func clean(s string) string { return printable(lines.Cut(s, maxValue)) }

// printable removes control characters, including those from U+0080 to U+009F, Unicode's
// line and paragraph separators, and what reverses the direction of the text around it,
// so that a name reads otherwise than it is (UAX #9 section 2).
func printable(s string) string {
	s = strings.ToValidUTF8(s, "\uFFFD")
	return strings.Map(func(r rune) rune {
		if unicode.IsControl(r) || r >= '\u2028' && r <= '\u202E' || r >= '\u2066' && r <= '\u2069' {
			return -1
		}
		return r
	}, s)
}
