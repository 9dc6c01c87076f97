package milter

import (
	"fmt"
	"net/netip"
	"strconv"
	"strings"
	"time"

	"github.com/bounce-milter/bounce-milter/classify"
	"github.com/bounce-milter/bounce-milter/classify/dsn"
	gomilter "github.com/emersion/go-milter"
)

// Optional parts of the protocol that we ask for if they are offered.
const (
	wantActions = gomilter.OptAddHeader | gomilter.OptChangeHeader

	// DATA and unknown commands tell us nothing, so we do not ask for them, nor
	// for recipients unless something needs them (see state.recipients).
	// Header fields and body, which the MTA sends in one go, get no answer.
	wantProtocol = gomilter.OptNoRcptTo | gomilter.OptNoData | gomilter.OptNoUnknown |
		gomilter.OptNoHeaderReply | gomilter.OptNoBodyReply | gomilter.OptSkip

	// Between these commands the MTA waits for its client. Over TCP they get an
	// answer, because otherwise Nagle's algorithm would delay the MTA's small
	// writes. Unix sockets do not have it, so there we save the answers: each
	// costs two process switches.
	wantOnUnix = gomilter.OptNoConnReply | gomilter.OptNoHeloReply | gomilter.OptNoMailReply

	// With these, the first piece of a body is answered instead of the end of the header.
	skips = gomilter.OptNoEOHReply | gomilter.OptSkip
)

// session is one milter connection: what is known of its client across
// messages, and the message in progress. It belongs to one goroutine.
type session struct {
	srv  *Server
	conn *conn

	actions gomilter.OptAction

	client netip.Addr // invalid if there is none
	host   string
	helo   string
	inside bool            // the client is the MTA itself: MAIL has no arguments
	macro  map[byte][]byte // macros by the command that they came with

	msg  message
	path []byte // the Return-Path of a message, for the gate
	rcpt []byte // recipients of its envelope, each followed by a NUL
}

var _ handler = (*session)(nil)

// offered answers an MTA's offer. It asks only for what is offered, since Postfix drops a
// milter that wants more.
func (s *session) offered(o offer) (uint32, gomilter.OptAction, gomilter.OptProtocol, error) {
	if o.version < 2 {
		return 0, 0, 0, fmt.Errorf("%w: protocol version %d", errVersion, o.version)
	}
	want := wantProtocol
	st := s.srv.state.Load()
	if s.conn.isUnix() {
		want |= wantOnUnix
	}
	if st.recipients {
		want &^= gomilter.OptNoRcptTo
		if s.conn.isUnix() {
			want |= gomilter.OptNoRcptReply
		} else {
			// The answer to the first recipient does for MAIL too: Postfix sends
			// both together, and each answer costs it a round trip.
			want |= gomilter.OptNoMailReply
		}
	}
	if st.letsGoAtMAIL() {
		// Ordinary mail is accepted at MAIL, so that needs an answer. Mail that
		// reaches the end of its header is inspected, so that needs none.
		want = want&^gomilter.OptNoMailReply | gomilter.OptNoEOHReply
	}
	if st.tickets && o.protocol&skips == skips {
		// Mail of ours goes on to its end, and its body is not read. So the answer comes
		// with the first piece of the body, which the MTA sends together with the header.
		// Then the rest of it, which may be megabytes, is not sent.
		want = want&^gomilter.OptNoBodyReply | skips
	}
	s.actions = o.actions & st.options
	if missing := wantActions &^ s.actions; missing != 0 && st.cfg.Mode == ModeTag {
		s.srv.logs.warn("actions", "MTA does not let this milter change headers; its mail passes as it is",
			"offered", uint32(o.actions), "peer", s.peer())
	}
	if names := st.notOffered(s.actions); len(names) > 0 && st.cfg.Mode == ModeTag {
		s.srv.logs.warn("offer", "MTA does not offer what these actions need; their mail passes with headers alone",
			"actions", names, "offered", uint32(o.actions), "peer", s.peer())
	}
	return min(o.version, 6), s.actions, o.protocol & want, nil
}

func (s *session) connected(host string, client netip.AddrPort) {
	s.endMessage()
	delete(s.macro, 'M') // they say who has logged in
	s.host, s.client = host, client.Addr()
	// QUIRK: Postfix reports itself as this client for mail that does not come
	// by SMTP: its own bounces, and mail submitted with its sendmail command.
	s.inside = host == "localhost" && client == netip.AddrPortFrom(netip.AddrFrom4([4]byte{127, 0, 0, 1}), 0)
	s.conn.goOn(gomilter.OptNoConnReply)
}

func (s *session) greeted(name string) {
	s.helo = name
	s.conn.goOn(gomilter.OptNoHeloReply)
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

// queueID returns the MTA's id for the message, "" if it has none yet.
func (s *session) queueID() string {
	for _, command := range [...]byte{'E', 'N', 'L', 'T', 'R', 'M'} {
		if id := macro(s.macro[command], "i"); id != "" {
			return id
		}
	}
	return ""
}

// peer returns the name of the connection for the log.
func (s *session) peer() string {
	if s.client.IsValid() {
		return s.client.String()
	}
	if a := s.conn.nc.RemoteAddr(); a != nil && a.String() != "" && a.String() != "@" {
		return a.String()
	}
	return "local"
}

// clientName returns the MTA's client as Postfix writes it: name[address].
func (s *session) clientName() string {
	if s.host == "" || !s.client.IsValid() {
		return s.peer()
	}
	return clip(s.host) + "[" + s.client.String() + "]"
}

// mail begins a message, and accepts one that need not be read.
func (s *session) mail(from string, utf8 bool) {
	s.begin(from, utf8)
	if s.msg.passes && !s.conn.agreed(gomilter.OptNoMailReply) {
		s.pass()
		return
	}
	s.conn.goOn(gomilter.OptNoMailReply)
}

const (
	// maxRecipients is how many recipients of an envelope are kept, and
	// maxRcptOctets what they hold together. A bounce has one.
	maxRecipients = 50
	maxRcptOctets = 4 << 10
)

// recipient keeps a recipient of the envelope, if somebody wants it. Of mail of ours it
// keeps as many as a ticket names.
func (s *session) recipient(to []byte) {
	m := &s.msg
	if m.inMessage && !m.passes && m.st.recipients {
		most, octets := maxRecipients, maxRcptOctets
		if m.out != nil {
			most = max(most, m.st.cfg.Origin.MaxBound)
			octets = most * maxSender
		}
		if len(to) > 0 && m.recipients < most && len(s.rcpt)+len(to) < octets {
			m.recipients++
			s.rcpt = append(append(s.rcpt, to...), 0)
		} else {
			m.unkept = true
		}
	}
	s.conn.goOn(gomilter.OptNoRcptReply)
}

// recipients returns those that were kept.
func (s *session) recipients() []string {
	if s.msg.recipients == 0 {
		return nil
	}
	return strings.Split(string(s.rcpt[:len(s.rcpt)-1]), "\x00")
}

// headerEnd decides: ordinary mail is accepted, a report's body is read, and a message
// with forged headers, or of ours, goes on to its end, since only there can it be changed.
func (s *session) headerEnd() {
	m := &s.msg
	m.suspect = m.suspect || m.gate.Open()
	if m.forged.verdicts > 0 {
		m.again = m.forged.count <= maxTags && s.srv.written.knows(m.forged.sum, m.id, time.Now())
		if m.again || m.trusted {
			m.suspect = false // tagged already: by a relay before us, or by us
		}
	}
	switch {
	case m.suspect:
		if m.fields == 0 {
			m.writeReturnPath()
		}
		m.octets.writeString("\r\n")
	case m.removes(), m.out != nil:
		m.discard = true
		m.octets.release()
	case s.conn.agreed(gomilter.OptNoEOHReply):
		m.discard, m.plain = true, true
		m.octets.release()
	default:
		s.pass()
		return
	}
	s.conn.goOn(gomilter.OptNoEOHReply)
}

// piece answers a piece of the body, if these get answers: it lets an ordinary message go,
// and skips the rest of a body of which no more is wanted.
func (s *session) piece() {
	switch {
	case s.conn.agreed(gomilter.OptNoBodyReply):
	case s.msg.plain:
		s.pass()
	case s.conn.agreed(gomilter.OptSkip) && s.body() == nil:
		s.conn.answer(respSkip)
		if s.msg.out != nil {
			s.conn.send()
			s.prepare(time.Now())
		}
	default:
		s.conn.answer(gomilter.RespContinue)
	}
}

// messageEnd inspects the message, sends its changes, and accepts it, unless an action
// says otherwise.
func (s *session) messageEnd() {
	m := &s.msg
	kind := dsn.KindNone
	var add []field
	var res classify.Result
	var d deed
	inspected := false
	if m.suspect {
		m.ended = time.Now()
		if res, inspected = s.inspect(); inspected {
			kind = res.Kind
			s.endOrigin(&res)
			if m.trial && s.hasClient() && s.conn.phase != phaseClosed {
				s.refuseTrial(&res)
				return
			}
			s.srv.metrics.result(&res, m.partly, s)
			s.srv.metrics.origin(m.report)
			add = tagFields(m.st.cfg.HeaderPrefix, &res, m.verp.Address, m.report, m.utf8)
			d = s.decide(&res)
		}
	}
	if s.conn.phase == phaseClosed { // nobody waits for an answer
		s.endMessage()
		return
	}
	if s.change(append(add, d.fields...), d.final()) {
		if inspected && s.conn.broken == nil {
			s.record(&res, d.taken())
		}
		s.act(&d)
	} else {
		d = deed{}
	}
	s.count(kind)
	// The MTA goes on while we write a line about it.
	s.conn.send()
	if inspected {
		s.logResult(&res, &d)
		s.logAction(&d)
	}
	s.endMessage()
}

// abort ends a message that the MTA will not deliver, or not now.
func (s *session) abort() { s.endMessage() }

// pass accepts an ordinary message before its end.
func (s *session) pass() {
	s.conn.answer(gomilter.RespAccept)
	s.conn.setPhase(phaseIdle)
	s.count(dsn.KindNone)
	s.endMessage()
}

// count counts the message. One that comes again, from a content filter, counts as such.
func (s *session) count(kind dsn.Kind) {
	if s.msg.again {
		s.srv.metrics.again.Inc()
		return
	}
	s.srv.metrics.message(kind)
}

// change deletes forged headers and inserts ours, a ticket among them. A message that gets tags keeps no older
// ones, so that there is only one verdict to read. change returns false if it has refused
// the message. A message that does not go on is not changed.
func (s *session) change(add []field, gone bool) bool {
	m := &s.msg
	del := m.removes() || m.isForged() && len(add) > 0
	if del {
		s.srv.metrics.forgedTotal.Add(float64(m.forged.count))
	}
	if m.st.cfg.Mode != ModeTag || gone {
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
				append([]any{"forged", m.forged.count, "left", left}, s.whose()...)...)
			if refuse {
				s.conn.answer(gomilter.NewResponseStr(byte(gomilter.ActReplyCode), tooManyForged))
				return false
			}
			add = append(add, field{m.st.cfg.HeaderPrefix + tagForged, strconv.Itoa(left) + " left"})
		}
		m.forged.each(&m.st.own, func(name string, index int) bool {
			return s.conn.modify(gomilter.ActChangeHeader, index, name, "")
		})
	}
	if s.actions&gomilter.OptAddHeader == 0 {
		return true
	}
	s.sign()
	if len(add) == 0 {
		return true
	}
	// Insert each at the very top, the last one first. Then it does not matter
	// how the MTA counts its own headers.
	for i := len(add) - 1; i >= 0; i-- {
		if !s.conn.modify(gomilter.ActInsertHeader, 0, add[i].name, add[i].value) {
			return true
		}
	}
	s.srv.written.note(add, m.id, time.Now())
	return true
}

// tooManyForged answers a message whose forged headers would cost the MTA too much to
// remove. If it passed with some of them, a stranger could set a verdict; and nobody but
// an attacker writes such a message.
const tooManyForged = "550 5.7.1 Too many header fields by names that are reserved here"

// mayRefuse reports whether a message with too many forged headers may be refused: if
// forged headers are to be removed, and a client still has the message.
func (s *session) mayRefuse() bool { return s.msg.removes() && s.hasClient() }

// hasClient reports whether the message comes in the SMTP session of a client, which keeps
// it if it is refused. Mail from the MTA itself or from a program on its host is never
// refused, because the MTA would have to bounce it or keep it.
func (s *session) hasClient() bool { return !s.inside && s.client.IsValid() }
