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
		if lns := s.again(spec, false); lns != nil {
			s.mu.Lock()
			old := s.milter[spec]
			s.serveMilter(spec, lns)
			s.mu.Unlock()
			closeAll(old)
		}
	}
	if web {
		s.mu.Lock()
		old := s.web
		s.mu.Unlock()
		if lns := s.again(old.spec, true); lns != nil {
			next := newWebServer(old.spec, lns, s)
			s.mu.Lock()
			s.web = next
			s.mu.Unlock()
			next.start()
			old.close()
		}
	}
}

// again opens a socket whose file is gone; it returns nil if that is impossible yet. Each
// loss is counted and logged once. It is called with reload held.
func (s *Server) again(spec Socket, forMetrics bool) []net.Listener {
	cfg := s.state.Load().cfg
	lns, err := open(spec, forMetrics, cfg.SocketMode, cfg.SocketGroup)
	said := s.lost[spec]
	if !said {
		s.metrics.failed(stageListen)
	}
	if err != nil {
		if !said {
			s.log.Error("a socket is gone and cannot be made again yet", "socket", spec.String(), "error", err)
		}
		s.lost[spec] = true
		return nil
	}
	delete(s.lost, spec)
	s.log.Warn("a socket was gone and has been made again", "socket", spec.String())
	return lns
}
