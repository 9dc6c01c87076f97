package milter

import (
	"runtime/debug"
	"time"

	"github.com/bounce-milter/bounce-milter/classify"
	"github.com/bounce-milter/bounce-milter/internal/event"
)

// Recorder takes the records of one message, one for each recipient of a report. Record is
// called before the MTA is told that the message is accepted, so it must return soon, even
// if nobody reads the records. The slice then belongs to the Recorder, which must not
// change what the records share. Record must be safe for concurrent use.
type Recorder interface {
	Record([]event.Record)
}

// record passes what the message reports to the Recorder, if there is one. Whatever goes
// wrong, the message passes. taken is what else is done with it.
func (s *session) record(res *classify.Result, taken string) {
	m := &s.msg
	if s.srv.recorder == nil || !m.st.cfg.Events {
		return
	}
	defer func() {
		if v := recover(); v != nil {
			s.srv.metrics.failed(stageRecord)
			s.srv.logs.error(stageRecord, "recording what a message reports",
				"error", &panicError{v, nil}, "stack", string(debug.Stack()))
		}
	}()
	env := event.Envelope{Time: time.Now(), Source: event.SourceMilter, Host: s.hostName(), QueueID: s.queueID(),
		From: m.from, To: s.recipients(), VERP: m.verp.Address, Token: m.verp.Token, ActionTaken: taken,
		Origins: m.report.Events()}
	if s.client.IsValid() {
		env.Client = s.client.String()
	}
	if records := event.Build(res, env); len(records) > 0 {
		s.srv.recorder.Record(records)
	}
}

// hostName returns the MTA's own host name, within which its queue ids are unique; if it
// does not tell, the name of this machine.
func (s *session) hostName() string {
	if j := macro(s.macro['C'], "j"); len(j) <= maxHost && isHost(j, false) {
		return j
	}
	return s.srv.host
}
