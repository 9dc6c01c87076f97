package milter

import (
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"testing"

	"github.com/bounce-milter/bounce-milter/classify"
	"github.com/bounce-milter/bounce-milter/internal/action"
	gomilter "github.com/emersion/go-milter"
	"github.com/prometheus/client_golang/prometheus/testutil"
)

// onHard configures one action for hard bounces.
func onHard(o action.Options) func(*Config) {
	o.Name, o.Match = "test", action.Match{Type: []string{"hard"}}
	return func(c *Config) { c.Actions = append(c.Actions, o) }
}

// answersTo returns the answers to the end of a message, without the insertion of tags.
func (c *wireClient) answersTo(f []byte) []string {
	c.t.Helper()
	c.send(f)
	var list []string
	for {
		code, data := c.read()
		text := strings.TrimRight(fmt.Sprintf("%c %s", code, strings.ReplaceAll(string(data), "\x00", " ")), " ")
		if !strings.HasPrefix(text, "i     X-Bounce-") {
			list = append(list, strings.Join(strings.Fields(text), " "))
		}
		switch code {
		case 'a', 'y', 'd', 'r', 't':
			return list
		}
	}
}

// bounceTo sends a bounce to these recipients.
func (c *wireClient) bounceTo(to ...string) []string {
	c.t.Helper()
	c.send(mailFrame(""))
	if c.answered('M') {
		c.read()
	}
	if c.protocol&gomilter.OptNoRcptTo == 0 {
		for _, r := range to {
			c.expect('c', rcptFrame(r))
		}
	}
	c.send(headerFrame("Content-Type", report))
	if c.protocol&gomilter.OptNoHeaderReply == 0 {
		c.read()
	}
	c.expect('c', frame('N', ""))
	return c.answersTo(frame('E', ""))
}

func TestActions(t *testing.T) {
	const own = "localhost\x004\x00\x00127.0.0.1\x00"
	redirect := action.Options{Redirect: []string{"x@example.org", "y@example.org"}}
	all := gomilter.OptAction(offerActions)
	for name, tt := range map[string]struct {
		do      action.Options
		change  func(*Config)
		offer   gomilter.OptAction // all without
		connect string
		to      []string
		res     func() classify.Result
		want    string // answers
		result  string
		taken   string // in the record
		log     string
	}{
		"redirect":             {do: redirect, want: "+ <x@example.org>, + <y@example.org>, - <a@example.net>, - <b@example.net>, a", taken: "redirect"},
		"redirect to one":      {do: redirect, to: []string{"X@example.org"}, want: "+ <y@example.org>, a", taken: "redirect"},
		"redirect to all":      {do: redirect, to: []string{"y@example.org", "x@example.org"}, want: "a", result: actUnneeded},
		"redirect of nobody":   {do: redirect, to: []string{}, want: "a", result: actRecipients, log: "not all are known"},
		"redirect of many":     {do: redirect, to: slices.Repeat([]string{"a@example.net"}, maxRecipients+1), want: "a", result: actRecipients, log: "not all are known"},
		"redirect of long":     {do: redirect, to: []string{strings.Repeat("a", maxRcptOctets) + "@example.net", "b@example.net"}, want: "a", result: actRecipients, log: "not all are known"},
		"redirect in a loop":   {do: action.Options{Redirect: []string{"gone@example.com"}}, want: "a", result: actLoop, log: "address that bounces"},
		"redirect, partly so":  {do: action.Options{Redirect: []string{"x@example.org", "gone@example.com"}}, want: "+ <x@example.org>, - <a@example.net>, - <b@example.net>, a", taken: "redirect"},
		"redirect, no removal": {do: redirect, offer: all &^ gomilter.OptRemoveRcpt, want: "a", result: actNotOffered, log: "MTA does not offer"},
		"redirect, no adding":  {do: redirect, offer: all &^ gomilter.OptAddRcpt, want: "a", result: actNotOffered, log: "actions=[test]"},
		"copy":                 {do: action.Options{Copy: []string{"x@example.org"}}, offer: all &^ gomilter.OptRemoveRcpt, want: "+ <x@example.org>, a", taken: "copy"},
		"copy, no adding":      {do: action.Options{Copy: []string{"x@example.org"}}, offer: 0x11, want: "a", result: actNotOffered, log: "MTA does not offer"},
		"copy in a loop":       {do: action.Options{Copy: []string{"Gone@example.com"}}, want: "a", result: actLoop, log: "address that bounces"},
		"quarantine":           {do: action.Options{Quarantine: "look at it"}, want: "q look at it, a", taken: "quarantine"},
		"quarantine missing":   {do: action.Options{Quarantine: "look at it"}, offer: 0x1f, want: "a", result: actNotOffered, log: "MTA does not offer"},
		"discard":              {do: action.Options{Discard: true}, offer: 0x11, want: "d", taken: "discard"},
		"reject":               {do: action.Options{Reject: "5.7.1 No"}, offer: 0x11, want: "y 550 5.7.1 No", taken: "reject"},
		"reject for now":       {do: action.Options{Reject: "4.7.1 Later"}, want: "y 451 4.7.1 Later", taken: "reject"},
		"reject from inside":   {do: action.Options{Reject: "5.7.1 No"}, connect: own, want: "q 5.7.1 No, a", result: actInside, taken: "quarantine", log: "held instead"},
		"reject without":       {do: action.Options{Reject: "5.7.1 No"}, connect: own, offer: 0x1f, want: "a", result: actNotOffered, log: "MTA does not offer"},
		"reject of nobody":     {do: action.Options{Reject: "5.7.1 No"}, connect: "localhost\x00U", want: "q 5.7.1 No, a", result: actInside, taken: "quarantine"},
		"discard from inside":  {do: action.Options{Discard: true}, connect: own, want: "d", taken: "discard"},
		"none":                 {do: action.Options{None: true}, want: "a"},
		"dry run":              {do: action.Options{Discard: true, DryRun: true}, want: "a", result: actDryRun, log: "on trial"},
		"dry run, not offered": {do: action.Options{Quarantine: "x", DryRun: true}, offer: 0x11, want: "a", result: actNotOffered},
		"observed":             {do: redirect, change: func(c *Config) { c.Mode = ModeObserve }, want: "a", result: actObserve},
		"truncated": {do: action.Options{Discard: true}, want: "a", result: actTruncated, log: "only a part", res: func() classify.Result {
			res := bounce("gone@example.com")
			res.Truncated = true
			return res
		}},
		"truncated, none": {do: action.Options{None: true}, want: "a", res: func() classify.Result {
			res := bounce("gone@example.com")
			res.Truncated = true
			return res
		}},
	} {
		for _, network := range []string{"unix", "tcp"} {
			t.Run(name+" "+network, func(t *testing.T) {
				ts := start(t, func(c *Config) {
					onHard(tt.do)(c)
					c.Events = true
					if network == "tcp" {
						c.Listen = []Socket{{"tcp", "127.0.0.1:0"}}
					}
					if tt.change != nil {
						tt.change(c)
					}
				})
				ts.lvl.Set(slog.LevelInfo)
				if tt.res != nil {
					ts.insp.res = func([]byte) classify.Result { return tt.res() }
				}
				offer := tt.offer
				if offer == 0 {
					offer = all
				}
				c := newClientVersion(t, ts.dial(t), 6, offer, offerAll)
				connect := connectFrame("192.0.2.1")
				if tt.connect != "" {
					connect = frame('C', tt.connect)
				}
				c.expect('c', connect)
				to := tt.to
				if to == nil {
					to = []string{"a@example.net", "b@example.net"}
				}
				for range 2 { // and nothing is left over for the second
					if got := strings.Join(c.bounceTo(to...), ", "); got != tt.want {
						t.Errorf("answered %q, want %q", got, tt.want)
					}
				}
				result := tt.result
				if result == "" {
					result = actDone
				}
				verb := string(ts.state.Load().cfg.Actions[0].Verb())
				if n := testutil.ToFloat64(ts.metrics.actions.WithLabelValues(verb, result)); n != 2 {
					t.Errorf("%v counted as %s %s", n, verb, result)
				}
				records := ts.rec.take()
				if len(records) != 2 || records[0].ActionTaken != tt.taken {
					t.Errorf("%d records, action %q, want %q", len(records), records[0].ActionTaken, tt.taken)
				}
				eventually(t, "the log tells", func() bool {
					log := ts.log.String()
					return strings.Contains(log, tt.log) && strings.Count(log, "took=test took_result="+result) == 2 || tt.do.DryRun && strings.Contains(log, tt.log)
				})
			})
		}
	}
}

// The daemon negotiates the options, and asks for the recipients, that its actions need.
func TestActionsAsk(t *testing.T) {
	for name, tt := range map[string]struct {
		do      action.Options
		options gomilter.OptAction
		rcpt    bool
	}{
		"redirect":          {action.Options{Redirect: []string{"x@example.org"}}, 0x1d, true},
		"on trial":          {action.Options{Redirect: []string{"x@example.org"}, DryRun: true}, 0x1d, true},
		"copy":              {action.Options{Copy: []string{"x@example.org"}}, 0x15, false},
		"quarantine":        {action.Options{Quarantine: "x"}, 0x31, false},
		"reject":            {action.Options{Reject: "5.7.1 x"}, 0x31, false},
		"discard":           {action.Options{Discard: true}, 0x11, false},
		"none":              {action.Options{None: true}, 0x11, false},
		"header":            {action.Options{Header: []action.Field{{Name: "X-A", Value: "b"}}}, 0x11, false},
		"envelope's":        {action.Options{None: true, Match: action.Match{EnvelopeRecipient: []string{"*@example.org"}}}, 0x11, true},
		"recipient's alone": {action.Options{None: true, Match: action.Match{Recipient: []string{"*@example.org"}}}, 0x11, false},
	} {
		if tt.do.Match.EnvelopeRecipient == nil && tt.do.Match.Recipient == nil {
			tt.do.Match.Type = []string{"hard"}
		}
		tt.do.Name = "x"
		ts := start(t, func(c *Config) { c.Actions = []action.Options{tt.do} })
		c := newClient(t, ts.dial(t), offerAll)
		if c.actions != tt.options || c.protocol&gomilter.OptNoRcptTo == 0 != tt.rcpt {
			t.Errorf("%s: asked for %#x and %#x", name, c.actions, c.protocol)
		}
	}
}

// A session that was opened before a reload does only what was negotiated then.
func TestActionsAfterReload(t *testing.T) {
	ts := start(t, nil)
	c := newClient(t, ts.dial(t), offerAll)
	c.expect('c', connectFrame("192.0.2.1"))
	reload := func(o action.Options) {
		t.Helper()
		cfg := ts.state.Load().cfg
		cfg.Actions = nil
		onHard(o)(&cfg)
		if err := ts.Reload(cfg, ts.rules()); err != nil {
			t.Fatal(err)
		}
	}
	for want, o := range map[string]action.Options{
		"a":              {Redirect: []string{"x@example.org"}},
		"d":              {Discard: true},
		"y 550 5.7.1 No": {Reject: "5.7.1 No"},
	} {
		reload(o)
		if got := strings.Join(c.bounceTo("a@example.net"), ", "); got != want {
			t.Errorf("answered %q, want %q", got, want)
		}
	}
	reload(action.Options{Redirect: []string{"x@example.org"}})
	c = newClient(t, ts.dial(t), offerAll)
	c.expect('c', connectFrame("192.0.2.1"))
	if got := strings.Join(c.bounceTo("a@example.net"), ", "); got != "+ <x@example.org>, - <a@example.net>, a" {
		t.Errorf("a new session answered %q", got)
	}
}

// There is no action on a message that was judged before, by a relay or by this daemon.
func TestActionsOnce(t *testing.T) {
	ts := start(t, func(c *Config) {
		trustClient(c)
		onHard(action.Options{Copy: []string{"x@example.org"}})(c)
	})
	res := bounce("gone@example.com")
	ts.insp.res = func([]byte) classify.Result { return res }
	c := newClient(t, ts.dial(t), offerAll)
	c.expect('c', connectFrame("198.51.100.1"))
	first := c.bounceTo("a@example.net")
	if got := strings.Join(first, ", "); got != "+ <x@example.org>, a" {
		t.Fatalf("answered %q", got)
	}
	// The same comes again from a content filter.
	again := func(connect string) string {
		c := newClient(t, ts.dial(t), offerAll)
		c.expect('c', connectFrame(connect))
		c.expect('c', mailFrame(""))
		for _, f := range tagFields("X-Bounce-", &res, "", nil, false) {
			c.send(headerFrame(f.name, f.value))
		}
		c.send(headerFrame("Content-Type", report), frame('N', ""))
		if code, _ := c.read(); code == 'a' {
			return "a"
		}
		return strings.Join(c.answersTo(frame('E', "")), ", ")
	}
	if got := again("198.51.100.1"); got != "a" {
		t.Errorf("one that came back was answered %q", got)
	}
	if got := again("192.0.2.7"); got != "a" {
		t.Errorf("one that a relay has tagged was answered %q", got)
	}
}
