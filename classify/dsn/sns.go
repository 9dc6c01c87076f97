package dsn

import (
	"encoding/json"
	"strings"

	"github.com/bounce-milter/bounce-milter/classify/reply"
	"github.com/bounce-milter/bounce-milter/internal/address"
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
		return KindFeedback, true
	case "Bounce":
	default:
		return KindNone, true
	}
	_, r.rep.ReportingMTA = splitType(withoutControls(n.Bounce.ReportingMTA, false))
	r.rep.Returned = Returned{MessageID: strings.Trim(withoutControls(n.Mail.CommonHeaders.MessageID, false), "<>"), From: withoutControls(n.Mail.Source, false)}
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
	Mail struct {
		Source        string
		CommonHeaders struct {
			MessageID string `json:"messageId"`
		}
	}
}

// decodeFirst decodes the JSON value at the beginning of s; SNS appends a footer.
func decodeFirst(s string, v any) bool {
	return json.NewDecoder(strings.NewReader(s)).Decode(v) == nil
}
