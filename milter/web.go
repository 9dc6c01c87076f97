package milter

import (
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
	"time"

	"github.com/prometheus/client_golang/prometheus/promhttp"
	"golang.org/x/net/netutil"
)

//go:embed status.html
var statusHTML string

var statusPage = template.Must(template.New("status").Parse(statusHTML))

// Bounds on what those who look at us cost: connections, and pages that gather
// all series at a time.
const (
	maxWebConns  = 64
	maxGathering = 4
)

// webServer serves metrics, health and the status page.
type webServer struct {
	spec Socket
	lns  []net.Listener
	http *http.Server
	srv  *Server
}

func newWebServer(spec Socket, lns []net.Listener, s *Server) *webServer {
	w := &webServer{spec: spec, lns: lns, srv: s}
	w.http = &http.Server{
		Handler:           s.Handler(),
		ReadHeaderTimeout: 5 * time.Second,
		ReadTimeout:       10 * time.Second,
		WriteTimeout:      30 * time.Second,
		IdleTimeout:       time.Minute,
		MaxHeaderBytes:    16 << 10,
		ErrorLog:          nil,
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
			err := w.http.Serve(netutil.LimitListener(ln, maxWebConns))
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
	closeAll(w.lns) // those that Serve was not called with yet
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

// Handler serves /metrics, /healthz (ready while mail is served) and, at /, a
// page for people.
func (s *Server) Handler() http.Handler {
	mux := http.NewServeMux()
	metrics := promhttp.HandlerFor(s.metrics.registry, promhttp.HandlerOpts{MaxRequestsInFlight: maxGathering})
	mux.HandleFunc("GET /metrics", func(w http.ResponseWriter, r *http.Request) {
		s.metrics.memory.Set(float64(s.memory.used.Load()))
		metrics.ServeHTTP(w, r)
	})
	mux.HandleFunc("GET /healthz", func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "text/plain; charset=utf-8")
		if !s.serving.Load() {
			w.WriteHeader(http.StatusServiceUnavailable)
			fmt.Fprintln(w, "not serving")
			return
		}
		fmt.Fprintln(w, "ok")
	})
	gathering := make(chan struct{}, maxGathering)
	mux.HandleFunc("GET /{$}", func(w http.ResponseWriter, r *http.Request) {
		select {
		case gathering <- struct{}{}:
			defer func() { <-gathering }()
			s.status(w, r)
		default:
			http.Error(w, "too many look at this page now, try again", http.StatusServiceUnavailable)
		}
	})
	return mux
}

// statusRow is one counter of the page, its label values in one word.
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
		s.logs.warn("status", "writing the status page", "error", err)
	}
}

// tables sums up the counters by the label that a reader looks for first.
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
		s.logs.warn("status", "gathering metrics", "error", err)
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
			// Reasons and providers are many: only those that were seen.
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
