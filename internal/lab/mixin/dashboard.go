//go:build e2e

package mixin

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"sync"

	"github.com/grafana/grafana-foundation-sdk/go/bargauge"
	"github.com/grafana/grafana-foundation-sdk/go/cog"
	"github.com/grafana/grafana-foundation-sdk/go/dashboard"
	"github.com/grafana/grafana-foundation-sdk/go/prometheus"
	"github.com/grafana/grafana-foundation-sdk/go/stat"
	"github.com/grafana/grafana-foundation-sdk/go/statetimeline"
	"github.com/grafana/grafana-foundation-sdk/go/table"
	"github.com/grafana/grafana-foundation-sdk/go/timeseries"
)

// DashboardFile is Grafana's dashboard, below the root of the module.
const DashboardFile = "packaging/grafana/bounce-milter.json"

// Board is a dashboard in the form that every Grafana since 8 imports. The SDK prefers the
// next one, which needs Grafana 12.
//
//lint:ignore SA1019 that is why
type Board = dashboard.Dashboard

// register tells the SDK the kinds of panels and queries of the dashboard: in kinds that it
// does not know it would accept anything.
var register = sync.OnceFunc(func() {
	r := cog.NewRuntime()
	r.RegisterPanelcfgVariant(bargauge.VariantConfig())
	r.RegisterPanelcfgVariant(stat.VariantConfig())
	r.RegisterPanelcfgVariant(statetimeline.VariantConfig())
	r.RegisterPanelcfgVariant(table.VariantConfig())
	r.RegisterPanelcfgVariant(timeseries.VariantConfig())
	r.RegisterDataqueryVariant(prometheus.VariantConfig())
})

// ReadDashboard reads a dashboard strictly: it refuses what Grafana does not know.
func ReadDashboard(data []byte) (*Board, error) {
	register()
	// The strict reader finds every fault, but leaves out the panels: the plain one reads them.
	var strict, d Board
	if err := fault(strict.UnmarshalJSONStrict(data)); err != nil {
		return nil, fmt.Errorf("reading a dashboard: %w", err)
	}
	if err := json.Unmarshal(data, &d); err != nil {
		return nil, fmt.Errorf("reading a dashboard: %w", err)
	}
	if err := fault(d.Validate()); err != nil {
		return nil, fmt.Errorf("reading a dashboard: %w", err)
	}
	return &d, nil
}

// fault is err, or nil if it is the SDK's empty list of faults.
func fault(err error) error {
	var list cog.BuildErrors
	if errors.As(err, &list) && len(list) == 0 {
		return nil
	}
	return err
}

// Query is a query of the dashboard.
type Query struct {
	Where  string // the panel or variable that asks
	Expr   string
	Legend string
}

// With returns the expression with variables replaced by their values, each a regular
// expression.
func (q Query) With(values map[string]string) (string, error) {
	var unknown []string
	expr := variable.ReplaceAllStringFunc(q.Expr, func(name string) string {
		value, ok := values[name[1:]]
		if !ok {
			unknown = append(unknown, name)
		}
		return value
	})
	if len(unknown) > 0 {
		return "", fmt.Errorf("%s asks for %s", q.Where, strings.Join(unknown, ", "))
	}
	return expr, nil
}

var (
	variable    = regexp.MustCompile(`\$[a-z_]+`)
	labelValues = regexp.MustCompile(`^label_values\((.*), ([a-z]+)\)$`)
)

// Queries returns what the panels and annotations of a dashboard ask, and what its variables do, as
// a query for a list of label values.
func Queries(d *Board) ([]Query, error) {
	var all []Query
	for _, p := range Panels(d) {
		for _, t := range p.Targets {
			q, ok := t.(*prometheus.Dataquery)
			if !ok {
				return nil, fmt.Errorf("panel %q asks a %T", *p.Title, t)
			}
			all = append(all, Query{"panel " + *p.Title, q.Expr, text(q.LegendFormat)})
		}
	}
	for _, v := range d.Templating.List {
		if v.Type != dashboard.VariableTypeQuery {
			continue
		}
		m := labelValues.FindStringSubmatch(text(v.Definition))
		if m == nil {
			return nil, fmt.Errorf("variable %s asks %q", v.Name, text(v.Definition))
		}
		all = append(all, Query{"variable " + v.Name, "group by (" + m[2] + ") (" + m[1] + ")", "{{" + m[2] + "}}"})
	}
	return all, nil
}

// Panels returns the panels of a dashboard without its rows.
func Panels(d *Board) []*dashboard.Panel {
	var all []*dashboard.Panel
	for i := range d.Panels {
		if p := d.Panels[i].Panel; p != nil {
			all = append(all, p)
		}
	}
	return all
}

// Dashboard reads DashboardFile below root.
func Dashboard(root string) (*Board, error) {
	data, err := os.ReadFile(filepath.Join(root, DashboardFile))
	if err != nil {
		return nil, fmt.Errorf("reading a dashboard: %w", err)
	}
	return ReadDashboard(data)
}

func text(s *string) string {
	if s == nil {
		return ""
	}
	return *s
}
