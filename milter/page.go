package milter

import (
	"runtime"
	"time"

	"github.com/bounce-milter/bounce-milter/classify"
	"github.com/bounce-milter/bounce-milter/classify/dsn"
	"github.com/bounce-milter/bounce-milter/classify/rules"
	"github.com/bounce-milter/bounce-milter/internal/page"
)

// listening is what the sockets are like. It is noted whenever they change and every few
// seconds, so that whoever asks needs no lock of the mail's.
type listening struct {
	at   []string // addresses where the milter is served
	lost []string // sockets that nobody can reach
	web  bool     // the file of web_config is wrong
}

// look notes what the sockets are like.
func (s *Server) look() {
	l := &listening{at: addrs(s.Addrs())}
	lost, _ := s.unreachable()
	for _, spec := range lost {
		l.lost = append(l.lost, spec.String())
	}
	s.mu.Lock()
	w := s.web
	s.mu.Unlock()
	l.web = w != nil && w.FileIsWrong()
	s.listening.Store(l)
}

// refusal is a reload that was refused.
type refusal struct {
	at  time.Time
	why string
}

// status says how the daemon is, for the status page.
func (s *Server) status() page.Status {
	cfg := &s.state.Load().cfg
	b := s.metrics.build.Load()
	st := page.Status{Host: s.host, Serving: s.serving.Load() && !s.stopping.Load(),
		Version: b.Version, Revision: b.Revision, Go: runtime.Version(), Ruleset: b.Ruleset, Started: s.metrics.start,
		Mode: string(cfg.Mode), Forged: string(cfg.ForgedHeaders), Sessions: int(s.open.Load()), Memory: s.memory.used.Load(),
		Reload: page.Reload{Succeeded: time.Unix(0, s.reloaded.Load())}}
	if l := s.listening.Load(); l != nil {
		st.Listen, st.Lost, st.WebConfigWrong = l.at, l.lost, l.web
	}
	if r := s.refused.Load(); r != nil {
		st.Reload.Refused, st.Reload.Error = &r.at, r.why
	}
	return st
}

// onPage counts a bounce for the status page, by the same names as for metrics.
func (m *Metrics) onPage(ls *labelSet, r *classify.Recipient) {
	b := page.Bounce{Category: r.Category, Type: r.Type, Delayed: r.Action == dsn.ActionDelayed, Provider: r.Provider, Reason: r.Reason}
	if ls.providers[b.Provider] == nil {
		b.Provider = otherLabel
	}
	if ls.reasons[b.Reason] == nil {
		b.Reason = rules.Unknown
	}
	if b.Reason == rules.Unknown {
		b.Reply, b.Address, b.Original = r.Diagnostic, r.Address, r.Original
	}
	m.page.Bounce(b)
}
