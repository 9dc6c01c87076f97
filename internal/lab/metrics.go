package lab

import (
	"fmt"
	"io"
	"net/http"
	"strconv"
	"strings"
	"time"
)

// Metrics is one reading of /metrics: the value of each series under its name
// and labels as they are written there.
type Metrics map[string]float64

// Scrape reads the metrics of a daemon.
func Scrape(addr string) (Metrics, error) {
	client := http.Client{Timeout: Patience}
	resp, err := client.Get("http://" + addr + "/metrics")
	if err != nil {
		return nil, fmt.Errorf("reading metrics: %w", err)
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	if err != nil {
		return nil, fmt.Errorf("reading metrics: %w", err)
	}
	if resp.StatusCode != http.StatusOK {
		return nil, fmt.Errorf("reading metrics: status %s", resp.Status)
	}
	m := Metrics{}
	for line := range strings.SplitSeq(string(body), "\n") {
		if line == "" || line[0] == '#' {
			continue
		}
		i := strings.LastIndexByte(line, ' ')
		if i < 0 {
			return nil, fmt.Errorf("reading metrics: line %q has no value", line)
		}
		v, err := strconv.ParseFloat(line[i+1:], 64)
		if err != nil {
			return nil, fmt.Errorf("reading metrics: line %q: %w", line, err)
		}
		m[line[:i]] = v
	}
	return m, nil
}

// Sum adds the series of a metric that carry all of the labels, each written
// `name="value"`. Names go without the namespace.
func (m Metrics) Sum(name string, labels ...string) float64 {
	var sum float64
series:
	for key, v := range m {
		metric, rest, _ := strings.Cut(key, "{")
		if metric != "bounce_milter_"+name {
			continue
		}
		for _, l := range labels {
			if !strings.Contains(","+strings.TrimSuffix(rest, "}")+",", ","+l+",") {
				continue series
			}
		}
		sum += v
	}
	return sum
}

// Since returns the increase of every series over an earlier reading.
func (m Metrics) Since(old Metrics) Metrics {
	out := Metrics{}
	for key, v := range m {
		out[key] = v - old[key]
	}
	return out
}

// up reports whether the daemon whose metrics are at addr answers /-/ready with success.
func up(addr string) bool {
	client := http.Client{Timeout: 5 * time.Second}
	resp, err := client.Get("http://" + addr + "/-/ready")
	if err != nil {
		return false
	}
	resp.Body.Close()
	return resp.StatusCode == http.StatusOK
}
