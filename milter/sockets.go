package milter

import (
	"net"
	"slices"
)

// sockets is a change from the sockets that are open to those that a
// configuration wants: everything that can fail has been done.
type sockets struct {
	opened map[Socket][]net.Listener
	gone   []Socket
	web    *webServer // nil where that of now stays
	newWeb bool
}

// openFor opens what cfg wants and is not open yet; with an error, nothing.
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
		}
	}()
	for _, spec := range cfg.Listen {
		if have[spec] {
			continue
		}
		if ch.opened[spec], err = open(spec, false, cfg.SocketMode, cfg.SocketGroup); err != nil {
			return ch, err
		}
	}
	for spec := range have {
		if !slices.Contains(cfg.Listen, spec) {
			ch.gone = append(ch.gone, spec)
		}
	}
	switch {
	case cfg.Metrics == nil:
		ch.newWeb = web != nil
	case web == nil || web.spec != *cfg.Metrics:
		lns, err := open(*cfg.Metrics, true, cfg.SocketMode, cfg.SocketGroup)
		if err != nil {
			return ch, err
		}
		ch.web, ch.newWeb = newWebServer(*cfg.Metrics, lns, s), true
	}
	return ch, nil
}

// apply begins to serve what was opened and stops what is gone.
func (s *Server) apply(ch sockets) {
	s.mu.Lock()
	for spec, lns := range ch.opened {
		s.milter[spec] = lns
		for _, ln := range lns {
			s.loops.Go(func() { s.accept(ln) })
		}
	}
	for _, spec := range ch.gone {
		closeAll(s.milter[spec])
		delete(s.milter, spec)
	}
	old := s.web
	if ch.newWeb {
		s.web = ch.web
	}
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
