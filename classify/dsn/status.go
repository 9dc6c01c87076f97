package dsn

import (
	"bytes"
	"slices"
	"strings"

	"github.com/bounce-milter/bounce-milter/internal/address"
	"github.com/bounce-milter/bounce-milter/internal/ascii"
	"github.com/bounce-milter/bounce-milter/internal/work"
)

// fieldID names a field of RFC 3464 section 2.
type fieldID uint8

const (
	fieldUnknown fieldID = iota

	// Per message.
	fieldEnvelopeID
	fieldReportingMTA
	fieldGateway
	fieldReceivedFrom
	fieldArrival

	// Per recipient.
	fieldOriginal
	fieldFinal
	fieldAction
	fieldStatus
	fieldRemoteMTA
	fieldDiagnostic
	fieldLastAttempt
	fieldLogID
	fieldWillRetry

	fieldCount
)

// fieldNames are the names as RFC 3464 writes them.
var fieldNames = [fieldCount]string{
	fieldEnvelopeID:   "Original-Envelope-Id",
	fieldReportingMTA: "Reporting-MTA",
	fieldGateway:      "DSN-Gateway",
	fieldReceivedFrom: "Received-From-MTA",
	fieldArrival:      "Arrival-Date",
	fieldOriginal:     "Original-Recipient",
	fieldFinal:        "Final-Recipient",
	fieldAction:       "Action",
	fieldStatus:       "Status",
	fieldRemoteMTA:    "Remote-MTA",
	fieldDiagnostic:   "Diagnostic-Code",
	fieldLastAttempt:  "Last-Attempt-Date",
	fieldLogID:        "Final-Log-ID",
	fieldWillRetry:    "Will-Retry-Until",
}

func (f fieldID) perMessage() bool   { return fieldEnvelopeID <= f && f <= fieldArrival }
func (f fieldID) perRecipient() bool { return f >= fieldOriginal }

// lookupField returns the field of that name, or of one that the data know to stand
// for it; fieldUnknown if RFC 3464 knows none.
func lookupField(name []byte) fieldID {
	for f := fieldEnvelopeID; f < fieldCount; f++ {
		if ascii.EqualFold(name, fieldNames[f]) {
			return f
		}
	}
	for _, a := range tables().fields {
		if ascii.EqualFold(name, a.name) {
			return a.stands
		}
	}
	return fieldUnknown
}

// statusGroup holds the fields of one recipient as they stand.
type statusGroup struct {
	field      [fieldCount][]byte
	extensions header
}

func (g *statusGroup) has(f fieldID) bool { return g.field[f] != nil }

func (g *statusGroup) named() bool { return g.has(fieldOriginal) || g.has(fieldFinal) }

// maxExtensions bounds the fields of a report that RFC 3464 does not name.
const maxExtensions = 2000

// statusReader reads the fields of a report (RFC 3464 section 2.1) into groups.
// It routes a field by its name, not by the empty lines, which senders forget
// and multiply.
type statusReader struct {
	lim     Limits
	work    *work.Budget
	message statusGroup   // per-message fields
	groups  []statusGroup // one a recipient
	dropped int           // recipients beyond the limit

	body     []byte // what is read now
	gap      bool   // an empty line went before
	inGroup  bool   // fields that RFC 3464 does not name belong to a recipient
	indent   int    // white space before the fields of an indented block
	dropping bool   // the present recipient is beyond the limit
	fields   int    // extension fields in all

	last      *[]byte // value of the last field, nil if it was passed over
	lastID    fieldID
	lastStart int // where it begins in body
}

// read reads the body of a status part. It returns where it stopped: at the
// end, unless embedded is set, for fields that lie in the midst of a text; then
// the first group that is none of a report ends them.
func (sr *statusReader) read(body []byte, embedded bool) (end int) {
	sr.body, sr.gap, sr.last = body, true, nil
	for pos := 0; pos < len(body); {
		line, next := cutLine(body[pos:])
		if !sr.work.Take(len(line)/4 + 8) {
			return len(body)
		}
		after := len(body) - len(next)
		bare := bytes.TrimLeft(line, " \t")
		switch n, colon := fieldName(bare); {
		case len(bare) == 0:
			sr.gap = true
		case n == 0, len(bare) < len(line) && !sr.indentedField(bare[:n], len(line)-len(bare)),
			bytes.HasPrefix(bare[colon+1:], []byte("//")):
			// No field: the last one goes on.
			// QUIRK: continuation lines that are not indented, even after an
			// empty line: MessageLabs and PHP mailers paste a reply as it came.
			if bytes.HasPrefix(line, []byte("--")) || sr.gap && sr.lastID != fieldDiagnostic {
				if embedded {
					return pos
				}
				sr.last = nil
			} else if embedded && sr.gap {
				return pos
			}
			sr.extend(pos + len(line))
			sr.gap = sr.gap && sr.last == nil
		default:
			// QUIRK: fields indented as a block: reports pasted into words by
			// help desks; Novell GroupWise.
			id := lookupField(bare[:n])
			if embedded && sr.gap && id == fieldUnknown && bare[0]|0x20 != 'x' {
				return pos
			}
			start := pos + len(line) - len(bare)
			sr.add(id, bare[:n], start+colon+1, pos+len(line))
		}
		pos = after
	}
	return len(body)
}

// indentedField reports whether a line with that name and so much white space
// before it is a field, and no continuation: it begins a block of fields, or
// stands in one as deep as the first.
func (sr *statusReader) indentedField(name []byte, indent int) bool {
	if !sr.gap && indent != sr.indent || lookupField(name) == fieldUnknown && (sr.gap || name[0]|0x20 != 'x') {
		return false
	}
	sr.indent = indent
	return true
}

// extend lengthens the last field up to an offset in the body.
func (sr *statusReader) extend(end int) {
	if sr.last != nil {
		*sr.last = sr.body[sr.lastStart:min(end, sr.lastStart+sr.lim.FieldLength)]
	}
}

// add files one field, whose value lies between two offsets of the body.
func (sr *statusReader) add(id fieldID, name []byte, start, end int) {
	end = min(end, start+sr.lim.FieldLength)
	if cut := runTogether(sr.body[start:end], id); cut > 0 {
		// QUIRK: two fields on one line: gateways that dropped a bare CR or a
		// line end before them.
		sr.file(id, name, start, start+cut)
		n, colon := fieldName(sr.body[start+cut : end])
		sr.add(lookupField(sr.body[start+cut:start+cut+n]), sr.body[start+cut:start+cut+n], start+cut+colon+1, end)
		return
	}
	sr.file(id, name, start, end)
}

func (sr *statusReader) file(id fieldID, name []byte, start, end int) {
	sr.last, sr.lastID, sr.lastStart = nil, id, start
	value := sr.body[start:end]
	switch {
	case id.perMessage():
		sr.inGroup = false
		sr.set(&sr.message, id, value)
	case id.perRecipient():
		if sr.startsGroup(id) {
			sr.start()
		}
		sr.inGroup = true
		if !sr.dropping {
			sr.set(&sr.groups[len(sr.groups)-1], id, value)
		}
	default:
		g := &sr.message
		if sr.inGroup && len(sr.groups) > 0 {
			g = &sr.groups[len(sr.groups)-1]
		}
		if sr.dropping && sr.inGroup || len(g.extensions) >= sr.lim.HeaderFields || sr.fields >= maxExtensions {
			break
		}
		sr.fields++
		g.extensions = append(g.extensions, headerField{name: name, value: value})
		sr.last = &g.extensions[len(g.extensions)-1].value
	}
	sr.gap = false
}

// set stores a field; the first of a name counts.
func (sr *statusReader) set(g *statusGroup, id fieldID, value []byte) {
	if g.field[id] == nil {
		g.field[id] = value
		sr.last = &g.field[id]
	}
}

// startsGroup reports whether a per-recipient field begins a new recipient.
func (sr *statusReader) startsGroup(id fieldID) bool {
	if len(sr.groups) == 0 || sr.dropping {
		return len(sr.groups) == 0 || id == fieldFinal || sr.gap
	}
	g := &sr.groups[len(sr.groups)-1]
	if sr.gap {
		// QUIRK: empty lines between the fields of one recipient: sent by some
		// web-hosting panels. A new one begins with what the last one has, or
		// with a name when the last one has a name and more.
		return g.has(id) || (id == fieldFinal || id == fieldOriginal) && g.named() && (g.has(fieldAction) || g.has(fieldStatus))
	}
	// QUIRK: no empty line between recipients: Postini, old IMail and
	// Novell GroupWise.
	switch id {
	case fieldOriginal, fieldFinal, fieldAction, fieldStatus:
		return g.has(id) && g.named()
	}
	return false
}

func (sr *statusReader) start() {
	if len(sr.groups) >= sr.lim.Recipients {
		sr.dropped++
		sr.dropping = true
		return
	}
	sr.groups = append(sr.groups, statusGroup{})
}

// runTogether returns where in value a second field begins, 0 if none does.
func runTogether(value []byte, id fieldID) int {
	for at := 0; ; {
		i := bytes.IndexByte(value[at:], ':')
		if i < 0 {
			return 0
		}
		at += i
		// The name ends at the colon; it must be one of the long ones, for
		// "Action:" and "Status:" are words of a reply as well.
		for f := fieldEnvelopeID; f < fieldCount; f++ {
			name := fieldNames[f]
			start := at - len(name)
			if start < 0 || f == id || !ascii.EqualFold(value[start:at], name) {
				continue
			}
			if id == fieldDiagnostic && (f == fieldAction || f == fieldStatus) {
				continue
			}
			if len(bytes.TrimSpace(value[:start])) == 0 {
				continue
			}
			return start
		}
		at++
	}
}

// readAction reads an Action field (RFC 3464 section 2.3.3). An invented
// action is read as the registered one that it stands for, "" if it is
// unknown.
func readAction(value string) Action {
	value = strings.ToLower(strings.TrimSpace(address.StripComments(value)))
	t := tables().actions
	if a, ok := t[value]; ok {
		return a
	}
	// "failed; smtp", "failed - user unknown", "Failed (5.1.1)"
	if i := strings.IndexFunc(value, func(r rune) bool { return r < 'a' || r > 'z' }); i > 0 {
		return t[value[:i]]
	}
	return t[value]
}

// readMTA reads the name of a server, "dns; mx.example.com" (RFC 3464 section
// 2.1.2), without its type and comments.
func readMTA(value string) string {
	kind, name := splitType(value)
	name = strings.TrimSpace(address.StripComments(name))
	if kind == "" || slices.Contains(tables().hostTypes, kind) {
		// QUIRK: "dns; host said: …": Zoho.
		if i := strings.IndexAny(name, " \t"); i > 0 {
			name = name[:i]
		}
	}
	return strings.TrimRight(name, " ,;.")
}
