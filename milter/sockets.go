package milter

import (
	"errors"
	"io/fs"
	"net"
	"os"
	"slices"
	"strings"
	"syscall"
)

// sockets is a change from the sockets that are open to those that a configuration
// wants. Everything in it that can fail has been done.
type sockets struct {
	opened map[Socket][]net.Listener
	gone   []Socket   // to be closed; also in opened if opened anew
	web    *webServer // the server for metrics, nil for none
	newWeb bool       // web is not the server that runs now
	closed []Socket   // of gone, those already closed to make room
	oldWeb *webServer // the old server for metrics, if already closed to make room
}

// openFor opens the sockets that cfg wants and that are not open yet. If it returns an
// error, everything is as before. When the daemon starts, it goes on without metrics if
// those cannot be served.
func (s *Server) openFor(cfg Config, starting bool) (ch sockets, err error) {
	s.mu.Lock()
	have := make(map[Socket]bool, len(s.milter))
	for spec, lns := range s.milter {
		if have[spec] = slices.Contains(cfg.Listen, spec) && !vanished(lns); !have[spec] {
			ch.gone = append(ch.gone, spec)
		}
	}
	web := s.web
	ch.web, ch.newWeb = web, web != nil && !web.fits(&cfg)
	s.mu.Unlock()
	ch.opened = map[Socket][]net.Listener{}
	defer func() {
		if err != nil {
			for _, lns := range ch.opened {
				closeAll(lns)
			}
			if ch.newWeb && ch.web != nil && ch.web != web {
				ch.web.CloseListeners()
			}
			s.reopen(ch)
		}
	}()
	for _, spec := range cfg.Listen {
		if have[spec] {
			continue
		}
		lns, err := s.openInstead(&ch, spec, listenKey, cfg)
		if err != nil {
			return ch, err
		}
		ch.opened[spec] = lns
	}
	switch {
	case cfg.Metrics == (Socket{}):
		ch.web = nil
	case web == nil || ch.newWeb:
		next, err := s.makeWeb(&cfg, func() ([]net.Listener, error) { return s.openInstead(&ch, cfg.Metrics, metricsKey, cfg) })
		switch {
		case err != nil && !starting:
			return ch, err
		case err != nil:
			s.lose(cfg.Metrics, "mail is served, but not metrics as long as this is so", err)
		}
		ch.web, ch.newWeb = next, true
	}
	now := s.state.Load().cfg
	if cfg.SocketMode == now.SocketMode && cfg.SocketGroup == now.SocketGroup {
		return ch, nil
	}
	if web != nil && !ch.newWeb {
		have[web.spec] = true
	}
	for spec, stays := range have {
		if stays && spec.Network == "unix" {
			if err := setRights(spec.Address, cfg.SocketMode, cfg.SocketGroup); err != nil {
				return ch, err
			}
		}
	}
	return ch, nil
}

// openInstead opens a socket. If an old socket that is to be closed anyway is in the way,
// it closes that first.
func (s *Server) openInstead(ch *sockets, spec Socket, key string, cfg Config) ([]net.Listener, error) {
	lns, err := open(spec, key, cfg.SocketMode, cfg.SocketGroup)
	if (errors.Is(err, syscall.EADDRINUSE) || errors.Is(err, ErrInUse)) && s.makeRoom(ch, spec) {
		return open(spec, key, cfg.SocketMode, cfg.SocketGroup)
	}
	return lns, err
}

// makeRoom closes sockets that are to be closed anyway and are in the way of spec,
// including those of metrics. It reports whether there were any.
func (s *Server) makeRoom(ch *sockets, spec Socket) bool {
	found := false
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, old := range ch.gone {
		if inTheWay(old, spec) && !slices.Contains(ch.closed, old) {
			closeAll(s.milter[old])
			ch.closed = append(ch.closed, old)
			found = true
		}
	}
	if ch.newWeb && s.web != nil && ch.oldWeb == nil && inTheWay(s.web.spec, spec) {
		s.web.CloseListeners()
		ch.oldWeb = s.web
		found = true
	}
	return found
}

// inTheWay reports whether an open socket can keep another from being opened, because
// both have the same path, or the same port at any address.
func inTheWay(old, spec Socket) bool {
	if old.Network == "unix" || spec.Network == "unix" {
		return old == spec
	}
	_, p, err := net.SplitHostPort(old.Address)
	_, port, e := net.SplitHostPort(spec.Address)
	return err == nil && e == nil && p == port
}

// reopen undoes makeRoom. A socket that another process has taken meanwhile is lost until
// restore can open it.
func (s *Server) reopen(ch sockets) {
	cfg := s.state.Load().cfg
	const lost = "a reload failed, and a socket was lost in it"
	for _, spec := range ch.closed {
		lns, err := open(spec, listenKey, cfg.SocketMode, cfg.SocketGroup)
		if err != nil {
			s.lose(spec, lost, err)
		}
		s.mu.Lock()
		s.serveMilter(spec, lns)
		s.mu.Unlock()
	}
	if ch.oldWeb != nil {
		web, err := s.makeWeb(&cfg, func() ([]net.Listener, error) { return open(cfg.Metrics, metricsKey, cfg.SocketMode, cfg.SocketGroup) })
		if err != nil {
			s.lose(cfg.Metrics, lost, err)
		}
		s.mu.Lock()
		s.web = web
		s.mu.Unlock()
		web.start()
		ch.oldWeb.close()
	}
}

// serveMilter begins to accept connections. It is called with mu held.
func (s *Server) serveMilter(spec Socket, lns []net.Listener) {
	s.milter[spec] = lns
	for _, ln := range lns {
		s.loops.Go(func() { s.accept(ln) })
	}
}

// apply begins to serve what was opened and stops what is gone.
func (s *Server) apply(ch sockets) {
	s.mu.Lock()
	for _, spec := range ch.gone {
		// Deferred, because the ones opened anew get the same key below.
		defer closeAll(s.milter[spec])
		delete(s.milter, spec)
	}
	for spec, lns := range ch.opened {
		s.serveMilter(spec, lns)
	}
	old := s.web
	s.web = ch.web
	s.mu.Unlock()
	if ch.newWeb {
		old.close()
		ch.web.start()
	}
	s.look()
}

func closeAll(lns []net.Listener) {
	for _, ln := range lns {
		ln.Close()
	}
}

// setRights sets mode and group of an open unix socket.
func setRights(path string, mode fs.FileMode, group string) error {
	if strings.HasPrefix(path, "@") {
		return nil // an abstract socket has no file
	}
	gid, err := LookupGroup(group)
	if err != nil {
		return err
	}
	if err := os.Chmod(path, mode); err != nil {
		return err
	}
	if gid >= 0 {
		return os.Chown(path, -1, gid)
	}
	return nil
}
