package stream

import (
	"sync/atomic"

	"github.com/prometheus/client_golang/prometheus"
)

// What happened to a record at a sink: label result of events_total.
const (
	resultDelivered = "delivered" // the receiver has it
	resultSkipped   = "skipped"   // the sink's format has no use for it
	resultParked    = "parked"    // refused for good, and kept in the sink's file of refused records
	resultRetried   = "retried"   // not accepted this time, and sent again
)

var results = []string{resultDelivered, resultSkipped, resultParked, resultRetried}

// Why a sink never got a record: label result of events_dropped_total.
const (
	droppedOverflow = "overflow" // removed above the bound before the sink had read it
	droppedDisk     = "disk"     // the spool could not be written
	droppedDamaged  = "damaged"  // the spool could not be read back
	droppedRefused  = "refused"  // refused for good, and could not be parked
	droppedStopped  = "stopped"  // only in memory when the daemon ended
)

var drops = []string{droppedOverflow, droppedDisk, droppedDamaged, droppedRefused, droppedStopped}

// Metrics count what happens to records. Create them once per process; they are kept when
// the configuration changes.
type Metrics struct {
	events  *prometheus.CounterVec
	dropped *prometheus.CounterVec
	pending *prometheus.Desc
	oldest  *prometheus.Desc
	stream  atomic.Pointer[Stream] // whose records the gauges count
}

var _ prometheus.Collector = (*Metrics)(nil)

// NewMetrics registers the metrics of events on reg. Without a sink there is no series.
func NewMetrics(reg prometheus.Registerer) *Metrics {
	const ns = "bounce_milter"
	sink := []string{"sink"}
	m := &Metrics{
		events: prometheus.NewCounterVec(prometheus.CounterOpts{Namespace: ns, Name: "events_total",
			Help: "Records that were handed to a sink, by what happened to them."}, []string{"sink", "result"}),
		dropped: prometheus.NewCounterVec(prometheus.CounterOpts{Namespace: ns, Name: "events_dropped_total",
			Help: "Records that a sink never got, by the reason."}, []string{"sink", "result"}),
		pending: prometheus.NewDesc(ns+"_events_pending", "Records that wait for a sink.", sink, nil),
		oldest: prometheus.NewDesc(ns+"_events_oldest_seconds",
			"Age of the oldest record that a sink has not accepted yet, 0 if none waits.", sink, nil),
	}
	reg.MustRegister(m.events, m.dropped, m)
	return m
}

// begin creates the series of a sink, with zeros.
func (m *Metrics) begin(sink string) {
	for _, r := range results {
		m.events.WithLabelValues(sink, r)
	}
	for _, r := range drops {
		m.dropped.WithLabelValues(sink, r)
	}
}

// end removes the series of a sink.
func (m *Metrics) end(sink string) {
	m.events.DeletePartialMatch(prometheus.Labels{"sink": sink})
	m.dropped.DeletePartialMatch(prometheus.Labels{"sink": sink})
}

func (m *Metrics) count(sink, result string, n int) {
	if n > 0 {
		m.events.WithLabelValues(sink, result).Add(float64(n))
	}
}

func (m *Metrics) drop(sink, result string, n int64) {
	if n > 0 {
		m.dropped.WithLabelValues(sink, result).Add(float64(n))
	}
}

// Describe implements [prometheus.Collector] for the gauges.
func (m *Metrics) Describe(ch chan<- *prometheus.Desc) {
	ch <- m.pending
	ch <- m.oldest
}

// Collect implements [prometheus.Collector] for the gauges.
func (m *Metrics) Collect(ch chan<- prometheus.Metric) {
	s := m.stream.Load()
	if s == nil {
		return
	}
	for _, r := range s.running() {
		pending, oldest := r.waiting()
		ch <- prometheus.MustNewConstMetric(m.pending, prometheus.GaugeValue, float64(pending), r.o.Name)
		ch <- prometheus.MustNewConstMetric(m.oldest, prometheus.GaugeValue, oldest.Seconds(), r.o.Name)
	}
}
