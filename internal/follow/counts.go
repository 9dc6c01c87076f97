package follow

import (
	"cmp"
	"fmt"
	"slices"
	"strings"

	"github.com/bounce-milter/bounce-milter/classify"
	"github.com/bounce-milter/bounce-milter/classify/maillog"
	"github.com/prometheus/client_golang/prometheus"
)

// labels are those of a count of deliveries.
type labels struct {
	Result   string `json:"result"`
	Category string `json:"category"`
	Type     string `json:"type"`
	Provider string `json:"provider"`
}

type count struct {
	labels
	N uint64 `json:"n"`
}

var deliveries = prometheus.NewDesc("bounce_milter_deliveries_total",
	"Attempts to deliver a message to a recipient, as the mail server's log tells them, by result and, if they failed, by verdict.",
	[]string{"result", "category", "type", "provider"}, nil)

// counted are the results that count as deliveries.
var counted = map[maillog.Result]bool{maillog.Sent: true, maillog.Deferred: true, maillog.Bounced: true, maillog.Expired: true}

// counts are the deliveries so far. It does not lock.
type counts map[labels]uint64

func (c counts) add(r maillog.Result, v *classify.Recipient) {
	c[labels{string(r), string(v.Category), string(v.Type), v.Provider}]++
}

func (c counts) list() []count {
	list := make([]count, 0, len(c))
	for l, n := range c {
		list = append(list, count{l, n})
	}
	slices.SortFunc(list, func(a, b count) int {
		return cmp.Or(strings.Compare(a.Result, b.Result), strings.Compare(a.Category, b.Category),
			strings.Compare(a.Type, b.Type), strings.Compare(a.Provider, b.Provider))
	})
	return list
}

// shown are the counts that Prometheus sees. They are saved before it sees them, so that
// they never fall, even if the process is killed.
type shown struct{ f *Follower }

func (s shown) Describe(ch chan<- *prometheus.Desc) { ch <- deliveries }

func (s shown) Collect(ch chan<- prometheus.Metric) {
	for _, c := range s.f.current() {
		ch <- prometheus.MustNewConstMetric(deliveries, prometheus.CounterValue, float64(c.N), c.Result, c.Category, c.Type, c.Provider)
	}
}

// hour sums up what was counted since the last line of the log.
type hour struct {
	results  map[string]int
	failures map[string]int // "category at provider"
	lines    int
}

func newHour() hour { return hour{results: map[string]int{}, failures: map[string]int{}} }

// attrs are the sums for a line of the log.
func (h *hour) attrs() []any {
	attrs := []any{"lines", h.lines}
	for _, r := range maillog.Results() {
		if counted[r] {
			attrs = append(attrs, string(r), h.results[string(r)])
		}
	}
	const most = 3
	type item struct {
		what string
		n    int
	}
	var list []item
	for what, n := range h.failures {
		list = append(list, item{what, n})
	}
	slices.SortFunc(list, func(a, b item) int { return cmp.Or(b.n-a.n, strings.Compare(a.what, b.what)) })
	var top []string
	for _, x := range list[:min(len(list), most)] {
		top = append(top, fmt.Sprintf("%s %d", x.what, x.n))
	}
	return append(attrs, "most", strings.Join(top, ", "))
}
