package milter

import (
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// webConfig is a file of exporter-toolkit: user u, password right.
const webConfig = "basic_auth_users: {u: $2a$04$HFjMRNXks67r88ZSQMJKiuAg7uO0e7upNij4a/cCddHCmtYRIAgO6}\n"

// asks returns the status code of a page of the metrics listener, 0 if nobody answers.
func asks(t *testing.T, addr, path, password string) (int, string) {
	t.Helper()
	r, err := http.NewRequest("GET", "http://"+addr+path, nil)
	if err != nil {
		t.Fatal(err)
	}
	if password != "" {
		r.SetBasicAuth("u", password)
	}
	client := http.Client{Timeout: patience, Transport: &http.Transport{DisableKeepAlives: true}}
	resp, err := client.Do(r)
	if err != nil {
		return 0, err.Error()
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Error(err)
	}
	return resp.StatusCode, string(body)
}

// Metrics that cannot be served keep nobody's mail: the daemon starts without them and
// serves them as soon as it can.
func TestStartsWithoutMetrics(t *testing.T) {
	t.Run("port in use", func(t *testing.T) {
		taken, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		defer taken.Close()
		addr := taken.Addr().String()
		ts := start(t, func(c *Config) { c.Metrics = Socket{"tcp", addr} })
		withoutMetrics(t, ts, "shows it), or name another port in metrics.listen")
		taken.Close()
		ts.restore()
		if code, _ := asks(t, addr, "/-/ready", ""); code != 200 {
			t.Errorf("when the port is free: %d", code)
		}
	})
	t.Run("web_config", func(t *testing.T) {
		file := filepath.Join(t.TempDir(), "web.yml")
		addr := "127.0.0.1:" + freePort(t)
		ts := start(t, func(c *Config) { c.Metrics, c.Web.ConfigFile = Socket{"tcp", addr}, file })
		withoutMetrics(t, ts, "does not exist: create it")
		if err := os.WriteFile(file, []byte(webConfig), 0o600); err != nil {
			t.Fatal(err)
		}
		ts.restore()
		for password, want := range map[string]int{"": 401, "wrong": 401, "right": 200} {
			if code, body := asks(t, addr, "/-/ready", password); code != want {
				t.Errorf("password %q: %d %s", password, code, body)
			}
		}
	})
}

func withoutMetrics(t *testing.T, ts *testServer, why string) {
	t.Helper()
	goodMessage(t, ts)
	for range 3 {
		ts.restore()
	}
	if n := len(ts.MetricsAddrs()); n != 0 {
		t.Errorf("metrics at %v", ts.MetricsAddrs())
	}
	if n := strings.Count(ts.log.String(), why); n != 1 || ts.errors(stageListen) != 1 {
		t.Errorf("said %d times, counted %d: %s", n, ts.errors(stageListen), ts.log)
	}
}

// A reload with a file that is wrong changes nothing, and one with a file that was changed
// puts it in force, even where it cannot be read anew while the listener is open.
func TestReloadOfWebConfig(t *testing.T) {
	file := filepath.Join(t.TempDir(), "web.yml")
	write := func(text string) {
		t.Helper()
		if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	addr := "127.0.0.1:" + freePort(t)
	ts := start(t, func(c *Config) { c.Metrics = Socket{"tcp", addr} })
	cfg := ts.state.Load().cfg
	cfg.Web.ConfigFile = file
	write("basic_auth_users: {u: right}\n")
	if err := ts.Reload(cfg, ts.rules()); err == nil || !strings.Contains(err.Error(), file+":1: basic_auth_users.u: is no bcrypt hash") {
		t.Errorf("a password that is no hash: %v", err)
	}
	if code, body := asks(t, addr, "/-/ready", ""); code != 200 || !strings.Contains(body, "was refused") {
		t.Errorf("after a refused reload: %d %s", code, body)
	}
	write("rate_limit: {burst: 100, interval: 1ms}\n" + webConfig)
	for range 2 {
		if err := ts.Reload(cfg, ts.rules()); err != nil {
			t.Fatal(err)
		}
	}
	if code, body := asks(t, addr, "/-/ready", "right"); code != 200 || body != "ready\n" {
		t.Errorf("with the password: %d %s", code, body)
	}
	if code, _ := asks(t, addr, "/-/ready", ""); code != 401 {
		t.Errorf("without the password: %d", code)
	}
	write("basic_auth_users: {u\n")
	ts.look()
	if code, body := asks(t, addr, "/-/ready", "right"); code != 200 || !strings.Contains(body, "web_config is wrong") || !ts.status().WebConfigWrong {
		t.Errorf("when the file is wrong: %d %s", code, body)
	}
	if n := strings.Count(ts.log.String(), "web_config is wrong"); n != 1 {
		t.Errorf("said %d times: %s", n, ts.log)
	}
	if err := ts.Reload(cfg, ts.rules()); err == nil {
		t.Error("a file that is wrong is put in force")
	}
	write("rate_limit: {burst: 100, interval: 1ms}\n" + webConfig)
	ts.look()
	if err := ts.Reload(cfg, ts.rules()); err != nil || ts.status().WebConfigWrong {
		t.Errorf("when it is mended: %v", err)
	}
	before := ts.web
	if err := ts.Reload(cfg, ts.rules()); err != nil || ts.web != before {
		t.Errorf("the listener is made anew where nothing changed: %v", err)
	}
	cfg.Web.ConfigFile = ""
	if err := ts.Reload(cfg, ts.rules()); err != nil {
		t.Fatal(err)
	}
	if code, _ := asks(t, addr, "/-/ready", ""); code != 200 {
		t.Errorf("plain again: %d", code)
	}
	goodMessage(t, ts)
}

// A socket that another process takes while a reload makes room for others is lost, which
// /-/ready tells, and comes back when it is free.
func TestLostSocketComesBack(t *testing.T) {
	ts := start(t, nil)
	addr := "127.0.0.1:" + freePort(t)
	spec := Socket{"tcp", addr}
	ts.reload.Lock()
	ts.lose(spec, "a reload failed, and a socket was lost in it", os.ErrExist)
	ts.mu.Lock()
	ts.serveMilter(spec, nil)
	ts.mu.Unlock()
	ts.reload.Unlock()
	if code, body := get(t, ts.Handler(), "/-/ready"); code != 503 || !strings.Contains(body, spec.String()) {
		t.Errorf("while it is lost: %d %s", code, body)
	}
	ts.restore()
	if code, body := get(t, ts.Handler(), "/-/ready"); code != 200 {
		t.Errorf("when it is back: %d %s", code, body)
	}
	nc, err := net.Dial("tcp", addr)
	if err != nil {
		t.Fatal(err)
	}
	newClient(t, nc, offerAll)
	nc.Close()
}
