package web

import (
	"net"
	"net/http"
	"sync"
	"time"
)

// conns bounds the open connections of a server. If there are too many, it closes the
// one that has been waiting longest, for a request or for its reader. So nobody can keep
// others out by holding connections.
type conns struct {
	mu    sync.Mutex
	since map[net.Conn]time.Time // when each last changed its state
}

// changed is the ConnState hook of the HTTP server.
func (c *conns) changed(nc net.Conn, state http.ConnState) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if state == http.StateClosed || state == http.StateHijacked {
		delete(c.since, nc)
		return
	}
	if c.since == nil {
		c.since = map[net.Conn]time.Time{}
	}
	if _, known := c.since[nc]; !known && state != http.StateNew {
		return // closed already: what it still has to say takes nobody's place
	}
	c.since[nc] = time.Now()
	if len(c.since) <= maxConns {
		return
	}
	oldest := nc
	for other, t := range c.since {
		if t.Before(c.since[oldest]) {
			oldest = other
		}
	}
	delete(c.since, oldest)
	oldest.Close()
}
