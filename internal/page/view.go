package page

import (
	"cmp"
	"fmt"
	"math"
	"slices"
	"strings"
	"time"

	"github.com/bounce-milter/bounce-milter/classify"
	"github.com/bounce-milter/bounce-milter/classify/dsn"
)

// How much of a list is open; the rest is folded.
const (
	openReasons   = 8
	openProviders = 14
	openChanges   = 8
)

// shortRevision is how much of a revision is enough to find it.
const shortRevision = 12

// view is what the template of the status page shows.
type view struct {
	Title, Host, Root, Here string
	S                       *Summary
	Every, Grave            bool
	Again                   string // link that turns reloading on or off
	Mood, Verdict, Young    string
	Unasked                 bool // no mail server has shown a message yet

	MessagesHour, BouncesHour, ErrorsHour uint64
	Sessions                              int
	Listen                                []string
	Revision                              string
	ErrorList                             []named

	RisingCategories, RisingProviders, OtherCategories, OtherProviders []Change

	Spans        []string
	Charts       []chart
	Categories   []row
	All          []uint64
	NoCategories []string
	Types, Kinds rows
	Origins      rows

	Chosen        tab
	Tabs          []tab
	Window        *Window
	Heat          []heatRow
	HeatColumns   []string
	MoreProviders []ProviderCount
	Reasons       []reasonRow
	MoreReasons   []reasonRow
}

type named struct {
	Name string
	N    uint64
}

// row is a name with its number in each span.
type row struct {
	Name string
	N    []uint64
}

// rows are a table of them.
type rows struct {
	Caption, What, Prefix string
	Spans                 []string
	Rows                  []row
	None                  []string // names whose numbers are all zero
}

type tab struct {
	Name, Spoken, Link string
	Here               bool
}

type heatRow struct {
	Name  string
	Cells []heatCell
	Sum   uint64
}

type heatCell struct {
	N     uint64
	Level int // 0 for none to 5
}

type reasonRow struct {
	Count
	Share string
}

func newView(s *Summary, window int, every bool) *view {
	v := &view{Title: "bounce-milter", Host: s.Health.Host, Here: "status", S: s, Every: every}
	if v.Host != "" {
		v.Title += " on " + v.Host
	}
	hour := s.Windows["1h"]
	v.MessagesHour, v.BouncesHour, v.ErrorsHour = total(hour.Messages), hour.Bounces, total(hour.Errors)
	v.Sessions = s.Health.Sessions
	for _, l := range s.Health.Listen {
		if port, ok := strings.CutPrefix(l, "tcp:"); ok {
			l = "inet:" + port // as Postfix spells it
		}
		v.Listen = append(v.Listen, l)
	}
	if r := s.Health.Revision; r != "unknown" {
		v.Revision = r[:min(len(r), shortRevision)]
	}
	for name, n := range hour.Errors {
		v.ErrorList = append(v.ErrorList, named{name, n})
	}
	slices.SortFunc(v.ErrorList, func(a, b named) int { return cmp.Or(cmp.Compare(b.N, a.N), cmp.Compare(a.Name, b.Name)) })
	v.mood()
	v.rising()
	for _, sp := range spans {
		v.Spans = append(v.Spans, sp.name)
	}
	v.counts()
	v.choose(window)
	return v
}

// mood says in a sentence whether mail is passing.
func (v *view) mood() {
	for _, t := range v.S.Trouble {
		v.Grave = v.Grave || t.Grave
	}
	last := v.S.Passing.LastMessage
	switch {
	case !v.S.Health.Serving:
		v.Mood, v.Verdict = "grave", "Mail is not served"
	case len(v.S.Health.Lost) > 0:
		v.Mood, v.Verdict = "grave", "Mail does not reach every socket"
	case last == nil:
		v.Mood, v.Verdict, v.Unasked = "idle", "Ready for mail; none has come yet", true
	case v.S.Time.Sub(*last) > time.Hour:
		v.Mood, v.Verdict = "idle", "Ready for mail; none has come for "+spoken(v.S.Time.Sub(*last))
	default:
		v.Mood, v.Verdict = "well", "Mail is passing"
	}
	if v.Mood == "well" && v.Grave {
		v.Mood = "idle"
	}
	age := spoken(v.S.Time.Sub(v.S.Since))
	if r := &v.S.Rising; !r.BeforeComplete {
		v.Young = "Nothing can be said yet: counting began " + age + " ago, and two hours are needed to compare."
	} else if !r.YesterdayComplete {
		v.Young = "Counting began " + age + " ago, so little or nothing is known of yesterday."
	}
}

// Ago says how long ago something was.
func (v *view) Ago(t *time.Time) string {
	if d := v.S.Time.Sub(*t); d >= 2*time.Second {
		return spoken(d) + " ago"
	}
	return "just now"
}

func (v *view) rising() {
	if !v.S.Rising.BeforeComplete {
		return
	}
	part := func(all []Change) (up, other []Change) {
		// Little ups and downs are shown only if nothing rises in earnest, which stands first.
		earnest := len(all) > 0 && all[0].Rising
		for _, c := range all {
			if (c.Rising || !earnest && growth(c) > 0) && len(up) < openChanges {
				up = append(up, c)
			} else {
				other = append(other, c)
			}
		}
		return up, other
	}
	v.RisingCategories, v.OtherCategories = part(v.S.Rising.Categories)
	v.RisingProviders, v.OtherProviders = part(v.S.Rising.Providers)
}

// counts fills the charts and the tables of all spans.
func (v *view) counts() {
	for _, sp := range spans {
		w := v.S.Windows[sp.name]
		v.Charts = append(v.Charts, newChart(sp, w))
		v.All = append(v.All, w.Bounces)
	}
	c := rowsOf(v.S, categories, func(w *Window) map[string]uint64 { return w.Categories })
	v.Categories, v.NoCategories = c.Rows, c.None
	v.Types = rowsOf(v.S, types, func(w *Window) map[string]uint64 { return w.Types })
	v.Types.Caption, v.Types.What, v.Types.Prefix, v.Types.Spans = "By what to do about the address", "type", "type-", v.Spans
	v.Kinds = rowsOf(v.S, dsn.Kinds(), func(w *Window) map[string]uint64 { return w.Messages })
	v.Kinds.Caption, v.Kinds.What, v.Kinds.Prefix, v.Kinds.Spans = "Messages that passed, by kind", "kind", "kind-", v.Spans
	v.Origins = rowsOf(v.S, origins, func(w *Window) map[string]uint64 { return w.Origins })
	v.Origins.Caption, v.Origins.What, v.Origins.Prefix, v.Origins.Spans = "Reports by whose mail they return", "origin", "origin-", v.Spans
}

func rowsOf[T ~string](s *Summary, names []T, field func(*Window) map[string]uint64) rows {
	var out rows
	for _, name := range names {
		r := row{Name: string(name)}
		some := false
		for _, sp := range spans {
			n := field(s.Windows[sp.name])[string(name)]
			r.N = append(r.N, n)
			some = some || n > 0
		}
		if some {
			out.Rows = append(out.Rows, r)
		} else {
			out.None = append(out.None, string(name))
		}
	}
	return out
}

// choose fills what is shown of one span only.
func (v *view) choose(at int) {
	link := func(window string, every bool) string {
		var q []string
		if window != "24h" {
			q = append(q, "window="+window)
		}
		if every {
			q = append(q, "every=60")
		}
		if len(q) == 0 {
			return "./"
		}
		return "./?" + strings.Join(q, "&")
	}
	for i, sp := range spans {
		v.Tabs = append(v.Tabs, tab{sp.spoken, sp.spoken, link(sp.name, v.Every), i == at})
	}
	v.Chosen, v.Again = v.Tabs[at], link(spans[at].name, !v.Every)
	w := v.S.Windows[spans[at].name]
	v.Window = w
	var used []classify.Category
	for _, c := range categories {
		if w.Categories[string(c)] > 0 {
			used = append(used, c)
			v.HeatColumns = append(v.HeatColumns, string(c))
		}
	}
	highest := uint64(0)
	for _, p := range w.Providers {
		for _, n := range p.Categories {
			highest = max(highest, n)
		}
	}
	for i, p := range w.Providers {
		if i >= openProviders {
			v.MoreProviders = w.Providers[i:]
			break
		}
		r := heatRow{Name: p.Provider, Sum: p.Bounces}
		for _, c := range used {
			n := p.Categories[string(c)]
			r.Cells = append(r.Cells, heatCell{n, level(n, highest)})
		}
		v.Heat = append(v.Heat, r)
	}
	for i, c := range w.Reasons {
		r := reasonRow{c, share(c.Bounces, w.Bounces)}
		if i < openReasons {
			v.Reasons = append(v.Reasons, r)
		} else {
			v.MoreReasons = append(v.MoreReasons, r)
		}
	}
}

// level returns how dark a number is, from 0 for none to 5 for the highest. It grows with
// the logarithm, so that a few beside many can be seen.
func level(n, highest uint64) int {
	if n == 0 {
		return 0
	}
	return 1 + int(4*math.Log1p(float64(n-1))/math.Log1p(float64(max(highest, 2)-1)))
}

func share(n, of uint64) string {
	p := 100 * float64(n) / float64(max(of, 1))
	switch {
	case p < 1:
		return "under 1 %"
	case p > 99 && n < of:
		return "over 99 %"
	}
	return fmt.Sprintf("%.0f %%", p)
}

// chart is a picture of bars, each of which is made of the categories.
type chart struct {
	ID, Title, Sum, Spoken, From, Scale string
	Width                               int
	Bars                                []chartBar
}

type chartBar struct {
	X, Left int
	Title   string
	Parts   []chartPart
}

type chartPart struct {
	Category  string
	Y, Height string
}

func newChart(sp span, w *Window) chart {
	c := chart{ID: "chart-" + sp.name, Title: "Last " + sp.spoken, Sum: plural(w.Bounces, "bounce"), Width: 10 * len(w.Bars),
		From: sp.spoken + " ago"}
	highest := uint64(0)
	for _, b := range w.Bars {
		highest = max(highest, total(b.Categories))
	}
	c.Scale = fmt.Sprintf("at most %s in a %s", grouped(highest), sp.barName)
	if sp.name == "7d" {
		c.Scale = fmt.Sprintf("at most %s in %s", grouped(highest), sp.barName)
	}
	if highest == 0 {
		c.Scale = ""
	}
	c.Spoken = fmt.Sprintf("Bounces of the last %s by category: %s", sp.spoken, grouped(w.Bounces))
	layout := "15:04"
	if sp.name == "7d" {
		layout = "Mon 15:04"
	}
	for i, b := range w.Bars {
		sum := total(b.Categories)
		if sum == 0 {
			continue
		}
		bar := chartBar{X: 10 * i, Left: 10*i + 1}
		var said []string
		top := 100.0
		for _, name := range categories {
			n := b.Categories[string(name)]
			if n == 0 {
				continue
			}
			h := 100 * float64(n) / float64(highest)
			top -= h
			bar.Parts = append(bar.Parts, chartPart{string(name), decimal(max(top, 0)), decimal(h)})
			said = append(said, grouped(n)+" "+string(name))
		}
		from := b.From.Local()
		bar.Title = fmt.Sprintf("%s to %s: %s (%s)", from.Format(layout), from.Add(time.Duration(b.Seconds)*time.Second).Format("15:04"),
			plural(sum, "bounce"), strings.Join(said, ", "))
		c.Bars = append(c.Bars, bar)
	}
	return c
}

// decimal writes a coordinate.
func decimal(f float64) string {
	return strings.TrimSuffix(strings.TrimRight(fmt.Sprintf("%.2f", f), "0"), ".")
}
