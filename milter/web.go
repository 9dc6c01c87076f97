package milter

import (
	"crypto/sha256"
	"fmt"
	"net"
	"net/http"
	"os"
	"time"

	"github.com/bounce-milter/bounce-milter/internal/web"
	"github.com/prometheus/client_golang/prometheus/promhttp"
)

// webServer serves metrics, health and the status page.
type webServer struct {
	*web.Server // nil as long as it cannot be made
	spec        Socket
	opts        web.Options
	file        [sha256.Size]byte // hash of opts.ConfigFile
	srv         *Server
}

// makeWeb makes what cfg wants for metrics, on what open opens. If it returns an error,
// nothing is open and the webServer is one that nobody can reach.
func (s *Server) makeWeb(cfg *Config, open func() ([]net.Listener, error)) (*webServer, error) {
	w := &webServer{spec: cfg.Metrics, opts: cfg.Web, file: hashOf(cfg.Web.ConfigFile), srv: s}
	if err := w.opts.Check().Err(); err != nil {
		return w, err
	}
	lns, err := open()
	if err != nil {
		return w, err
	}
	opts := w.opts
	if host, _, err := net.SplitHostPort(w.spec.Address); err == nil && host != "" {
		opts.Hosts = append([]string{host}, opts.Hosts...)
	}
	w.Server, err = web.New(lns, s.Handler(), opts, s.log)
	return w, err
}

// hashOf returns the hash of a file, of nothing if it cannot be read.
func hashOf(path string) [sha256.Size]byte {
	if path == "" {
		return [sha256.Size]byte{}
	}
	data, _ := os.ReadFile(path) // Check says why
	return sha256.Sum256(data)
}

// fits reports whether w is what cfg wants and can be reached.
func (w *webServer) fits(cfg *Config) bool {
	return w.spec == cfg.Metrics && w.opts.Equal(cfg.Web) && w.file == hashOf(cfg.Web.ConfigFile) && !vanished(w.Listeners())
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
func (s *Server) Handler() http.Handler { return web.Handler(s.pages()) }

func (s *Server) pages() web.Pages {
	metrics := web.Packed(promhttp.HandlerFor(s.metrics.registry, promhttp.HandlerOpts{EnableOpenMetrics: true}))
	return web.Pages{
		Metrics: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			s.metrics.memory.Set(float64(s.memory.used.Load()))
			metrics.ServeHTTP(w, r)
		}),
		Home:    s.metrics.page.Home(),
		Files:   s.metrics.page.Files(),
		Summary: s.metrics.page.JSON(),
		Health:  s.health,
	}
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
	if l := s.listening.Load(); l != nil && l.web {
		h.Worries = append(h.Worries, "web_config is wrong, and what it said before stays in force: see the log")
	}
	if t := s.refused.Load(); t != nil {
		// Why is not for everybody who can reach this page.
		h.Worries = append(h.Worries, fmt.Sprintf("the reload at %s was refused and the old configuration stays in force: see the log",
			t.at.UTC().Format(time.RFC3339)))
	}
	return h
}
