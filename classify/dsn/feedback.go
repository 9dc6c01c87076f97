package dsn

import (
	"bytes"
	"slices"
)

// otherReport returns the kind of the message if it is a report other than a delivery
// report, "" otherwise. If the report is a refusal in the form of a disposition
// notification, it also reads the recipient.
func (r *reading) otherReport() Kind {
	status := false
	for i := range r.tree.parts {
		p := &r.tree.parts[i]
		switch p.kind.name {
		case "message/feedback-report": // RFC 5965 section 3
			r.complaint(p.decoded(r.lim.Octets))
			return KindFeedback
		case "message/disposition-notification", "message/global-disposition-notification": // RFC 8098 section 3
			if !status && r.rejected(p) {
				return KindText
			}
			if !status {
				return KindDisposition
			}
		}
		status = status || p.kind.status()
	}
	if status {
		return ""
	}
	switch r.tree.reports {
	case "feedback-report":
		r.complaint(nil)
		return KindFeedback
	case "disposition-notification":
		return KindDisposition
	}
	for i := range r.tree.parts {
		p := &r.tree.parts[i]
		if !p.kind.returned() {
			r.work.Take(len(p.body) / 16)
			if !p.kind.isWords() || r.forwarded() {
				continue
			}
			if fields := feedbackFields(p.body); fields != nil {
				r.complaint(fields)
				return KindFeedback
			}
			continue
		}
		h, _ := r.header(p.body)
		if slices.ContainsFunc(tables().feedback, func(k feedbackForm) bool { return h.raw(k.returned) != nil }) {
			r.complaint(nil)
			return KindFeedback
		}
	}
	return ""
}

// feedbackFields returns the fields of an abuse report that stand in a text, nil if there
// are none.
//
// QUIRK: feedback loops of small providers, whose software does not know
// message/feedback-report.
func feedbackFields(b []byte) []byte {
	const name = "Feedback-Type:"
	i := indexDelim(b, []byte(name))
	if i < 0 {
		return nil
	}
	// The fields around it: RFC 5965 section 3.1 requires both.
	from := 0
	for _, empty := range []string{"\n\n", "\n\r\n"} {
		if j := bytes.LastIndex(b[:i], []byte(empty)); j >= 0 {
			from = max(from, j+len(empty))
		}
	}
	fields := b[from:min(len(b), i+2000)]
	h, _ := readHeader(nil, fields, Limits{HeaderFields: 50, FieldLength: 200}, true)
	if h.raw("Feedback-Type") == nil || h.raw("User-Agent") == nil || h.raw("Version") == nil {
		return nil
	}
	return fields
}
