package page

import (
	"cmp"
	"math"
	"slices"
	"strings"
	"time"

	"github.com/bounce-milter/bounce-milter/classify/dsn"
)

// Version is that of the summary's form. Under the same version, a field is never taken away
// or given another meaning.
const Version = 1

// Summary is what the page shows, as /api/v1/summary gives it: docs/page.md says what each
// field means. Lists are never null.
type Summary struct {
	V     int       `json:"v"`
	Time  time.Time `json:"time"`
	Since time.Time `json:"since"` // what is counted began then, at most a week ago

	Trouble  []Trouble          `json:"trouble"`
	Health   Status             `json:"health"`
	Passing  Passing            `json:"passing"`
	Rising   Rising             `json:"rising"`
	Windows  map[string]*Window `json:"windows"` // "1h", "24h", "7d"
	Replies  []Reply            `json:"not_understood"`
	Missed   uint64             `json:"missed"` // bounces of the last 24 hours that are in no number here
	StateErr string             `json:"state_error"`
}

// Passing says whether mail passes.
type Passing struct {
	LastMessage *time.Time `json:"last_message"` // nil if none was seen
	LastBounce  *time.Time `json:"last_bounce"`
}

// Rising compares the last hour with the hour before, and with the same hour of the day
// before. Nothing rises until the hour before was counted whole.
type Rising struct {
	BeforeComplete    bool `json:"before_complete"`    // the hour before was counted from its beginning on
	YesterdayComplete bool `json:"yesterday_complete"` // likewise the hour of the day before

	Categories []Change `json:"categories"`
	Providers  []Change `json:"providers"`
}

// Change is how many bounces there were in an hour, and before.
type Change struct {
	Name      string `json:"name"`
	Now       uint64 `json:"now"`
	Before    uint64 `json:"before"`    // in the hour before
	Yesterday uint64 `json:"yesterday"` // in the same hour of the day before
	// Rising tells that there are more than both before, and more than chance explains.
	Rising bool `json:"rising"`
}

// Window is what was counted in a stretch of time that ends now.
type Window struct {
	From       time.Time         `json:"from"`
	Complete   bool              `json:"complete"` // counted from its beginning on
	Messages   map[string]uint64 `json:"messages"` // by kind
	Bounces    uint64            `json:"bounces"`
	Delayed    uint64            `json:"delayed"` // of the bounces
	Categories map[string]uint64 `json:"categories"`
	Types      map[string]uint64 `json:"types"`
	Origins    map[string]uint64 `json:"origins"`
	Reasons    []Count           `json:"reasons"`   // the most frequent first
	Providers  []ProviderCount   `json:"providers"` // likewise
	Errors     map[string]uint64 `json:"errors"`    // by stage
	Bars       []Bar             `json:"bars"`
	missed     uint64
}

// Count is a reason with how often it was given.
type Count struct {
	Reason   string `json:"reason"`
	Category string `json:"category"`
	Bounces  uint64 `json:"bounces"`
	Meaning  string `json:"meaning"`
	Advice   string `json:"advice"`
}

// ProviderCount is a provider with its bounces by category.
type ProviderCount struct {
	Provider   string            `json:"provider"`
	Bounces    uint64            `json:"bounces"`
	Categories map[string]uint64 `json:"categories"`
}

// Bar is one part of a window, the oldest first.
type Bar struct {
	From       time.Time         `json:"from"`
	Seconds    int               `json:"seconds"`
	Categories map[string]uint64 `json:"categories"`
}

// Reply is one that no rule understood, masked.
type Reply struct {
	Text     string    `json:"text"`
	Category string    `json:"category"` // where codes put it
	Provider string    `json:"provider"`
	Times    uint32    `json:"times"`
	Last     time.Time `json:"last"`
	Rule     string    `json:"rule"` // to paste, once its reason is chosen; "" if there are no words to go by
}

// span is the form of a window.
type span struct {
	name    string
	unit    int64 // seconds: of a minute or an hour
	units   int64
	perBar  int64 // units of one bar
	spoken  string
	barName string
}

var spans = []span{
	{"1h", 60, 60, 1, "1 hour", "minute"},
	{"24h", 60, 24 * 60, 30, "24 hours", "half hour"},
	{"7d", 3600, 7 * 24, 3, "7 days", "3 hours"},
}

// spanOf returns the place of a span in spans, that of a day if it is unknown.
func spanOf(name string) int {
	if i := slices.IndexFunc(spans, func(sp span) bool { return sp.name == name }); i >= 0 {
		return i
	}
	return 1
}

// Summary says what was seen up to now. What it returns may be up to a second old, and must
// not be changed.
func (b *Board) Summary() *Summary {
	b.cache.Lock()
	defer b.cache.Unlock()
	now := b.elapsed()
	if b.cache.summary == nil || now-b.cache.at >= tick {
		b.cache.summary, b.cache.at, b.cache.made = b.summarise(), now, map[string][]byte{}
	}
	return b.cache.summary
}

func (b *Board) summarise() *Summary {
	s := &Summary{V: Version, Time: b.wall().Truncate(time.Second), Windows: map[string]*Window{}, Replies: []Reply{}, Trouble: []Trouble{}}
	if f := b.status.Load(); f != nil {
		s.Health = (*f)() // before the lock: it may wait for others
	}
	if f := b.sinks.Load(); f != nil {
		s.Health.Sinks = (*f)()
	}
	s.Health.complete()
	words := b.words.Load()

	b.mu.Lock()
	defer b.mu.Unlock()
	b.collect()
	b.replies.mask(words)
	s.Since = b.timeOf(max(b.since, b.second()-7*24*3600))
	s.Passing = Passing{b.when(b.seen.message), b.when(b.seen.bounce)}
	for _, sp := range spans {
		s.Windows[sp.name] = b.window(sp, words)
	}
	s.Missed = s.Windows["24h"].missed
	s.Rising = b.rising()
	for i := range b.replies.list {
		r := &b.replies.list[i]
		s.Replies = append(s.Replies, Reply{r.Text, string(r.Category), r.Provider, r.Times, b.timeOf(r.Last), r.rule()})
	}
	s.StateErr = b.file.said
	s.Trouble = b.troubles(s)
	return s
}

func (b *Board) when(second int64) *time.Time {
	if second == 0 {
		return nil
	}
	t := b.timeOf(second)
	return &t
}

// perCategory are numbers in the order of categories.
type perCategory [16]uint64

func (p *perCategory) named(zeros bool) map[string]uint64 {
	m := map[string]uint64{}
	for i, c := range categories {
		if zeros || p[i] > 0 {
			m[string(c)] = p[i]
		}
	}
	return m
}

// window counts what is in a span. It is called with mu held, and does little for each cell.
func (b *Board) window(sp span, words *wordTable) *Window {
	now := b.second() / sp.unit
	from := now - sp.units + 1
	w := &Window{From: b.timeOf(from * sp.unit), Complete: b.since <= from*sp.unit,
		Messages: zeros(dsn.Kinds()), Types: zeros(types), Origins: zeros(origins), Errors: map[string]uint64{}}
	each := b.rings.minutesOf
	if sp.unit == 3600 {
		each = b.rings.hoursOf
	}
	var all perCategory
	var kinds [4]uint64
	bars := make([]perCategory, sp.units/sp.perBar)
	providers := make([]perCategory, len(b.names.providers.list))
	reasons := make([]perCategory, len(b.names.reasons.list)) // "unknown" is in several categories
	each(from, now, func(at int64, k key, count uint32) {
		n := uint64(count)
		if i, ok := k.counter(); ok {
			w.count(b.names.counters.list[i], n)
			return
		}
		c := k.category()
		all[c] += n
		bars[(at-from)/sp.perBar][c] += n
		providers[k.provider()][c] += n
		reasons[k.reason()][c] += n
		kinds[k.kind()] += n
		if k.delayed() {
			w.Delayed += n
		}
	})
	w.Categories = all.named(true)
	w.Bounces = total(w.Categories)
	for i, t := range types {
		w.Types[string(t)] = kinds[i]
	}
	w.Bars = make([]Bar, len(bars))
	for i := range bars {
		w.Bars[i] = Bar{b.timeOf((from + int64(i)*sp.perBar) * sp.unit), int(sp.perBar * sp.unit), bars[i].named(false)}
	}
	w.Reasons = []Count{}
	for i := range reasons {
		for c, n := range reasons[i] {
			if n > 0 {
				r := words.reason(b.names.reasons.list[i])
				w.Reasons = append(w.Reasons, Count{r.ID, string(categories[c]), n, r.Meaning, r.Advice})
			}
		}
	}
	slices.SortFunc(w.Reasons, func(a, b Count) int {
		return cmp.Or(cmp.Compare(b.Bounces, a.Bounces), cmp.Compare(a.Reason, b.Reason), cmp.Compare(a.Category, b.Category))
	})
	w.Providers = []ProviderCount{}
	for i := range providers {
		p := ProviderCount{Provider: b.names.providers.list[i], Categories: providers[i].named(false)}
		if p.Bounces = total(p.Categories); p.Bounces > 0 {
			w.Providers = append(w.Providers, p)
		}
	}
	slices.SortFunc(w.Providers, func(a, b ProviderCount) int {
		return cmp.Or(cmp.Compare(b.Bounces, a.Bounces), cmp.Compare(a.Provider, b.Provider))
	})
	return w
}

// count adds to a counter that is no bounce.
func (w *Window) count(name string, n uint64) {
	what, of, _ := strings.Cut(name, " ")
	switch what {
	case "message":
		w.Messages[of] += n
	case "origin":
		w.Origins[of] += n
	case "error":
		w.Errors[of] += n
	case "missed":
		w.missed += n
	}
}

// rising compares the hours. It is called with mu held.
func (b *Board) rising() Rising {
	now := b.minute()
	counted := func(to int64) bool { return b.since <= (to-59)*60 }
	out := Rising{BeforeComplete: counted(now - 60), YesterdayComplete: counted(now - 24*60)}
	category, provider := make([]Change, len(categories)), make([]Change, len(b.names.providers.list))
	count := func(to int64, add func(*Change, uint64)) {
		b.rings.minutesOf(to-59, to, func(_ int64, k key, n uint32) {
			if _, ok := k.counter(); !ok {
				add(&category[k.category()], uint64(n))
				add(&provider[k.provider()], uint64(n))
			}
		})
	}
	count(now, func(c *Change, n uint64) { c.Now += n })
	count(now-60, func(c *Change, n uint64) { c.Before += n })
	count(now-24*60, func(c *Change, n uint64) { c.Yesterday += n })
	list := func(all []Change, name func(int) string) []Change {
		changes := []Change{}
		for i, c := range all {
			if c == (Change{}) {
				continue
			}
			c.Name = name(i)
			c.Rising = out.BeforeComplete && rises(c.Now, max(c.Before, c.Yesterday))
			changes = append(changes, c)
		}
		slices.SortFunc(changes, func(a, b Change) int {
			return cmp.Or(-compareBool(a.Rising, b.Rising), cmp.Compare(growth(b), growth(a)), cmp.Compare(b.Now, a.Now), cmp.Compare(a.Name, b.Name))
		})
		return changes
	}
	out.Categories = list(category, func(i int) string { return string(categories[i]) })
	out.Providers = list(provider, func(i int) string { return b.names.providers.list[i] })
	return out
}

func growth(c Change) int64 { return int64(c.Now) - int64(max(c.Before, c.Yesterday)) }

func compareBool(a, b bool) int {
	switch {
	case a == b:
		return 0
	case a:
		return 1
	}
	return -1
}

// rises reports whether so many more than before are hardly chance: the difference of two
// numbers of independent events varies by the root of their sum.
func rises(now, before uint64) bool {
	return now >= 5 && float64(now)-float64(before) > 2.5*math.Sqrt(float64(now)+float64(before))
}

func zeros[T ~string](names []T) map[string]uint64 {
	m := make(map[string]uint64, len(names))
	for _, n := range names {
		m[string(n)] = 0
	}
	return m
}
