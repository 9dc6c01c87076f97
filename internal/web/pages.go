package web

import (
	"fmt"
	"net/http"
)

// Pages are what a server answers with. A nil one is not found.
type Pages struct {
	// Metrics is at /metrics.
	Metrics http.Handler
	// Home is at /: the page for people.
	Home http.Handler
	// Files are below /page/: what Home links to.
	Files http.Handler
	// Summary is at /api/v1/summary: what Home shows, as JSON.
	Summary http.Handler
	// Health says how the process is, for /-/healthy and /-/ready.
	Health func() Health
}

// Health is how a process is.
type Health struct {
	// NotReady are reasons why it does not do its work now, one a line.
	NotReady []string
	// Worries are what somebody should look at, although it does its work: a
	// configuration that was refused, say.
	Worries []string
}

// Handler serves pages. Each is complete before any of it is sent, so that a slow reader
// holds only the octets of its answer. They are made one at a time, with a pause after
// each: see maker.
//
// /-/healthy always answers 200: the process is there, and a restart would help
// nobody. /-/ready, and /healthz, which is older, answer 503 if the process does not do
// its work. All three list what is wrong.
func Handler(p Pages) http.Handler {
	mux := http.NewServeMux()
	m := newMaker()
	handle := func(pattern string, h http.Handler) {
		if h != nil {
			mux.Handle(pattern, m.whole(h))
		}
	}
	handle("GET /metrics", p.Metrics)
	handle("GET /{$}", p.Home)
	handle("GET /page/", p.Files)
	handle("GET /api/v1/summary", p.Summary)
	if p.Health != nil {
		mux.HandleFunc("GET /-/healthy", func(w http.ResponseWriter, _ *http.Request) {
			answer(w, http.StatusOK, "healthy", p.Health())
		})
		ready := func(w http.ResponseWriter, _ *http.Request) {
			h := p.Health()
			if len(h.NotReady) > 0 {
				answer(w, http.StatusServiceUnavailable, "not ready", h)
				return
			}
			answer(w, http.StatusOK, "ready", h)
		}
		mux.HandleFunc("GET /-/ready", ready)
		mux.HandleFunc("GET /healthz", ready)
	}
	return mux
}

func answer(w http.ResponseWriter, code int, word string, h Health) {
	w.Header().Set("Content-Type", "text/plain; charset=utf-8")
	w.Header().Set("X-Content-Type-Options", "nosniff")
	w.Header().Set("Cache-Control", "no-store")
	w.WriteHeader(code)
	fmt.Fprintln(w, word)
	for _, line := range append(h.NotReady, h.Worries...) {
		fmt.Fprintln(w, line)
	}
}
