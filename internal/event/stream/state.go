package stream

import (
	"errors"
	"net/url"
	"time"
)

// State is how a sink is, now.
type State struct {
	Name    string
	Type    Type
	Pending int64         // records that wait for it
	Oldest  time.Duration // for how long the oldest of them has waited
	Error   string        // why it takes none, "" if it does
}

// States says how the sinks are, in the order of the configuration.
func (s *Stream) States() []State {
	var list []State
	for _, r := range s.running() {
		st := State{Name: r.o.Name, Type: r.o.Type}
		st.Pending, st.Oldest = r.waiting()
		r.mu.Lock()
		st.Error = r.wrong
		r.mu.Unlock()
		list = append(list, st)
	}
	return list
}

// goesWrong notes why the sink takes no records, "" if it does. A URL may contain a secret,
// so it is left out.
func (r *runner) goesWrong(what string, err error) {
	said := ""
	if err != nil {
		var ue *url.Error
		if errors.As(err, &ue) {
			err = ue.Err
		}
		said = what + ": " + err.Error()
	}
	r.mu.Lock()
	r.wrong = said
	r.mu.Unlock()
}
