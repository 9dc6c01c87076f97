package milter

import (
	"context"
	"errors"
	"log/slog"
	"runtime/debug"

	"github.com/bounce-milter/bounce-milter/classify"
	"github.com/bounce-milter/bounce-milter/classify/dsn"
	"github.com/bounce-milter/bounce-milter/internal/action"
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
		srv.metrics.duration.Observe(slot.end().Seconds())
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
	res.Truncated = res.Truncated || m.cut || m.octets.full || m.octets.squeezed > 0
	return res, true
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
	s.srv.logs.error(stage, "inspecting a message, which passes untagged", "error", err,
		"queue_id", clip(s.queueID()), "client", s.clientName(), "from", clip(s.msg.from))
}

// logResult writes one line about a message that was inspected.
func (s *session) logResult(res *classify.Result, d *deed) {
	ctx, level := context.Background(), slog.LevelInfo
	if res.Kind == dsn.KindNone {
		level = slog.LevelDebug // it only looked like a report
	}
	if !s.srv.log.Enabled(ctx, level) {
		return
	}
	attrs := make([]slog.Attr, 0, 18)
	attrs = append(attrs, slog.String("queue_id", clip(s.queueID())), slog.String("client", s.clientName()), slog.String("helo", clip(s.helo)),
		slog.String("from", clip(s.msg.from)), slog.String("kind", string(res.Kind)))
	if p := action.Primary(res.Recipients); p != nil {
		attrs = append(attrs, slog.Int("recipients", len(res.Recipients)+res.Dropped), slog.String("recipient", clip(p.Address)),
			slog.String("action", string(p.Action)), slog.String("category", string(p.Category)), slog.String("type", string(p.Type)),
			slog.String("reason", p.Reason), slog.String("status", clip(p.Status)), slog.String("provider", p.Provider), slog.String("rule", p.Rule))
	}
	if d.action != nil {
		attrs = append(attrs, slog.String("took", d.action.Name), slog.String("took_result", d.result))
	}
	if len(res.Shadowed) > 0 {
		attrs = append(attrs, slog.Any("shadowed", res.Shadowed))
	}
	s.srv.log.LogAttrs(ctx, level, "report", attrs...)
}

// clip shortens what a stranger wrote for a log line.
func clip(s string) string {
	const limit = 320 // longer than any address may be
	if len(s) <= limit {
		return s
	}
	return s[:limit] + "..."
}
