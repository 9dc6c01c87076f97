package web

import (
	"bytes"
	"fmt"
	"net/http"
	"runtime"
	"runtime/debug"
	"sync"
	"time"
)

// pauseShare is how many times as long as a page took to make the pause after it is, and
// maxPause the longest.
const (
	pauseShare = 3
	maxPause   = 100 * time.Millisecond
)

// maker makes pages one at a time, on a thread of their own. After each it pauses, so that readers, however many
// there are, take at most a quarter of one processor from what the process is for; and less
// where that is busy, because pages take longer then.
type maker struct {
	free chan struct{} // has an item while no page is made
}

func newMaker() *maker {
	m := &maker{free: make(chan struct{}, 1)}
	m.free <- struct{}{}
	return m
}

// whole makes h write to a response first, in its turn.
func (m *maker) whole(h http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		select {
		case <-m.free:
		case <-r.Context().Done():
			return // its reader is gone
		}
		if r.Context().Err() != nil { // select does not prefer
			m.free <- struct{}{}
			return
		}
		p := &response{header: w.Header(), code: http.StatusOK}
		func() {
			began := time.Now()
			defer func() {
				pause := min(pauseShare*time.Since(began), maxPause)
				time.AfterFunc(pause, func() { m.free <- struct{}{} })
			}()
			onThread(func() { h.ServeHTTP(p, r) })
		}()
		w.WriteHeader(p.code)
		_, _ = p.body.WriteTo(w) // a client that did not get it will ask again
	})
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

// onThread calls f on the thread of pages. A panic in it becomes one of the caller.
func onThread(f func()) {
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
	if failure := <-done; failure != "" {
		panic(failure)
	}
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
