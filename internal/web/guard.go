package web

import (
	"context"
	"crypto/sha256"
	"log/slog"
	"net/http"
	"sync"
	"time"

	"golang.org/x/time/rate"
)

// Comparing a password takes some fifty milliseconds of a processor, which anybody could
// ask for. So only a few unknown ones are compared.
const (
	triesPerSecond = 2
	triesAtOnce    = 10
	maxKnown       = 64 // passwords that were right
)

func newTries() *rate.Limiter { return rate.NewLimiter(triesPerSecond, triesAtOnce) }

// guard bounds how often the toolkit compares passwords. Clients that it let in before are
// always let through, so that nobody's guesses keep them out; and while the file is wrong,
// they alone are let in.
type guard struct {
	toolkit http.Handler // asks for a password, and hands on to a letIn around pages
	pages   http.Handler
	file    *fileState
	tries   *rate.Limiter

	mu    sync.Mutex
	known map[[sha256.Size]byte]struct{} // hashes of fields that were let in; that of "" if no password was asked for
}

func (g *guard) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	field := r.Header.Get("Authorization")
	sum := sha256.Sum256([]byte(field))
	g.mu.Lock()
	_, known := g.known[sum]
	g.mu.Unlock()
	switch {
	case !g.file.isGood() && known:
		g.pages.ServeHTTP(w, r)
		return
	case !g.file.isGood():
		http.Error(w, "the file that web_config names is wrong; until it is mended, only those who were let in before are", http.StatusServiceUnavailable)
		return
	case field != "" && !known && !g.tries.Allow():
		w.Header().Set("Retry-After", "1")
		http.Error(w, "too many passwords were tried, wait a second", http.StatusTooManyRequests)
		return
	}
	a := &answered{ResponseWriter: w}
	g.toolkit.ServeHTTP(a, r)
	if a.letIn != known && (a.letIn || a.code == http.StatusUnauthorized) {
		g.remember(sum, a.letIn)
	}
}

func (g *guard) remember(sum [sha256.Size]byte, right bool) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if !right {
		delete(g.known, sum) // it was changed
		return
	}
	for other := range g.known {
		if len(g.known) < maxKnown {
			break
		}
		delete(g.known, other)
	}
	if g.known == nil {
		g.known = map[[sha256.Size]byte]struct{}{}
	}
	g.known[sum] = struct{}{}
}

// answered knows the status code of an answer, and whether its client was let in.
type answered struct {
	http.ResponseWriter
	code  int
	letIn bool
}

func (a *answered) WriteHeader(code int) {
	a.code = code
	a.ResponseWriter.WriteHeader(code)
}

// letIn notes in an [answered] that the toolkit has let its client in.
func letIn(pages http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if a, ok := w.(*answered); ok {
			a.letIn = true
		}
		pages.ServeHTTP(w, r)
	})
}

// sparingHandler passes on one warning or error in ten minutes, and nothing below:
// strangers cause them.
type sparingHandler struct {
	slog.Handler
	sometimes *rate.Sometimes
}

func sparing(h slog.Handler) slog.Handler {
	return sparingHandler{h, &rate.Sometimes{First: 1, Interval: 10 * time.Minute}}
}

func (h sparingHandler) Enabled(ctx context.Context, l slog.Level) bool {
	return l >= slog.LevelWarn && h.Handler.Enabled(ctx, l)
}

func (h sparingHandler) Handle(ctx context.Context, r slog.Record) (err error) {
	h.sometimes.Do(func() { err = h.Handler.Handle(ctx, r) })
	return err
}
