package milter

import (
	"bytes"

	"github.com/bounce-milter/bounce-milter/classify/dsn"
	"github.com/bounce-milter/bounce-milter/internal/ascii"
)

// message is what is known of the message in progress.
type message struct {
	st        *state // the configuration that it began under
	from      string
	utf8      bool // internationalised (RFC 6531): it may hold raw UTF-8
	other8    bool // an octet of the header is neither ASCII nor UTF-8
	trusted   bool // the client's headers with our prefix stay
	gate      dsn.Gate
	suspect   bool   // to be inspected: the gate is open
	passes    bool   // nothing of it is looked at
	discard   bool   // nothing is kept of the body
	cut       bool   // a part of its header was not kept
	fields    int    // of its header
	vital     int    // of these, kept beyond its limits
	header    int    // octets of its header
	lines     int    // lines of its header
	id        uint64 // hash of its Message-ID, 0 for none
	again     bool   // it came before: its fields by our names are ours
	octets    buffer
	forged    forged
	inMessage bool
}

// begin begins a message. Sendmail sends no abort between two, so whatever was
// kept of the last one ends here; the macros of MAIL came just before it.
func (s *session) begin(from string, utf8 bool) {
	macros := s.macro['M']
	s.endMessage()
	if macros != nil {
		s.macro['M'] = macros
	}
	s.srv.seen.Add(1)
	s.srv.progress.Add(1)
	st := s.srv.state.Load()
	m := &s.msg
	m.st, m.from, m.inMessage = st, from, true
	m.utf8 = utf8 || !ascii.Only(from)
	m.trusted = st.trusts(s.client)
	s.path = append(append(append(s.path[:0], '<'), from...), '>')
	m.gate.Field(returnPath, s.path)
	m.suspect = m.gate.Open()
	m.passes = !m.suspect && (m.trusted || st.letsGoAtMAIL())
	m.octets.reset(&s.srv.memory, st.cfg.Limits.Report.Octets)
}

// returnPath names the field in which an MTA keeps the envelope sender.
var returnPath = []byte("Return-Path")

// endMessage gives back what the message held; the client stays.
func (s *session) endMessage() {
	if !s.msg.inMessage {
		return
	}
	s.srv.progress.Add(-1)
	m := &s.msg
	m.octets.release()
	*m = message{octets: m.octets}
	for _, command := range [...]byte{'M', 'R', 'T', 'L', 'N', 'E'} {
		if v, ok := s.macro[command]; ok {
			s.macro[command] = v[:0]
		}
	}
}

// header takes one header field as the MTA has it: unfolded never, without
// the space behind its colon.
func (s *session) header(name, value []byte, cut bool) {
	m := &s.msg
	if m.passes {
		return
	}
	st := m.st
	if place := st.own.index(name); place >= 0 {
		m.forged.add(&st.own, place, value, m.header, m.lines)
	}
	if m.fields == 0 {
		m.writeReturnPath()
	}
	octets := len(name) + len(value) + 4
	m.header += octets
	m.lines += 1 + bytes.Count(value, newline)
	if m.id == 0 && len(name) == len(messageID) && hasPrefixFold(name, messageID) {
		m.id = s.srv.written.id(value)
	}
	// The MAIL argument says whether a message is internationalised. Only
	// where none can come does its header.
	if s.inside && !m.other8 && !ascii.Only(value) {
		m.utf8 = isUTF8(value)
		m.other8 = !m.utf8
	}
	if !m.suspect && st.cfg.LookAt == LookAtHeader {
		m.gate.Field(name, value)
	}
	m.fields++
	if cut {
		m.cut = true
	}
	if m.fields > st.fields || m.octets.size+octets > st.cfg.Limits.MaxHeaderOctets {
		m.cut = true
		if m.vital >= maxVital || octets > maxVitalOctets || !dsn.Decisive(name) {
			return
		}
		m.vital++
	}
	m.octets.write(name)
	m.octets.writeString(": ")
	m.octets.write(value)
	m.octets.writeString("\r\n")
}

const messageID = "Message-ID" // RFC 5322 section 3.6.4

var newline = []byte{'\n'}

// writeReturnPath writes the field that the MTA will put on top of the message
// when it delivers it (RFC 5321 section 4.4): a bounce in words is known by its
// null sender, here as in a mailbox.
func (m *message) writeReturnPath() {
	for i := 0; i < len(m.from); i++ {
		if c := m.from[i]; c < ' ' || c == 0x7f {
			return // no address: it would be a header of its own
		}
	}
	if len(m.from) <= maxSender {
		m.octets.writeString("Return-Path: <" + m.from + ">\r\n")
	}
}

// maxSender is more than the longest reverse-path (RFC 5321 section 4.5.3.1.3).
const maxSender = 320

// body returns where the body goes, nil when enough of it was seen.
func (s *session) body() *buffer {
	m := &s.msg
	if m.discard || m.octets.full || m.octets.size >= m.octets.limit && !m.octets.squeeze() {
		return nil
	}
	return &m.octets
}

// isForged reports whether the message has fields by our names that are not.
func (m *message) isForged() bool { return m.forged.count > 0 && !m.trusted && !m.again }

// removes reports whether the message has headers that are to go.
func (m *message) removes() bool { return m.isForged() && m.st.cfg.ForgedHeaders == ForgedRemove }
