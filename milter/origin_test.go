package milter

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/bounce-milter/bounce-milter/classify/origin"
)

// keyFile writes a file with a new key, and returns its path.
func keyFile(t testing.TB) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "ticket.keys")
	if err := os.WriteFile(path, []byte(origin.GenerateKey(time.Now())+"\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

// A key file that breaks leaves the old keys and the old configuration in force; one that
// is mended is read again.
func TestReloadKeys(t *testing.T) {
	path := keyFile(t)
	ts := start(t, func(c *Config) { c.Origin.Domains, c.Origin.KeyFile = []string{"example.org"}, path })
	before := ts.state.Load()
	good, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	for _, bad := range []string{"", "a short\n", string(good) + "what is this\n"} {
		if err := os.WriteFile(path, []byte(bad), 0o600); err != nil {
			t.Fatal(err)
		}
		cfg := before.cfg
		cfg.HeaderPrefix = "X-Other-"
		if err := ts.Reload(cfg, ts.rules()); err == nil || !strings.Contains(err.Error(), "origin.key_file: the key file "+path) {
			t.Errorf("%q: %v", bad, err)
		}
		if ts.state.Load() != before {
			t.Errorf("%q: another state is in force", bad)
		}
	}
	more := string(good) + origin.GenerateKey(time.Now()) + "\n"
	if err := os.WriteFile(path, []byte(more), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := ts.Reload(before.cfg, ts.rules()); err != nil {
		t.Fatal(err)
	}
	if ids := ts.state.Load().origin.Keys.IDs(); len(ids) != 2 {
		t.Errorf("keys %q", ids)
	}
}
