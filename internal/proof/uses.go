package proof

import (
	"github.com/bounce-milter/bounce-milter/classify"
	"github.com/bounce-milter/bounce-milter/internal/action"
	"github.com/bounce-milter/bounce-milter/internal/event"
)

// Events returns the findings in the form of records. A nil report has none.
func (r *Report) Events() []event.Whose {
	if r == nil {
		return nil
	}
	if len(r.Each) == 0 {
		return []event.Whose{r.Message.event()}
	}
	list := make([]event.Whose, len(r.Each))
	for i := range r.Each {
		list[i] = r.Each[i].event()
	}
	return list
}

func (f *Finding) event() event.Whose {
	return event.Whose{Origin: string(f.Origin), Proof: string(f.Proof), Bound: f.Bound, WentTo: f.WentTo}
}

// Action returns a result in the form that actions match. With a nil report nobody asked
// whose mail came back.
func (r *Report) Action(res *classify.Result) action.Message {
	msg := action.Message{Result: res}
	if r == nil {
		return msg
	}
	msg.Origin, msg.Bound = r.Message.Origin, r.Bound
	for i := range res.Recipients {
		msg.Origins = append(msg.Origins, r.Each[i].Origin)
	}
	return msg
}
