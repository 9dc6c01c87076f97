package web

import (
	"io"
	"net"
	"net/http"
	"strings"
	"testing"
)

// TestSlowClientsKeepNobodyAway has clients that connect and stay silent, and others that ask
// endlessly and read nothing. A client that comes then is served all the same.
func TestSlowClientsKeepNobodyAway(t *testing.T) {
	s, addr := serve(t, Options{})
	ask := func() {
		t.Helper()
		client := http.Client{Transport: &http.Transport{DisableKeepAlives: true}}
		resp, err := client.Get("http://" + addr + "/metrics")
		if err != nil {
			t.Fatal(err)
		}
		defer resp.Body.Close()
		body, err := io.ReadAll(resp.Body)
		if err != nil || resp.StatusCode != 200 || !strings.Contains(string(body), "bounce_milter_sessions") {
			t.Errorf("%s, %d octets, %v", resp.Status, len(body), err)
		}
	}
	dial := func() net.Conn {
		nc, err := net.Dial("tcp", addr)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { nc.Close() })
		return nc
	}
	for range 2 * maxConns {
		dial()
	}
	ask()
	request := strings.Repeat("GET /metrics HTTP/1.1\r\nHost: localhost\r\n\r\n", 100)
	for range 2 * maxConns {
		nc := dial()
		io.WriteString(nc, request) // some are closed before they have sent it
		if tcp, ok := nc.(*net.TCPConn); ok {
			tcp.SetReadBuffer(1)
		}
	}
	ask()
	eventually(t, "connections are bounded", func() bool { return s.conns.open() <= maxConns })
}

func (c *conns) open() int {
	c.mu.Lock()
	defer c.mu.Unlock()
	return len(c.since)
}
