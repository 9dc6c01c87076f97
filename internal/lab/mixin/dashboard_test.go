//go:build e2e

package mixin

import (
	"encoding/json"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/grafana/grafana-foundation-sdk/go/dashboard"
	"github.com/grafana/grafana-foundation-sdk/go/prometheus"
	"github.com/grafana/grafana-foundation-sdk/go/units"
)

func theDashboard(t *testing.T) *Board {
	t.Helper()
	d, err := Dashboard(root)
	if err != nil {
		t.Fatal(err)
	}
	return d
}

// Grafana itself is not here, so the dashboard is held to its schema and to what the
// schema does not say.
func TestDashboard(t *testing.T) {
	d := theDashboard(t)
	for _, problem := range faults(d) {
		t.Error(problem)
	}
	if n := len(Panels(d)); n < 30 {
		t.Errorf("there are %d panels", n)
	}
}

// faults finds what the schema allows and people would see.
func faults(d *Board) (found []string) {
	say := func(format string, a ...any) { found = append(found, fmt.Sprintf(format, a...)) }
	known := []string{units.NoUnit, units.Short, units.PercentUnit, units.CountsPerMinute, units.Seconds, units.BytesIEC}
	ids := map[uint32]bool{}
	covered := map[[2]uint32]string{} // a cell of the grid, 24 wide: the panel on it
	place := func(title string, id *uint32, pos *dashboard.GridPos) {
		if id == nil || ids[*id] {
			say("%s has no id of its own", title)
		} else {
			ids[*id] = true
		}
		if pos == nil || pos.W == 0 || pos.H == 0 || pos.X+pos.W > 24 {
			say("%s is not on the grid: %+v", title, pos)
			return
		}
		for x := pos.X; x < pos.X+pos.W; x++ {
			for y := pos.Y; y < pos.Y+pos.H; y++ {
				if other := covered[[2]uint32{x, y}]; other != "" {
					say("%s lies over %s", title, other)
					return
				}
				covered[[2]uint32{x, y}] = title
			}
		}
	}
	titles := map[string]bool{}
	bottom := uint32(0)
	for i := range d.Panels {
		if r := d.Panels[i].RowPanel; r != nil {
			place("row "+text(r.Title), &r.Id, r.GridPos)
			if r.GridPos != nil {
				if r.GridPos.W != 24 || r.GridPos.Y != bottom {
					say("row %s does not follow what is above it", text(r.Title))
				}
				bottom = max(bottom, r.GridPos.Y+r.GridPos.H)
			}
			titles = map[string]bool{}
			continue
		}
		p := d.Panels[i].Panel
		title := "panel " + text(p.Title)
		place(title, p.Id, p.GridPos)
		if p.GridPos != nil {
			bottom = max(bottom, p.GridPos.Y+p.GridPos.H)
		}
		if text(p.Title) == "" || titles[text(p.Title)] {
			say("%s has no title of its own in its row", title)
		}
		titles[text(p.Title)] = true
		if len(text(p.Description)) < 20 {
			say("%s is not described", title)
		}
		if p.FieldConfig == nil || text(p.FieldConfig.Defaults.Unit) == "" {
			say("%s has no unit", title)
		} else if u := text(p.FieldConfig.Defaults.Unit); !slices.Contains(known, u) {
			say("%s has a unit that Grafana may not know: %s", title, u)
		}
		if p.Datasource == nil || text(p.Datasource.Uid) != "${datasource}" {
			say("%s has a data source of its own", title)
		}
		if len(p.Targets) == 0 {
			say("%s asks nothing", title)
		}
		refs := map[string]bool{}
		for _, target := range p.Targets {
			q, ok := target.(*prometheus.Dataquery)
			if !ok {
				say("%s asks a %T", title, target)
				continue
			}
			if text(q.RefId) == "" || refs[text(q.RefId)] {
				say("%s has a query without a refId of its own", title)
			}
			refs[text(q.RefId)] = true
			if q.Datasource == nil || text(q.Datasource.Uid) != "${datasource}" {
				say("a query of %s has a data source of its own", title)
			}
			if legend := text(q.LegendFormat); legend == "" && p.Type != "stat" && p.Type != "table" {
				say("a query of %s has no legend", title)
			}
		}
	}

	// Each variable is asked for, and each that is asked for is there.
	defined := map[string]bool{}
	for _, v := range d.Templating.List {
		defined[v.Name] = true
		if v.Datasource != nil && text(v.Datasource.Uid) != "${datasource}" {
			say("variable %s has a data source of its own", v.Name)
		}
	}
	queries, err := Queries(d)
	if err != nil {
		say("%v", err)
	}
	used := map[string]bool{"datasource": true}
	for _, q := range queries {
		for _, name := range variable.FindAllString(q.Expr, -1) {
			used[name[1:]] = true
		}
	}
	if !maps.Equal(defined, used) {
		say("the variables are %v, and %v are asked for", slices.Sorted(maps.Keys(defined)), slices.Sorted(maps.Keys(used)))
	}
	return found
}

// The checks find what they are for.
func TestDashboardFaults(t *testing.T) {
	good, err := os.ReadFile(filepath.Join(root, DashboardFile))
	if err != nil {
		t.Fatal(err)
	}
	type object = map[string]any
	// panel is the third after the first row.
	panel := func(d object) object { return d["panels"].([]any)[3].(object) }
	query := func(d object) object { return panel(d)["targets"].([]any)[0].(object) }
	for name, c := range map[string]struct {
		change func(d object)
		want   string
	}{
		"a word that Grafana does not know":          {func(d object) { panel(d)["titel"] = "x" }, "unexpected field 'titel'"},
		"such a word in the options of a panel":      {func(d object) { panel(d)["options"].(object)["colourMode"] = "x" }, "unexpected field 'colourMode'"},
		"such a word in a query":                     {func(d object) { query(d)["query"] = "up" }, "unexpected field 'query'"},
		"a panel that is too wide":                   {func(d object) { panel(d)["gridPos"].(object)["w"] = 25 }, "w"},
		"a panel over the edge":                      {func(d object) { panel(d)["gridPos"].(object)["x"] = 22 }, "is not on the grid"},
		"a panel over another":                       {func(d object) { panel(d)["gridPos"].(object)["x"] = 5 }, "lies over"},
		"a panel with another's id":                  {func(d object) { panel(d)["id"] = 2 }, "has no id of its own"},
		"a panel with another's title":               {func(d object) { panel(d)["title"] = "Bounces" }, "has no title of its own"},
		"a panel without a description":              {func(d object) { delete(panel(d), "description") }, "is not described"},
		"a panel without a unit":                     {func(d object) { delete(panel(d)["fieldConfig"].(object)["defaults"].(object), "unit") }, "has no unit"},
		"a panel with an odd unit":                   {func(d object) { panel(d)["fieldConfig"].(object)["defaults"].(object)["unit"] = "bounces" }, "may not know"},
		"a panel with a data source":                 {func(d object) { panel(d)["datasource"].(object)["uid"] = "P1809F7CD0C75ACF3" }, "has a data source of its own"},
		"a query with a data source":                 {func(d object) { query(d)["datasource"].(object)["uid"] = "P1809F7CD0C75ACF3" }, "has a data source of its own"},
		"a query without a refId":                    {func(d object) { delete(query(d), "refId") }, "without a refId"},
		"a query for a variable that nobody defines": {func(d object) { query(d)["expr"] = `up{job=~"$cluster"}` }, "asked for"},
	} {
		t.Run(name, func(t *testing.T) {
			var d object
			if err := json.Unmarshal(good, &d); err != nil {
				t.Fatal(err)
			}
			c.change(d)
			data, err := json.Marshal(d)
			if err != nil {
				t.Fatal(err)
			}
			var found string
			if read, err := ReadDashboard(data); err != nil {
				found = err.Error()
			} else {
				found = strings.Join(faults(read), "\n")
			}
			if !strings.Contains(found, c.want) {
				t.Errorf("found %q, want %q", found, c.want)
			}
		})
	}
}

// The dashboard and the rules tell the same story: what is recorded is read by its
// recorded name, or, where a mail server is chosen, computed as the rule does it.
func TestDashboardAgreesWithRules(t *testing.T) {
	queries, err := Queries(theDashboard(t))
	if err != nil {
		t.Fatal(err)
	}
	function := regexp.MustCompile(`(\w+)\((bounce_milter_\w+)(?:\{[^}]*\})?(\[\w+\])`)
	names, computed := map[string]bool{}, map[string]string{}
	for _, r := range rules(t, RecordingFile) {
		names[r.Record] = true
		for _, m := range function.FindAllStringSubmatch(r.Expr, -1) {
			computed[m[2]] = m[1] + m[3]
		}
	}
	if len(computed) < 4 {
		t.Fatalf("the rules compute %v", computed)
	}
	legend := regexp.MustCompile(`\{\{(\w+)\}\}`)
	by := regexp.MustCompile(`by \(([a-z, ]+)\)`)
	compared := 0
	for _, q := range queries {
		for _, name := range Recorded(q.Expr) {
			if !names[name] {
				t.Errorf("%s asks for %s, which is not recorded", q.Where, name)
			}
		}
		for _, m := range function.FindAllStringSubmatch(q.Expr, -1) {
			if want, ok := computed[m[2]]; ok {
				compared++
				if got := m[1] + m[3]; got != want {
					t.Errorf("%s takes the %s of %s, the rules the %s", q.Where, got, m[2], want)
				}
			}
		}
		for _, m := range legend.FindAllStringSubmatch(q.Legend, -1) {
			if kept := by.FindStringSubmatch(q.Expr); kept != nil && !slices.Contains(strings.Split(kept[1], ", "), m[1]) {
				t.Errorf("%s shows %s, which the query does not keep", q.Where, m[1])
			}
		}
	}
	if compared < 5 {
		t.Errorf("%d expressions were compared", compared)
	}
}
