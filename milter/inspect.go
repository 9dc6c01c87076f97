package milter

import (
	"context"
	"errors"
	"log/slog"
	"runtime/debug"
	"time"

	"github.com/bounce-milter/bounce-milter/classify"
	"github.com/bounce-milter/bounce-milter/classify/dsn"
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
	res = m.st.rules.Inspector.Message(context.Background(), raw)
	res.Truncated = res.Truncated || m.cut || m.octets.full
	return res, true
}

// logResult writes one line about a message that was inspected.
func (s *session) logResult(res *classify.Result) {
	ctx, level := context.Background(), slog.LevelInfo
	if res.Kind == dsn.KindNone {
		level = slog.LevelDebug // it only looked like a report
	}
	if !s.srv.log.Enabled(ctx, level) {
		return
	}
	attrs := make([]slog.Attr, 0, 16)
	attrs = append(attrs, slog.String("queue_id", clip(s.queueID())), slog.String("client", s.clientName()), slog.String("helo", clip(s.helo)),
		slog.String("from", clip(s.msg.from)), slog.String("kind", string(res.Kind)))
	if p := primary(res.Recipients); p != nil {
		attrs = append(attrs, slog.Int("recipients", len(res.Recipients)+res.Dropped), slog.String("recipient", clip(p.Recipient)),
			slog.String("action", string(p.Action)), slog.String("category", string(p.Category)), slog.String("type", string(p.Type)),
			slog.String("reason", p.Reason), slog.String("status", clip(p.Status)), slog.String("provider", p.Provider), slog.String("rule", p.Rule))
	}
	if len(res.Shadowed) > 0 {
		attrs = append(attrs, slog.Any("shadowed", res.Shadowed))
	}
	s.srv.log.LogAttrs(ctx, level, "report", attrs...)
}

// clip keeps what a stranger wrote short in a log line. It is longer than any
// address may be.
func clip(s string) string {
	const limit = 320
	if len(s) <= limit {
		return s
	}
	return s[:limit] + "..."
}
