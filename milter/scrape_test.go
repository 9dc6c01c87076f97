package milter

import (
	"log/slog"
	"net/http"
	"net/http/httptest"
	"testing"

	"github.com/prometheus/client_golang/prometheus"
)

// BenchmarkPages makes what readers of the metrics listener ask for, as Prometheus and
// browsers do.
func BenchmarkPages(b *testing.B) {
	engine, labels := realLabels(b)
	s, err := New(testConfig(b), Rules{Inspector: engine, Labels: labels}, NewMetrics(prometheus.NewRegistry(), Build{}), slog.New(slog.DiscardHandler), nil)
	if err != nil {
		b.Fatal(err)
	}
	for i, p := range labels.Providers[:20] {
		res := bounce("u@example.com")
		res.Recipients[0].Provider, res.Recipients[0].Rule = p, labels.Rules[i]
		s.metrics.result(&res, "", nil)
	}
	pages := s.pages()
	for path, h := range map[string]http.Handler{"/metrics": pages.Metrics, "/": pages.Home, "/api/v1/summary": pages.Summary} {
		b.Run(path, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				r := httptest.NewRequest("GET", path, nil)
				r.Header.Set("Accept-Encoding", "gzip")
				h.ServeHTTP(httptest.NewRecorder(), r)
			}
		})
	}
}
