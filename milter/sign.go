package milter

import (
	"strings"
	"time"

	"github.com/bounce-milter/bounce-milter/classify/origin"
	gomilter "github.com/emersion/go-milter"
)

// outgoing is what a ticket depends on of a message of ours on its way out.
type outgoing struct {
	id, from       string // the first Message-ID and the first From, as they are
	hasID, hasFrom bool
	tickets        []string // that the message has already

	ready  bool   // the two below are known
	ticket string // to put on the message, "" if it needs none
	bound  string // whether it names the recipients
}

// maxCarried is how many tickets that a message has already are looked at. It is more than
// servers of ours that a message passes.
const maxCarried = 8

// signs reports whether the message that begins is ours and gets a ticket: one of a user
// who has logged in, of a client in origin.networks, or one that was handed in on this
// host, with an envelope sender of our domains. So an MTA's own bounces get none.
func (s *session) signs(st *state, from string) bool {
	if !st.tickets || s.actions&gomilter.OptAddHeader == 0 || !st.origin.Judge.Signs(from) {
		return false
	}
	return s.inside || s.authenticated() || contains(st.cfg.Origin.Networks, s.client)
}

// authenticated reports whether the client has logged in. The macros come with MAIL.
func (s *session) authenticated() bool {
	m := s.macro['M']
	mechanism := macro(m, "auth_type")
	// A client that logs in anonymously (RFC 4505) has not said who it is.
	return (mechanism != "" || macro(m, "auth_authen") != "") && !strings.EqualFold(mechanism, "ANONYMOUS")
}

// ownBounces is the name that a Postfix must give in {daemon_name} with the bounces that
// it makes itself. By default they look the same to a milter as what a user of its host
// hands in with sendmail(1): packaging/postfix/own-bounces.sh tells them apart.
const ownBounces = "own-bounces"

// localBounce reports whether the MTA made the message in progress itself. A user of its
// host cannot hand in one that looks like it: he reaches neither the service that gives the
// name nor the port 0 that only mail without a client has.
func (s *session) localBounce() bool {
	return s.inside && s.msg.from == "" && macro(s.macro['C'], "daemon_name") == ownBounces
}

// field takes a header field of a message that goes out.
func (o *outgoing) field(name, value []byte) {
	switch len(name) {
	case len(messageID):
		if !o.hasID && hasPrefixFold(name, messageID) {
			o.id, o.hasID = string(value), true
		}
	case len("From"):
		if !o.hasFrom && hasPrefixFold(name, "From") {
			o.from, o.hasFrom = string(value), true
		}
	case len(origin.TicketField):
		if len(o.tickets) < maxCarried && hasPrefixFold(name, origin.TicketField) {
			o.tickets = append(o.tickets, string(value))
		}
	}
}

// prepare makes the ticket of a message of ours, unless it has one that says the same: a
// content filter may have given it back, or another server of ours may have signed it. It
// needs no more than envelope and header, so it is called when an answer is on its way and
// the MTA is busy with that; the end of the message then finds the ticket made.
func (s *session) prepare(now time.Time) {
	m := &s.msg
	o := m.out
	if o == nil || o.ready {
		return
	}
	o.ready = true
	mail := origin.Mail{Sender: m.from, MessageID: o.id, From: o.from, Recipients: s.recipients(), More: m.unkept}
	keys, bound := m.st.origin.Keys, m.st.cfg.Origin.MaxBound
	for _, t := range o.tickets {
		if keys.Covers(t, &mail, now, bound) {
			return
		}
	}
	o.ticket, o.bound = keys.Sign(&mail, now, bound), boundNo
	if n := len(mail.Recipients); n > 0 && n <= bound && !mail.More {
		o.bound = boundYes
	}
}

// sign puts the ticket on a message of ours, at the very top. Older tickets stay, since a
// DKIM signature may cover them.
func (s *session) sign() {
	s.prepare(time.Now())
	o := s.msg.out
	if o != nil && o.ticket != "" && s.conn.modify(gomilter.ActInsertHeader, 0, origin.TicketField, o.ticket) {
		s.srv.metrics.tickets.WithLabelValues(o.bound).Inc()
	}
}
