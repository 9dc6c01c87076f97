// Package milter is the daemon: it speaks the milter protocol with Postfix and
// Sendmail, finds and inspects the reports in their mail, tags them, and counts.
//
// The types for the protocol's commands, options and replies are go-milter's. The
// session loop is ours (see conn): it checks and bounds what a peer sends before
// reading it, parses each command once, copies neither header fields nor bodies on
// their way, and sends answers together. Whatever goes wrong in here, the mail passes
// and the error is counted and logged. Only a message with more forged headers than
// the MTA can delete is refused.
package milter

import (
	"context"
	"errors"
	"log/slog"
	"net"
	"os"
	"runtime"
	"runtime/debug"
	"sync"
	"sync/atomic"
	"time"

	"github.com/bounce-milter/bounce-milter/internal/trial"
)

var (
	// ErrServerClosed is what Serve returns after Shutdown.
	ErrServerClosed = errors.New("milter: server closed")

	errVersion = errors.New("no common protocol")
)

// Server serves milter connections, and metrics beside them.
type Server struct {
	metrics *Metrics
	log     *slog.Logger
	logs    *logLimit

	state     atomic.Pointer[state]
	limits    atomic.Pointer[Limits] // of the state, for connections
	memory    budget
	turns     *turns // bounds the inspections at a time
	written   *written
	waiting   chan struct{}                // places of messages that may wait for DNS
	recorder  Recorder                     // nil for none
	trials    atomic.Pointer[trial.Secret] // nil if bounces of doctor are not recognised
	host      string                       // the name of this machine
	stopping  atomic.Bool                  // Shutdown was called; mail is still served
	draining  atomic.Bool                  // sessions are being ended
	progress  atomic.Int64                 // messages in progress
	serving   atomic.Bool
	refused   atomic.Pointer[refusal] // the last reload, nil if it was not refused
	reloaded  atomic.Int64            // when the configuration in force was loaded, Unix time in ns
	open      atomic.Int64            // sessions
	listening atomic.Pointer[listening]
	seen      atomic.Uint64 // messages begun and sessions ended

	reload sync.Mutex      // one reload or shutdown at a time
	lost   map[Socket]bool // sockets whose loss has been reported
	mu     sync.Mutex
	conns  map[*conn]struct{}
	milter map[Socket][]net.Listener
	web    *webServer
	empty  chan struct{} // closed when the last session has ended while draining
	closed chan struct{} // closed when Shutdown is done
	loops  sync.WaitGroup
}

// New builds a server. It opens no socket yet, but reads the keys of [Config].Origin. While [Config].Events is set, records
// of what messages report go to rec, which may be nil for none.
func New(cfg Config, rules Rules, m *Metrics, log *slog.Logger, rec Recorder) (*Server, error) {
	if err := cfg.Validate().Err(); err != nil {
		return nil, err
	}
	if rules.Inspector == nil {
		return nil, errors.New("there are no rules to inspect with")
	}
	s := &Server{
		metrics: m,
		log:     log,
		logs:    newLogLimit(log),
		conns:   map[*conn]struct{}{},
		milter:  map[Socket][]net.Listener{},
		lost:    map[Socket]bool{},
		empty:   make(chan struct{}),
		closed:  make(chan struct{}),
		turns:   newTurns(max(2, runtime.GOMAXPROCS(0))),
		written: newWritten(),
		waiting: make(chan struct{}, maxWaiting),

		recorder: rec,
	}
	s.host, _ = os.Hostname() // "" if the kernel does not tell
	st, err := newState(cfg, rules)
	if err != nil {
		return nil, err
	}
	s.use(st)
	m.loaded()
	s.reloaded.Store(time.Now().UnixNano())
	m.page.SetStatus(s.status)
	return s, nil
}

// Trials makes the server recognise bounces of doctor by a secret, refuse them, and tell
// the headers.
func (s *Server) Trials(secret *trial.Secret) { s.trials.Store(secret) }

// use puts a state in force.
func (s *Server) use(st *state) {
	s.metrics.setLabels(st.rules.Labels, st.cfg.RuleMatches)
	s.metrics.page.SetWords(st.rules.Words)
	s.metrics.setActions(&st.cfg)
	if b := *s.metrics.build.Load(); st.rules.Version != "" && b.Ruleset != st.rules.Version {
		b.Ruleset = st.rules.Version
		s.metrics.setBuild(b)
	}
	s.memory.max.Store(st.cfg.Limits.MaxMemory)
	s.limits.Store(&st.cfg.Limits)
	s.state.Store(st)
}

// Listen opens the configured sockets. Serve calls it if that has not been done.
func (s *Server) Listen() error {
	s.reload.Lock()
	defer s.reload.Unlock()
	if s.stopping.Load() {
		return ErrServerClosed
	}
	s.mu.Lock()
	done := len(s.milter) > 0
	s.mu.Unlock()
	if done {
		return nil
	}
	change, err := s.openFor(s.state.Load().cfg, true)
	if err != nil {
		return err
	}
	s.apply(change)
	return nil
}

// Serve serves until Shutdown, or until ctx is done; then it shuts down by itself within
// DrainTimeout. It returns ErrServerClosed then, or the error that kept it from
// beginning.
func (s *Server) Serve(ctx context.Context) error {
	if err := s.Listen(); err != nil {
		return err
	}
	// Building the rules took several times the memory that they need; it is not
	// needed again until the rules change.
	debug.FreeOSMemory()
	defer s.watchdog()()
	defer s.trim(10 * time.Second)()
	defer s.keepSockets(restoreEvery)()
	s.serving.Store(true)
	s.log.Info("serving", "listen", addrs(s.Addrs()), "metrics", addrs(s.MetricsAddrs()))
	s.notify("READY=1")
	select {
	case <-ctx.Done():
		bound, cancel := context.WithTimeout(context.Background(), s.state.Load().cfg.DrainTimeout)
		defer cancel()
		if err := s.Shutdown(bound); err != nil {
			s.log.Warn("shut down before every message had ended; those messages pass as they are", "error", err)
		}
	case <-s.closed:
	}
	<-s.closed
	return ErrServerClosed
}

// Reload puts another configuration and other rules in force: all of it, or nothing if
// it returns an error. Sessions go on; messages in progress keep the configuration that
// they began with.
func (s *Server) Reload(cfg Config, rules Rules) error {
	s.reload.Lock()
	defer s.reload.Unlock()
	if s.stopping.Load() {
		return ErrServerClosed
	}
	s.notifyReloading()
	defer s.notify("READY=1")
	err := cfg.Validate().Err()
	if err == nil && rules.Inspector == nil {
		err = errors.New("there are no rules to inspect with")
	}
	var st *state
	if err == nil {
		st, err = newState(cfg, rules)
	}
	var change sockets
	if err == nil {
		change, err = s.openFor(cfg, false)
	}
	if err != nil {
		s.ReloadFailed(err)
		return err
	}
	s.use(st)
	s.apply(change)
	debug.FreeOSMemory()
	s.metrics.reload(nil)
	s.refused.Store(nil)
	s.reloaded.Store(time.Now().UnixNano())
	s.log.Info("reloaded", "listen", addrs(s.Addrs()), "rules", rules.Version)
	return nil
}

// ReloadFailed notes in metrics and log that a new configuration was refused before
// Reload: its file could not be read, or its rules are wrong. The health page says so
// until a reload succeeds.
func (s *Server) ReloadFailed(err error) {
	s.metrics.reload(err)
	s.refused.Store(&refusal{time.Now(), err.Error()})
	s.log.Error("reload refused, the old configuration stays in force", "error", err)
}

// Addrs returns the addresses where the milter is served.
func (s *Server) Addrs() []net.Addr {
	s.mu.Lock()
	defer s.mu.Unlock()
	var a []net.Addr
	for _, lns := range s.milter {
		for _, ln := range lns {
			a = append(a, ln.Addr())
		}
	}
	return a
}

// MetricsAddrs returns the addresses where metrics are served.
func (s *Server) MetricsAddrs() []net.Addr {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.web.addrs()
}

// MetricsScheme returns "https" if metrics are served by TLS, else "http".
func (s *Server) MetricsScheme() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.web != nil && s.web.TLS() {
		return "https"
	}
	return "http"
}

func addrs(a []net.Addr) []string {
	t := make([]string, len(a))
	for i := range a {
		t[i] = a[i].Network() + ":" + a[i].String()
	}
	return t
}

// admit begins a session, unless there are too many.
func (s *Server) admit(nc net.Conn) {
	ses := &session{srv: s}
	c := newConn(nc, ses, &s.limits, &s.draining, s.ended)
	ses.conn = c
	s.mu.Lock()
	full := len(s.conns) >= s.limits.Load().MaxSessions
	if full && s.evict() {
		full = false
	}
	if full || s.draining.Load() {
		s.mu.Unlock()
		c.onClose = nil
		c.close() // nothing was read, so nothing is waiting to be sent
		if full {
			s.metrics.refused.WithLabelValues(refusedLimit).Inc()
			s.logs.warn("limit", "session refused: max_sessions are open", "sessions", s.limits.Load().MaxSessions)
		}
		return
	}
	s.conns[c] = struct{}{}
	s.mu.Unlock()
	s.metrics.opened.Inc()
	s.metrics.sessions.Inc()
	s.open.Add(1)
	go c.serve()
}

// evict makes room: it closes a connection that has reported no client, if there is one,
// so that nobody can keep mail servers out by opening connections and doing nothing. It
// takes the oldest of the lowest rank. It is called with mu held.
func (s *Server) evict() bool {
	var out *conn
	for c := range s.conns {
		if r := c.rank(); r < rankClient && (out == nil || r < out.rank() || r == out.rank() && c.opened.Before(out.opened)) {
			out = c
		}
	}
	if out == nil || out.evicted.Swap(true) {
		return false
	}
	delete(s.conns, out)
	out.nc.Close()
	return true
}

// ended is called once per session, when its connection is closed.
func (s *Server) ended(c *conn) {
	ses := c.h.(*session)
	s.report(ses, c.err)
	ses.endMessage()
	s.seen.Add(1)
	s.metrics.sessions.Dec()
	s.open.Add(-1)
	s.mu.Lock()
	delete(s.conns, c)
	s.checkEmpty()
	s.mu.Unlock()
}

// report counts and logs why a session ended.
func (s *Server) report(ses *session, err error) {
	c := ses.conn
	silent := !c.spoke.Load()
	refuse := func(reason string) { s.metrics.refused.WithLabelValues(reason).Inc() }
	stage := ""
	var p *panicError
	switch {
	case c.evicted.Load():
		refuse(refusedSilent)
		return
	case err == nil, errors.Is(err, errDraining):
		return
	case errors.As(err, &p):
		s.metrics.failed(stageSession)
		s.logs.error(stageSession, "session panicked and was closed", "error", p, "peer", ses.peer(), "stack", string(p.stack))
		return
	case errors.Is(err, errHungUp):
		stage = stageInspect
	case errors.Is(err, errVersion):
		stage = stageNegotiate
		refuse(refusedProtocol)
	case errors.Is(err, errFrame):
		stage = stageFrame
		if silent {
			refuse(refusedProtocol)
		}
	case errors.Is(err, errWrite):
		stage = stageWrite
	case errors.Is(err, errTimeout):
		stage = stageTimeout
		if silent {
			refuse(refusedSilent)
		}
	default:
		stage = stageRead
	}
	s.metrics.failed(stage)
	s.logs.warn(stage, "session closed", "stage", stage, "error", err, "peer", ses.peer(), "queue_id", clip(ses.queueID()))
}

// accept accepts connections until ln is closed. It continues after an error: a process
// that is out of file descriptors gets them back as sessions end.
func (s *Server) accept(ln net.Listener) {
	const first, last = 5 * time.Millisecond, time.Second
	wait := first
	for {
		nc, err := ln.Accept()
		if err == nil {
			wait = first
			s.admit(nc)
			continue
		}
		if errors.Is(err, net.ErrClosed) || s.draining.Load() {
			return
		}
		s.metrics.failed(stageAccept)
		s.logs.error(stageAccept, "cannot accept a connection", "error", err)
		select {
		case <-time.After(wait):
		case <-s.closed:
			return
		}
		wait = min(2*wait, last)
	}
}
