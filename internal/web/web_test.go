package web

import (
	"context"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"runtime"
	"sync"
	"sync/atomic"
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
	for end := time.Now().Add(time.Minute); !is(); time.Sleep(time.Millisecond) {
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

// Pages are made one at a time, and readers that have left do not take a turn.
func TestPagesAreMadeOneAtATime(t *testing.T) {
	var making, made atomic.Int32
	p := testPages
	p.Home = http.HandlerFunc(func(http.ResponseWriter, *http.Request) {
		if making.Add(1) > 1 {
			t.Error("two at a time")
		}
		made.Add(1)
		runtime.Gosched()
		making.Add(-1)
	})
	p.Summary = p.Home
	h := Handler(p)
	gone, leave := context.WithCancel(t.Context())
	leave()
	var readers sync.WaitGroup
	for i := range 100 {
		readers.Go(func() {
			r := httptest.NewRequest("GET", []string{"/", "/api/v1/summary"}[i%2], nil)
			h.ServeHTTP(httptest.NewRecorder(), r)
		})
	}
	readers.Wait()
	if n := made.Load(); n != 100 {
		t.Errorf("%d pages made for 100 readers", n)
	}
	for range 100 {
		h.ServeHTTP(httptest.NewRecorder(), httptest.NewRequest("GET", "/", nil).WithContext(gone))
	}
	if n := made.Load(); n != 100 {
		t.Errorf("%d pages made for readers that had left", n-100)
	}
}

// A page that panics does not keep others from being made.
func TestPanickingPage(t *testing.T) {
	p := testPages
	p.Home = http.HandlerFunc(func(http.ResponseWriter, *http.Request) { panic("a bug") })
	h := Handler(p)
	for range 3 {
		func() {
			defer func() { recover() }() // as the server does
			h.ServeHTTP(httptest.NewRecorder(), httptest.NewRequest("GET", "/", nil))
		}()
		w := httptest.NewRecorder()
		h.ServeHTTP(w, httptest.NewRequest("GET", "/metrics", nil))
		if w.Code != 200 {
			t.Errorf("/metrics: %d", w.Code)
		}
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
	const readers = 8
	h := Handler(testPages)
	for _, path := range []string{"/", "/metrics"} {
		begun, proceed := make(chan struct{}), make(chan struct{})
		done := make(chan int)
		for range readers {
			go func() {
				w := slowReader{httptest.NewRecorder(), begun, proceed}
				h.ServeHTTP(w, httptest.NewRequest("GET", path, nil))
				done <- w.Code
			}()
		}
		for range readers {
			<-begun
		}
		w := httptest.NewRecorder()
		h.ServeHTTP(w, httptest.NewRequest("GET", path, nil))
		if w.Code != http.StatusOK {
			t.Errorf("%s: one more gets %d", path, w.Code)
		}
		close(proceed)
		for range readers {
			if code := <-done; code != http.StatusOK {
				t.Errorf("%s: one of them got %d", path, code)
			}
		}
	}
}
