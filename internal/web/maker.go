package web

import (
	"bytes"
	"context"
	"fmt"
	"net/http"
	"runtime"
	"runtime/debug"
	"slices"
	"strings"
	"sync"
	"time"
)

// pauseShare is how many times as long as a page took to make the pause after it is, and
// maxPause the longest.
const (
	pauseShare = 9
	maxPause   = 100 * time.Millisecond
)

// maker makes pages one at a time, on a thread of their own. After each it pauses, so that readers, however many
// there are, take about a tenth of one processor from what the process is for; and less
// where that is busy, because pages take longer then. Those who ask for the same page while
// another is made share the next one, which is begun after all of them have asked.
type maker struct {
	free chan struct{} // has an item while no page is made

	mu   sync.Mutex
	next map[string]*page // those that somebody waits for and that are not begun, by what was asked
}

// page is a page to be made. Once made is closed, the rest does not change any more.
type page struct {
	readers int // that wait for it; guarded by mu of the maker
	made    chan struct{}
	response
	failure string // why it could not be made
}

func newMaker() *maker {
	m := &maker{free: make(chan struct{}, 1), next: map[string]*page{}}
	m.free <- struct{}{}
	return m
}

// whole makes h write to a response first, in its turn.
func (m *maker) whole(h http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Context().Err() != nil {
			return // its reader is gone
		}
		p := m.join(h, r)
		select {
		case <-p.made:
		case <-r.Context().Done():
			m.mu.Lock()
			p.readers--
			m.mu.Unlock()
			return
		}
		if p.failure != "" {
			panic(p.failure)
		}
		for name, values := range p.header {
			w.Header()[name] = slices.Clone(values)
		}
		w.WriteHeader(p.code)
		_, _ = w.Write(p.body.Bytes()) // a client that did not get it will ask again
	})
}

// join returns the page that answers a request, and makes it if nobody has asked for it yet.
func (m *maker) join(h http.Handler, r *http.Request) *page {
	// No page depends on more of a request.
	asked := strings.Join([]string{r.Method, r.URL.RequestURI(), strings.Join(r.Header["Accept"], ","),
		strings.Join(r.Header["Accept-Encoding"], ",")}, "\n")
	m.mu.Lock()
	defer m.mu.Unlock()
	p := m.next[asked]
	if p == nil {
		p = &page{made: make(chan struct{}), response: response{header: http.Header{}, code: http.StatusOK}}
		m.next[asked] = p
		go m.make(p, asked, h, r.WithContext(context.WithoutCancel(r.Context())))
	}
	p.readers++
	return p
}

// make makes a page in its turn, unless all who asked for it are gone by then.
func (m *maker) make(p *page, asked string, h http.Handler, r *http.Request) {
	<-m.free
	m.mu.Lock()
	delete(m.next, asked)
	gone := p.readers == 0
	m.mu.Unlock()
	if gone {
		m.free <- struct{}{}
		return
	}
	began := time.Now()
	p.failure = onThread(func() { h.ServeHTTP(&p.response, r) })
	time.AfterFunc(min(pauseShare*time.Since(began), maxPause), func() { m.free <- struct{}{} })
	close(p.made)
}

// thread is a thread of the system that makes all pages. The kernel shares processors out
// among threads: one that makes pages would not be first in line again when it has mail.
var thread = sync.OnceValue(func() chan<- func() {
	jobs := make(chan func())
	go func() {
		runtime.LockOSThread()
		for job := range jobs {
			job()
		}
	}()
	return jobs
})

// onThread calls f on the thread of pages. It returns what f panicked with, "" if it did not.
func onThread(f func()) string {
	done := make(chan string)
	thread() <- func() {
		failure := ""
		defer func() {
			if v := recover(); v != nil {
				failure = fmt.Sprintf("making a page: %v\n%s", v, debug.Stack())
			}
			done <- failure
		}()
		f()
	}
	return <-done
}

// response is complete before any of it is sent.
type response struct {
	header http.Header
	code   int
	body   bytes.Buffer
}

func (r *response) Header() http.Header { return r.header }

func (r *response) WriteHeader(code int) { r.code = code }

func (r *response) Write(b []byte) (int, error) { return r.body.Write(b) }
