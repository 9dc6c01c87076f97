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

// sockets is a change from the sockets that are open to those that a
// configuration wants: everything that can fail has been done.
type sockets struct {
	opened map[Socket][]net.Listener
	gone   []Socket
	web    *webServer // what is to serve metrics, nil for nothing
	newWeb bool       // web is not what serves them now
	closed []Socket   // of gone, those closed already to make room
}

// openFor opens what cfg wants and is not open yet; with an error, everything
// is as before.
func (s *Server) openFor(cfg Config) (ch sockets, err error) {
	s.mu.Lock()
	have := make(map[Socket]bool, len(s.milter))
	for spec := range s.milter {
		have[spec] = true
	}
	web := s.web
	s.mu.Unlock()
	ch.opened = map[Socket][]net.Listener{}
	defer func() {
		if err != nil {
			for _, lns := range ch.opened {
				closeAll(lns)
			}
			s.reopen(ch.closed)
		}
	}()
	for spec := range have {
		if !slices.Contains(cfg.Listen, spec) {
			ch.gone = append(ch.gone, spec)
		}
	}
	for _, spec := range cfg.Listen {
		if have[spec] {
			continue
		}
		lns, err := open(spec, false, cfg.SocketMode, cfg.SocketGroup)
		if errors.Is(err, syscall.EADDRINUSE) && s.makeRoom(&ch, spec) {
			lns, err = open(spec, false, cfg.SocketMode, cfg.SocketGroup)
		}
		if err != nil {
			return ch, err
		}
		ch.opened[spec] = lns
	}
	ch.web = web
	switch {
	case cfg.Metrics == nil:
		ch.web, ch.newWeb = nil, web != nil
	case web == nil || web.spec != *cfg.Metrics:
		lns, err := open(*cfg.Metrics, true, cfg.SocketMode, cfg.SocketGroup)
		if err != nil {
			return ch, err
		}
		ch.web, ch.newWeb = newWebServer(*cfg.Metrics, lns, s), true
	}
	now := s.state.Load().cfg
	rights := cfg.SocketMode != now.SocketMode || cfg.SocketGroup != now.SocketGroup
	for spec := range have {
		if rights && spec.Network == "unix" && slices.Contains(cfg.Listen, spec) {
			if err := setRights(spec.Address, cfg.SocketMode, cfg.SocketGroup); err != nil {
				if ch.newWeb && ch.web != nil {
					closeAll(ch.web.lns)
				}
				return ch, err
			}
		}
	}
	return ch, nil
}

// makeRoom closes sockets that are to go anyway and stand in the way of spec:
// the same port at another address of this host. It reports whether there were any.
func (s *Server) makeRoom(ch *sockets, spec Socket) bool {
	_, port, err := net.SplitHostPort(spec.Address)
	if err != nil {
		return false
	}
	found := false
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, old := range ch.gone {
		if _, p, err := net.SplitHostPort(old.Address); err != nil || p != port || !strings.HasPrefix(old.Network, "tcp") {
			continue
		}
		if !slices.Contains(ch.closed, old) {
			closeAll(s.milter[old])
			ch.closed = append(ch.closed, old)
			found = true
		}
	}
	return found
}

// reopen takes back what makeRoom did. A socket that somebody else took
// meanwhile is lost.
func (s *Server) reopen(specs []Socket) {
	cfg := s.state.Load().cfg
	for _, spec := range specs {
		lns, err := open(spec, false, cfg.SocketMode, cfg.SocketGroup)
		s.mu.Lock()
		if err != nil {
			delete(s.milter, spec)
			s.metrics.failed(stageListen)
			s.log.Error("a socket was lost in a reload that failed", "error", err)
		} else {
			s.serveMilter(spec, lns)
		}
		s.mu.Unlock()
	}
}

// serveMilter begins to take connections. It is called with mu held.
func (s *Server) serveMilter(spec Socket, lns []net.Listener) {
	s.milter[spec] = lns
	for _, ln := range lns {
		s.loops.Go(func() { s.accept(ln) })
	}
}

// apply begins to serve what was opened and stops what is gone.
func (s *Server) apply(ch sockets) {
	s.mu.Lock()
	for spec, lns := range ch.opened {
		s.serveMilter(spec, lns)
	}
	for _, spec := range ch.gone {
		closeAll(s.milter[spec])
		delete(s.milter, spec)
	}
	old := s.web
	s.web = ch.web
	s.mu.Unlock()
	if ch.newWeb {
		old.close()
		ch.web.start()
	}
}

func closeAll(lns []net.Listener) {
	for _, ln := range lns {
		ln.Close()
	}
}

// setRights gives a unix socket that is open its mode and group.
func setRights(path string, mode fs.FileMode, group string) error {
	if strings.HasPrefix(path, "@") {
		return nil // it has no file
	}
	gid, err := lookupGroup(group)
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
