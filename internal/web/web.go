// Package web is the HTTP side of a process: metrics, health and pages for people on
// listeners that the caller has opened.
//
// Anybody who reaches a listener may ask, so what clients cost is bounded: connections,
// pages made at a time, and the time to read one.
package web

import (
	"context"
	"errors"
	"net"
	"net/http"
	"time"
)

const (
	maxConns = 16
	timeout  = 10 * time.Second // Prometheus's own default
)

// Server serves HTTP. A nil Server does nothing.
type Server struct {
	lns   []net.Listener
	http  *http.Server
	conns conns
}

// New makes a server for lns, which it closes in the end. It serves nothing yet.
func New(lns []net.Listener, h http.Handler) *Server {
	s := &Server{lns: lns}
	s.http = &http.Server{
		Handler:           h,
		ReadHeaderTimeout: 5 * time.Second,
		ReadTimeout:       timeout,
		WriteTimeout:      timeout,
		IdleTimeout:       2 * time.Minute,
		MaxHeaderBytes:    16 << 10,
		ConnState:         s.conns.changed,
	}
	return s
}

// Start serves until Close. If it must stop earlier, it calls lost with the address and
// the reason.
func (s *Server) Start(lost func(net.Addr, error)) {
	if s == nil {
		return
	}
	for _, ln := range s.lns {
		go func() {
			err := s.http.Serve(ln)
			if !errors.Is(err, http.ErrServerClosed) && !errors.Is(err, net.ErrClosed) {
				lost(ln.Addr(), err)
			}
		}()
	}
}

// Close ends the server and its listeners. Requests in progress have a second to end.
func (s *Server) Close() {
	if s == nil {
		return
	}
	ctx, cancel := context.WithTimeout(context.Background(), time.Second)
	defer cancel()
	if s.http.Shutdown(ctx) != nil {
		s.http.Close()
	}
	s.CloseListeners() // Shutdown does not close those that Serve was not yet called with
}

// CloseListeners makes room for others at the same addresses. Connections stay.
func (s *Server) CloseListeners() {
	for _, ln := range s.lns {
		ln.Close()
	}
}

// Listeners returns what the server was made for.
func (s *Server) Listeners() []net.Listener {
	if s == nil {
		return nil
	}
	return s.lns
}

// Addrs returns the addresses of the listeners.
func (s *Server) Addrs() []net.Addr {
	if s == nil {
		return nil
	}
	a := make([]net.Addr, len(s.lns))
	for i, ln := range s.lns {
		a[i] = ln.Addr()
	}
	return a
}
