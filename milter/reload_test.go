package milter

import (
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strconv"
	"testing"

	gomilter "github.com/emersion/go-milter"

	"github.com/bounce-milter/bounce-milter/classify/dsn"
	"github.com/bounce-milter/bounce-milter/internal/lab"
)

// freePort returns a port of 127.0.0.1 that nobody has.
func freePort(t *testing.T) string {
	t.Helper()
	ports, err := lab.FreePorts(1)
	if err != nil {
		t.Fatal(err)
	}
	return strconv.Itoa(ports[0])
}

// healthy asks a page of the metrics socket, over a connection of its own.
func healthy(t *testing.T, addr string) {
	t.Helper()
	client := http.Client{Timeout: patience, Transport: &http.Transport{DisableKeepAlives: true}}
	resp, err := client.Get("http://" + addr + "/-/ready")
	if err != nil {
		t.Fatal(err)
	}
	resp.Body.Close()
	if resp.StatusCode != http.StatusOK {
		t.Errorf("%s: %s", addr, resp.Status)
	}
}

// TestReloadMovesMetrics changes the address of the metrics port, fails to, and
// swaps it with a milter's.
func TestReloadMovesMetrics(t *testing.T) {
	port, other := freePort(t), freePort(t)
	narrow, wide := Socket{"tcp4", "127.0.0.1:" + port}, Socket{"tcp4", "0.0.0.0:" + port}
	milter := Socket{"tcp4", "127.0.0.1:" + other}
	ts := start(t, func(c *Config) {
		c.Listen = append(c.Listen, milter)
		c.Metrics = narrow
	})
	cfg := ts.state.Load().cfg
	healthy(t, narrow.Address)
	cfg.Metrics = wide
	if err := ts.Reload(cfg, ts.rules()); err != nil {
		t.Fatal(err)
	}
	healthy(t, narrow.Address)
	if got := ts.MetricsAddrs()[0].String(); got != wide.Address {
		t.Errorf("metrics at %s", got)
	}

	// Room is made for a milter, then another socket fails: metrics are back.
	bad := cfg
	bad.Metrics = Socket{}
	bad.Listen = []Socket{cfg.Listen[0], narrow, {"unix", filepath.Join(t.TempDir(), "no", "m.sock")}}
	if err := ts.Reload(bad, ts.rules()); err == nil {
		t.Error("a folder that is not there does")
	}
	healthy(t, narrow.Address)

	cfg.Listen, cfg.Metrics = []Socket{cfg.Listen[0], narrow}, milter
	if err := ts.Reload(cfg, ts.rules()); err != nil {
		t.Fatal(err)
	}
	healthy(t, milter.Address)
	nc, err := net.Dial("tcp4", narrow.Address)
	if err != nil {
		t.Fatal(err)
	}
	newClient(t, nc, offerAll)
	nc.Close()
	goodMessage(t, ts)
	if n := ts.errors(stageListen); n != 0 {
		t.Errorf("%v errors: %s", n, ts.log)
	}
}

// A reload swaps what the gate knows with the rest of the rules; a message ends under
// the gate that it began with.
func TestReloadSwapsGate(t *testing.T) {
	taught, err := dsn.NewReader(dsn.File{Name: "own.toml", Data: []byte(
		"[[cue]]\nname = \"heron\"\nheader = [\"X-Heron\"]\npresent = true\ngate = true\n")})
	if err != nil {
		t.Fatal(err)
	}
	ts := start(t, nil)
	c := newClient(t, ts.dial(t), offerAll&^gomilter.OptNoMailReply)
	c.expect('c', connectFrame("192.0.2.1"))
	rules := ts.rules()
	rules.Reader = taught
	for i, r := range []Rules{ts.rules(), rules, ts.rules()} {
		if err := ts.Reload(ts.state.Load().cfg, r); err != nil {
			t.Fatal(err)
		}
		before := len(ts.insp.seen)
		c.message("x@example.org", "X-Heron: came back", "", "body")
		if got, want := len(ts.insp.seen) > before, i == 1; got != want {
			t.Errorf("reload %d: inspected %v, want %v", i, got, want)
		}
	}
	c.expect('c', mailFrame("x@example.org"))
	if err := ts.Reload(ts.state.Load().cfg, rules); err != nil {
		t.Fatal(err)
	}
	c.send(headerFrame("X-Heron", "came back"))
	c.expect('a', frame('N', "")) // ordinary mail, as far as it was known then
}

// A unix socket whose file was removed is there again after a reload.
func TestReloadMakesVanishedSocketsAgain(t *testing.T) {
	web := Socket{"unix", filepath.Join(t.TempDir(), "web.sock")}
	ts := start(t, func(c *Config) { c.Metrics = web })
	for _, path := range []string{ts.path, web.Address} {
		if err := os.Remove(path); err != nil {
			t.Fatal(err)
		}
	}
	if err := ts.Reload(ts.state.Load().cfg, ts.rules()); err != nil {
		t.Fatal(err)
	}
	goodMessage(t, ts)
	nc, err := net.Dial("unix", web.Address)
	if err != nil {
		t.Fatal(err)
	}
	nc.Close()
	if n := len(ts.Addrs()); n != 1 {
		t.Errorf("served at %v", ts.Addrs())
	}
}
