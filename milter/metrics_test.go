package milter

import (
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/bounce-milter/bounce-milter/classify"
	"github.com/bounce-milter/bounce-milter/classify/dsn"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil"
)

func newTestServer(t *testing.T) (*Server, *prometheus.Registry) {
	t.Helper()
	reg := prometheus.NewRegistry()
	m := NewMetrics(reg, Build{Version: "1.2.3", Revision: "abcdef"})
	s, err := New(testConfig(t), Rules{Inspector: &fakeInspector{}, Labels: testLabels, Version: "r1"}, m, slog.New(slog.DiscardHandler), nil)
	if err != nil {
		t.Fatal(err)
	}
	return s, reg
}

func get(t *testing.T, h http.Handler, path string) (int, string) {
	t.Helper()
	w := httptest.NewRecorder()
	h.ServeHTTP(w, httptest.NewRequest("GET", path, nil))
	body, err := io.ReadAll(w.Result().Body)
	if err != nil {
		t.Fatal(err)
	}
	return w.Code, string(body)
}

// TestSeriesExistFromTheStart names one series of every metric of the
// contract, and a few that an alert would.
func TestSeriesExistFromTheStart(t *testing.T) {
	s, reg := newTestServer(t)
	problems, err := testutil.GatherAndLint(reg)
	if err != nil {
		t.Fatal(err)
	}
	for _, p := range problems {
		t.Errorf("%s: %s", p.Metric, p.Text)
	}
	_, body := get(t, s.Handler(), "/metrics")
	want := []string{
		`bounce_milter_inspect_duration_seconds_count 0`,
		`bounce_milter_origin_total{origin="ours"} 0`, `bounce_milter_origin_total{origin="foreign"} 0`, `bounce_milter_origin_total{origin="unproven"} 0`,
		`bounce_milter_forged_headers_total 0`,
		`bounce_milter_sessions 0`,
		`bounce_milter_sessions_total 0`,
		`bounce_milter_config_last_reload_successful 1`,
		`bounce_milter_config_reloads_total{result="done"} 0`,
		`bounce_milter_config_reloads_total{result="refused"} 0`,
		`bounce_milter_message_memory_bytes 0`,
	}
	for _, k := range dsn.Kinds() {
		want = append(want, fmt.Sprintf("bounce_milter_messages_total{kind=%q} 0", k))
	}
	for _, stage := range stages {
		want = append(want, fmt.Sprintf("bounce_milter_errors_total{stage=%q} 0", stage))
	}
	for _, r := range refusals {
		want = append(want, fmt.Sprintf("bounce_milter_sessions_refused_total{reason=%q} 0", r))
	}
	for _, r := range cuts {
		want = append(want, fmt.Sprintf("bounce_milter_messages_truncated_total{reason=%q} 0", r))
	}
	for _, c := range classify.Categories() {
		want = append(want, fmt.Sprintf(`bounce_milter_bounces_total{action="failed",category=%q,provider="other",type="block"} 0`, c),
			fmt.Sprintf(`bounce_milter_bounces_total{action="delayed",category=%q,provider="other",type="soft"} 0`, c))
	}
	for _, line := range want {
		if !strings.Contains(body, "\n"+line+"\n") {
			t.Errorf("missing: %s", line)
		}
	}
	for _, line := range []string{
		`bounce_milter_build_info{goversion="go`, `",revision="abcdef",ruleset="r1",version="1.2.3"} 1`,
		"bounce_milter_config_last_reload_success_timestamp_seconds 1", "go_goroutines ", "process_resident_memory_bytes ",
	} {
		if !strings.Contains(body, line) {
			t.Errorf("missing: %s", line)
		}
	}
}

// TestLabelsStayBounded gives verdicts with words that no rule knows.
func TestLabelsStayBounded(t *testing.T) {
	s, reg := newTestServer(t)
	before := seriesOf(t, reg)
	res := bounce("u@example.com")
	for i := range 100 {
		r := &res.Recipients[0]
		r.Provider, r.Reason, r.Rule = fmt.Sprint("p", i), fmt.Sprint("r", i), fmt.Sprint("rule", i)
		r.Category, r.Type = classify.Category(fmt.Sprint("c", i)), classify.Type(fmt.Sprint("t", i))
		res.Shadowed = []string{fmt.Sprint("s", i), "shadow-rule"}
		s.metrics.result(&res, "", nil)
	}
	wantSeries(t, before, seriesOf(t, reg), map[string]int{
		"bounce_milter_bounce_reasons_total": 1, // unknown
		"bounce_milter_rule_matches_total":   1, // shadow-rule
	})
	if n := testutil.ToFloat64(s.metrics.bounces.WithLabelValues("unclassified", "soft", "failed", "other")); n != 100 {
		t.Errorf("%v counted as other", n)
	}
	if n := testutil.ToFloat64(s.metrics.rules.WithLabelValues("shadow-rule")); n != 100 {
		t.Errorf("shadow rule counted %v times", n)
	}
}

func TestResultIsCounted(t *testing.T) {
	s, _ := newTestServer(t)
	res := bounce("a@example.com", "b@example.com", "c@example.com")
	res.Recipients[1].Action, res.Recipients[1].Type = dsn.ActionDelayed, classify.Soft
	res.Recipients[2].Action = dsn.ActionDelivered
	s.metrics.result(&res, "", nil)
	for _, tt := range []struct {
		got  prometheus.Counter
		want float64
	}{
		{s.metrics.bounces.WithLabelValues("invalid-address", "hard", "failed", "google"), 1},
		{s.metrics.bounces.WithLabelValues("invalid-address", "soft", "delayed", "google"), 1},
		{s.metrics.reasons.WithLabelValues("unknown-recipient"), 2},
		{s.metrics.rules.WithLabelValues("google-no-such-user"), 2},
	} {
		if got := testutil.ToFloat64(tt.got); got != tt.want {
			t.Errorf("%v = %v, want %v", tt.got.Desc(), got, tt.want)
		}
	}
}

func TestPages(t *testing.T) {
	s, _ := newTestServer(t)
	h := s.Handler()
	if code, body := get(t, h, "/-/ready"); code != http.StatusServiceUnavailable {
		t.Errorf("/-/ready before serving: %d %s", code, body)
	}
	s.serving.Store(true)
	if code, body := get(t, h, "/-/ready"); code != 200 || body != "ready\n" {
		t.Errorf("/-/ready while serving: %d %s", code, body)
	}
	s.metrics.setBuild(Build{Version: "1.2.3<script>alert(1)</script>", Revision: "abcdef"})
	res := bounce("u@example.com")
	s.metrics.result(&res, "", nil)
	s.metrics.failed(stageTimeout)
	code, body := get(t, h, "/")
	for _, want := range []string{"1.2.3", "abcdef", "reason-unknown-recipient", ">google<", "1 error in the last hour", "Ready for mail"} {
		if code != 200 || !strings.Contains(body, want) {
			t.Errorf("/: %d, %q is missing in %s", code, want, body)
		}
	}
	if strings.Contains(body, "<script>") {
		t.Error("the page does not escape")
	}
	if code, body := get(t, h, "/api/v1/summary"); code != 200 || !strings.Contains(body, `"invalid-address": 1`) {
		t.Errorf("/api/v1/summary: %d %s", code, body)
	}
	if code, body := get(t, h, "/page/style.css"); code != 200 || !strings.Contains(body, "color-scheme") {
		t.Errorf("/page/style.css: %d", code)
	}
	for _, path := range []string{"/debug/pprof/", "/nothing", "/metrics/x"} {
		if code, _ := get(t, h, path); code != http.StatusNotFound {
			t.Errorf("%s: %d", path, code)
		}
	}
	w := httptest.NewRecorder()
	h.ServeHTTP(w, httptest.NewRequest("POST", "/metrics", nil))
	if w.Code != http.StatusMethodNotAllowed {
		t.Errorf("POST: %d", w.Code)
	}
}

func TestMetricsAreServed(t *testing.T) {
	ts := start(t, func(c *Config) { c.Metrics = Socket{"tcp", "127.0.0.1:0"} })
	goodMessage(t, ts)
	at := "http://" + ts.MetricsAddrs()[0].String()
	resp, err := http.Get(at + "/metrics")
	if err != nil {
		t.Fatal(err)
	}
	body, _ := io.ReadAll(resp.Body)
	resp.Body.Close()
	if !strings.Contains(string(body), `bounce_milter_messages_total{kind="dsn"} 1`) {
		t.Errorf("metrics: %s", body)
	}
	// A reload moves them, another takes them away.
	cfg := ts.state.Load().cfg
	cfg.Metrics = Socket{"tcp4", "127.0.0.1:0"}
	if err := ts.Reload(cfg, ts.rules()); err != nil {
		t.Fatal(err)
	}
	http.DefaultClient.CloseIdleConnections()
	if _, err := http.Get(at + "/-/ready"); err == nil {
		t.Error("the old address is still served")
	}
	resp, err = http.Get("http://" + ts.MetricsAddrs()[0].String() + "/-/ready")
	if err != nil {
		t.Fatal(err)
	}
	resp.Body.Close()
	cfg.Metrics = Socket{}
	if err := ts.Reload(cfg, ts.rules()); err != nil || len(ts.MetricsAddrs()) != 0 {
		t.Errorf("%v, still at %v", err, ts.MetricsAddrs())
	}
	http.DefaultClient.CloseIdleConnections()
	goodMessage(t, ts)
}
