package milter

import (
	"runtime/debug"
	"time"

	"github.com/bounce-milter/bounce-milter/classify"
	"github.com/bounce-milter/bounce-milter/internal/event"
)

// Recorder takes the records of one message: those of a report, one for each of its
// recipients. Record is called before the MTA is told that the message is accepted, so
// it returns soon, whatever becomes of whoever reads the records. The slice is the
// Recorder's own from then on; what the records share is not to be changed. Any number
// of goroutines may call it.
type Recorder interface {
	Record([]event.Record)
}

// record hands over what the message reports, if somebody wants records. Whatever goes
// wrong, the message passes.
func (s *session) record(res *classify.Result) {
	m := &s.msg
	if s.srv.recorder == nil || !m.st.cfg.Events {
		return
	}
	defer func() {
		if v := recover(); v != nil {
			s.srv.metrics.failed(stageRecord)
			s.srv.logs.error(stageRecord, "recording what a message reports", "error", &panicError{v, nil}, "stack", string(debug.Stack()))
		}
	}()
	env := event.Envelope{Time: time.Now(), Source: event.SourceMilter, Host: s.hostName(), QueueID: s.queueID(),
		From: m.from, To: s.recipients(), VERP: m.verp.Address, Token: m.verp.Token}
	if s.client.IsValid() {
		env.Client = s.client.String()
	}
	if records := event.Build(res, env); len(records) > 0 {
		s.srv.recorder.Record(records)
	}
}

// hostName is the MTA's name for itself, as queue ids are only unique there; else that of
// this machine.
func (s *session) hostName() string {
	if j := macro(s.macro['C'], "j"); len(j) <= maxHost && isHost(j, false) {
		return j
	}
	return s.srv.host
}
