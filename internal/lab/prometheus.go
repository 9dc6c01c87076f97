package lab

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"strconv"
	"time"
)

// Prometheus is a private Prometheus.
type Prometheus struct {
	*Process
	// Addr is where it answers queries.
	Addr string
}

// StartPrometheus starts Debian's Prometheus with a configuration and further files, which
// the configuration may name, in its folder.
func (l *Lab) StartPrometheus(name, config string, files map[string]string) (*Prometheus, error) {
	dir, err := l.mkdir(0o755, 0, 0, name)
	if err != nil {
		return nil, err
	}
	for file, text := range files {
		if err := os.WriteFile(filepath.Join(dir, file), []byte(text), 0o644); err != nil {
			return nil, fmt.Errorf("configuring Prometheus: %w", err)
		}
	}
	conf := filepath.Join(dir, "prometheus.yml")
	if err := os.WriteFile(conf, []byte(config), 0o644); err != nil {
		return nil, fmt.Errorf("configuring Prometheus: %w", err)
	}
	ports, err := FreePorts(1)
	if err != nil {
		return nil, err
	}
	p := &Prometheus{Addr: Loopback(ports[0])}
	p.Process, err = l.Start(Spec{
		Name: "prometheus", Path: "/usr/bin/prometheus", Log: filepath.Join(dir, "log"),
		Args: []string{"--config.file=" + conf, "--storage.tsdb.path=" + filepath.Join(dir, "data"), "--web.listen-address=" + p.Addr, "--log.level=warn",
			"--enable-feature=exemplar-storage"},
	})
	if err != nil {
		return nil, err
	}
	return p, Until("Prometheus to be ready", func() (bool, error) {
		if p.Exited() {
			return false, Never(fmt.Errorf("it ended: %s", p.Log()))
		}
		resp, err := http.Get("http://" + p.Addr + "/-/ready")
		if err != nil {
			return false, nil
		}
		return resp.StatusCode == http.StatusOK, resp.Body.Close()
	})
}

// Sample is one result of a query.
type Sample struct {
	Labels map[string]string
	Value  float64
}

// Query evaluates a query at a moment; the zero time is now.
func (p *Prometheus) Query(expr string, at time.Time) ([]Sample, error) {
	form := url.Values{"query": {expr}}
	if !at.IsZero() {
		form.Set("time", strconv.FormatFloat(float64(at.UnixMilli())/1000, 'f', 3, 64))
	}
	var data struct {
		Result []struct {
			Metric map[string]string `json:"metric"`
			Value  [2]any            `json:"value"` // seconds, and the value as a string
		} `json:"result"`
	}
	if err := p.get("query?"+form.Encode(), &data); err != nil {
		return nil, fmt.Errorf("asking for %s: %w", expr, err)
	}
	samples := make([]Sample, 0, len(data.Result))
	for _, r := range data.Result {
		text, _ := r.Value[1].(string)
		v, err := strconv.ParseFloat(text, 64)
		if err != nil {
			return nil, fmt.Errorf("asking for %s: %w", expr, err)
		}
		samples = append(samples, Sample{r.Metric, v})
	}
	return samples, nil
}

// RuleState is what Prometheus says about a rule that it has loaded.
type RuleState struct {
	Name      string `json:"name"`
	Health    string `json:"health"` // "ok", "err", or "unknown" before its first turn
	LastError string `json:"lastError"`
}

// Rules lists the rules that Prometheus has loaded.
func (p *Prometheus) Rules() ([]RuleState, error) {
	var data struct {
		Groups []struct {
			Rules []RuleState `json:"rules"`
		} `json:"groups"`
	}
	if err := p.get("rules", &data); err != nil {
		return nil, fmt.Errorf("asking for the rules: %w", err)
	}
	var all []RuleState
	for _, g := range data.Groups {
		all = append(all, g.Rules...)
	}
	return all, nil
}

// Exemplars returns the values of a label of the exemplars that a query leads to, of the
// last hour.
func (p *Prometheus) Exemplars(expr, label string) ([]string, error) {
	now := time.Now()
	form := url.Values{"query": {expr}, "start": {strconv.FormatInt(now.Add(-time.Hour).Unix(), 10)}, "end": {strconv.FormatInt(now.Add(time.Minute).Unix(), 10)}}
	var data []struct {
		Exemplars []struct {
			Labels map[string]string `json:"labels"`
		} `json:"exemplars"`
	}
	if err := p.get("query_exemplars?"+form.Encode(), &data); err != nil {
		return nil, fmt.Errorf("asking for exemplars of %s: %w", expr, err)
	}
	var values []string
	for _, series := range data {
		for _, e := range series.Exemplars {
			values = append(values, e.Labels[label])
		}
	}
	return values, nil
}

// get reads what the API has to say.
func (p *Prometheus) get(path string, data any) error {
	client := http.Client{Timeout: Patience}
	resp, err := client.Get("http://" + p.Addr + "/api/v1/" + path)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	answer := struct {
		Status string `json:"status"`
		Error  string `json:"error"`
		Data   any    `json:"data"`
	}{Data: data}
	if err := json.NewDecoder(resp.Body).Decode(&answer); err != nil {
		return err
	}
	if answer.Status != "success" {
		return fmt.Errorf("%s: %s", resp.Status, answer.Error)
	}
	return nil
}
