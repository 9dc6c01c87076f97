package milter

import (
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// A socket whose file goes away comes back; sessions go on meanwhile, and the
// health page tells.
func TestSocketFileComesBack(t *testing.T) {
	metrics := filepath.Join(t.TempDir(), "metrics.sock")
	ts := start(t, func(c *Config) { c.Metrics = Socket{"unix", metrics} })
	h := ts.Handler()
	c := newClient(t, ts.dial(t), offerAll)
	c.expect('c', connectFrame("192.0.2.1"))
	for _, path := range []string{ts.path, metrics} {
		if err := os.Remove(path); err != nil {
			t.Fatal(err)
		}
	}
	if code, body := get(t, h, "/-/ready"); code != http.StatusServiceUnavailable || !strings.Contains(body, ts.path) {
		t.Errorf("/-/ready: %d %s", code, body)
	}
	ts.restore()
	if code, body := get(t, h, "/-/ready"); code != http.StatusOK {
		t.Errorf("/-/ready: %d %s", code, body)
	}
	goodMessage(t, ts)
	if mods := c.message("", "Content-Type: multipart/report"); len(mods) == 0 {
		t.Error("an old session is not served")
	}
	if nc, err := net.Dial("unix", metrics); err != nil {
		t.Error(err)
	} else {
		nc.Close()
	}
	if n := ts.errors(stageListen); n != 2 {
		t.Errorf("%d losses counted", n)
	}
	ts.restore()
	if n := ts.errors(stageListen); n != 2 {
		t.Errorf("%d losses counted, where nothing is lost", n)
	}
}

// A socket of another process at our path stays until that process has ended.
func TestSocketFileIsAnothers(t *testing.T) {
	ts := start(t, nil)
	if err := os.Remove(ts.path); err != nil {
		t.Fatal(err)
	}
	other, err := net.ListenUnix("unix", &net.UnixAddr{Name: ts.path, Net: "unix"})
	if err != nil {
		t.Fatal(err)
	}
	other.SetUnlinkOnClose(false)
	theirs, err := os.Lstat(ts.path)
	if err != nil {
		t.Fatal(err)
	}
	for range 3 {
		ts.restore()
	}
	if now, err := os.Lstat(ts.path); err != nil || !os.SameFile(now, theirs) {
		t.Errorf("their socket is gone: %v", err)
	}
	if n := strings.Count(ts.log.String(), "cannot be made again"); n != 1 || ts.errors(stageListen) != 1 {
		t.Errorf("said %d times, counted %d", n, ts.errors(stageListen))
	}
	if code, _ := get(t, ts.Handler(), "/-/ready"); code != http.StatusServiceUnavailable {
		t.Errorf("/-/ready: %d", code)
	}
	other.Close()
	ts.restore()
	goodMessage(t, ts)

	// Its folder too may go and come back.
	dir := filepath.Dir(ts.path)
	if err := os.Rename(dir, dir+".away"); err != nil {
		t.Fatal(err)
	}
	ts.restore()
	if err := os.Mkdir(dir, 0o700); err != nil {
		t.Fatal(err)
	}
	ts.restore()
	goodMessage(t, ts)
}
