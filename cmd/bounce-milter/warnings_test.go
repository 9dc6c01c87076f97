package main

import (
	"bytes"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/bounce-milter/bounce-milter/classify"
	"github.com/bounce-milter/bounce-milter/config"
)

// If a rule replaces a built-in one without saying so, this is logged at every start.
func TestLogReplacedRule(t *testing.T) {
	dir := t.TempDir()
	file := filepath.Join(dir, "mine.toml")
	rule := "[[rule]]\nid = \"google-over-quota\"\nreason = \"mailbox-full\"\nany = [\"the goblin is full\"]\nexamples = [\"550 the goblin is full\"]\n"
	for _, tt := range []struct {
		more string
		want bool
	}{{"", true}, {"replaces = true\n", false}} {
		if err := os.WriteFile(file, []byte(rule+tt.more), 0o600); err != nil {
			t.Fatal(err)
		}
		engine, err := classify.New(classify.Options{RulesDir: dir})
		if err != nil {
			t.Fatal(err)
		}
		cfg := config.Default()
		var b bytes.Buffer
		logWarnings(slog.New(slog.NewTextHandler(&b, nil)), cfg, engine)
		got := strings.Contains(b.String(), `rule \"google-over-quota\" replaces the built-in rule`) &&
			strings.Contains(b.String(), "file="+file+" line=1")
		if got != tt.want {
			t.Errorf("with %q: %s", tt.more, b.String())
		}
	}
}
