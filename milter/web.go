package milter

import (
	"fmt"
	"net"
	"net/http"
	"time"

	"github.com/bounce-milter/bounce-milter/internal/web"
	"github.com/prometheus/client_golang/prometheus/promhttp"
)

// webServer serves metrics, health and the status page.
type webServer struct {
	*web.Server
	spec Socket
	srv  *Server
}

func newWebServer(spec Socket, lns []net.Listener, s *Server) *webServer {
	return &webServer{web.New(lns, s.Handler()), spec, s}
}

// start serves until close. A nil webServer does nothing.
func (w *webServer) start() {
	if w == nil {
		return
	}
	w.Start(func(a net.Addr, err error) {
		w.srv.metrics.failed(stageListen)
		w.srv.logs.error(stageListen, "metrics are no longer served", "address", a.String(), "error", err)
	})
}

func (w *webServer) close() {
	if w != nil {
		w.Close()
	}
}

func (w *webServer) addrs() []net.Addr {
	if w == nil {
		return nil
	}
	return w.Addrs()
}

func (w *webServer) listeners() []net.Listener {
	if w == nil {
		return nil
	}
	return w.Listeners()
}

// Handler serves /metrics, /-/healthy, /-/ready and the pages for people.
func (s *Server) Handler() http.Handler {
	metrics := promhttp.HandlerFor(s.metrics.registry, promhttp.HandlerOpts{EnableOpenMetrics: true})
	return web.Handler(web.Pages{
		Metrics: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			s.metrics.memory.Set(float64(s.memory.used.Load()))
			metrics.ServeHTTP(w, r)
		}),
		Home:    s.metrics.page.Home(),
		Files:   s.metrics.page.Files(),
		Summary: s.metrics.page.JSON(),
		Health:  s.health,
	})
}

// health says whether mail is served and every socket can be reached.
func (s *Server) health() (h web.Health) {
	switch {
	case s.stopping.Load():
		h.NotReady = append(h.NotReady, "stopping")
	case !s.serving.Load():
		h.NotReady = append(h.NotReady, "not serving")
	}
	gone, _ := s.unreachable()
	for _, spec := range gone {
		h.NotReady = append(h.NotReady, fmt.Sprintf("nobody can reach the socket %s", spec))
	}
	if t := s.refused.Load(); t != nil {
		// Why is not for everybody who can reach this page.
		h.Worries = append(h.Worries, fmt.Sprintf("the reload at %s was refused and the old configuration stays in force: see the log",
			t.at.UTC().Format(time.RFC3339)))
	}
	return h
}
