package webhook

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"regexp"
	"slices"
	"strings"
	"sync"

	"github.com/bounce-milter/bounce-milter/classify"
	"github.com/bounce-milter/bounce-milter/classify/dsn"
	"github.com/bounce-milter/bounce-milter/internal/address"
	"github.com/bounce-milter/bounce-milter/internal/event"
)

// bounce is the body of listmonk's POST /webhooks/bounce
// (https://listmonk.app/docs/bounces/#webhook-api). Either subscriber or email is required;
// if both are there, listmonk uses the subscriber.
type bounce struct {
	Subscriber string `json:"subscriber_uuid,omitempty"`
	Email      string `json:"email,omitempty"`
	Campaign   string `json:"campaign_uuid,omitempty"`
	Source     string `json:"source"`
	Type       string `json:"type"`
	Meta       string `json:"meta"` // JSON in a string
}

// meta is additional information that listmonk shows with a bounce.
type meta struct {
	ID         string            `json:"id"` // of the record
	Time       event.Time        `json:"time"`
	Host       string            `json:"host,omitempty"`
	QueueID    string            `json:"queue_id,omitempty"`
	Category   classify.Category `json:"category,omitempty"`
	Reason     string            `json:"reason,omitempty"`
	Status     string            `json:"status,omitempty"`
	SMTPCode   int               `json:"smtp_code,omitempty"`
	RemoteMTA  string            `json:"remote_mta,omitempty"`
	Diagnostic string            `json:"diagnostic,omitempty"`
	Recipient  string            `json:"recipient,omitempty"`
	MessageID  string            `json:"message_id,omitempty"`
	Feedback   string            `json:"feedback_type,omitempty"`
}

// complaint is listmonk's type of what RFC 5965 calls feedback.
const complaint = "complaint"

// noComplaint are the feedback types that no recipient's displeasure is behind: a
// message that was no spam after all (RFC 6430), one that did not authenticate
// (RFC 6591, and a draft of RFC 5965), one in which a scanner found a virus (RFC 5965).
var noComplaint = []string{"not-spam", "auth-failure", "dkim", "virus"}

// foreign is the origin of a report about mail that is not ours.
const foreign = "foreign"

// sendListmonk sends a batch, with one request for each record that listmonk should get.
func (s *Sink) sendListmonk(ctx context.Context, batch []event.Item) (event.Sent, error) {
	var sent event.Sent
	for _, item := range batch {
		b, ok := s.bounceOf(item.Record())
		if !ok {
			sent.Done++
			sent.Skipped++
			continue
		}
		body, err := compact(b)
		if err != nil {
			return sent, err
		}
		err = s.post(ctx, body, http.Header{"Authorization": {"token " + string(s.secrets[0])}})
		var refused *refusedError
		switch {
		case err == nil:
			sent.Done++
		case errors.As(err, &refused):
			refuse(&sent, refused)
		default:
			return sent, err
		}
	}
	return sent, nil
}

// bounceOf returns what listmonk gets for a record, and false if it gets nothing. A bounce
// that listmonk counts may remove an address from its lists.
func (s *Sink) bounceOf(r *event.Record) (bounce, bool) {
	kind, ok := s.typeOf(r)
	if !ok || r.Origin == foreign { // a report about mail that we did not send
		return bounce{}, false
	}
	if r.WentTo == "" {
		if kind, ok = s.unprovenType(kind); !ok {
			return bounce{}, false
		}
	}
	b := bounce{
		Email:    subscriber(r),
		Campaign: uuid(returned(r, "X-Listmonk-Campaign")),
		Source:   "bounce-milter",
		Type:     kind,
	}
	// No proof covers this field, and listmonk prefers it to the address. Whoever got one
	// message could return it with another subscriber.
	if r.WentTo == "" {
		b.Subscriber = uuid(returned(r, "X-Listmonk-Subscriber"))
	}
	if b.Subscriber == "" && b.Email == "" {
		return bounce{}, false
	}
	m := meta{ID: r.ID, Time: r.Time, Host: r.Host, QueueID: r.QueueID, Category: r.Category, Reason: r.Reason, Status: r.Status,
		SMTPCode: r.SMTPCode, RemoteMTA: r.RemoteMTA, Diagnostic: r.Diagnostic, Recipient: r.Address, MessageID: r.Returned.MessageID}
	if r.Feedback != nil {
		m.Feedback = r.Feedback.Type
	}
	text, err := compact(m)
	if err != nil {
		return bounce{}, false // such values cannot be in a record
	}
	b.Meta = string(text)
	return b, true
}

// unprovenType returns what listmonk gets instead of a type if the mail is not proved to
// have gone to the address, and false if it gets nothing.
func (s *Sink) unprovenType(kind string) (string, bool) {
	switch {
	case s.unproven == UnprovenSkip, s.unproven == UnprovenSoft && kind == complaint:
		return "", false
	case s.unproven == UnprovenSoft:
		return string(classify.Soft), true
	}
	return kind, true
}

// typeOf returns listmonk's type for a record, and false if the record is not a bounce to
// listmonk: a success, a delay (which is followed by a failure or a success), or an
// automatic reply.
func (s *Sink) typeOf(r *event.Record) (string, bool) {
	switch r.Kind {
	case dsn.KindFeedback:
		said := func(t string) bool { return r.Feedback != nil && strings.EqualFold(r.Feedback.Type, t) }
		return complaint, !slices.ContainsFunc(noComplaint, said)
	case dsn.KindDisposition, dsn.KindAutoReply, dsn.KindNone:
		return "", false
	}
	if r.Action != dsn.ActionFailed {
		return "", false
	}
	switch r.Type {
	case classify.Hard, classify.Soft:
		return string(r.Type), true
	case classify.Block:
		return string(BlockSoft), s.block == BlockSoft
	}
	return "", false
}

// subscriber returns the address that listmonk wrote to: the one that is proved, else the
// one in our VERP address, else the original recipient of the report, else the address that
// failed.
func subscriber(r *event.Record) string {
	list := []string{r.VERP, r.Original, r.Address}
	if r.WentTo != "" { // what else the report says is not proved
		list = []string{r.WentTo}
	}
	for _, a := range list {
		if address.IsMailbox(a) {
			return a
		}
	}
	return ""
}

// returned returns the value of a field of the returned message.
func returned(r *event.Record, name string) string {
	for field, value := range r.Returned.Headers {
		if strings.EqualFold(field, name) {
			return strings.TrimSpace(value)
		}
	}
	return ""
}

var uuidForm = sync.OnceValue(func() *regexp.Regexp {
	return regexp.MustCompile(`^[0-9a-fA-F]{8}(-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}$`)
})

// noUUID is what listmonk writes in place of a UUID in test messages.
const noUUID = "00000000-0000-0000-0000-000000000000"

// uuid returns s if it is a UUID other than noUUID, else "".
func uuid(s string) string {
	if s == noUUID || !uuidForm().MatchString(s) {
		return ""
	}
	return strings.ToLower(s)
}

// compact returns v as JSON, in which "<", ">" and "&" are not escaped.
func compact(v any) ([]byte, error) {
	var b bytes.Buffer
	enc := json.NewEncoder(&b)
	enc.SetEscapeHTML(false)
	err := enc.Encode(v)
	return bytes.TrimSuffix(b.Bytes(), []byte("\n")), err
}
