package milter

import (
	"bytes"
	"fmt"
	"net"
	"net/netip"
	"net/textproto"
	"runtime/debug"
	"strconv"
	"strings"
	"time"

	"github.com/bounce-milter/bounce-milter/classify"
	"github.com/bounce-milter/bounce-milter/classify/dsn"
	"github.com/bounce-milter/bounce-milter/internal/ascii"
	gomilter "github.com/emersion/go-milter"
)

// Optional parts of the protocol that we ask for where they are offered.
const (
	wantActions = gomilter.OptAddHeader | gomilter.OptChangeHeader

	// Recipients, DATA and unknown commands tell us nothing, so they are not
	// asked for. No answer is given to what the MTA sends in one go.
	wantProtocol = gomilter.OptNoRcptTo | gomilter.OptNoData | gomilter.OptNoUnknown |
		gomilter.OptNoHeaderReply | gomilter.OptNoBodyReply | gomilter.OptSkip

	// Between these commands the MTA waits for its client. Over TCP, to give
	// no answer to them would make its small writes meet Nagle's algorithm;
	// unix sockets know none, and each answer costs the mail two switches of
	// process.
	wantOnUnix = gomilter.OptNoConnReply | gomilter.OptNoHeloReply | gomilter.OptNoMailReply
)

// session is one milter connection: what is known of its client across
// messages, and the message in progress. It belongs to one goroutine.
type session struct {
	srv  *Server
	conn *conn

	actions  gomilter.OptAction
	protocol gomilter.OptProtocol

	client netip.Addr // invalid where there is none
	host   string
	helo   string
	inside bool            // the client is the MTA itself: no MAIL argument can come
	macro  map[byte][]byte // macros by the command that they came with

	msg  message
	path []byte // the Return-Path of a message, for the gate
}

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

var (
	_ gomilter.Milter = (*session)(nil)
	_ handler         = (*session)(nil)
)

// offered answers an MTA's offer: only what it offers is asked for, since
// Postfix drops a milter that wants more.
func (s *session) offered(o offer) (uint32, gomilter.OptAction, gomilter.OptProtocol, error) {
	if o.version < 2 {
		return 0, 0, 0, fmt.Errorf("%w: protocol version %d", errVersion, o.version)
	}
	want := wantProtocol
	if s.conn.isUnix() {
		want |= wantOnUnix
	}
	st := s.srv.state.Load()
	if st.letsGoAtMAIL() {
		// The answer to MAIL lets ordinary mail go. Whatever gets as far as
		// the end of its header is inspected.
		want = want&^gomilter.OptNoMailReply | gomilter.OptNoEOHReply
	}
	s.actions, s.protocol = o.actions&wantActions, o.protocol&want
	if missing := wantActions &^ s.actions; missing != 0 && st.cfg.Mode == ModeTag {
		s.srv.logs.warn("actions", "MTA does not let this milter change headers; its mail passes as it is",
			"offered", uint32(o.actions), "peer", s.peer())
	}
	return min(o.version, 6), s.actions, s.protocol, nil
}

func (s *session) connected(host string, client netip.AddrPort) {
	s.endMessage()
	s.host, s.client = host, client.Addr()
	// QUIRK: so Postfix names itself as the client of mail that comes by no
	// SMTP: its own reports, and what programs hand to its sendmail command.
	s.inside = host == "localhost" && client == netip.AddrPortFrom(netip.AddrFrom4([4]byte{127, 0, 0, 1}), 0)
}

func (s *session) reset() {
	s.endMessage()
	s.host, s.client, s.helo, s.inside = "", netip.Addr{}, "", false
	clear(s.macro)
}

// macros keeps the macros of a command until it comes again. Only commands
// of the protocol have any, which bounds them.
func (s *session) macros(command byte, data []byte) {
	if !strings.ContainsRune("CHMRTLNE", rune(command)) || len(data) > 4<<10 {
		return
	}
	if s.macro == nil {
		s.macro = make(map[byte][]byte, 8)
	}
	s.macro[command] = append(s.macro[command][:0], data...)
}

// queueID is the MTA's name for the message, "" where it has none yet.
func (s *session) queueID() string {
	for _, command := range [...]byte{'E', 'N', 'L', 'T', 'R', 'M'} {
		if id := macro(s.macro[command], "i"); id != "" {
			return id
		}
	}
	return ""
}

// peer names the connection in logs.
func (s *session) peer() string {
	if s.client.IsValid() {
		return s.client.String()
	}
	if a := s.conn.RemoteAddr(); a != nil && a.String() != "" && a.String() != "@" {
		return a.String()
	}
	return "local"
}

// clientName names the MTA's client as Postfix does: name[address].
func (s *session) clientName() string {
	if s.host == "" || !s.client.IsValid() {
		return s.peer()
	}
	return clip(s.host) + "[" + s.client.String() + "]"
}

// mail begins a message. Sendmail sends no abort between two, so whatever was
// kept of the last one ends here; the macros of MAIL came just before it.
func (s *session) mail(from string, utf8 bool) {
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

// The methods of a go-milter backend follow. They put their answers into the
// connection's buffer and return none: go-milter would take 4 KiB to send
// each octet, and on acceptance put a new backend in this one's place.

// goOn answers a command, unless it was agreed that this one gets no answer.
func (s *session) goOn(agreed gomilter.OptProtocol) {
	if s.protocol&agreed == 0 {
		s.conn.answer(gomilter.ActContinue)
	}
}

// Connect is called once a connection, before any message.
func (s *session) Connect(string, string, uint16, net.IP, *gomilter.Modifier) (gomilter.Response, error) {
	s.goOn(gomilter.OptNoConnReply)
	return nil, nil
}

// Helo is called once a connection or more often.
func (s *session) Helo(name string, _ *gomilter.Modifier) (gomilter.Response, error) {
	s.helo = name
	s.goOn(gomilter.OptNoHeloReply)
	return nil, nil
}

// MailFrom lets go of messages of no interest before anything more is sent.
func (s *session) MailFrom(string, *gomilter.Modifier) (gomilter.Response, error) {
	defer s.guard()
	if s.msg.passes && s.protocol&gomilter.OptNoMailReply == 0 {
		s.pass()
		return nil, nil
	}
	s.goOn(gomilter.OptNoMailReply)
	return nil, nil
}

// RcptTo is not asked for, but an MTA may send it still.
func (s *session) RcptTo(string, *gomilter.Modifier) (gomilter.Response, error) {
	s.conn.answer(gomilter.ActContinue)
	return nil, nil
}

// Header is never called: conn takes header fields.
func (s *session) Header(string, string, *gomilter.Modifier) (gomilter.Response, error) {
	return nil, nil
}

// Headers is called at the end of the header and decides: ordinary mail goes
// its way, a report shows its body, and a message with forged headers waits
// for its end, since only there may it be changed.
func (s *session) Headers(textproto.MIMEHeader, *gomilter.Modifier) (gomilter.Response, error) {
	defer s.guard()
	m := &s.msg
	noReply := s.protocol&gomilter.OptNoEOHReply != 0
	m.suspect = m.suspect || m.gate.Open()
	if m.forged.verdicts > 0 {
		m.again = m.forged.count <= maxTags && s.srv.written.knows(m.forged.sum, m.id, time.Now())
		if m.again || m.trusted {
			m.suspect = false // a relay before us did our work, or we did
		}
	}
	switch {
	case m.suspect:
		if m.fields == 0 {
			m.writeReturnPath()
		}
		m.octets.writeString("\r\n")
	case noReply, m.removes():
		m.discard = true
		m.octets.release()
	default:
		s.pass()
		return nil, nil
	}
	s.goOn(gomilter.OptNoEOHReply)
	return nil, nil
}

// BodyChunk is never called: conn takes the body.
func (s *session) BodyChunk([]byte, *gomilter.Modifier) (gomilter.Response, error) {
	return nil, nil
}

// Body is called at the end of the message: it is inspected, its changes go
// out, it passes.
func (s *session) Body(*gomilter.Modifier) (gomilter.Response, error) {
	defer s.guard()
	m := &s.msg
	kind := dsn.KindNone
	var add []field
	var res classify.Result
	inspected := false
	if m.suspect {
		if res, inspected = s.inspect(); inspected {
			kind = res.Kind
			s.srv.metrics.result(&res)
			add = tagFields(m.st.cfg.HeaderPrefix, &res, m.utf8)
		}
	}
	if s.conn.phase == phaseClosed { // nobody waits for it
		s.endMessage()
		return nil, nil
	}
	if s.change(add) {
		s.conn.answer(gomilter.ActAccept)
	}
	s.count(kind)
	// The MTA goes on while we write a line about it.
	s.conn.send()
	if inspected {
		s.logResult(&res)
	}
	s.endMessage()
	return nil, nil
}

// Abort ends a message that is not to be delivered, or not now.
func (s *session) Abort(*gomilter.Modifier) error {
	defer s.guard()
	s.endMessage()
	return nil
}

// pass lets the rest of an ordinary message go by.
func (s *session) pass() {
	s.conn.answer(gomilter.ActAccept)
	s.conn.setPhase(phaseIdle)
	s.count(dsn.KindNone)
	s.endMessage()
}

// count counts the message, once however often it comes.
func (s *session) count(kind dsn.Kind) {
	if s.msg.again {
		s.srv.metrics.again.Inc()
		return
	}
	s.srv.metrics.message(kind)
}

// isForged reports whether the message has fields by our names that are not.
func (m *message) isForged() bool { return m.forged.count > 0 && !m.trusted && !m.again }

// removes reports whether the message has headers that are to go.
func (m *message) removes() bool { return m.isForged() && m.st.cfg.ForgedHeaders == ForgedRemove }

// change deletes forged headers and inserts ours. A message that is tagged
// keeps no older tags, so that one who reads them finds one answer. change
// returns false when it has refused the message.
func (s *session) change(add []field) bool {
	m := &s.msg
	del := m.removes() || m.isForged() && len(add) > 0
	if del {
		s.srv.metrics.forgedTotal.Add(float64(m.forged.count))
	}
	if m.st.cfg.Mode != ModeTag {
		return true
	}
	if del && s.actions&gomilter.OptChangeHeader != 0 {
		if left := m.forged.left; left > 0 {
			refuse := s.mayRefuse()
			what := "message with more forged headers than can be removed passes with the rest"
			if refuse {
				what = "message with more forged headers than can be removed is refused"
			}
			s.srv.metrics.failed(stageForged)
			s.srv.logs.warn(stageForged, what,
				"forged", m.forged.count, "left", left, "queue_id", clip(s.queueID()), "client", s.clientName(), "from", clip(m.from))
			if refuse {
				s.conn.refuse(tooManyForged)
				return false
			}
			add = append(add, field{m.st.cfg.HeaderPrefix + tagForged, strconv.Itoa(left) + " left"})
		}
		m.forged.each(&m.st.own, func(name string, index int) bool {
			return s.conn.modify(gomilter.ActChangeHeader, index, name, "")
		})
	}
	if s.actions&gomilter.OptAddHeader == 0 || len(add) == 0 {
		return true
	}
	// Each goes to the very top, the last one first: no MTA's way of
	// counting its own headers matters then.
	for i := len(add) - 1; i >= 0; i-- {
		if !s.conn.modify(gomilter.ActInsertHeader, 0, add[i].name, add[i].value) {
			return true
		}
	}
	s.srv.written.note(add, m.id, time.Now())
	return true
}

// tooManyForged answers a message whose forged headers would cost the MTA too
// much to remove. To let it pass with some would let a stranger name a verdict,
// and nobody but an attacker writes such a message.
const tooManyForged = "550 5.7.1 Too many header fields by names that are reserved here"

// mayRefuse reports whether a message with too many forged headers may be
// refused: in the SMTP session of a client, who then still has it, and where
// forged headers are to be removed. What the MTA itself or a program on its
// host hands in is never refused: the MTA would have to send it back, or keep it.
func (s *session) mayRefuse() bool {
	return s.msg.removes() && !s.inside && s.client.IsValid()
}

// guard ends the session, and only it, when something in it panics.
func (s *session) guard() {
	if v := recover(); v != nil {
		s.conn.end(&panicError{v, debug.Stack()})
	}
}
