package web

import (
	"context"
	"fmt"
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

// Pages are made one at a time. Readers share one that is begun after they have asked, if
// they ask for the same, and those that have left do not take a turn.
func TestPagesAreMadeOneAtATime(t *testing.T) {
	var making, made atomic.Int32
	p := testPages
	p.Home = http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if making.Add(1) > 1 {
			t.Error("two at a time")
		}
		fmt.Fprint(w, made.Add(1), " ", r.URL, " ", r.Header.Get("Accept"))
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
			r := httptest.NewRequest("GET", []string{"/", "/api/v1/summary", "/?window=day"}[i%3], nil)
			r.Header.Set("Accept", []string{"text/html", "application/json"}[i%2])
			w := httptest.NewRecorder()
			before := made.Load()
			h.ServeHTTP(w, r)
			var n int32
			var path, accept string
			if _, err := fmt.Sscan(w.Body.String(), &n, &path, &accept); err != nil || path != r.URL.String() || accept != r.Header.Get("Accept") {
				t.Errorf("asked for %s, %s, and got %q", r.URL, r.Header.Get("Accept"), w.Body)
			}
			if n <= before {
				t.Errorf("got page %d, after %d were begun already", n, before)
			}
		})
	}
	readers.Wait()
	n := made.Load()
	if n > 100 {
		t.Errorf("%d pages made for 100 readers", n)
	}
	for range 100 {
		h.ServeHTTP(httptest.NewRecorder(), httptest.NewRequest("GET", "/", nil).WithContext(gone))
	}
	if more := made.Load() - n; more > 0 {
		t.Errorf("%d pages made for readers that had left", more)
	}
}

// All who ask while a page is made get the next one. Who leaves meanwhile does not take it
// away from the others, and nothing is made for nobody.
func TestReadersShareAPage(t *testing.T) {
	made := 0
	begun, proceed := make(chan struct{}), make(chan struct{})
	p := testPages
	p.Home = http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		made++
		begun <- struct{}{}
		<-proceed
		fmt.Fprint(w, made)
	})
	m := newMaker()
	h := m.whole(p.Home)
	get := func(ctx context.Context, path string) <-chan string {
		got := make(chan string, 1)
		go func() {
			w := httptest.NewRecorder()
			h.ServeHTTP(w, httptest.NewRequest("GET", path, nil).WithContext(ctx))
			got <- w.Body.String()
		}()
		return got
	}
	waiting := func(want int) {
		t.Helper()
		for {
			n := 0
			m.mu.Lock()
			for _, p := range m.next {
				n += p.readers
			}
			m.mu.Unlock()
			if n == want {
				return
			}
			runtime.Gosched()
		}
	}
	first := get(t.Context(), "/")
	<-begun
	leaving, leave := context.WithCancel(t.Context())
	left, nobody := get(leaving, "/"), get(leaving, "/?window=day")
	waiting(2)
	var others []<-chan string
	for range 10 {
		others = append(others, get(t.Context(), "/"))
	}
	waiting(12)
	leave()
	if got := <-left + <-nobody; got != "" {
		t.Errorf("who has left got %q", got)
	}
	proceed <- struct{}{}
	if got := <-first; got != "1" {
		t.Errorf("the first got page %s", got)
	}
	<-begun
	proceed <- struct{}{}
	for _, o := range others {
		if got := <-o; got != "2" {
			t.Errorf("one of the others got page %s", got)
		}
	}
	last := get(t.Context(), "/")
	<-begun
	proceed <- struct{}{}
	if got := <-last; got != "3" {
		t.Errorf("the last got page %s", got)
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
