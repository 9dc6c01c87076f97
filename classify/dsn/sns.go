package dsn

import (
	"encoding/json"
	"strings"

	"github.com/bounce-milter/bounce-milter/classify/reply"
	"github.com/bounce-milter/bounce-milter/internal/address"
	"github.com/bounce-milter/bounce-milter/internal/lines"
)

// notification reads the JSON with which Amazon SES reports bounces through SNS. It
// comes as mail if an address is subscribed to the topic. ok is false if the text is not
// such JSON.
func (r *reading) notification(text string) (kind Kind, ok bool) {
	text = strings.TrimSpace(text)
	if !strings.HasPrefix(text, "{") || !strings.Contains(text, "otificationType") {
		return "", false
	}
	// QUIRK: Sendmail breaks lines that are too long with "!", a line end and a space.
	text = strings.ReplaceAll(strings.ReplaceAll(text, "!\n ", ""), "\n", "")
	var outer struct{ Message string }
	if decodeFirst(text, &outer) && outer.Message != "" {
		text = outer.Message
	}
	var n sesNotification
	if !decodeFirst(text, &n) {
		return "", false
	}
	switch n.NotificationType {
	case "Complaint":
		r.complained(&n)
		return KindFeedback, true
	case "Bounce":
	default:
		return KindNone, true
	}
	_, r.rep.ReportingMTA = splitType(withoutControls(n.Bounce.ReportingMTA, false))
	r.sent(&n)
	for _, b := range n.Bounce.BouncedRecipients {
		if len(r.rep.Recipients) >= r.lim.Recipients {
			r.rep.Dropped++
			continue
		}
		rcpt := Recipient{
			Address:     address.Bare(withoutControls(b.EmailAddress, false)),
			Action:      readAction(b.Action),
			StatusField: reply.FindStatus(b.Status),
		}
		if rcpt.Action == "" {
			rcpt.Action = ActionFailed
		}
		rcpt.DiagnosticType, rcpt.Diagnostic = splitType(withoutControls(b.DiagnosticCode, false))
		said := reply.Parse(rcpt.Diagnostic)
		rcpt.quote(said)
		rcpt.SMTPCode = said.Code
		rcpt.Status = betterStatus(said.Status, rcpt.StatusField)
		if n.Bounce.Type != "" {
			rcpt.Notice = strings.TrimSpace(withoutControls(n.Bounce.Type+" "+n.Bounce.SubType, false))
		}
		r.rep.Recipients = append(r.rep.Recipients, rcpt)
	}
	return KindDSN, true
}

// complained reads a complaint.
func (r *reading) complained(n *sesNotification) {
	r.sent(n)
	c := &n.Complaint
	f := &Feedback{
		Type:        readFeedbackType(c.FeedbackType),
		ArrivalDate: withoutControls(c.ArrivalDate, false),
		UserAgent:   withoutControls(c.UserAgent, false),
		MailFrom:    readAddress(withoutControls(n.Mail.Source, false)),
	}
	if c.FeedbackType == "" {
		f.Type = FeedbackAbuse // Amazon has it from the provider's loop, where that says it
	}
	var addrs []string
	for _, rcpt := range c.Recipients {
		addrs = append(addrs, withoutControls(rcpt.EmailAddress, false))
	}
	f.add(addrs, r.lim.Recipients)
	r.rep.Feedback = f
}

// sent notes which message a notification is about.
func (r *reading) sent(n *sesNotification) {
	r.rep.Returned = Returned{MessageID: strings.Trim(withoutControls(n.Mail.CommonHeaders.MessageID, false), "<>"), From: withoutControls(n.Mail.Source, false)}
	for _, name := range r.noted {
		if !r.work.Take(len(n.Mail.Headers)) {
			return
		}
		for _, h := range n.Mail.Headers {
			if strings.EqualFold(h.Name, name) {
				v := withoutControls(h.Value, false)
				r.rep.Returned.Fields = append(r.rep.Returned.Fields, Field{name, lines.Cut(v, maxNotedOctets)})
				break
			}
		}
	}
}

// sesNotification is the part of a notification that is read.
type sesNotification struct {
	NotificationType string
	Bounce           struct {
		Type              string `json:"bounceType"`
		SubType           string `json:"bounceSubType"`
		ReportingMTA      string
		BouncedRecipients []struct {
			EmailAddress   string
			Action         string
			Status         string
			DiagnosticCode string
		}
	}
	Complaint struct {
		UserAgent    string
		FeedbackType string `json:"complaintFeedbackType"`
		ArrivalDate  string
		Recipients   []struct{ EmailAddress string } `json:"complainedRecipients"`
	}
	Mail struct {
		Source        string
		Headers       []struct{ Name, Value string }
		CommonHeaders struct {
			MessageID string `json:"messageId"`
		}
	}
}

// decodeFirst decodes the JSON value at the beginning of s; SNS appends a footer.
func decodeFirst(s string, v any) bool {
	return json.NewDecoder(strings.NewReader(s)).Decode(v) == nil
}
