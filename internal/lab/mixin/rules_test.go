package mixin

import (
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
)

const root = "../../.."

func rules(t *testing.T, file string) []Rule {
	t.Helper()
	all, err := Rules(root, file)
	if err != nil {
		t.Fatal(err)
	}
	if len(all) < 15 {
		t.Fatalf("%s has %d rules", file, len(all))
	}
	return all
}

// The name of a recording rule says which labels are left, and of what. Each is read by
// an alert, by another rule or by a person.
func TestRecordingRules(t *testing.T) {
	docs := read(t, "docs/prometheus.md")
	level := regexp.MustCompile(`^(job(?:_[a-z]+)*):(bounce_milter_\w+):(rate5m|increase\d+[hdw](?:_avg1d)?|ratio\d+[hdw](?:_avg1d)?)$`)
	by := regexp.MustCompile(`^(?:60 \* )?sum by \(([a-z, ]+)\)`)
	seen := map[string]bool{}
	text := docs
	for _, file := range []string{RecordingFile, AlertFile} {
		for _, r := range rules(t, file) {
			text += r.Expr + "\n"
		}
	}
	for _, r := range rules(t, RecordingFile) {
		name := level.FindStringSubmatch(r.Record)
		if name == nil {
			t.Errorf("%s is not named as level:metric:operations", r.Record)
			continue
		}
		if seen[r.Record] {
			t.Errorf("%s is there twice", r.Record)
		}
		for _, other := range Recorded(r.Expr) {
			if !seen[other] {
				t.Errorf("%s reads %s, which is recorded later or never", r.Record, other)
			}
		}
		seen[r.Record] = true
		if m := by.FindStringSubmatch(r.Expr); m != nil && strings.ReplaceAll(m[1], ", ", "_") != name[1] {
			t.Errorf("%s keeps the labels %s", r.Record, m[1])
		}
		if !slices.Contains(Recorded(text), r.Record) {
			t.Errorf("nobody reads %s", r.Record)
		}
	}
	for _, name := range Recorded(text) {
		if !seen[name] {
			t.Errorf("%s is read and not recorded", name)
		}
	}
}

// The factor 60 in a rule is the interval of its group.
func TestIntervals(t *testing.T) {
	for _, file := range []string{RecordingFile, AlertFile} {
		groups, err := Groups(root, file)
		if err != nil {
			t.Fatal(err)
		}
		for _, g := range groups {
			if g.Interval != "1m" {
				t.Errorf("%s runs every %s", g.Name, g.Interval)
			}
			for _, r := range g.Rules {
				if sums := strings.HasPrefix(r.Expr, "60 * "); sums && !strings.Contains(r.Expr, "sum_over_time(") {
					t.Errorf("%s%s multiplies what is no sum of samples", r.Record, r.Alert)
				}
			}
		}
	}
}

// Each alert says what it means and where to read more, and has cases in which it fires
// and in which it does not.
func TestAlerts(t *testing.T) {
	cases, err := Cases(root)
	if err != nil {
		t.Fatal(err)
	}
	fires, silent := map[string]bool{}, map[string]bool{}
	for _, c := range cases {
		if len(c.Fires) > 0 {
			fires[c.Alert] = true
		} else {
			silent[c.Alert] = true
		}
	}
	severities := []string{"critical", "warning", "info"}
	var names []string
	for _, r := range rules(t, AlertFile) {
		if !strings.HasPrefix(r.Alert, "BounceMilter") || slices.Contains(names, r.Alert) {
			t.Errorf("alert %q has another's name", r.Alert)
		}
		names = append(names, r.Alert)
		if !slices.Contains(severities, r.Labels["severity"]) || len(r.Labels) != 1 {
			t.Errorf("%s has the labels %v", r.Alert, r.Labels)
		}
		if len(r.Annotations) != 3 || r.Annotations["summary"] == "" || len(r.Annotations["description"]) < 40 {
			t.Errorf("%s says %v", r.Alert, r.Annotations)
		}
		if want := "https://github.com/bounce-milter/bounce-milter/blob/main/docs/runbooks.md#" + strings.ToLower(r.Alert); r.Annotations["runbook_url"] != want {
			t.Errorf("%s has the runbook %s, want %s", r.Alert, r.Annotations["runbook_url"], want)
		}
		if !fires[r.Alert] || !silent[r.Alert] {
			t.Errorf("%s has cases in which it fires: %v; in which it does not: %v", r.Alert, fires[r.Alert], silent[r.Alert])
		}
	}
	for name := range fires {
		if !slices.Contains(names, name) {
			t.Errorf("there are cases for %s, which is no alert", name)
		}
	}

	page := read(t, "docs/runbooks.md")
	var headings []string
	for _, m := range regexp.MustCompile(`(?m)^### (.*)$`).FindAllStringSubmatch(page, -1) {
		headings = append(headings, m[1])
	}
	if !slices.Equal(headings, names) {
		t.Errorf("docs/runbooks.md is about\n%s\nthe alerts are\n%s", strings.Join(headings, "\n"), strings.Join(names, "\n"))
	}
	for _, m := range regexp.MustCompile(`\]\(#([^)]*)\)`).FindAllStringSubmatch(page, -1) {
		if !slices.ContainsFunc(names, func(n string) bool { return strings.ToLower(n) == m[1] }) {
			t.Errorf("docs/runbooks.md links to #%s, which is not there", m[1])
		}
	}
}

func read(t *testing.T, file string) string {
	t.Helper()
	data, err := os.ReadFile(filepath.Join(root, file))
	if err != nil {
		t.Fatal(err)
	}
	return string(data)
}
