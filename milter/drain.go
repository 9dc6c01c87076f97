package milter

import (
	"context"
	"fmt"
	"time"
)

const (
	// heldBack is how long a message may be in progress before we hear of
	// it: on a unix socket Postfix holds commands that get no answer back
	// until DATA.
	heldBack = 2 * time.Second

	// closeGrace is how much longer a message may take whose content is
	// being sent when all else is closed. Its MTA sends without a pause then.
	closeGrace = time.Second

	drainLook = 10 * time.Millisecond // how often draining checks for messages in progress
)

// Shutdown ends the server. Until no message is in progress or ctx is done, the server
// goes on as before, new sessions included: mail that finds no server passes with its
// forged headers, so the time without one must be short. Then every session is closed.
// The error says how many messages were cut off.
func (s *Server) Shutdown(ctx context.Context) error {
	s.reload.Lock()
	defer s.reload.Unlock()
	if s.stopping.Swap(true) {
		return nil
	}
	defer close(s.closed)
	s.serving.Store(false)
	s.notify("STOPPING=1")
	s.mu.Lock()
	n := len(s.conns)
	s.mu.Unlock()
	s.log.Info("stopping", "sessions", n, "messages", s.progress.Load())
	s.drain(ctx)

	s.mu.Lock()
	s.draining.Store(true)
	for spec, lns := range s.milter {
		closeAll(lns)
		delete(s.milter, spec)
	}
	s.checkEmpty()
	cut := 0
	late := ctx.Err() != nil
	for c := range s.conns {
		if !c.interrupt() && late && !c.arriving.Load() {
			cut++
			c.nc.Close()
		}
	}
	s.mu.Unlock()
	grace := time.NewTimer(closeGrace)
	defer grace.Stop()
	select {
	case <-s.empty:
	case <-grace.C:
		s.mu.Lock()
		for c := range s.conns {
			cut++
			c.nc.Close()
		}
		s.mu.Unlock()
	}
	s.loops.Wait()
	s.mu.Lock()
	web := s.web
	s.web = nil
	s.mu.Unlock()
	web.close()
	if cut > 0 {
		return fmt.Errorf("%d messages in progress: %w", cut, context.DeadlineExceeded)
	}
	return nil
}

// drain waits until no message is in progress, or ctx is done.
func (s *Server) drain(ctx context.Context) {
	begun := time.Now()
	look := time.NewTicker(drainLook)
	defer look.Stop()
	for !s.calm(time.Since(begun)) {
		select {
		case <-look.C:
		case <-ctx.Done():
			return
		}
	}
}

// calm reports whether no message is in progress. drained is how long the server has
// been draining: at first, sessions may have messages that we have not heard of.
func (s *Server) calm(drained time.Duration) bool {
	if s.progress.Load() > 0 {
		return false
	}
	if drained >= heldBack {
		return true
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	for c := range s.conns {
		if c.holds.Load() {
			return false
		}
	}
	return true
}

// checkEmpty tells Shutdown when the last session has ended. It is called with
// mu held.
func (s *Server) checkEmpty() {
	if !s.draining.Load() || len(s.conns) > 0 {
		return
	}
	select {
	case <-s.empty:
	default:
		close(s.empty)
	}
}
