package milter

import (
	"log/slog"
	"strings"

	"github.com/bounce-milter/bounce-milter/classify"
	"github.com/bounce-milter/bounce-milter/internal/action"
	"github.com/bounce-milter/bounce-milter/internal/trial"
	gomilter "github.com/emersion/go-milter"
)

// refuseTrial answers a bounce of doctor: it is refused with the headers that another one
// would get, so that the MTA has nothing to deliver. It counts neither as a message nor as
// a bounce, no record is made of it, and no action is taken.
func (s *session) refuseTrial(res *classify.Result) {
	m := &s.msg
	var told []string
	if m.st.cfg.Mode == ModeTag && s.actions&gomilter.OptAddHeader != 0 {
		for _, f := range tagFields(m.st.cfg.HeaderPrefix, res, m.verp.Address, m.report, false) {
			told = append(told, f.name+": "+strings.Join(strings.Fields(f.value), " "))
		}
	}
	s.conn.answer(gomilter.NewResponseStr(byte(gomilter.ActReplyCode), trial.Answer(told)))
	s.conn.send()
	attrs := []any{slog.String("queue_id", clip(s.queueID())), slog.String("client", s.clientName())}
	if p := action.Primary(res.Recipients); p != nil {
		attrs = append(attrs, slog.String("category", string(p.Category)), slog.String("type", string(p.Type)), slog.String("reason", p.Reason))
	}
	s.srv.log.Info("bounce of doctor, refused and not counted", attrs...)
	s.endMessage()
}
