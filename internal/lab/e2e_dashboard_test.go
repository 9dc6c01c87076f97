//go:build e2e

package lab_test

import (
	"fmt"
	"math"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/bounce-milter/bounce-milter/internal/lab"
	"github.com/bounce-milter/bounce-milter/internal/lab/mixin"
)

// Every query of the dashboard returns data of two daemons that see bounces and of a log
// that is followed, and every rule can be computed.
func TestDashboardQueries(t *testing.T) {
	t.Parallel()
	l, err := lab.New()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(l.Close)
	log := mailLog(t, l)
	targets := []string{busyDaemon(t, l, "mx1").Metrics, busyDaemon(t, l, "mx2").Metrics, follow(t, l, log)}
	p := watch(t, l, targets, postfixExporter(t, l, log))

	root, err := lab.ModuleRoot()
	if err != nil {
		t.Fatal(err)
	}
	board, err := mixin.Dashboard(root)
	if err != nil {
		t.Fatal(err)
	}
	queries, err := mixin.Queries(board)
	if err != nil {
		t.Fatal(err)
	}
	documented := shown(t, root, "docs/prometheus.md")
	values := map[string]string{"job": "bounce-milter", "instance": ".*", "provider": ".*", "category": ".*"}
	waiting := map[string]string{} // query: who asks
	for _, q := range queries {
		expr, err := q.With(values)
		if err != nil {
			t.Fatal(err)
		}
		waiting[expr] = q.Where
	}
	for _, expr := range comes() {
		waiting[expr] = "the mail"
	}
	for _, expr := range documented {
		// Newer exporters alone have the other counter.
		if !strings.Contains(expr, "postfix_smtp_messages_processed_total") {
			waiting[expr] = "docs/prometheus.md"
		}
	}
	err = lab.Until("data for each query", func() (bool, error) {
		for expr := range waiting {
			got, err := p.Query(expr, time.Time{})
			if err != nil {
				return false, err
			}
			for _, s := range got {
				if !math.IsNaN(s.Value) {
					delete(waiting, expr)
				}
			}
		}
		return len(waiting) == 0, nil
	})
	if err != nil {
		t.Errorf("%v", err)
		for expr, where := range waiting {
			t.Errorf("%s has no data: %s", where, expr)
		}
	}
	healthy(t, p)
	agree(t, p, queries, values)
	traced(t, p)
	// What other pages show may have no answer now, but it is a question.
	for _, page := range []string{"docs/metrics.md", "docs/runbooks.md"} {
		for _, expr := range shown(t, root, page) {
			if _, err := p.Query(expr, time.Time{}); err != nil {
				t.Errorf("%s: %v", page, err)
			}
		}
	}
	for _, target := range targets {
		lint(t, target)
	}
}

// shown lists the queries on a page: those in code, and those in tables of questions.
func shown(t *testing.T, root, page string) (list []string) {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(root, page))
	if err != nil {
		t.Fatal(err)
	}
	for _, m := range regexp.MustCompile("(?s)```promql\n *(.*?)\n *```").FindAllSubmatch(text, -1) {
		list = append(list, string(m[1]))
	}
	for _, table := range strings.Split(string(text), "| question | query |\n")[1:] {
		rows, _, _ := strings.Cut(table, "\n\n")
		for _, row := range strings.Split(rows, "\n")[1:] {
			_, query, _ := strings.Cut(row, " | ")
			for _, m := range regexp.MustCompile("`([^`]+)`").FindAllStringSubmatch(query, -1) {
				list = append(list, strings.ReplaceAll(m[1], `\|`, "|"))
			}
		}
	}
	if len(list) < 5 {
		t.Errorf("%s shows %d queries", page, len(list))
	}
	return list
}

// traced waits for the queue id of a message that a graph of bounces can lead to.
func traced(t *testing.T, p *lab.Prometheus) {
	t.Helper()
	err := lab.Until("an exemplar", func() (bool, error) {
		ids, err := p.Exemplars(`bounce_milter_bounces_total`, "queue_id")
		for _, id := range ids {
			if !strings.HasPrefix(id, "4B") {
				return false, lab.Never(fmt.Errorf("there is no message %q", id))
			}
		}
		return len(ids) > 0, err
	})
	if err != nil {
		t.Error(err)
	}
}

// lint gives what a daemon serves to promtool check metrics.
func lint(t *testing.T, target string) {
	t.Helper()
	resp, err := http.Get("http://" + target + "/metrics")
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	cmd := exec.Command("promtool", "check", "metrics")
	cmd.Stdin = resp.Body
	if out, err := cmd.CombinedOutput(); err != nil || len(out) > 0 {
		t.Errorf("promtool check metrics: %v\n%s", err, out)
	}
}

// watch starts a Prometheus with the files that we ship, on a clock that is sixty times
// faster: a day is not to be waited for.
func watch(t *testing.T, l *lab.Lab, targets []string, postfix string) *lab.Prometheus {
	t.Helper()
	root, err := lab.ModuleRoot()
	if err != nil {
		t.Fatal(err)
	}
	read := func(file string, faster ...string) string {
		data, err := os.ReadFile(filepath.Join(root, file))
		if err != nil {
			t.Fatal(err)
		}
		for i := 0; i < len(faster); i += 2 {
			if !strings.Contains(string(data), faster[i]) {
				t.Fatalf("%s has no %q", file, faster[i])
			}
		}
		return strings.NewReplacer(faster...).Replace(string(data))
	}
	config := "global: {scrape_interval: 500ms, scrape_timeout: 500ms}\n" +
		read(mixin.Folder+"/scrape.yml", `"127.0.0.1:9894"`, `"`+targets[0]+`", "`+targets[1]+`"`, `"127.0.0.1:9895"`, `"`+targets[2]+`"`) +
		"  - job_name: postfix\n    static_configs: [{targets: [\"" + postfix + "\"]}]\n"
	p, err := l.StartPrometheus("prometheus", config, map[string]string{
		filepath.Base(mixin.RecordingFile): read(mixin.RecordingFile, "interval: 1m", "interval: 1s", " 60 * ", " 1 * ", "offset 6h", "offset 2s"),
		filepath.Base(mixin.AlertFile):     read(mixin.AlertFile, "interval: 1m", "interval: 1s"),
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if t.Failed() {
			t.Logf("log of prometheus:\n%s", p.Log())
		}
	})
	return p
}

// healthy waits until each rule was computed, without an error.
func healthy(t *testing.T, p *lab.Prometheus) {
	t.Helper()
	err := lab.Until("each rule to be computed", func() (bool, error) {
		rules, err := p.Rules()
		if err != nil {
			return false, err
		}
		if len(rules) < 40 {
			return false, lab.Never(fmt.Errorf("there are %d rules", len(rules)))
		}
		for _, r := range rules {
			if r.Health == "unknown" {
				return false, nil
			}
			if r.Health != "ok" {
				return false, lab.Never(fmt.Errorf("%s: %s", r.Name, r.LastError))
			}
		}
		return true, nil
	})
	if err != nil {
		t.Error(err)
	}
}

// agree holds a panel that reads what the daemons serve to the sums that the rules record.
func agree(t *testing.T, p *lab.Prometheus, queries []mixin.Query, values map[string]string) {
	t.Helper()
	compared := 0
	for _, q := range queries {
		record, ok := map[string]string{
			"panel Bounces by category": "60 * job_category:bounce_milter_bounces:rate5m",
			"panel Bounces by type":     "60 * sum by (type) (job_action_category_provider_type:bounce_milter_bounces:rate5m)",
		}[q.Where]
		if !ok {
			continue
		}
		expr, err := q.With(values)
		if err != nil {
			t.Fatal(err)
		}
		// A scrape may have come between the two.
		err = lab.Until(q.Where+" and what is recorded to agree", func() (bool, error) {
			err := differ(p, expr, record)
			return err == nil, err
		})
		if err != nil {
			t.Error(err)
		}
		compared++
	}
	if compared != 2 {
		t.Errorf("%d panels were compared", compared)
	}
}

// differ compares the answers to two queries at the moment at which sums were recorded last.
func differ(p *lab.Prometheus, panel, record string) error {
	last, err := p.Query("max(timestamp(job_category:bounce_milter_bounces:rate5m))", time.Time{})
	if err != nil || len(last) != 1 {
		return fmt.Errorf("when were the sums recorded? %v, %v", last, err)
	}
	at := time.UnixMilli(int64(last[0].Value * 1000))
	shown, err := p.Query(panel, at)
	if err != nil {
		return err
	}
	recorded, err := p.Query(record, at)
	if err != nil {
		return err
	}
	key := func(s lab.Sample) string { return s.Labels["category"] + s.Labels["type"] }
	want := map[string]float64{}
	for _, s := range recorded {
		want[key(s)] = s.Value
	}
	if len(shown) != len(want) {
		return fmt.Errorf("it has %d series, recorded are %d", len(shown), len(want))
	}
	for _, s := range shown {
		if math.Abs(s.Value-want[key(s)]) > 0.2*want[key(s)]+1e-9 {
			return fmt.Errorf("%s is %v, recorded is %v", key(s), s.Value, want[key(s)])
		}
	}
	return nil
}
