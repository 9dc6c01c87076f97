package milter

import (
	"context"
	"errors"
	"runtime/debug"

	"github.com/bounce-milter/bounce-milter/classify"
)

// inspect reads and judges a session's message when its turn comes. There are only a few
// turns at a time: more would not be faster, and each needs memory. If ok is false the
// message was not judged and passes untagged. If the MTA has hung up, the session ends.
func (s *session) inspect() (res classify.Result, ok bool) {
	srv, m := s.srv, &s.msg
	slot, err := srv.turns.take(clientKey(s.client), s.conn)
	if err != nil {
		s.uninspected(err)
		return res, false
	}
	defer srv.turns.give(slot)
	ctx := slot.begin(s.conn)
	defer func() {
		srv.metrics.inspected(slot.end(), s)
		if v := recover(); v != nil {
			srv.metrics.failed(stageInspect)
			srv.logs.error(stageInspect, "inspecting a message, which passes untagged",
				"error", &panicError{v, nil}, "stack", string(debug.Stack()))
			res, ok = classify.Result{}, false
		}
	}()
	var raw []byte
	raw, slot.scratch = m.octets.octets(slot.scratch)
	if len(raw) == 0 {
		s.uninspected(errors.New("nothing of it was kept"))
		return res, false
	}
	res = m.st.rules.Inspector.Classify(ctx, raw)
	if m.st.attributes {
		m.verp = m.st.verp.Attribute(&res, s.recipients()...)
	}
	if err := context.Cause(ctx); err != nil {
		s.uninspected(err)
		return classify.Result{}, false
	}
	m.partly = m.whyPartly(res.Truncated)
	res.Truncated = m.partly != ""
	s.beginOrigin(ctx, &res)
	return res, true
}

// whyPartly says why only a part of a message was inspected, "" if all was. limited says
// that a limit on reading left something out.
func (m *message) whyPartly(limited bool) string {
	switch {
	case m.octets.starved:
		return cutMemory
	case m.octets.full, m.octets.squeezed > 0:
		return cutOctets
	case m.cut:
		return cutHeader
	case limited:
		return cutReading
	}
	return ""
}

// uninspected counts and logs why a message passes untagged.
func (s *session) uninspected(err error) {
	stage := stageInspect
	switch {
	case errors.Is(err, errHungUp):
		s.conn.end(err) // counted and logged when the session ends
		return
	case errors.Is(err, errBusy):
		stage = stageBusy
	}
	s.srv.metrics.failed(stage)
	s.srv.logs.error(stage, "inspecting a message, which passes untagged", append([]any{"error", err}, s.whose()...)...)
}
