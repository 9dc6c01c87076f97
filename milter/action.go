package milter

import (
	"runtime/debug"
	"slices"
	"strings"

	"github.com/bounce-milter/bounce-milter/classify"
	"github.com/bounce-milter/bounce-milter/classify/dsn"
	"github.com/bounce-milter/bounce-milter/internal/action"
	gomilter "github.com/emersion/go-milter"
)

// needs is what the MTA must let us do for a verb. A refusal may turn into a quarantine.
var needs = map[action.Verb]gomilter.OptAction{
	action.Redirect:   gomilter.OptAddRcpt | gomilter.OptRemoveRcpt,
	action.Copy:       gomilter.OptAddRcpt,
	action.Quarantine: gomilter.OptQuarantine,
	action.Reject:     gomilter.OptQuarantine,
	action.Header:     gomilter.OptAddHeader,
}

// What became of an action: label result of actions_total.
const (
	actDone       = "done"
	actDryRun     = "dry-run"     // it would have been done
	actObserve    = "observe"     // likewise, but for mode = "observe"
	actInside     = "inside"      // the MTA's own message was held instead of refused
	actNotOffered = "not-offered" // the MTA does not let us, or was not asked before a reload
	actTruncated  = "truncated"   // only a part of the message was read; it passed
	actRecipients = "recipients"  // not all recipients are known, so none could be replaced; it passed
	actUnneeded   = "unneeded"    // the message goes there already
	actLoop       = "loop"        // mail to where it would go is what bounced; it passed
)

// notOffered lists the actions that an MTA with these options cannot do.
func (st *state) notOffered(options gomilter.OptAction) []string {
	var names []string
	for _, a := range st.actions.All() {
		if a.Verb != action.Reject && needs[a.Verb]&^options != 0 {
			names = append(names, a.Name)
		}
	}
	return names
}

// deed is what becomes of a message beside its tags.
type deed struct {
	action *action.Action // the first that matches, nil if none does
	result string
	verb   action.Verb // what is done, "" for nothing

	fields   []field  // to add
	add, del []string // recipients
}

// final reports whether the message does not go on.
func (d *deed) final() bool { return d.verb == action.Discard || d.verb == action.Reject }

// taken names what is done, for the record.
func (d *deed) taken() string {
	if d.verb == action.None {
		return ""
	}
	return string(d.verb)
}

// decide finds the action for a message, and what becomes of it here and now. If anything
// goes wrong, there is none and the message passes.
func (s *session) decide(res *classify.Result) (d deed) {
	m := &s.msg
	if m.st.actions.Len() == 0 || res.Kind == dsn.KindNone {
		return deed{}
	}
	defer func() {
		if v := recover(); v != nil {
			s.srv.metrics.failed(stageAction)
			s.srv.logs.error(stageAction, "choosing an action for a message, which passes with headers alone",
				"error", &panicError{v, nil}, "stack", string(debug.Stack()))
			d = deed{}
		}
	}()
	msg := m.report.Action(res)
	if m.st.actions.GoesByRecipients() {
		msg.Recipients = s.recipients()
	}
	first, dry := m.st.actions.First(msg)
	for _, a := range dry {
		try := s.deed(a, &msg)
		s.srv.metrics.acted(a.Verb, try.result)
		s.logAction(&try)
	}
	if first == nil {
		return deed{}
	}
	return s.deed(first, &msg)
}

// deed says what becomes of an action.
func (s *session) deed(a *action.Action, msg *action.Message) deed {
	d := deed{action: a, verb: a.Verb, result: actDone}
	stop := func(result string) deed {
		return deed{action: a, result: result}
	}
	if a.Verb != action.None && msg.Truncated {
		return stop(actTruncated)
	}
	if a.Verb == action.Reject && !s.hasClient() {
		// The MTA would have to defer the message that bounced.
		d.verb, d.result = action.Quarantine, actInside
	}
	if d.verb != action.Reject && needs[d.verb]&^s.actions != 0 {
		return stop(actNotOffered)
	}
	switch d.verb {
	case action.Redirect, action.Copy:
		if result := s.route(&d, msg); result != actDone {
			return stop(result)
		}
	case action.Header:
		for _, f := range a.Header {
			d.fields = append(d.fields, field{f.Name, f.Value})
		}
	}
	switch {
	case a.DryRun:
		return stop(actDryRun)
	case s.msg.st.cfg.Mode == ModeObserve:
		return stop(actObserve)
	}
	return d
}

// route says which recipients come and go. Nobody is removed unless all are known, and
// nothing goes to an address that the report says bounces.
func (s *session) route(d *deed, msg *action.Message) (result string) {
	m := &s.msg
	in := func(list []string, addr string) bool {
		return slices.ContainsFunc(list, func(other string) bool { return action.SameAddress(addr, other) })
	}
	var dead []string
	for i := range msg.Result.Recipients {
		if r := &msg.Result.Recipients[i]; r.Action == "" || r.Action.Bounced() {
			dead = append(dead, r.Address, r.Original)
		}
	}
	targets := slices.DeleteFunc(slices.Clone(d.action.Targets()), func(t string) bool { return in(dead, t) })
	if len(targets) == 0 {
		return actLoop
	}
	present := s.recipients()
	if d.verb == action.Redirect {
		if len(present) == 0 || m.unkept {
			return actRecipients
		}
		for _, r := range present {
			if !in(targets, r) {
				d.del = append(d.del, r)
			}
		}
	}
	for _, t := range targets {
		if !in(present, t) {
			d.add = append(d.add, t)
		}
	}
	if len(d.add)+len(d.del) == 0 {
		return actUnneeded
	}
	return actDone
}

// act does what is decided, and answers the end of the message.
func (s *session) act(d *deed) {
	a := d.action
	if a == nil {
		s.conn.answer(gomilter.RespAccept)
		return
	}
	s.srv.metrics.acted(a.Verb, d.result)
	send := func(code gomilter.ModifyActCode, text string) {
		s.conn.answer(gomilter.NewResponseStr(byte(code), text))
	}
	switch d.verb {
	case action.Redirect, action.Copy:
		// First those that come: if we end in between, the message has too many
		// recipients and not none.
		for _, r := range d.add {
			send(gomilter.ActAddRcpt, "<"+r+">")
		}
		for _, r := range d.del {
			send(gomilter.ActDelRcpt, "<"+r+">")
		}
	case action.Quarantine:
		reason := a.Quarantine
		if reason == "" { // of a refusal
			reason = a.Reject
		}
		send(gomilter.ActQuarantine, reason)
	case action.Discard:
		s.conn.answer(gomilter.RespDiscard)
		return
	case action.Reject:
		code := "550 "
		if strings.HasPrefix(a.Reject, "4") {
			code = "451 "
		}
		send(gomilter.ModifyActCode(gomilter.ActReplyCode), code+a.Reject)
		return
	}
	s.conn.answer(gomilter.RespAccept)
}

// trouble is what stands in the way of an action.
var trouble = map[string]string{
	actNotOffered: "MTA does not offer what an action needs, or was not asked for it before a reload; the message passes with headers alone",
	actRecipients: "redirecting a message needs all of its recipients, and not all are known; it passes with headers alone",
	actLoop:       "an action would send a bounce to the address that bounces; it passes with headers alone",
	actInside:     "a message that the MTA itself hands in is held instead of refused",
	actTruncated:  "only a part of a message was read, so no action is taken; it passes with headers alone",
}

// logAction logs what stands in the way of an action, and what is only tried.
func (s *session) logAction(d *deed) {
	if d.action == nil {
		return
	}
	attrs := append([]any{"took", d.action.Name, "does", string(d.action.Verb)}, s.whose()...)
	if d.result == actDryRun {
		s.srv.log.Info("an action on trial would be taken", attrs...)
	} else if what, ok := trouble[d.result]; ok {
		s.srv.logs.warn("action "+d.result, what, attrs...)
	}
}
