package milter

import (
	"errors"
	"runtime/debug"
	"time"

	"github.com/bounce-milter/bounce-milter/classify"
)

// inspect reads and judges a whole message. Only so many at a time: more would
// not be faster, and each needs memory. ok is false when it failed; the
// message passes then, untagged.
func (s *Server) inspect(m *message) (res classify.Result, ok bool) {
	scratch := <-s.slots
	begun := time.Now()
	defer func() {
		s.metrics.duration.Observe(time.Since(begun).Seconds())
		if v := recover(); v != nil {
			s.metrics.failed(stageInspect)
			s.logs.error(stageInspect, "inspecting a message, which passes untagged",
				"error", &panicError{v, nil}, "stack", string(debug.Stack()))
			res, ok = classify.Result{}, false
		}
		s.slots <- scratch
	}()
	raw, scratch := m.octets.octets(scratch)
	if len(raw) == 0 {
		s.metrics.failed(stageInspect)
		s.logs.error(stageInspect, "inspecting a message, which passes untagged", "error", errors.New("nothing of it was kept"))
		return res, false
	}
	res = m.st.rules.Inspector.Message(raw)
	res.Truncated = res.Truncated || m.octets.full
	return res, true
}

// logResult writes one line about a report.
func (s *session) logResult(res *classify.Result) {
	attrs := append(s.logAttrs(), "kind", res.Kind)
	if p := primary(res.Recipients); p != nil {
		attrs = append(attrs, "recipients", len(res.Recipients)+res.Dropped, "recipient", p.Recipient, "action", p.Action,
			"category", p.Category, "type", p.Type, "reason", p.Reason, "status", p.Status, "rule", p.Rule, "provider", p.Provider)
	}
	if len(res.Shadowed) > 0 {
		attrs = append(attrs, "shadowed", res.Shadowed)
	}
	s.srv.log.Info("report", attrs...)
}
