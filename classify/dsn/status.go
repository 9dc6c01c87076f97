package dsn

import (
	"bytes"
	"slices"
	"strings"

	"github.com/bounce-milter/bounce-milter/internal/address"
	"github.com/bounce-milter/bounce-milter/internal/ascii"
	"github.com/bounce-milter/bounce-milter/internal/work"
)

// fieldID identifies a field of RFC 3464 section 2.
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

// fieldNames are the names in RFC 3464.
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

// lookupField returns the field of that name, or the field that data/report.toml says it
// is another name for; fieldUnknown if there is none.
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

// statusGroup holds the undecoded fields about one recipient.
type statusGroup struct {
	field      [fieldCount][]byte
	extensions header
}

func (g *statusGroup) has(f fieldID) bool { return g.field[f] != nil }

func (g *statusGroup) named() bool { return g.has(fieldOriginal) || g.has(fieldFinal) }

// maxExtensions bounds the fields of a report that RFC 3464 does not name.
const maxExtensions = 2000

// statusReader reads the fields of a report (RFC 3464 section 2.1) into groups. It goes
// mainly by their names, because senders forget and multiply the empty lines between
// groups.
type statusReader struct {
	lim     Limits
	work    *work.Budget
	message statusGroup   // per-message fields
	groups  []statusGroup // one per recipient
	dropped int           // recipients beyond the limit

	body     []byte // the body that is being read
	gap      bool   // an empty line came before
	inGroup  bool   // extension fields belong to a recipient now, not to the message
	indent   int    // octets of white space before the fields of an indented block
	dropping bool   // the current recipient is beyond the limit
	fields   int    // extension fields in all

	last      *[]byte // value of the last field, nil if it was skipped
	lastID    fieldID
	lastStart int // where that value begins in body
}

// read reads the body of a status part. It returns where it stopped, which is the end.
// If embedded is set, the fields stand in a text, and the first group that does not
// belong to a report ends them.
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
			// Not a field, so it continues the last one.
			// QUIRK: continuation lines that are not indented, even after an
			// empty line: MessageLabs and PHP mailers paste a reply unchanged.
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
			// QUIRK: fields indented as a block: Novell GroupWise, and help desks
			// that paste a report into a text.
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

// indentedField reports whether an indented line with that name is a field and not a
// continuation: it begins a block of fields, or is indented as much as the first field of
// the block.
func (sr *statusReader) indentedField(name []byte, indent int) bool {
	if !sr.gap && indent != sr.indent || lookupField(name) == fieldUnknown && (sr.gap || name[0]|0x20 != 'x') {
		return false
	}
	sr.indent = indent
	return true
}

// extend extends the last field up to an offset in the body.
func (sr *statusReader) extend(end int) {
	if sr.last != nil {
		*sr.last = sr.body[sr.lastStart:min(end, sr.lastStart+sr.lim.FieldLength)]
	}
}

// add adds a field, whose value is between two offsets in the body.
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

// set stores a field, unless the group has it already.
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
		// QUIRK: empty lines between the fields of one recipient: some
		// web-hosting panels. A new recipient begins with a field that the last
		// one has already, or with a name if the last one has a name and an
		// action or status.
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

// runTogether returns the index in value where a second field begins, 0 if there is none.
func runTogether(value []byte, id fieldID) int {
	for at := 0; ; {
		i := bytes.IndexByte(value[at:], ':')
		if i < 0 {
			return 0
		}
		at += i
		// The name ends at the colon. In a reply, "Action:" and "Status:" are
		// ordinary words.
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

// readAction reads an Action field (RFC 3464 section 2.3.3). It reads an invented action
// as the registered one that it stands for, and returns "" if it is unknown.
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

// readMTA returns the name in "dns; mx.example.com" (RFC 3464 section 2.1.2), without its
// type and comments.
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
