package main

import (
	"cmp"
	"fmt"
	"io"
	"maps"
	"math"
	"slices"
	"strings"
	"time"

	"github.com/bounce-milter/bounce-milter/classify"
	"github.com/bounce-milter/bounce-milter/classify/maillog"
	"github.com/rivo/uniseg"
)

// logSummary adds up what became of the messages in logs. Its memory is bounded, whatever
// hosts and times a stranger made up.
type logSummary struct {
	a      *app
	engine *classify.Engine
	style  style
	// columns of the window; 0 where the output is no terminal, and lines may be long
	columns int

	lines                int
	first, last          time.Time
	hosts                map[string]bool
	refused, probed      int
	passed               int // to a content filter
	sent, late           int // late: after a deferral
	deferred, gone, over int // over: of those gone, given up after attempts
	sentTo               map[string]int
	failures             map[failure]*fates
	remote               map[remoteFailure]int
	hours                map[hourly]int // failures
	mail                 map[int64]int  // messages by hour
}

// failure is what failures are grouped by.
type failure struct {
	provider string
	category classify.Category
	typ      classify.Type
	reason   string
}

// fates are how stories with a failure ended: bounced, still deferred, sent late.
type fates struct{ bounced, deferred, late int }

func (f fates) sum() int { return f.bounced + f.deferred + f.late }

func (f *fates) add(g fates) {
	f.bounced, f.deferred, f.late = f.bounced+g.bounced, f.deferred+g.deferred, f.late+g.late
}

type remoteFailure struct{ host, reason string }

type hourly struct {
	hour             int64
	provider, reason string
}

// Bounds on what is told apart.
const (
	maxRemote = 20_000
	maxHourly = 200_000
	maxHosts  = 100
)

func newLogSummary(a *app, engine *classify.Engine) *logSummary {
	columns := 0
	if isTerminal(a.stdout) {
		columns = width(a.stdout)
	}
	return &logSummary{a: a, engine: engine, columns: columns, style: newStyle(a.stdout), hosts: map[string]bool{}, sentTo: map[string]int{},
		failures: map[failure]*fates{}, remote: map[remoteFailure]int{}, hours: map[hourly]int{}, mail: map[int64]int{}}
}

// attempt counts what is no part of a story.
func (s *logSummary) attempt(at *maillog.Attempt) {
	switch at.Result {
	case maillog.Refused:
		s.refused++
	case maillog.Probed:
		s.probed++
	case maillog.Passed:
		s.passed++
	}
	if t := at.Time; !t.IsZero() {
		if s.first.IsZero() || t.Before(s.first) {
			s.first = t
		}
		if t.After(s.last) {
			s.last = t
		}
	}
	if len(s.hosts) < maxHosts && at.Host != "" && !s.hosts[at.Host] {
		s.hosts[strings.Clone(at.Host)] = true
	}
}

// story counts a story.
func (s *logSummary) story(st *maillog.Story) {
	v, fate := &st.Verdict, fates{}
	switch {
	case st.Result == maillog.Sent:
		s.sent++
		count(s.sentTo, v.Provider, maxHosts)
		if st.Before.Reason != "" {
			s.late++
			v, fate.late = &st.Before, 1
		}
	case st.Result == maillog.Passed: // and counted as an attempt
		v, fate.late = &st.Before, 1
	case st.Result == maillog.Deferred:
		s.deferred++
		fate.deferred = 1
	default:
		s.gone++
		fate.bounced = 1
		if st.Result == maillog.Expired {
			s.over++
		}
	}
	hour := st.Time.Unix() / 3600
	count(s.mail, hour, maxHourly)
	if fate.sum() == 0 {
		return
	}
	key := failure{v.Provider, v.Category, v.Type, v.Reason}
	if s.failures[key] == nil {
		s.failures[key] = &fates{}
	}
	s.failures[key].add(fate)
	if st.Relay != "" {
		count(s.remote, remoteFailure{strings.Clone(st.Relay), v.Reason}, maxRemote)
	}
	if !st.Time.IsZero() {
		count(s.hours, hourly{hour, v.Provider, v.Reason}, maxHourly)
	}
}

// count adds one, unless that would take too many keys.
func count[K comparable](m map[K]int, key K, limit int) {
	if n, ok := m[key]; ok || len(m) < limit {
		m[key] = n + 1
	}
}

// total adds failures up by what part returns.
func total[K comparable](s *logSummary, part func(failure) K) map[K]fates {
	sums := map[K]fates{}
	for f, n := range s.failures {
		sum := sums[part(f)]
		sum.add(*n)
		sums[part(f)] = sum
	}
	return sums
}

// most returns the keys of the highest counts, the highest first.
func most[K cmp.Ordered, V any](m map[K]V, n int, of func(V) int) []K {
	keys := slices.SortedFunc(maps.Keys(m), func(a, b K) int { return cmp.Or(of(m[b])-of(m[a]), cmp.Compare(a, b)) })
	return keys[:min(n, len(keys))]
}

// print prints the summary.
func (s *logSummary) print() {
	out := s.a.out
	if !s.a.options.sum {
		fmt.Fprintln(out)
	}
	s.head(out)
	all := s.sent + s.deferred + s.gone
	if all > 0 {
		s.fate(out, "sent", s.sent, all, note(s.late, "after a deferral"))
		s.fate(out, "deferred", s.deferred, all, "waiting when the log ends")
		s.fate(out, "bounced", s.gone, all, note(s.over, "given up after attempts"))
	}
	if s.refused > 0 {
		s.count(out, "refused", s.refused, "by this server, of others' mail")
	}
	if s.passed > 0 {
		s.count(out, "passed on", s.passed, "to a filter or server on the same machine")
	}
	if s.probed > 0 {
		s.count(out, "probed", s.probed, "addresses that were asked for and do not exist")
	}
	if all == 0 && s.refused == 0 && s.passed == 0 {
		fmt.Fprintln(out, "  no message was delivered, deferred or bounced")
	}
	if len(s.failures) == 0 {
		return
	}
	s.categories(out)
	s.providers(out)
	s.reasons(out)
	s.remotes(out)
	s.rose(out)
}

func note(n int, text string) string {
	if n == 0 {
		return ""
	}
	return grouped(n) + " " + text
}

func (s *logSummary) head(out io.Writer) {
	period := ""
	if !s.first.IsZero() {
		period = s.first.Format(" from 2006-01-02 15:04") + s.last.Format(" to 2006-01-02 15:04")
	}
	hosts := slices.Sorted(maps.Keys(s.hosts))
	of := ""
	switch {
	case len(hosts) > 5:
		of = fmt.Sprintf(" of %s hosts", grouped(len(hosts)))
	case len(hosts) > 0:
		of = " of " + strings.Join(hosts, ", ")
	}
	for _, line := range wrap(clean(fmt.Sprintf("Mail%s%s, in %s lines", of, period, grouped(s.lines))), cmp.Or(s.columns, math.MaxInt)) {
		fmt.Fprintln(out, s.style.paint(bold, line))
	}
	fmt.Fprintln(out)
}

func (s *logSummary) fate(out io.Writer, name string, n, all int, note string) {
	s.beside(out, fmt.Sprintf("  %s %9s %6.1f %%  ", pad(name, 18), grouped(n), 100*float64(n)/float64(all)), note)
}

// count prints what is no part of the messages that were to be delivered.
func (s *logSummary) count(out io.Writer, name string, n int, note string) {
	s.beside(out, fmt.Sprintf("  %s %9s          ", pad(name, 18), grouped(n)), note)
}

// leastBeside is how many columns of words are worth standing beside numbers.
const leastBeside = 24

// beside prints words behind numbers, or below them where the window is too narrow for that.
func (s *logSummary) beside(out io.Writer, numbers, words string) {
	used := uniseg.StringWidth(numbers)
	if s.columns == 0 || used+uniseg.StringWidth(words) <= s.columns {
		fmt.Fprintln(out, strings.TrimRight(numbers+words, " "))
		return
	}
	if s.columns-used < leastBeside {
		fmt.Fprintln(out, strings.TrimRight(numbers, " "))
		used = max(4, min(used, s.columns-2*leastBeside))
		numbers = strings.Repeat(" ", used)
	}
	for _, line := range wrap(words, s.columns-used) {
		fmt.Fprintln(out, numbers+line)
		numbers = strings.Repeat(" ", used)
	}
}

func (s *logSummary) title(out io.Writer, text string) {
	fmt.Fprintf(out, "\n%s\n\n", s.style.paint(bold, text))
}

// categories prints failures by category, with bars.
func (s *logSummary) categories(out io.Writer) {
	s.title(out, "By category")
	sums := total(s, func(f failure) classify.Category { return f.category })
	order := most(sums, len(sums), fates.sum)
	top := sums[order[0]].sum()
	n := max(8, min(30, cmp.Or(s.columns, width(s.a.stdout))-54))
	fmt.Fprintf(out, "  %s %9s %9s %9s\n", pad("", 18), "bounced", "deferred", "sent late")
	for _, c := range order {
		f := sums[c]
		fmt.Fprintf(out, "  %s %9s %9s %9s  %s\n", pad(string(c), 18), grouped(f.bounced), grouped(f.deferred), grouped(f.late),
			s.style.paint(cyan, bar(float64(f.sum())/float64(top), n)))
	}
}

// Lengths of lists.
const (
	topProviders = 8
	topReasons   = 7
	topHosts     = 8
	topRising    = 5
)

// providers prints what each provider took and refused, and why.
func (s *logSummary) providers(out io.Writer) {
	s.title(out, "By provider")
	sums := total(s, func(f failure) string { return f.provider })
	head := fmt.Sprintf("  %s %9s %9s %9s %9s  ", pad("", 14), "sent", "sent late", "deferred", "bounced")
	if s.columns == 0 || s.columns >= len(head)+leastBeside {
		head += "why"
	}
	fmt.Fprintln(out, strings.TrimRight(head, " "))
	for _, p := range most(sums, topProviders, fates.sum) {
		f := sums[p]
		why := map[classify.Category]int{}
		for k, n := range s.failures {
			if k.provider == p {
				why[k.category] += n.sum()
			}
		}
		var words []string
		for _, c := range most(why, 3, func(n int) int { return n }) {
			words = append(words, fmt.Sprintf("%s %s", c, grouped(why[c])))
		}
		s.beside(out, fmt.Sprintf("  %s %9s %9s %9s %9s  ", pad(p, 14), grouped(s.sentTo[p]), grouped(f.late), grouped(f.deferred), grouped(f.bounced)),
			strings.Join(words, ", "))
	}
}

// reasons prints the most frequent reasons, and what to do about them.
func (s *logSummary) reasons(out io.Writer) {
	s.title(out, "What to do")
	type why struct {
		reason   string
		category classify.Category
	}
	sums := map[string]int{}
	of := map[string]map[classify.Type]int{}
	named := map[string]why{}
	for f, n := range s.failures {
		key := f.reason + " " + string(f.category)
		if sums[key] += n.sum(); of[key] == nil {
			of[key] = map[classify.Type]int{}
		}
		named[key] = why{f.reason, f.category}
		of[key][f.typ] += n.sum()
	}
	p := newPaper(s.a)
	for _, key := range most(sums, topReasons, func(n int) int { return n }) {
		r, _ := s.engine.Reason(named[key].reason)
		typ := most(of[key], 1, func(n int) int { return n })[0]
		name := named[key].reason
		if name != string(named[key].category) {
			name = fmt.Sprintf("%s (%s)", name, named[key].category)
		}
		p.print(fmt.Sprintf("  %9s  %s", grouped(sums[key]), s.style.paint(typeColour[typ], name)))
		p.hang(strings.Repeat(" ", 13), 13, r.Address.Of(string(typ))+" "+r.Advice)
	}
}

// remotes prints the servers that failed most often, and why.
func (s *logSummary) remotes(out io.Writer) {
	sums, why := map[string]int{}, map[string]map[string]int{}
	for f, n := range s.remote {
		if sums[f.host] += n; why[f.host] == nil {
			why[f.host] = map[string]int{}
		}
		why[f.host][f.reason] += n
	}
	if len(sums) == 0 {
		return
	}
	s.title(out, "Remote servers that failed most")
	for _, host := range most(sums, topHosts, func(n int) int { return n }) {
		var words []string
		for _, r := range most(why[host], 2, func(n int) int { return n }) {
			words = append(words, fmt.Sprintf("%s %s", r, grouped(why[host][r])))
		}
		s.beside(out, fmt.Sprintf("  %9s  %s  ", grouped(sums[host]), pad(clean(host), 38)), strings.Join(words, ", "))
	}
}

// rose prints what failed more often in the second half of the time than in the first,
// and more than the number of messages explains.
func (s *logSummary) rose(out io.Writer) {
	from, to := s.first.Unix()/3600, s.last.Unix()/3600+1
	half := (to - from) / 2
	if s.first.IsZero() || half < 1 {
		return
	}
	middle := to - half
	var mail [2]int
	for hour, n := range s.mail {
		if hour >= middle-half {
			mail[b2i(hour >= middle)] += n
		}
	}
	if mail[0] == 0 {
		return
	}
	more := float64(mail[1]) / float64(mail[0])
	type place struct{ reason, provider string }
	counts := map[place]*[2]int{}
	for h, n := range s.hours {
		if h.hour < middle-half {
			continue
		}
		key := place{h.reason, h.provider}
		if counts[key] == nil {
			counts[key] = &[2]int{}
		}
		counts[key][b2i(h.hour >= middle)] += n
	}
	score := map[string]float64{}
	text := map[string]string{}
	for key, n := range counts {
		expected := float64(n[0]) * more
		// How many standard deviations it is above what was to be expected.
		if z := (float64(n[1]) - expected) / math.Sqrt(float64(n[1])+expected*more+1); z >= 3 && n[1] >= 10 {
			name := key.reason + " at " + key.provider
			if key.provider == "other" {
				name = key.reason + " at other servers"
			}
			score[name] = z
			text[name] = fmt.Sprintf("%9s → %-9s", grouped(n[0]), grouped(n[1]))
		}
	}
	s.title(out, fmt.Sprintf("What rose in the last %s, against the %s before", hoursText(half), hoursText(half)))
	if len(score) == 0 {
		fmt.Fprintln(out, "  nothing")
		return
	}
	for _, name := range most(score, topRising, func(z float64) int { return int(z * 1000) }) {
		fmt.Fprintf(out, "  %s  %s\n", text[name], name)
	}
}

func b2i(b bool) int {
	if b {
		return 1
	}
	return 0
}

func hoursText(hours int64) string {
	switch {
	case hours == 1:
		return "hour"
	case hours < 48:
		return fmt.Sprintf("%d hours", hours)
	}
	return fmt.Sprintf("%d days", (hours+12)/24)
}
