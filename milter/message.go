package milter

import (
	"bytes"
	"time"

	"github.com/bounce-milter/bounce-milter/classify/dsn"
	"github.com/bounce-milter/bounce-milter/internal/ascii"
	"github.com/bounce-milter/bounce-milter/internal/proof"
	"github.com/bounce-milter/bounce-milter/internal/trial"
	"github.com/bounce-milter/bounce-milter/internal/verp"
)

// message is what is known of the message in progress.
type message struct {
	st      *state // the configuration that it began under
	from    string
	utf8    bool // internationalised (RFC 6531): it may hold raw UTF-8
	other8  bool // an octet of the header is neither ASCII nor UTF-8
	trusted bool // the client's headers with our names stay
	gate    dsn.Gate
	suspect bool   // to be inspected: the gate is open
	trial   bool   // doctor's, which is refused
	passes  bool   // accepted without reading it
	discard bool   // nothing is kept of the body
	plain   bool   // its header is read, and nothing is done with it
	cut     bool   // a part of the header was not kept
	partly  string // why only a part of it was inspected, "" if all was
	fields  int    // of the header
	vital   int    // of these, kept beyond the limits
	header  int    // octets of the header
	lines   int    // lines of the header
	id      uint64 // hash of the Message-ID, 0 for none
	again   bool   // it came before: its fields with our names are ours
	octets  buffer
	forged  forged
	out     *outgoing // nil unless it is of ours and gets a ticket

	recipients int           // of the envelope that are kept
	unkept     bool          // there are more of them
	verp       verp.Match    // what these say about the message that bounced
	report     *proof.Report // whose that message is, nil if nobody asks
	ended      time.Time     // when the MTA began to wait for our answer
	waits      bool          // it has a place in Server.waiting, and report is still to come
	inMessage  bool
}

// begin begins a message. Sendmail sends no abort between two messages, so the last one
// ends here; but the macros of MAIL belong to the new one, because they come before it.
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
	m.gate = st.rules.Reader.Gate()
	m.gate.Field(returnPath, s.path)
	m.suspect = m.gate.Open()
	if s.signs(st, from) {
		m.out = &outgoing{}
	}
	m.passes = !m.suspect && m.out == nil && (m.trusted || st.letsGoAtMAIL())
	m.octets.reset(&s.srv.memory, st.cfg.Limits.Report.Octets)
}

// returnPath is the name of the field in which an MTA keeps the envelope sender.
var returnPath = []byte("Return-Path")

// endMessage forgets the message and releases its memory; the client stays.
func (s *session) endMessage() {
	if !s.msg.inMessage {
		return
	}
	s.srv.progress.Add(-1)
	m := &s.msg
	m.octets.release()
	*m = message{octets: m.octets}
	if s.rcpt = s.rcpt[:0]; cap(s.rcpt) > maxSender {
		s.rcpt = nil
	}
	for _, command := range [...]byte{'M', 'R', 'T', 'L', 'N', 'E'} {
		if v, ok := s.macro[command]; ok {
			s.macro[command] = v[:0]
		}
	}
}

// header takes one header field as the MTA has it: still folded, without the space
// after the colon.
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
	if len(name) == len(trial.Field) && hasPrefixFold(name, trial.Field) && s.srv.trials.Load().Proves(value) {
		m.trial = true
	}
	if m.out != nil {
		m.out.field(name, value)
	}
	// The MAIL argument says whether a message is internationalised. Mail from
	// inside has no such argument, so its header decides.
	if s.inside && !m.other8 && !ascii.Only(value) {
		m.utf8 = isUTF8(value)
		m.other8 = !m.utf8
	}
	if !m.suspect && !m.trusted && st.cfg.LookAt == LookAtHeader {
		m.gate.Field(name, value)
	}
	m.fields++
	if cut {
		m.cut = true
	}
	if m.fields > st.fields || m.octets.size+octets > st.cfg.Limits.MaxHeaderOctets {
		m.cut = true
		if m.vital >= maxVital || octets > maxVitalOctets || !st.rules.Reader.Decisive(name) {
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

// writeReturnPath writes the field that the MTA puts on top of the message when it
// delivers it (RFC 5321 section 4.4), so that a bounce in words can be recognised by its
// null sender here as in a mailbox.
func (m *message) writeReturnPath() {
	for i := 0; i < len(m.from); i++ {
		if c := m.from[i]; c < ' ' || c == 0x7f {
			return // not an address: it could forge another header
		}
	}
	if len(m.from) <= maxSender {
		m.octets.writeString("Return-Path: <" + m.from + ">\r\n")
	}
}

// maxSender is more than the longest reverse-path (RFC 5321 section 4.5.3.1.3).
const maxSender = 320

// body returns the buffer for the body, nil if no more of it is wanted.
func (s *session) body() *buffer {
	m := &s.msg
	if m.discard || m.octets.full || m.octets.size >= m.octets.limit && !m.octets.squeeze() {
		return nil
	}
	return &m.octets
}

// isForged reports whether the message has fields with our names that are not ours.
func (m *message) isForged() bool { return m.forged.count > 0 && !m.trusted && !m.again }

// removes reports whether the message has forged headers to remove.
func (m *message) removes() bool { return m.isForged() && m.st.cfg.ForgedHeaders == ForgedRemove }
