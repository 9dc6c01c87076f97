package milter

import (
	"slices"
	"sync/atomic"
	"time"

	"github.com/bounce-milter/bounce-milter/classify"
	"github.com/bounce-milter/bounce-milter/classify/dsn"
	"github.com/prometheus/client_golang/prometheus"
)

// otherLabel replaces providers that the rules in force do not have.
const otherLabel = "other"

// Labels are the values that the rules in force may give to a label; no others are ever
// shown. The series of provider "other" exist from the start, those of another provider
// from its first bounce, and those of a reason or a rule from its first match: a daemon
// shows what it has seen, not all that it knows.
type Labels struct {
	Reasons   []string // "unknown" is always allowed
	Providers []string // "other" is always allowed
	Rules     []string // ids of text rules, the administrator's included
	// Verdicts are the pairs of category and type that can occur. If there are none,
	// all pairs can.
	Verdicts []classify.Verdict
}

// labelSet holds the series of [Labels]. It is replaced as a whole, so that counting
// needs no lock.
type labelSet struct {
	providers      map[string]*provider
	reasons, rules map[string]*series // no rules if they are not counted
	outcomes       []outcome
}

// outcome is what a provider's bounces are counted by.
type outcome struct {
	category classify.Category
	typ      classify.Type
	action   dsn.Action
}

// provider holds the series of a provider.
type provider struct {
	name string
	by   atomic.Pointer[map[outcome]*marked] // nil before its first bounce
}

// series is a series that exists from the first time that it counts.
type series struct {
	vec     *prometheus.CounterVec
	value   string
	counter atomic.Pointer[prometheus.Counter]
}

func (s *series) inc() {
	c := s.counter.Load()
	if c == nil {
		first := s.vec.WithLabelValues(s.value)
		c = &first
		s.counter.Store(c)
	}
	(*c).Inc()
}

// marked is a counter that has the queue id of a recent message as its exemplar.
type marked struct {
	prometheus.Counter
	last atomic.Int64 // see mayMark
}

func (c *marked) inc(s *session) {
	if id := s.exemplar(&c.last); id != nil {
		c.Counter.(prometheus.ExemplarAdder).AddWithExemplar(1, id)
		return
	}
	c.Inc()
}

// markEvery is how often a series gets a new exemplar at most: making one costs more than
// counting, and nobody scrapes more often.
const markEvery = time.Second

// mayMark reports whether it is time for a new exemplar. last is when there was one.
func mayMark(last *atomic.Int64) bool {
	now, then := time.Now().UnixNano(), last.Load()
	return now-then >= int64(markEvery) && last.CompareAndSwap(then, now)
}

// exemplar returns the queue id of the message as an exemplar, nil if it is not time for
// one or the message has none. The id is the MTA's, so no stranger chooses it; what is not
// the form of an id is left out all the same.
func (s *session) exemplar(last *atomic.Int64) prometheus.Labels {
	if s == nil || !mayMark(last) {
		return nil
	}
	id := s.queueID()
	if id == "" || len(id) > 64 { // with the name of the label, OpenMetrics allows 128
		return nil
	}
	for i := range len(id) {
		c := id[i]
		if (c < '0' || c > '9') && (c|0x20 < 'a' || c|0x20 > 'z') && c != '-' {
			return nil
		}
	}
	return prometheus.Labels{"queue_id": id}
}

// setLabels puts the labels of a rule set in force, and removes the series that it cannot
// have. Others keep their counts.
func (m *Metrics) setLabels(l Labels, rules bool) {
	old := m.labels.Load()
	ls := &labelSet{
		providers: make(map[string]*provider, len(l.Providers)+1),
		reasons:   newSeries(m.reasons, append([]string{"unknown"}, l.Reasons...)),
		outcomes:  outcomes(l.Verdicts),
	}
	if rules {
		ls.rules = newSeries(m.rules, l.Rules)
	}
	for _, name := range append([]string{otherLabel}, l.Providers...) {
		p := &provider{name: name}
		if name == otherLabel || old != nil && old.shows(name) {
			p.show(m.bounces, ls.outcomes)
		}
		ls.providers[name] = p
	}
	m.labels.Store(ls)
	if old == nil {
		return
	}
	for name := range old.providers {
		if ls.providers[name] == nil {
			m.bounces.DeletePartialMatch(prometheus.Labels{"provider": name})
		}
	}
	dropSeries(m.reasons, old.reasons, ls.reasons)
	dropSeries(m.rules, old.rules, ls.rules)
}

// outcomes returns what a provider's bounces can be counted by.
func outcomes(pairs []classify.Verdict) (os []outcome) {
	add := func(o outcome) {
		if !slices.Contains(os, o) {
			os = append(os, o)
		}
	}
	for _, c := range classify.Categories() {
		if len(pairs) == 0 {
			for _, t := range classify.Types() {
				add(outcome{c, t, dsn.ActionFailed})
			}
		}
		add(outcome{c, classify.Soft, dsn.ActionDelayed}) // a delay is always soft
	}
	for _, v := range pairs {
		add(outcome{v.Category, v.Type, dsn.ActionFailed})
	}
	return os
}

func newSeries(vec *prometheus.CounterVec, values []string) map[string]*series {
	all := make(map[string]*series, len(values))
	for _, v := range values {
		all[v] = &series{vec: vec, value: v}
	}
	return all
}

func dropSeries(vec *prometheus.CounterVec, old, now map[string]*series) {
	for v := range old {
		if now[v] == nil {
			vec.DeleteLabelValues(v)
		}
	}
}

// shows reports whether a provider's series exist.
func (ls *labelSet) shows(name string) bool {
	p := ls.providers[name]
	return p != nil && p.by.Load() != nil
}

// show makes all series of a provider exist.
func (p *provider) show(bounces *prometheus.CounterVec, all []outcome) map[outcome]*marked {
	by := make(map[outcome]*marked, len(all))
	for _, o := range all {
		by[o] = &marked{Counter: p.counter(bounces, o)}
	}
	p.by.Store(&by)
	return by
}

func (p *provider) counter(bounces *prometheus.CounterVec, o outcome) prometheus.Counter {
	return bounces.WithLabelValues(string(o.category), string(o.typ), string(o.action), p.name)
}

// bounce counts one bounce. Providers, categories and types that the rules in force do
// not have are counted as others, so that labels stay bounded.
func (m *Metrics) bounce(ls *labelSet, r *classify.Recipient, s *session) {
	p := ls.providers[r.Provider]
	if p == nil {
		p = ls.providers[otherLabel]
	}
	by := p.by.Load()
	if by == nil {
		first := p.show(m.bounces, ls.outcomes)
		by = &first
	}
	o := outcome{r.Category, r.Type, r.Action}
	if c := (*by)[o]; c != nil {
		c.inc(s)
		return
	}
	if !slices.Contains(classify.Categories(), o.category) {
		o.category = classify.Unclassified
	}
	if !slices.Contains(classify.Types(), o.typ) {
		o.typ = classify.Soft
	}
	p.counter(m.bounces, o).Inc()
}

// result counts the verdicts on one message of a session. partly says why only a part of
// it was inspected, "" if all was.
func (m *Metrics) result(res *classify.Result, partly string, s *session) {
	ls := m.labels.Load()
	if partly != "" {
		m.truncated.WithLabelValues(partly).Inc()
	}
	if f := res.Feedback; f != nil {
		if c := m.byFeedback[f.Type]; c != nil {
			c.Inc()
		}
	}
	for i := range res.Recipients {
		r := &res.Recipients[i]
		if !r.Action.Bounced() {
			continue
		}
		m.bounce(ls, r, s)
		reason := ls.reasons[r.Reason]
		if reason == nil {
			reason = ls.reasons["unknown"]
		}
		reason.inc()
		m.onPage(ls, r)
		if rule := ls.rules[r.Rule]; rule != nil {
			rule.inc()
		}
	}
	for _, id := range res.Shadowed {
		if rule := ls.rules[id]; rule != nil {
			rule.inc()
		}
	}
}

// slow is from when on an inspection is worth an exemplar, however recent the last is.
const slow = 25 * time.Millisecond

// inspected counts an inspection.
func (m *Metrics) inspected(d time.Duration, s *session) {
	last := &m.marked
	if d >= slow {
		last = new(atomic.Int64)
	}
	if id := s.exemplar(last); id != nil {
		m.duration.(prometheus.ExemplarObserver).ObserveWithExemplar(d.Seconds(), id)
		return
	}
	m.duration.Observe(d.Seconds())
}
