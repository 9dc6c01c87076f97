// Package mixin reads what packaging has for Prometheus and Grafana, so that tests can
// compare its parts with each other and with the documents.
package mixin

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strings"

	"go.yaml.in/yaml/v3"
)

// Files of rules, below the root of the module.
const (
	Folder        = "packaging/prometheus"
	RecordingFile = Folder + "/bounce-milter.rules.yml"
	AlertFile     = Folder + "/bounce-milter.alerts.yml"
	// CasesFolder has a file of cases for promtool test rules for each kind of alert.
	CasesFolder = "internal/lab/testdata/prometheus"
)

// Group is a group of a file of rules.
type Group struct {
	Name     string `yaml:"name"`
	Interval string `yaml:"interval"`
	Rules    []Rule `yaml:"rules"`
}

// Rule is a recording rule or an alert.
type Rule struct {
	Record      string            `yaml:"record"`
	Alert       string            `yaml:"alert"`
	Expr        string            `yaml:"expr"`
	For         string            `yaml:"for"`
	Labels      map[string]string `yaml:"labels"`
	Annotations map[string]string `yaml:"annotations"`
}

// Groups reads a file of rules below root.
func Groups(root, file string) ([]Group, error) {
	var f struct {
		Groups []Group `yaml:"groups"`
	}
	if err := decode(filepath.Join(root, file), &f); err != nil {
		return nil, err
	}
	return f.Groups, nil
}

// Rules reads all rules of a file below root.
func Rules(root, file string) ([]Rule, error) {
	groups, err := Groups(root, file)
	var all []Rule
	for _, g := range groups {
		all = append(all, g.Rules...)
	}
	return all, err
}

// Case is a moment of a test of promtool, and the alerts that must fire then.
type Case struct {
	Alert string     `yaml:"alertname"`
	At    string     `yaml:"eval_time"`
	Fires []struct{} `yaml:"exp_alerts"`
}

// Cases reads the cases of all files in CasesFolder.
func Cases(root string) ([]Case, error) {
	files, err := filepath.Glob(filepath.Join(root, CasesFolder, "*.yml"))
	if err != nil {
		return nil, fmt.Errorf("looking for cases: %w", err)
	}
	var all []Case
	for _, file := range files {
		var f struct {
			Tests []struct {
				Cases []Case `yaml:"alert_rule_test"`
			} `yaml:"tests"`
		}
		data, err := os.ReadFile(file)
		if err != nil {
			return nil, fmt.Errorf("reading cases: %w", err)
		}
		if err := yaml.Unmarshal(data, &f); err != nil {
			return nil, fmt.Errorf("reading %s: %w", file, err)
		}
		for _, t := range f.Tests {
			all = append(all, t.Cases...)
		}
	}
	return all, nil
}

// decode reads a file, and refuses keys that v does not have.
func decode(file string, v any) error {
	data, err := os.ReadFile(file)
	if err != nil {
		return fmt.Errorf("reading rules: %w", err)
	}
	d := yaml.NewDecoder(bytes.NewReader(data))
	d.KnownFields(true)
	if err := d.Decode(v); err != nil {
		return fmt.Errorf("reading %s: %w", file, err)
	}
	return nil
}

var (
	recorded = regexp.MustCompile(`\b[a-z_]+:bounce_milter_\w+:\w+\b`)
	name     = regexp.MustCompile(`[\w:]*bounce_milter_[\w:]+`)
)

// Recorded returns the names of recording rules in a query.
func Recorded(query string) []string { return recorded.FindAllString(query, -1) }

// Counted returns the names of the daemon's own metrics in a query.
func Counted(query string) []string {
	var names []string
	for _, n := range name.FindAllString(query, -1) {
		if strings.HasPrefix(n, "bounce_milter_") && !strings.Contains(n, ":") {
			names = append(names, n)
		}
	}
	return names
}
