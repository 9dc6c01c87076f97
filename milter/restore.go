package milter

import (
	"net"
	"time"
)

// restoreEvery is how often the sockets are checked.
const restoreEvery = 2 * time.Second

// keepSockets makes sockets again that nobody can reach: those that were lost in a
// reload, and unix sockets whose files are removed, say by a program that tidies up.
func (s *Server) keepSockets(every time.Duration) (stop func()) {
	done := make(chan struct{})
	go func() {
		t := time.NewTicker(every)
		defer t.Stop()
		for {
			select {
			case <-t.C:
				s.restore()
			case <-done:
				return
			}
		}
	}()
	return func() { close(done) }
}

// unreachable returns the sockets that could not be opened, and those whose file is gone
// or belongs to another socket.
func (s *Server) unreachable() (milter []Socket, web bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for spec, lns := range s.milter {
		if vanished(lns) {
			milter = append(milter, spec)
		}
	}
	return milter, s.web != nil && vanished(s.web.listeners())
}

// restore makes sockets again that nobody can reach. A path that another process serves
// by now is left to it. Sessions go on.
func (s *Server) restore() {
	if !s.reload.TryLock() {
		return // a reload, which restores sockets too, is in progress
	}
	defer s.reload.Unlock()
	if s.stopping.Load() {
		return
	}
	defer s.look()
	gone, web := s.unreachable()
	for _, spec := range gone {
		cfg := s.state.Load().cfg
		lns, err := open(spec, listenKey, cfg.SocketMode, cfg.SocketGroup)
		if s.again(spec, err) {
			s.mu.Lock()
			old := s.milter[spec]
			s.serveMilter(spec, lns)
			s.mu.Unlock()
			closeAll(old)
		}
	}
	if web {
		cfg := s.state.Load().cfg
		next, err := s.makeWeb(&cfg, func() ([]net.Listener, error) { return open(cfg.Metrics, metricsKey, cfg.SocketMode, cfg.SocketGroup) })
		if s.again(cfg.Metrics, err) {
			s.mu.Lock()
			old := s.web
			s.web = next
			s.mu.Unlock()
			next.start()
			old.close()
		}
	}
}

// again counts and logs what became of a socket that nobody could reach and that was opened
// again, or not: err says why. Each loss is counted and logged once. It reports whether the
// socket is back, and is called with reload held.
func (s *Server) again(spec Socket, err error) bool {
	switch {
	case err != nil:
		if !s.lost[spec] {
			s.lose(spec, "a socket is gone and cannot be made again yet", err)
		}
		return false
	case !s.lost[spec]:
		s.metrics.failed(stageListen)
	}
	delete(s.lost, spec)
	s.log.Warn("a socket was gone and has been made again", "socket", spec.String())
	return true
}

// lose counts and logs the loss of a socket, which restore tries to open from now on. It
// is called with reload held.
func (s *Server) lose(spec Socket, what string, err error) {
	s.metrics.failed(stageListen)
	s.log.Error(what, "socket", spec.String(), "error", err)
	s.lost[spec] = true
}
