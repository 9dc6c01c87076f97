// Package web is the HTTP side of a process: metrics, health and pages for people on
// listeners that the caller has opened.
//
// Anybody who reaches a listener may ask, so what clients cost is bounded: connections,
// pages made at a time, the time to read one, and passwords compared. TLS, passwords and
// client certificates are those of Prometheus's exporter-toolkit and of its file.
package web

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"time"

	toolkit "github.com/prometheus/exporter-toolkit/web"
)

const (
	maxConns = 16
	timeout  = 10 * time.Second // Prometheus's own default
)

// Server serves HTTP. A nil Server does nothing.
type Server struct {
	lns   []net.Listener
	http  *http.Server
	tls   bool
	conns conns
	file  *fileState // nil without one
}

// New makes a server for lns, which it closes in the end, also if it returns an error. It
// serves nothing yet.
func New(lns []net.Listener, h http.Handler, o Options, log *slog.Logger) (*Server, error) {
	s := &Server{lns: lns}
	all := log
	log = slog.New(sparing(all.Handler()))
	s.http = &http.Server{
		Handler:           asked(h, o.Hosts),
		ReadHeaderTimeout: 5 * time.Second,
		ReadTimeout:       timeout,
		WriteTimeout:      timeout,
		IdleTimeout:       2 * time.Minute,
		MaxHeaderBytes:    16 << 10,
		ConnState:         s.conns.changed,
		BaseContext:       withListener,
		ErrorLog:          slog.NewLogLogger(log.Handler(), slog.LevelWarn),
		Protocols:         new(http.Protocols),
	}
	s.http.Protocols.SetHTTP1(true) // our bounds count connections, and HTTP/2 has many requests on one
	if o.ConfigFile == "" {
		return s, nil
	}
	pages := s.http.Handler
	s.http.Handler = letIn(pages)
	// The toolkit prepares a server only when it serves, so it serves nothing here.
	err := toolkit.Serve(noListener{}, s.http, &toolkit.FlagConfig{WebConfigFile: &o.ConfigFile}, log)
	if !errors.Is(err, net.ErrClosed) {
		s.CloseListeners()
		return nil, fmt.Errorf("using %s: %w", o.ConfigFile, err)
	}
	s.tls = s.http.TLSConfig != nil && s.http.TLSConfig.GetConfigForClient != nil
	s.file = newFileState(o.ConfigFile, all)
	if s.tls {
		keepTLS(s.http.TLSConfig, s.file)
	}
	s.http.Handler = &guard{toolkit: s.http.Handler, pages: pages, file: s.file, tries: newTries()}
	return s, nil
}

// Start serves until Close. If it must stop earlier, it calls lost with the address and
// the reason.
func (s *Server) Start(lost func(net.Addr, error)) {
	if s == nil {
		return
	}
	for _, ln := range s.lns {
		go func() {
			serve := s.http.Serve
			if s.tls {
				serve = func(ln net.Listener) error { return s.http.ServeTLS(ln, "", "") }
			}
			err := serve(ln)
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
	if s == nil {
		return
	}
	for _, ln := range s.lns {
		ln.Close()
	}
}

// FileIsWrong reports whether [Options.ConfigFile] has been changed to something that cannot
// be put in force.
func (s *Server) FileIsWrong() bool { return s != nil && s.file != nil && !s.file.isGood() }

// TLS reports whether clients must speak TLS.
func (s *Server) TLS() bool { return s != nil && s.tls }

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

// noListener accepts nothing.
type noListener struct{}

func (noListener) Accept() (net.Conn, error) { return nil, net.ErrClosed }
func (noListener) Close() error              { return nil }
func (noListener) Addr() net.Addr            { return &net.TCPAddr{} }
