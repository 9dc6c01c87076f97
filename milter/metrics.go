package milter

import (
	"sync/atomic"
	"time"

	"github.com/bounce-milter/bounce-milter/classify/dsn"
	"github.com/bounce-milter/bounce-milter/classify/origin"
	"github.com/bounce-milter/bounce-milter/internal/action"
	"github.com/bounce-milter/bounce-milter/internal/page"
	"github.com/bounce-milter/bounce-milter/internal/proof"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
)

// Where something can go wrong: label stage of errors_total.
const (
	stageAccept    = "accept"    // a connection could not be accepted
	stageNegotiate = "negotiate" // the MTA does not offer what we need
	stageFrame     = "frame"     // a peer breaks the protocol
	stageRead      = "read"      // a connection broke within a command
	stageTimeout   = "timeout"   // a peer was silent or slow for too long
	stageWrite     = "write"     // an answer could not be sent
	stageInspect   = "inspect"   // a message could not be inspected; it passed
	stageBusy      = "busy"      // a message's turn to be inspected did not come in time; it passed
	stageForged    = "forged"    // a message has more forged headers than can be removed; it was refused, or the rest stayed
	stageSession   = "session"   // a session panicked and was closed
	stageListen    = "listen"    // a socket was lost
	stageReload    = "reload"    // a new configuration was refused
	stageRecord    = "record"    // what a message reports could not be recorded; it passed
	stageAction    = "action"    // what else is done with a message could not be decided; it passed
	stageLog       = "log"       // a line of the log could not be written
)

var stages = []string{stageAccept, stageNegotiate, stageFrame, stageRead, stageTimeout, stageWrite,
	stageInspect, stageBusy, stageForged, stageSession, stageListen, stageReload, stageRecord, stageAction, stageLog}

// Why a connection was refused: label reason of sessions_refused_total.
const (
	refusedLimit    = "limit"    // max_sessions were open
	refusedSilent   = "silent"   // it said nothing in time, or reported no client and had to make room
	refusedProtocol = "protocol" // it did not speak the milter protocol
)

// Whether a ticket names the recipients: label bound of tickets_total.
const (
	boundNo  = "no"
	boundYes = "yes"
)

var refusals = []string{refusedLimit, refusedSilent, refusedProtocol}

// Why only a part of a message was inspected: label reason of messages_truncated_total.
// The first that applies counts.
const (
	cutMemory  = "memory"  // messages in progress held all of max_memory that it could get
	cutOctets  = "octets"  // it is longer than max_octets
	cutHeader  = "header"  // its header is longer than max_header_octets or max_header_fields
	cutReading = "reading" // reading it took all of max_work, or another limit on reading left something out
)

var cuts = []string{cutMemory, cutOctets, cutHeader, cutReading}

// What became of a reload: label result of config_reloads_total.
const (
	reloadDone    = "done"
	reloadRefused = "refused"
)

// namespace is what the names of all metrics begin with.
const namespace = "bounce_milter"

// Registry is where metrics are registered, and where they are read from.
type Registry interface {
	prometheus.Registerer
	prometheus.Gatherer
}

// Metrics are the daemon's counters, on a registry of their own. Create them once per
// process: they stay when the configuration changes.
type Metrics struct {
	registry Registry
	process  *ProcessMetrics
	start    time.Time
	page     *page.Board // counts the same for the status page
	build    atomic.Pointer[Build]
	labels   atomic.Pointer[labelSet]

	messages    *prometheus.CounterVec
	byKind      map[dsn.Kind]prometheus.Counter
	feedback    *prometheus.CounterVec
	byFeedback  map[dsn.FeedbackType]prometheus.Counter
	bounces     *prometheus.CounterVec
	reasons     *prometheus.CounterVec
	rules       *prometheus.CounterVec
	duration    prometheus.Histogram
	marked      atomic.Int64 // when duration got its last exemplar; see mayMark
	errors      *prometheus.CounterVec
	actions     *prometheus.CounterVec
	origins     *prometheus.CounterVec
	forgedTotal prometheus.Counter
	tickets     *prometheus.CounterVec
	again       prometheus.Counter
	truncated   *prometheus.CounterVec
	memory      prometheus.Gauge
	sessions    prometheus.Gauge
	opened      prometheus.Counter
	refused     *prometheus.CounterVec
	reloadTime  prometheus.Gauge
	reloads     *prometheus.CounterVec
}

// NewMetrics registers the daemon's metrics, and those of the Go runtime and
// of the process, on reg.
func NewMetrics(reg Registry, b Build) *Metrics {
	counter := func(name, help string) prometheus.Counter {
		return prometheus.NewCounter(prometheus.CounterOpts{Namespace: namespace, Name: name, Help: help})
	}
	vec := func(name, help string, labels ...string) *prometheus.CounterVec {
		return prometheus.NewCounterVec(prometheus.CounterOpts{Namespace: namespace, Name: name, Help: help}, labels)
	}
	gauge := func(name, help string) prometheus.Gauge {
		return prometheus.NewGauge(prometheus.GaugeOpts{Namespace: namespace, Name: name, Help: help})
	}
	m := &Metrics{
		registry: reg,
		process:  NewProcessMetrics(reg),
		start:    time.Now(),
		page:     page.New(stages),
		byKind:   map[dsn.Kind]prometheus.Counter{},

		byFeedback: map[dsn.FeedbackType]prometheus.Counter{},

		messages: vec("messages_total", "Messages that were received completely, by kind.", "kind"),
		feedback: vec("feedback_total", "Complaints and other reports on messages by their readers' systems, by what they are about.", "type"),
		bounces: vec("bounces_total", "Failed or delayed recipients in reports, by verdict.",
			"category", "type", "action", "provider"),
		reasons: vec("bounce_reasons_total", "Failed or delayed recipients in reports, by reason.", "reason"),
		rules:   vec("rule_matches_total", "Verdicts that a rule gave, or would have given if it were not a shadow rule.", "rule"),
		duration: prometheus.NewHistogram(prometheus.HistogramOpts{Namespace: namespace, Name: "inspect_duration_seconds",
			Help:    "Time to read and judge one message.",
			Buckets: []float64{25e-6, 50e-6, 100e-6, 250e-6, 500e-6, 1e-3, 2.5e-3, 5e-3, 10e-3, 25e-3, 100e-3, 1}}),
		errors:      vec("errors_total", "Errors by the stage at which they happened; the mail was delivered all the same.", "stage"),
		actions:     vec("actions_total", "Messages that an action of the configuration was for, by what became of it.", "action", "result"),
		origins:     vec("origin_total", "Bounces and complaints, by whether the mail that they return is proved to be ours.", "origin"),
		forgedTotal: counter("forged_headers_total", "Header fields from outside that have our names."),
		tickets:     vec("tickets_total", "Tickets that outgoing mail of ours got, by whether they name its recipients.", "bound"),
		again:       counter("messages_again_total", "Messages that came back already tagged, from a content filter."),
		truncated:   vec("messages_truncated_total", "Messages of which only a part was inspected, by the limit that was reached.", "reason"),
		memory:      gauge("message_memory_bytes", "Memory that messages in progress hold."),
		sessions:    gauge("sessions", "Open milter sessions."),
		opened:      counter("sessions_total", "Milter sessions opened."),
		refused:     vec("sessions_refused_total", "Milter sessions refused, or closed before they reported a client.", "reason"),
		reloadTime:  gauge("config_last_reload_success_timestamp_seconds", "When the configuration was last loaded."),
		reloads:     vec("config_reloads_total", "Reloads of the configuration, by what became of them.", "result"),
	}
	reg.MustRegister(m.messages, m.feedback, m.bounces, m.reasons, m.rules, m.duration, m.errors, m.actions, m.origins, m.forgedTotal, m.tickets, m.again, m.truncated,
		m.memory, m.sessions, m.opened, m.refused, m.reloadTime, m.reloads, collectors.NewGoCollector())
	for _, k := range dsn.Kinds() {
		m.byKind[k] = m.messages.WithLabelValues(string(k))
	}
	for _, t := range dsn.FeedbackTypes() {
		m.byFeedback[t] = m.feedback.WithLabelValues(string(t))
	}
	for _, bound := range []string{boundNo, boundYes} {
		m.tickets.WithLabelValues(bound)
	}
	for _, o := range origin.Origins() {
		m.origins.WithLabelValues(string(o))
	}
	for _, s := range stages {
		m.errors.WithLabelValues(s)
	}
	for _, r := range refusals {
		m.refused.WithLabelValues(r)
	}
	for _, r := range cuts {
		m.truncated.WithLabelValues(r)
	}
	for _, r := range []string{reloadDone, reloadRefused} {
		m.reloads.WithLabelValues(r)
	}
	m.setBuild(b)
	return m
}

func (m *Metrics) setBuild(b Build) {
	m.build.Store(&b)
	m.process.SetBuild(b)
}

// setActions makes the series exist that the actions of a configuration can count in.
func (m *Metrics) setActions(cfg *Config) {
	for i := range cfg.Actions {
		a := &cfg.Actions[i]
		results := []string{actDone}
		switch {
		case a.DryRun:
			results[0] = actDryRun
		case cfg.Mode == ModeObserve:
			results[0] = actObserve
		}
		verb := a.Verb()
		switch verb {
		case action.Redirect:
			results = append(results, actRecipients, actUnneeded, actLoop)
		case action.Copy:
			results = append(results, actUnneeded, actLoop)
		case action.Reject:
			results = append(results, actInside)
		}
		if needs[verb] != 0 {
			results = append(results, actNotOffered)
		}
		if verb != action.None {
			results = append(results, actTruncated)
		}
		for _, r := range results {
			m.actions.WithLabelValues(string(verb), r)
		}
	}
}

// acted counts what became of an action.
func (m *Metrics) acted(verb action.Verb, result string) {
	m.actions.WithLabelValues(string(verb), result).Inc()
}

// failed counts an error at a stage.
func (m *Metrics) failed(stage string) {
	m.errors.WithLabelValues(stage).Inc()
	m.page.Error(stage, 1)
}

// Page is the status page.
func (m *Metrics) Page() *page.Board { return m.page }

// LogLost counts lost lines of the log.
func (m *Metrics) LogLost(lines int) {
	m.errors.WithLabelValues(stageLog).Add(float64(lines))
	m.page.Error(stageLog, uint64(lines))
}

func (m *Metrics) message(k dsn.Kind) {
	if c := m.byKind[k]; c != nil {
		c.Inc()
	}
	m.page.Message(k)
}

// origin counts whose mail a report returns, if anybody asked.
func (m *Metrics) origin(whose *proof.Report) {
	if whose != nil {
		m.origins.WithLabelValues(string(whose.Message.Origin)).Inc()
		m.page.Origin(whose.Message.Origin)
	}
}

// loaded notes that a configuration is in force.
func (m *Metrics) loaded() {
	m.process.SetReloaded(true)
	m.reloadTime.SetToCurrentTime()
}

// reload counts a reload.
func (m *Metrics) reload(err error) {
	if err != nil {
		m.process.SetReloaded(false)
		m.failed(stageReload)
		m.reloads.WithLabelValues(reloadRefused).Inc()
		return
	}
	m.loaded()
	m.reloads.WithLabelValues(reloadDone).Inc()
}
