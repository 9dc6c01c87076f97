package milter

import (
	_ "embed"
	"html/template"
	"net/http"
	"runtime"
	"slices"
	"strings"
	"time"
)

//go:embed status.html
var statusHTML string

var statusPage = template.Must(template.New("status").Parse(statusHTML))

// statusRow is one value of a label with its count.
type statusRow struct {
	Name  string
	Value float64
}

type statusTable struct {
	Title string
	Rows  []statusRow
}

func (s *Server) status(w http.ResponseWriter, _ *http.Request) {
	st := s.state.Load()
	b := s.metrics.build.Load()
	data := struct {
		Build
		Go, Mode, Forged string
		Uptime           time.Duration
		Serving          bool
		Listen           []string
		Tables           []statusTable
	}{*b, runtime.Version(), string(st.cfg.Mode), string(st.cfg.ForgedHeaders),
		time.Since(s.metrics.start).Truncate(time.Second), s.serving.Load(), addrs(s.Addrs()), s.tables()}
	slices.Sort(data.Listen)
	h := w.Header()
	h.Set("Content-Type", "text/html; charset=utf-8")
	h.Set("Content-Security-Policy", "default-src 'none'; style-src 'unsafe-inline'")
	h.Set("X-Content-Type-Options", "nosniff")
	if err := statusPage.Execute(w, data); err != nil {
		s.logs.warn("status", "cannot write the status page", "error", err)
	}
}

// tables sums the counters up by their most interesting label.
func (s *Server) tables() []statusTable {
	tables := []struct{ title, metric, label string }{
		{"Messages", "messages_total", "kind"},
		{"Bounces by category", "bounces_total", "category"},
		{"Bounces by type", "bounces_total", "type"},
		{"Bounces by reason", "bounce_reasons_total", "reason"},
		{"Bounces by provider", "bounces_total", "provider"},
		{"Sessions", "sessions", ""},
		{"Sessions refused", "sessions_refused_total", "reason"},
		{"Forged headers", "forged_headers_total", ""},
		{"Errors", "errors_total", "stage"},
	}
	families, err := s.metrics.registry.Gather()
	if err != nil {
		s.logs.warn("status", "cannot gather metrics", "error", err)
	}
	var out []statusTable
	for _, t := range tables {
		sums := map[string]float64{}
		for _, f := range families {
			if f.GetName() != "bounce_milter_"+t.metric {
				continue
			}
			for _, m := range f.GetMetric() {
				name := "all"
				for _, l := range m.GetLabel() {
					if l.GetName() == t.label {
						name = l.GetValue()
					}
				}
				sums[name] += m.GetCounter().GetValue() + m.GetGauge().GetValue()
			}
		}
		rows := make([]statusRow, 0, len(sums))
		for name, v := range sums {
			// There are many reasons and providers: show those that occurred.
			if v > 0 || t.label != "reason" && t.label != "provider" {
				rows = append(rows, statusRow{name, v})
			}
		}
		slices.SortFunc(rows, func(a, b statusRow) int {
			if a.Value != b.Value {
				if a.Value > b.Value {
					return -1
				}
				return 1
			}
			return strings.Compare(a.Name, b.Name)
		})
		if len(rows) > 0 {
			out = append(out, statusTable{t.title, rows})
		}
	}
	return out
}
