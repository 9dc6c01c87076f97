package page

import (
	"cmp"
	"fmt"
	"maps"
	"math"
	"slices"
	"strings"
	"time"

	"github.com/bounce-milter/bounce-milter/internal/mask"
)

// Status is how the daemon is, now.
type Status struct {
	Host     string    `json:"host"` // the name of this machine
	Serving  bool      `json:"serving"`
	Version  string    `json:"version"`
	Revision string    `json:"revision"`
	Go       string    `json:"go"`
	Ruleset  string    `json:"ruleset"`
	Started  time.Time `json:"started"`
	Mode     string    `json:"mode"`
	Forged   string    `json:"forged_headers"`
	Listen   []string  `json:"listen"`
	Lost     []string  `json:"lost"` // sockets that nobody can reach
	Sessions int       `json:"sessions"`
	Memory   int64     `json:"message_memory_bytes"`
	Reload   Reload    `json:"reload"`
	Sinks    []Sink    `json:"sinks"`

	// WebConfigWrong tells that the file of web_config was changed and is wrong.
	WebConfigWrong bool `json:"web_config_wrong"`
}

// Reload is what became of the last change of the configuration.
type Reload struct {
	Succeeded time.Time  `json:"succeeded"` // when the one in force was loaded
	Refused   *time.Time `json:"refused"`   // when a later one was refused, nil if none was
	Error     string     `json:"error"`     // why, "" if none was
}

// Sink is a place that records go to.
type Sink struct {
	Name    string `json:"name"`
	Type    string `json:"type"`
	Pending int64  `json:"pending"`        // records that wait
	Oldest  int64  `json:"oldest_seconds"` // for how long the oldest of them has waited
	Error   string `json:"error"`          // why it takes none now, "" if it does
}

// complete bounds what comes from elsewhere and makes lists of what is nil.
func (s *Status) complete() {
	s.Listen, s.Lost = slices.Clone(s.Listen), slices.Clone(s.Lost)
	if s.Listen == nil {
		s.Listen = []string{}
	}
	if s.Lost == nil {
		s.Lost = []string{}
	}
	slices.Sort(s.Listen)
	s.Reload.Error = mask.Clean(s.Reload.Error, 1000)
	s.Sinks = slices.Clone(s.Sinks)
	if s.Sinks == nil {
		s.Sinks = []Sink{}
	}
	for i := range s.Sinks {
		s.Sinks[i].Error = mask.Clean(s.Sinks[i].Error, 500)
	}
}

// Trouble is something that is wrong now.
type Trouble struct {
	ID    string `json:"id"`
	Grave bool   `json:"grave"` // mail or a verdict is affected; else it is worth a look
	Text  string `json:"text"`
	Mend  string `json:"mend"` // what to do
}

// From when on a sink is behind, and when it is quiet for long.
const (
	behind     = 5 * time.Minute
	longQuiet  = time.Hour
	manyMissed = 12 // bounces that would have come in that time, as many as in the days before
)

// troubles lists what is wrong, the gravest first. It is called with mu held.
func (b *Board) troubles(s *Summary) []Trouble {
	list := []Trouble{}
	add := func(grave bool, id, mend, text string, args ...any) {
		list = append(list, Trouble{id, grave, fmt.Sprintf(text, args...), mend})
	}
	h := &s.Health
	if !h.Serving {
		add(true, "not-serving", "See the log. If the daemon is stopping this is as it should be.", "Mail is not served.")
	}
	for _, l := range h.Lost {
		add(true, "socket-lost", "The daemon tries to open it again by itself. See the log for the reason.", "Nobody can reach the socket %s.", l)
	}
	if t := h.Reload.Refused; t != nil {
		add(true, "reload-refused", "The configuration before it is still in force. Mend the file, run bounce-milter config check, and reload.",
			"The reload at %s was refused: %s", stamp(*t), h.Reload.Error)
	}
	if h.WebConfigWrong {
		add(false, "web-config", "Until it is mended, only those who were let in before can read metrics and this page. bounce-milter config check says what is wrong.",
			"The file that web_config names is wrong.")
	}
	for _, k := range h.Sinks {
		switch {
		case k.Error != "":
			add(false, "sink-failing", "Records wait until it takes them. See docs/events.md about what happens if that lasts.",
				"The sink %s takes no records: %s", k.Name, k.Error)
		case time.Duration(k.Oldest)*time.Second >= behind:
			add(false, "sink-behind", "Its receiver takes records more slowly than they come.",
				"The sink %s is behind: %s wait, the oldest for %s.", k.Name, plural(uint64(k.Pending), "record"), spoken(time.Duration(k.Oldest)*time.Second))
		}
	}
	failed := maps.Clone(s.Windows["1h"].Errors)
	if h.Reload.Refused != nil {
		delete(failed, "reload") // said above
	}
	if n := total(failed); n > 0 {
		add(false, "errors", "The log says what happened, and which message it was. The mail was delivered all the same.",
			"%s in the last hour: %s.", plural(n, "error"), strings.Join(stagesOf(failed), ", "))
	}
	if s.Missed > 0 {
		add(false, "missed", "More bounces came at once than could be counted here. The metrics have all of them.",
			"%s of the last 24 hours are in no number on this page.", plural(s.Missed, "bounce"))
	}
	if s.StateErr != "" {
		add(false, "state-file", "What is shown here starts empty at the next restart.", "The state of this page cannot be kept: %s", s.StateErr)
	}
	b.quiet(s, add)
	return list
}

// quiet notes if nothing has come for longer than chance explains, going by the week.
func (b *Board) quiet(s *Summary, add func(grave bool, id, mend, text string, args ...any)) {
	week := s.Windows["7d"]
	counted := s.Time.Sub(s.Since)
	for _, q := range []struct {
		id, what, mend string
		last           *time.Time
		seen           uint64
	}{
		{"no-mail", "message", "Check that the mail server has this milter in its configuration and runs.", s.Passing.LastMessage, total(week.Messages)},
		{"no-bounce", "bounce", "Check that bounces still come back to this server, and that mail goes out.", s.Passing.LastBounce, week.Bounces},
	} {
		if q.last == nil {
			continue
		}
		silent := s.Time.Sub(*q.last)
		busy := max(counted-silent, time.Hour)
		usual := float64(q.seen) * float64(silent) / float64(busy)
		if silent < longQuiet || usual < manyMissed {
			continue
		}
		add(false, q.id, q.mend, "No %s for %s. In that time about %.0f are usual.", q.what, spoken(silent), math.Floor(usual))
		break // without mail there are no bounces either
	}
}

func total(m map[string]uint64) (n uint64) {
	for _, v := range m {
		n += v
	}
	return n
}

// stagesOf lists numbers by stage, the highest first.
func stagesOf(m map[string]uint64) []string {
	names := make([]string, 0, len(m))
	for s := range m {
		names = append(names, s)
	}
	slices.SortFunc(names, func(a, b string) int { return cmp.Or(cmp.Compare(m[b], m[a]), cmp.Compare(a, b)) })
	for i, s := range names {
		names[i] = fmt.Sprintf("%s %s", grouped(m[s]), s)
	}
	return names
}

// plural writes a number with its noun.
func plural(n uint64, noun string) string {
	if n != 1 {
		noun += "s"
	}
	return grouped(n) + " " + noun
}

// grouped writes a number with spaces between thousands, as ISO 31-0 has it.
func grouped(n uint64) string {
	s := fmt.Sprint(n)
	for i := len(s) - 3; i > 0; i -= 3 {
		s = s[:i] + "\u202f" + s[i:]
	}
	return s
}

// stamp writes a time in full, in the zone of this machine.
func stamp(t time.Time) string { return t.Local().Format("2006-01-02 15:04:05 MST") }

// spoken writes a length of time as people say it, with two units at most.
func spoken(d time.Duration) string {
	d = max(d, 0)
	units := []struct {
		d    time.Duration
		name string
	}{{24 * time.Hour, "day"}, {time.Hour, "hour"}, {time.Minute, "minute"}, {time.Second, "second"}}
	for i, u := range units {
		if d < u.d && i < len(units)-1 {
			continue
		}
		out := plural(uint64(d/u.d), u.name)
		if i+1 < len(units) && i < 2 {
			if rest := d % u.d / units[i+1].d; rest > 0 {
				out += " " + plural(uint64(rest), units[i+1].name)
			}
		}
		return out
	}
	return ""
}
