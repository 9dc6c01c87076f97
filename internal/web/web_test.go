package web

import (
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"testing"
	"time"
)

// text answers with itself.
type text string

func (s text) ServeHTTP(w http.ResponseWriter, _ *http.Request) { io.WriteString(w, string(s)) }

var testPages = Pages{
	Metrics: text("bounce_milter_sessions 0\n"),
	Home:    text("<!DOCTYPE html>"),
	Summary: text("{}"),
	Health:  func() Health { return Health{} },
}

// serve starts a server at an address of its own.
func serve(t *testing.T, o Options) (*Server, string) {
	t.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	s, err := New([]net.Listener{ln}, Handler(testPages), o, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	s.Start(func(a net.Addr, err error) { t.Errorf("%v: %v", a, err) })
	t.Cleanup(s.Close)
	return s, ln.Addr().String()
}

func eventually(t *testing.T, what string, is func() bool) {
	t.Helper()
	for end := time.Now().Add(10 * time.Second); !is(); time.Sleep(time.Millisecond) {
		if time.Now().After(end) {
			t.Fatal(what)
		}
	}
}

func TestHandler(t *testing.T) {
	worried := Health{Worries: []string{"the last reload was refused"}}
	ill := Health{NotReady: []string{"a socket is lost"}, Worries: worried.Worries}
	for _, tt := range []struct {
		path   string
		health Health
		code   int
		body   string
	}{
		{"/metrics", Health{}, 200, "bounce_milter_sessions 0\n"},
		{"/", Health{}, 200, "<!DOCTYPE html>"},
		{"/api/v1/summary", Health{}, 200, "{}"},
		{"/-/healthy", Health{}, 200, "healthy\n"},
		{"/-/healthy", ill, 200, "healthy\na socket is lost\nthe last reload was refused\n"},
		{"/-/ready", Health{}, 200, "ready\n"},
		{"/-/ready", worried, 200, "ready\nthe last reload was refused\n"},
		{"/-/ready", ill, 503, "not ready\na socket is lost\nthe last reload was refused\n"},
		{"/healthz", ill, 503, "not ready\na socket is lost\nthe last reload was refused\n"},
		{"/debug/pprof/", Health{}, 404, ""},
		{"/metrics/x", Health{}, 404, ""},
		{"/nothing", Health{}, 404, ""},
	} {
		p := testPages
		p.Health = func() Health { return tt.health }
		w := httptest.NewRecorder()
		Handler(p).ServeHTTP(w, httptest.NewRequest("GET", tt.path, nil))
		if w.Code != tt.code || tt.code != 404 && w.Body.String() != tt.body {
			t.Errorf("%s: %d %q, want %d %q", tt.path, w.Code, w.Body, tt.code, tt.body)
		}
	}
	w := httptest.NewRecorder()
	Handler(testPages).ServeHTTP(w, httptest.NewRequest("POST", "/metrics", nil))
	if w.Code != http.StatusMethodNotAllowed {
		t.Errorf("POST: %d", w.Code)
	}
}

// slowReader is a client that asks for a page and does not read it.
type slowReader struct {
	*httptest.ResponseRecorder
	begun, resume chan struct{}
}

func (r slowReader) Write(p []byte) (int, error) {
	select {
	case r.begun <- struct{}{}:
	case <-r.resume:
	}
	<-r.resume
	return r.ResponseRecorder.Write(p)
}

// A client that does not read a page does not keep others from it: the page is completed
// first, and only making it is limited.
func TestSlowReadersKeepNobodyAway(t *testing.T) {
	h := Handler(testPages)
	for _, path := range []string{"/", "/metrics"} {
		begun, proceed := make(chan struct{}), make(chan struct{})
		done := make(chan int)
		for range 2 * maxMaking {
			go func() {
				w := slowReader{httptest.NewRecorder(), begun, proceed}
				h.ServeHTTP(w, httptest.NewRequest("GET", path, nil))
				done <- w.Code
			}()
		}
		for range 2 * maxMaking {
			<-begun
		}
		w := httptest.NewRecorder()
		h.ServeHTTP(w, httptest.NewRequest("GET", path, nil))
		if w.Code != http.StatusOK {
			t.Errorf("%s: one more gets %d", path, w.Code)
		}
		close(proceed)
		for range 2 * maxMaking {
			if code := <-done; code != http.StatusOK {
				t.Errorf("%s: one of them got %d", path, code)
			}
		}
	}
}
