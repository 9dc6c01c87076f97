package milter

import (
	"io"
	"testing"

	gomilter "github.com/emersion/go-milter"
)

// TestSessionsWithoutClientGiveWay fills the table of sessions. The sessions that look least
// like a mail server's are closed first, and one that has a client stays.
func TestSessionsWithoutClientGiveWay(t *testing.T) {
	ts := start(t, func(c *Config) { c.Limits.MaxSessions = 4 })
	count := func(n int) {
		t.Helper()
		eventually(t, "the sessions are open", func() bool {
			ts.mu.Lock()
			defer ts.mu.Unlock()
			return len(ts.conns) == n
		})
	}
	withClient := newClient(t, ts.dial(t), offerAll)
	withClient.expect('c', connectFrame("192.0.2.1"))
	holding := newClient(t, ts.dial(t), offerAll) // a Postfix may not have sent its CONNECT yet
	due := newClient(t, ts.dial(t), offerAll&^(gomilter.OptNoConnReply|gomilter.OptNoMailReply))
	silent := ts.dial(t)
	count(4)
	eventually(t, "its client is known", func() bool {
		ts.mu.Lock()
		defer ts.mu.Unlock()
		for c := range ts.conns {
			if c.client.Load() {
				return true
			}
		}
		return false
	})
	ended := func(name string, c io.Reader) {
		t.Helper()
		if _, err := c.Read(make([]byte, 1)); err != io.EOF {
			t.Errorf("%s: %v, want the end", name, err)
		}
	}
	var last *wireClient
	for _, next := range []struct {
		name string
		goes io.Reader
	}{{"one that says nothing", silent}, {"one that owes CONNECT", due.conn}, {"one that may hold it back", holding.conn}} {
		last = newClient(t, ts.dial(t), offerAll&^gomilter.OptNoConnReply)
		last.expect('c', connectFrame("192.0.2.2"))
		ended(next.name, next.goes)
	}
	eventually(t, "three that gave way are counted", func() bool { return ts.refusedFor(refusedSilent) == 3 })
	if n := ts.refusedFor(refusedLimit); n != 0 {
		t.Errorf("%d were refused", n)
	}
	ended("one too many", ts.dial(t))
	eventually(t, "its refusal is counted", func() bool { return ts.refusedFor(refusedLimit) == 1 })
	for _, c := range []*wireClient{withClient, last} {
		if mods := c.message("", "Content-Type: multipart/report", "", "x"); len(mods) == 0 {
			t.Error("a session with a client is not served")
		}
	}
	// A session that is used again has no client until the MTA names the next one.
	last.send(frame('K', ""))
	eventually(t, "it has no client", func() bool {
		nc := ts.dial(t)
		defer nc.Close()
		nc.Write(offerFrame(6, offerActions, offerAll))
		n, _ := nc.Read(make([]byte, 1))
		return n == 1
	})
	ended("one without a client any more", last.conn)
}
