package milter

import (
	"bytes"
	"context"
	_ "embed"
	"errors"
	"fmt"
	"html/template"
	"net"
	"net/http"
	"runtime"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus/promhttp"
)

//go:embed status.html
var statusHTML string

var statusPage = template.Must(template.New("status").Parse(statusHTML))

// Bounds on what HTTP clients cost: connections, pages made at a time, and the time to
// read one.
const (
	maxWebConns  = 16
	maxGathering = 4
	webTimeout   = 10 * time.Second // Prometheus's own default
)

// webServer serves metrics, health and the status page.
type webServer struct {
	spec  Socket
	lns   []net.Listener
	http  *http.Server
	conns webConns
	srv   *Server
}

func newWebServer(spec Socket, lns []net.Listener, s *Server) *webServer {
	w := &webServer{spec: spec, lns: lns, srv: s}
	w.http = &http.Server{
		Handler:           s.Handler(),
		ReadHeaderTimeout: 5 * time.Second,
		ReadTimeout:       webTimeout,
		WriteTimeout:      webTimeout,
		IdleTimeout:       2 * time.Minute,
		MaxHeaderBytes:    16 << 10,
		ConnState:         w.conns.changed,
	}
	return w
}

// start serves until close. A nil webServer does nothing.
func (w *webServer) start() {
	if w == nil {
		return
	}
	for _, ln := range w.lns {
		go func() {
			err := w.http.Serve(ln)
			if !errors.Is(err, http.ErrServerClosed) && !errors.Is(err, net.ErrClosed) {
				w.srv.metrics.failed(stageListen)
				w.srv.logs.error(stageListen, "metrics are no longer served", "address", ln.Addr().String(), "error", err)
			}
		}()
	}
}

func (w *webServer) close() {
	if w == nil {
		return
	}
	ctx, cancel := context.WithTimeout(context.Background(), time.Second)
	defer cancel()
	if w.http.Shutdown(ctx) != nil {
		w.http.Close()
	}
	closeAll(w.lns) // Shutdown does not close those that Serve was not yet called with
}

func (w *webServer) addrs() []net.Addr {
	if w == nil {
		return nil
	}
	a := make([]net.Addr, len(w.lns))
	for i, ln := range w.lns {
		a[i] = ln.Addr()
	}
	return a
}

// webConns bounds the open connections of a web server. If there are too many, it closes
// the one that has been waiting longest, for a request or for its reader. So nobody can
// keep others out by holding connections.
type webConns struct {
	mu    sync.Mutex
	since map[net.Conn]time.Time // when each last changed its state
}

// changed is the ConnState hook of the web server.
func (w *webConns) changed(c net.Conn, state http.ConnState) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if state == http.StateClosed || state == http.StateHijacked {
		delete(w.since, c)
		return
	}
	if w.since == nil {
		w.since = map[net.Conn]time.Time{}
	}
	if _, known := w.since[c]; !known && state != http.StateNew {
		return // closed already: what it still has to say takes nobody's place
	}
	w.since[c] = time.Now()
	if len(w.since) <= maxWebConns {
		return
	}
	oldest := c
	for other, t := range w.since {
		if t.Before(w.since[oldest]) {
			oldest = other
		}
	}
	delete(w.since, oldest)
	oldest.Close()
}

func (w *webConns) open() int {
	w.mu.Lock()
	defer w.mu.Unlock()
	return len(w.since)
}

// page is a response that is complete before any of it is sent, so that a slow reader
// holds only its octets.
type page struct {
	header http.Header
	code   int
	body   bytes.Buffer
}

func (p *page) Header() http.Header { return p.header }

func (p *page) WriteHeader(code int) { p.code = code }

func (p *page) Write(b []byte) (int, error) { return p.body.Write(b) }

// whole makes h write to a page first; only a few are made at a time.
func whole(h http.HandlerFunc) http.HandlerFunc {
	making := make(chan struct{}, maxGathering)
	return func(w http.ResponseWriter, r *http.Request) {
		p := &page{header: w.Header(), code: http.StatusOK}
		making <- struct{}{}
		func() {
			defer func() { <-making }()
			h(p, r)
		}()
		w.WriteHeader(p.code)
		_, _ = p.body.WriteTo(w) // a client that did not get it will ask again
	}
}

// Handler serves /metrics, /healthz and, at /, the status page for people.
func (s *Server) Handler() http.Handler {
	mux := http.NewServeMux()
	metrics := promhttp.HandlerFor(s.metrics.registry, promhttp.HandlerOpts{})
	mux.HandleFunc("GET /metrics", whole(func(w http.ResponseWriter, r *http.Request) {
		s.metrics.memory.Set(float64(s.memory.used.Load()))
		metrics.ServeHTTP(w, r)
	}))
	mux.HandleFunc("GET /healthz", s.health)
	mux.HandleFunc("GET /{$}", whole(s.status))
	return mux
}

// health says whether mail is served and every unix socket can be reached.
func (s *Server) health(w http.ResponseWriter, _ *http.Request) {
	w.Header().Set("Content-Type", "text/plain; charset=utf-8")
	gone, _ := s.unreachable()
	switch {
	case s.stopping.Load():
		w.WriteHeader(http.StatusServiceUnavailable)
		fmt.Fprintln(w, "stopping")
	case !s.serving.Load():
		w.WriteHeader(http.StatusServiceUnavailable)
		fmt.Fprintln(w, "not serving")
	case len(gone) > 0:
		w.WriteHeader(http.StatusServiceUnavailable)
		for _, spec := range gone {
			fmt.Fprintf(w, "the file of socket %s is gone\n", spec)
		}
	default:
		fmt.Fprintln(w, "ok")
	}
}

// statusRow is one value of a label with its count.
type statusRow struct {
	Name  string
	Value float64
}

type statusTable struct {
	Title string
	Rows  []statusRow
}

func (s *Server) status(w http.ResponseWriter, _ *http.Request) {
	st := s.state.Load()
	b := s.metrics.build.Load()
	data := struct {
		Build
		Go, Mode, Forged string
		Uptime           time.Duration
		Serving          bool
		Listen           []string
		Tables           []statusTable
	}{*b, runtime.Version(), string(st.cfg.Mode), string(st.cfg.ForgedHeaders),
		time.Since(s.metrics.start).Truncate(time.Second), s.serving.Load(), addrs(s.Addrs()), s.tables()}
	slices.Sort(data.Listen)
	h := w.Header()
	h.Set("Content-Type", "text/html; charset=utf-8")
	h.Set("Content-Security-Policy", "default-src 'none'; style-src 'unsafe-inline'")
	h.Set("X-Content-Type-Options", "nosniff")
	if err := statusPage.Execute(w, data); err != nil {
		s.logs.warn("status", "cannot write the status page", "error", err)
	}
}

// tables sums the counters up by their most interesting label.
func (s *Server) tables() []statusTable {
	tables := []struct{ title, metric, label string }{
		{"Messages", "messages_total", "kind"},
		{"Bounces by category", "bounces_total", "category"},
		{"Bounces by type", "bounces_total", "type"},
		{"Bounces by reason", "bounce_reasons_total", "reason"},
		{"Bounces by provider", "bounces_total", "provider"},
		{"Sessions", "sessions", ""},
		{"Sessions refused", "sessions_refused_total", "reason"},
		{"Forged headers", "forged_headers_total", ""},
		{"Errors", "errors_total", "stage"},
	}
	families, err := s.metrics.registry.Gather()
	if err != nil {
		s.logs.warn("status", "cannot gather metrics", "error", err)
	}
	var out []statusTable
	for _, t := range tables {
		sums := map[string]float64{}
		for _, f := range families {
			if f.GetName() != "bounce_milter_"+t.metric {
				continue
			}
			for _, m := range f.GetMetric() {
				name := "all"
				for _, l := range m.GetLabel() {
					if l.GetName() == t.label {
						name = l.GetValue()
					}
				}
				sums[name] += m.GetCounter().GetValue() + m.GetGauge().GetValue()
			}
		}
		rows := make([]statusRow, 0, len(sums))
		for name, v := range sums {
			// There are many reasons and providers: show those that occurred.
			if v > 0 || t.label != "reason" && t.label != "provider" {
				rows = append(rows, statusRow{name, v})
			}
		}
		slices.SortFunc(rows, func(a, b statusRow) int {
			if a.Value != b.Value {
				if a.Value > b.Value {
					return -1
				}
				return 1
			}
			return strings.Compare(a.Name, b.Name)
		})
		if len(rows) > 0 {
			out = append(out, statusTable{t.title, rows})
		}
	}
	return out
}
