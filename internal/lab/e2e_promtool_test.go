//go:build e2e

package lab

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/bounce-milter/bounce-milter/internal/lab/mixin"
)

// Debian's promtool accepts the rules and the alerts, and each alert fires when it should and
// not otherwise.
func TestPrometheusRules(t *testing.T) {
	t.Parallel()
	root, err := ModuleRoot()
	if err != nil {
		t.Fatal(err)
	}
	files := filepath.Join(root, mixin.Folder)
	promtool(t, true, "check", "rules", "--lint-fatal", filepath.Join(root, mixin.RecordingFile), filepath.Join(root, mixin.AlertFile))
	promtool(t, true, "check", "config", filepath.Join(files, "scrape.yml"))

	for i, config := range configurations(t, filepath.Join(root, "docs", "prometheus.md")) {
		dir := t.TempDir()
		for _, file := range []string{"mail-ca.pem", "mail-password"} {
			if err := os.WriteFile(filepath.Join(dir, file), nil, 0o600); err != nil {
				t.Fatal(err)
			}
		}
		file := filepath.Join(dir, fmt.Sprintf("%d.yml", i))
		if err := os.WriteFile(file, []byte(strings.ReplaceAll(config, "/etc/prometheus", dir)), 0o600); err != nil {
			t.Fatal(err)
		}
		promtool(t, true, "check", "config", file)
	}

	cases, err := filepath.Glob(filepath.Join(root, mixin.CasesFolder, "*.yml"))
	if err != nil || len(cases) == 0 {
		t.Fatalf("there are no cases: %v", err)
	}
	for _, file := range cases {
		t.Run(filepath.Base(file), func(t *testing.T) {
			t.Parallel()
			promtool(t, true, "test", "rules", file)
		})
	}

	// Cases are worth something only if they fail when an alert is wrong.
	for name, change := range map[string][2]string{
		"fires too late":   {"bounce_milter_events_oldest_seconds > 900", "bounce_milter_events_oldest_seconds > 9000"},
		"fires too early":  {"bounce_milter_events_oldest_seconds > 900", "bounce_milter_events_oldest_seconds > 90"},
		"waits too long":   {"for: 30m", "for: 90m"},
		"wakes nobody":     {"labels: {severity: critical}\n        annotations:\n          summary: \"bounce-milter on {{ $labels.instance }} loses", "labels: {severity: info}\n        annotations:\n          summary: \"bounce-milter on {{ $labels.instance }} loses"},
		"is another alert": {"alert: BounceMilterEventsParked", "alert: BounceMilterEventsKept"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			dir := t.TempDir()
			alerts, err := os.ReadFile(filepath.Join(root, mixin.AlertFile))
			if err != nil {
				t.Fatal(err)
			}
			if strings.Count(string(alerts), change[0]) != 1 {
				t.Fatalf("%q is not in the alerts once", change[0])
			}
			write := func(name, text string) {
				if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o644); err != nil {
					t.Fatal(err)
				}
			}
			write("alerts.yml", strings.Replace(string(alerts), change[0], change[1], 1))
			text, err := os.ReadFile(filepath.Join(root, mixin.CasesFolder, "events.yml"))
			if err != nil {
				t.Fatal(err)
			}
			head, body, ok := strings.Cut(string(text), "evaluation_interval:")
			if !ok || !strings.Contains(head, "rule_files:") {
				t.Fatal("events.yml begins otherwise")
			}
			write("events.yml", "rule_files: [alerts.yml]\nevaluation_interval:"+body)
			promtool(t, false, "test", "rules", filepath.Join(dir, "events.yml"))
		})
	}
}

// configurations lists what a page shows for the configuration of Prometheus.
func configurations(t *testing.T, page string) (list []string) {
	t.Helper()
	text, err := os.ReadFile(page)
	if err != nil {
		t.Fatal(err)
	}
	for _, block := range strings.Split(string(text), "```yaml\n")[1:] {
		block, _, _ = strings.Cut(block, "```")
		if strings.HasPrefix(block, "  - job_name:") {
			block = "scrape_configs:\n" + block
		}
		if strings.HasPrefix(block, "scrape_configs:") {
			list = append(list, block)
		}
	}
	if len(list) != 2 {
		t.Errorf("%s shows %d configurations", page, len(list))
	}
	return list
}

// promtool runs promtool, which must accept what it is given, or find a fault in it.
func promtool(t *testing.T, accepts bool, args ...string) {
	t.Helper()
	out, err := exec.Command("promtool", args...).CombinedOutput()
	if _, refused := err.(*exec.ExitError); err != nil && !refused {
		t.Fatal(err)
	}
	if accepts != (err == nil) {
		t.Errorf("promtool %s: %v\n%s", strings.Join(args, " "), err, out)
	}
	if !accepts && !strings.Contains(string(out), "FAILED:") {
		t.Errorf("promtool %s did not run the cases:\n%s", strings.Join(args, " "), out)
	}
}
