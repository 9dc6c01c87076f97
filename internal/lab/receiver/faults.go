// Package receiver contains stand-ins for the programs that webhooks send to. One accepts
// signed arrays of records, and verifies them with the official library of Standard
// Webhooks. The other accepts bounces as strictly as listmonk's documentation describes.
//
// Both are an [http.Handler] that keeps what it accepts. They can be told to fail in every
// way in which receivers fail. All methods may be called concurrently.
package receiver

import (
	"bytes"
	"io"
	"net/http"
	"strconv"
	"sync"
	"time"
)

// Fault is a way in which a request fails. The zero value is no fault.
type Fault struct {
	// Taken means that the records are accepted all the same. The sender cannot know
	// this and has to send them again.
	Taken  bool
	Answer http.HandlerFunc
}

// Status answers with a code, and with Retry-After unless that is "".
func Status(code int, retryAfter string) Fault {
	return Fault{Answer: func(w http.ResponseWriter, _ *http.Request) {
		if retryAfter != "" {
			w.Header().Set("Retry-After", retryAfter)
		}
		http.Error(w, `{"message":"`+http.StatusText(code)+`"}`, code)
	}}
}

// Redirect answers with a code and Location.
func Redirect(code int, location string) Fault {
	return Fault{Answer: func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Location", location)
		w.WriteHeader(code)
	}}
}

// Hang does not answer until the sender gives up.
func Hang() Fault {
	return Fault{Answer: func(_ http.ResponseWriter, r *http.Request) { <-r.Context().Done() }}
}

// Garbage answers with octets that are not HTTP.
func Garbage() Fault { return Raw([]byte("\x00\xff\xfe no HTTP at all \x1b[2J\r\n\r\n\x00")) }

// Cut closes the connection instead of answering.
func Cut() Fault { return Raw(nil) }

// Lost accepts the records, then closes the connection instead of answering.
func Lost() Fault { return Fault{Taken: true, Answer: Cut().Answer} }

// Raw answers with any octets, then closes the connection.
func Raw(octets []byte) Fault {
	return Fault{Answer: func(w http.ResponseWriter, _ *http.Request) {
		conn, _, err := http.NewResponseController(w).Hijack()
		if err != nil { // HTTP/2
			panic(http.ErrAbortHandler)
		}
		defer conn.Close()
		_, _ = conn.Write(octets) // the sender may be gone
	}}
}

// Huge answers with a code and an endless body.
func Huge(code int) Fault {
	return Fault{Taken: code < 300, Answer: func(w http.ResponseWriter, _ *http.Request) {
		w.WriteHeader(code)
		piece := bytes.Repeat([]byte("all work and no play "), 1000)
		for {
			if _, err := w.Write(piece); err != nil {
				return
			}
		}
	}}
}

// Drip answers with a code and an endless body, sent octet by octet.
func Drip(code int) Fault {
	return Fault{Taken: code < 300, Answer: func(w http.ResponseWriter, r *http.Request) {
		w.WriteHeader(code)
		drip(r, func() error {
			_, _ = w.Write([]byte("."))
			return http.NewResponseController(w).Flush()
		})
	}}
}

// DripHeader answers with an endless header, sent octet by octet.
func DripHeader() Fault {
	return Fault{Answer: func(w http.ResponseWriter, r *http.Request) {
		conn, _, err := http.NewResponseController(w).Hijack()
		if err != nil {
			panic(http.ErrAbortHandler)
		}
		defer conn.Close()
		if _, err := io.WriteString(conn, "HTTP/1.1 200 OK\r\nX-Slow: "); err != nil {
			return
		}
		drip(r, func() error {
			_, err := conn.Write([]byte("."))
			return err
		})
	}}
}

// drip calls write at short intervals until it fails or the sender has gone.
func drip(r *http.Request, write func() error) {
	tick := time.NewTicker(10 * time.Millisecond)
	defer tick.Stop()
	for {
		select {
		case <-r.Context().Done():
			return
		case <-tick.C:
			if write() != nil {
				return
			}
		}
	}
}

// Faults returns the faults from which a sender recovers, one of each kind.
func Faults() []Fault {
	return []Fault{Status(500, ""), Status(502, ""), Status(503, "1"), Status(429, "1"), Status(408, ""),
		Hang(), Garbage(), Cut(), Lost(), Huge(500), Drip(503), DripHeader()}
}

// desk is what both receivers have in common. It counts requests and makes them fail.
type desk struct {
	mu       sync.Mutex
	fault    func(request int) Fault
	requests int
	problems []string
	news     chan struct{} // closed when something is accepted
}

// FailWith sets how requests fail, given their number from 0 on. With nil, none fails.
func (d *desk) FailWith(fault func(request int) Fault) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.fault = fault
}

// Requests returns the number of requests so far.
func (d *desk) Requests() int {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.requests
}

// Problems returns what senders did wrong.
func (d *desk) Problems() []string {
	d.mu.Lock()
	defer d.mu.Unlock()
	return append([]string(nil), d.problems...)
}

// News returns a channel that is closed the next time that something is accepted.
func (d *desk) News() <-chan struct{} {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.news == nil {
		d.news = make(chan struct{})
	}
	return d.news
}

// taken wakes whoever waits for News. The caller holds d.mu.
func (d *desk) taken() {
	if d.news != nil {
		close(d.news)
		d.news = nil
	}
}

// next counts a request and returns how it fails.
func (d *desk) next() Fault {
	d.mu.Lock()
	defer d.mu.Unlock()
	n := d.requests
	d.requests++
	if d.fault == nil {
		return Fault{}
	}
	return d.fault(n)
}

// serve reads the body and answers with the result of take, or with a fault.
func (d *desk) serve(w http.ResponseWriter, r *http.Request, take func(r *http.Request, body []byte) (code int, message string)) {
	fault := d.next()
	body, err := io.ReadAll(io.LimitReader(r.Body, 32<<20))
	if err != nil {
		return // the sender is gone
	}
	code, message := http.StatusOK, ""
	if fault.Answer == nil || fault.Taken {
		code, message = take(r, body)
	}
	if fault.Answer != nil {
		fault.Answer(w, r)
		return
	}
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(code)
	if code == http.StatusOK {
		_, _ = io.WriteString(w, `{"data":true}`)
		return
	}
	_, _ = io.WriteString(w, `{"message":`+strconv.Quote(message)+`}`)
}
