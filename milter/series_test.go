package milter

import (
	"fmt"
	"log/slog"
	"net/http/httptest"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/bounce-milter/bounce-milter/classify"
	"github.com/bounce-milter/bounce-milter/classify/dsn"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil"
	dto "github.com/prometheus/client_model/go"
)

// seriesOf counts the series that a scrape gets, by metric.
func seriesOf(t *testing.T, reg prometheus.Gatherer) map[string]int {
	t.Helper()
	families, err := reg.Gather()
	if err != nil {
		t.Fatal(err)
	}
	n := map[string]int{}
	for _, f := range families {
		for _, m := range f.GetMetric() {
			n[f.GetName()]++
			if h := m.GetHistogram(); h != nil {
				n[f.GetName()] += len(h.GetBucket()) + 2 // +Inf, the sum; the count is counted already
			}
			if s := m.GetSummary(); s != nil {
				n[f.GetName()] += len(s.GetQuantile()) + 1
			}
		}
	}
	return n
}

func total(n map[string]int) (sum int) {
	for _, v := range n {
		sum += v
	}
	return sum
}

// wantSeries compares what there is more of after something happened.
func wantSeries(t *testing.T, before, after, more map[string]int) {
	t.Helper()
	for name, n := range after {
		if strings.HasPrefix(name, "bounce_milter_") && n-before[name] != more[name] {
			t.Errorf("%s: %d more series, want %d", name, n-before[name], more[name])
		}
	}
}

// realLabels are those of the built-in rules.
func realLabels(t testing.TB) (*classify.Engine, Labels) {
	t.Helper()
	engine, err := classify.New(classify.Options{})
	if err != nil {
		t.Fatal(err)
	}
	l := Labels{Providers: engine.Providers(), Rules: engine.RuleIDs(), Verdicts: engine.Verdicts()}
	for _, r := range engine.Reasons() {
		l.Reasons = append(l.Reasons, r.ID)
	}
	return engine, l
}

// TestSeriesAreFew counts the series of an idle daemon with the built-in rules, and what
// bounces add.
func TestSeriesAreFew(t *testing.T) {
	engine, labels := realLabels(t)
	reg := prometheus.NewRegistry()
	s, err := New(testConfig(t), Rules{Inspector: engine, Labels: labels}, NewMetrics(reg, Build{}), slog.New(slog.DiscardHandler), nil)
	if err != nil {
		t.Fatal(err)
	}
	idle := seriesOf(t, reg)
	t.Logf("idle: %d series", total(idle))
	if n := total(idle); n > 200 { // with sinks, at most 300
		t.Errorf("an idle daemon has %d series", n)
	}
	for _, name := range []string{"bounce_milter_bounce_reasons_total", "bounce_milter_rule_matches_total"} {
		if idle[name] > 0 {
			t.Errorf("an idle daemon has %s", name)
		}
	}

	res := bounce("u@example.com")
	res.Recipients[0].Rule = labels.Rules[0]
	s.metrics.result(&res, "", nil)
	first := seriesOf(t, reg)
	t.Logf("after a provider's first bounce: %d series", total(first))
	provider := idle["bounce_milter_bounces_total"]
	wantSeries(t, idle, first, map[string]int{
		"bounce_milter_bounces_total":        provider,
		"bounce_milter_bounce_reasons_total": 1,
		"bounce_milter_rule_matches_total":   1,
	})
	// Every verdict that there can be has its series by then.
	for _, v := range labels.Verdicts {
		r := &res.Recipients[0]
		r.Category, r.Type, r.Action = v.Category, v.Type, dsn.ActionFailed
		s.metrics.result(&res, "", nil)
		r.Type, r.Action = classify.Soft, dsn.ActionDelayed
		s.metrics.result(&res, "", nil)
	}
	wantSeries(t, first, seriesOf(t, reg), nil)
}

func useRules(t *testing.T, s *Server, cfg Config, rules Rules) {
	t.Helper()
	st, err := newState(cfg, rules)
	if err != nil {
		t.Fatal(err)
	}
	s.use(st)
}

// TestSeriesFollowTheRules reloads other rules: what both know keeps its counts, what only
// the old ones knew goes, and a provider that was seen shows what can occur now.
func TestSeriesFollowTheRules(t *testing.T) {
	s, reg := newTestServer(t)
	res := bounce("u@example.com")
	res.Recipients = append(res.Recipients, res.Recipients[0])
	res.Recipients[1].Provider, res.Recipients[1].Rule, res.Recipients[1].Reason = "microsoft", "shadow-rule", "mailbox-full"
	s.metrics.result(&res, "", nil)
	st := s.state.Load()
	cfg, rules := st.cfg, st.rules
	rules.Labels = Labels{
		Reasons: []string{"unknown-recipient"}, Providers: []string{"google"}, Rules: []string{"google-no-such-user"},
		Verdicts: []classify.Verdict{{Category: classify.InvalidAddress, Type: classify.Hard}},
	}
	useRules(t, s, cfg, rules)
	for metric, want := range map[string]string{
		"bounce_milter_bounce_reasons_total": `reason="unknown-recipient"`,
		"bounce_milter_rule_matches_total":   `rule="google-no-such-user"`,
	} {
		got, err := testutil.GatherAndCount(reg, metric)
		if err != nil || got != 1 {
			t.Errorf("%s: %d series, want that of %s: %v", metric, got, want, err)
		}
	}
	if n := testutil.ToFloat64(s.metrics.bounces.WithLabelValues("invalid-address", "hard", "failed", "google")); n != 1 {
		t.Errorf("a count became %v", n)
	}
	if _, body := get(t, s.Handler(), "/metrics"); strings.Contains(body, "microsoft") {
		t.Error("a provider stays that no rule knows")
	}

	cfg.RuleMatches = false
	useRules(t, s, cfg, rules)
	s.metrics.result(&res, "", nil)
	if n, err := testutil.GatherAndCount(reg, "bounce_milter_rule_matches_total"); n != 0 || err != nil {
		t.Errorf("%d series of rules, which are turned off: %v", n, err)
	}
}

// TestExemplars sends messages with queue ids of every form.
func TestExemplars(t *testing.T) {
	for _, tt := range []struct{ id, want string }{
		{"4XYZ12345", "4XYZ12345"},
		{"5AN0b2Fo012345", "5AN0b2Fo012345"},
		{"1tUVwX-0000000AbCd-2fGh", "1tUVwX-0000000AbCd-2fGh"},
		{"", ""},
		{`4XYZ"} 1 # {`, ""},
		{"4X\nYZ", ""},
		{"4XÿYZ", ""},
		{strings.Repeat("4", 65), ""},
	} {
		t.Run(tt.id, func(t *testing.T) {
			ts := start(t, nil)
			c := newClient(t, ts.dial(t), offerAll)
			c.expect('c', connectFrame("192.0.2.1"))
			c.send(frame('D', "Mi\x00"+tt.id+"\x00"))
			c.message("", "Content-Type: multipart/report", "", "x")
			families, err := ts.metrics.registry.Gather()
			if err != nil {
				t.Fatal(err)
			}
			got := map[string]string{}
			for _, f := range families {
				for _, m := range f.GetMetric() {
					for _, b := range m.GetHistogram().GetBucket() {
						noteExemplar(got, f.GetName(), b.GetExemplar())
					}
					noteExemplar(got, f.GetName(), m.GetCounter().GetExemplar())
				}
			}
			want := map[string]string{}
			if tt.want != "" {
				want = map[string]string{"bounce_milter_bounces_total": tt.want, "bounce_milter_inspect_duration_seconds": tt.want}
			}
			if fmt.Sprint(got) != fmt.Sprint(want) {
				t.Errorf("exemplars %v, want %v", got, want)
			}
		})
	}
}

// Scrapers get the format that they ask for; exemplars are in those that have them.
func TestFormats(t *testing.T) {
	ts := start(t, nil)
	c := newClient(t, ts.dial(t), offerAll)
	c.expect('c', connectFrame("192.0.2.1"))
	c.send(frame('D', "Mi\x004XYZ12345\x00"))
	c.message("", "Content-Type: multipart/report", "", "x")
	for _, tt := range []struct{ accept, contentType, want, not string }{
		{"", "text/plain; version=0.0.4", "\nbounce_milter_messages_total{kind=\"dsn\"} 1\n", "queue_id"},
		{"application/openmetrics-text;version=1.0.0", "application/openmetrics-text; version=1.0.0",
			` # {queue_id="4XYZ12345"} 1.0 `, "_created"},
		{"application/vnd.google.protobuf;proto=io.prometheus.client.MetricFamily;encoding=delimited", "application/vnd.google.protobuf", "4XYZ12345", "# HELP"},
	} {
		w := httptest.NewRecorder()
		r := httptest.NewRequest("GET", "/metrics", nil)
		r.Header.Set("Accept", tt.accept)
		ts.Handler().ServeHTTP(w, r)
		if got := w.Header().Get("Content-Type"); !strings.HasPrefix(got, tt.contentType) {
			t.Errorf("%s: got %s", tt.accept, got)
		}
		if body := w.Body.String(); !strings.Contains(body, tt.want) || strings.Contains(body, tt.not) {
			t.Errorf("%s: no %q, or %q, in\n%s", tt.accept, tt.want, tt.not, body)
		}
	}
}

func noteExemplar(got map[string]string, metric string, e *dto.Exemplar) {
	for _, l := range e.GetLabel() {
		got[metric] = l.GetValue()
		if l.GetName() != "queue_id" {
			got[metric] = "label " + l.GetName()
		}
	}
}

// TestCountingAllocatesNothing counts bounces of providers that were seen before. An
// exemplar is made once a second, which is not the rule.
func TestCountingAllocatesNothing(t *testing.T) {
	s, _ := newTestServer(t)
	res := bounce("a@example.com", "b@example.com")
	res.Feedback = &dsn.Feedback{Type: dsn.FeedbackAbuse}
	ses := &session{srv: s}
	if n := testing.AllocsPerRun(1000, func() {
		s.metrics.result(&res, "", ses)
		s.metrics.inspected(time.Millisecond, ses)
		s.metrics.message(dsn.KindDSN)
	}); n > 0 {
		t.Errorf("%v allocations", n)
	}
}

// docs/metrics.md explains every value of the labels that are not data.
func TestValuesAreDocumented(t *testing.T) {
	data, err := os.ReadFile("../docs/metrics.md")
	if err != nil {
		t.Fatal(err)
	}
	for heading, want := range map[string][]string{
		"`stage` of `bounce_milter_errors_total`":              stages,
		"`reason` of `bounce_milter_messages_truncated_total`": cuts,
		"`reason` of `bounce_milter_sessions_refused_total`":   refusals,
		"`result` of `bounce_milter_actions_total`": {actDone, actDryRun, actObserve, actInside, actNotOffered, actTruncated,
			actRecipients, actUnneeded, actLoop},
	} {
		_, section, ok := strings.Cut(string(data), "\n"+heading)
		if !ok {
			t.Fatalf("no section %s", heading)
		}
		_, table, _ := strings.Cut(section, "|---|---|\n")
		table, _, _ = strings.Cut(table, "\n\n")
		var got []string
		for row := range strings.Lines(table) {
			got = append(got, strings.Split(row, "`")[1])
		}
		if !slices.Equal(got, want) {
			t.Errorf("%s: %v are documented, there are %v", heading, got, want)
		}
	}
}

// BenchmarkCount counts the verdicts on one message.
func BenchmarkCount(b *testing.B) {
	engine, labels := realLabels(b)
	s, err := New(testConfig(b), Rules{Inspector: engine, Labels: labels}, NewMetrics(prometheus.NewRegistry(), Build{}), slog.New(slog.DiscardHandler), nil)
	if err != nil {
		b.Fatal(err)
	}
	res := bounce("u@example.com")
	res.Recipients[0].Rule = labels.Rules[0]
	ses := &session{srv: s, macro: map[byte][]byte{'M': []byte("i\x004XYZ12345\x00")}}
	b.ReportAllocs()
	for b.Loop() {
		s.metrics.result(&res, "", ses)
		s.metrics.inspected(time.Millisecond, ses)
		s.metrics.message(dsn.KindDSN)
	}
}
