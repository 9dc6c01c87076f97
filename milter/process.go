package milter

import (
	"runtime"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
)

// Build says which program runs, for build_info and the status page.
type Build struct{ Version, Revision, Ruleset string }

// ProcessMetrics are the metrics that serve and follow share: what runs, whether the last
// reload succeeded, and the process's memory, processor time and open files.
type ProcessMetrics struct {
	buildInfo *prometheus.GaugeVec
	reloaded  prometheus.Gauge
}

// NewProcessMetrics registers them on reg.
func NewProcessMetrics(reg prometheus.Registerer) *ProcessMetrics {
	m := &ProcessMetrics{
		buildInfo: prometheus.NewGaugeVec(prometheus.GaugeOpts{Namespace: namespace, Name: "build_info",
			Help: "Always 1; the labels say which build runs."}, []string{"version", "revision", "goversion", "ruleset"}),
		reloaded: prometheus.NewGauge(prometheus.GaugeOpts{Namespace: namespace, Name: "config_last_reload_successful",
			Help: "Whether the last load of the configuration succeeded."}),
	}
	reg.MustRegister(m.buildInfo, m.reloaded, collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}))
	return m
}

// SetBuild replaces the labels of build_info: the rule set may change at a reload.
func (m *ProcessMetrics) SetBuild(b Build) {
	m.buildInfo.Reset()
	m.buildInfo.WithLabelValues(b.Version, b.Revision, runtime.Version(), b.Ruleset).Set(1)
}

// SetReloaded says whether the last load of the configuration succeeded.
func (m *ProcessMetrics) SetReloaded(ok bool) {
	if ok {
		m.reloaded.Set(1)
	} else {
		m.reloaded.Set(0)
	}
}
