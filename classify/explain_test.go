package classify

import (
	"context"
	"os"
	"path/filepath"
	"reflect"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// TestExplainLists: every rule stands once, every provider too, and the sum in the
// sentence is that of the list.
func TestExplainLists(t *testing.T) {
	e := builtIn(t)
	rank := regexp.MustCompile(`which ranks before (\d+) other rule`)
	var evidence []Evidence
	for _, r := range e.set.Rules {
		r.NeedExamples()
		for _, x := range r.Examples {
			evidence = append(evidence, Evidence{Reply: x.Reply, Notice: x.Notice, RemoteMTA: x.RemoteMTA, ReportingMTA: x.ReportingMTA})
		}
		evidence = append(evidence, Evidence{RemoteMTA: "mx-eu.mail.am0.yahoodns.net", Reply: "host mx-eu.mail.am0.yahoodns.net[192.0.2.1] said: " + r.Examples[0].Reply})
	}
	for i := range evidence {
		x := e.Explain(&evidence[i])
		seen := map[string]bool{}
		for j, m := range x.Matches {
			if seen[m.ID] {
				t.Errorf("%q: rule %s twice", evidence[i].Reply, m.ID)
			}
			seen[m.ID] = true
			met := len(m.By)
			r, _ := e.Rule(m.ID)
			if len(r.Near) > 0 {
				met++
			}
			if n, names := conditions(&r); met != n {
				t.Errorf("%q: rule %s has %d conditions (%s), told are %q", evidence[i].Reply, m.ID, n, names, m.By)
			}
			if m.Won != (m.Lost == "") || m.Won && j > 0 {
				t.Errorf("%q: rule %s at %d: won %v, lost %q", evidence[i].Reply, m.ID, j, m.Won, m.Lost)
			}
		}
		if of := rank.FindStringSubmatch(x.Why); of != nil && of[1] != plural(len(x.Matches)-1, "")[:len(of[1])] {
			t.Errorf("%q: %s of %d rules", evidence[i].Reply, of[0], len(x.Matches))
		}
		names := slices.Clone(x.Providers)
		slices.Sort(names)
		if len(slices.Compact(names)) != len(x.Providers) {
			t.Errorf("%q: providers %q", evidence[i].Reply, x.Providers)
		}
	}
}

// TestExplainLost: why each rule that matched did not decide, by the small set.
func TestExplainLost(t *testing.T) {
	const admin = `
[[rule]]
id = "trial"
reason = "policy"
shadow = true
any = ["purple"]
examples = ["550 purple"]

[[rule]]
id = "house"
reason = "policy"
any = ["green"]
examples = ["550 green"]

[[rule]]
id = "house-later"
reason = "policy"
any = ["brown"]
examples = ["550 brown"]
`
	e := smallEngine(t, admin)
	for _, c := range []struct {
		name string
		ev   Evidence
		want string // every rule with why it lost
	}{
		{"tier", Evidence{Reply: "421 mailbox full speed", RemoteMTA: "mx.bigmail.test"},
			"bigmail-limit: ; full: a rule for the provider comes before it"},
		{"conditions", Evidence{Reply: "450 4.7.1 mailbox full, slow"},
			"too-fast-with-code: ; full: it has 1 condition (any), the winner 3 (any, code, status)"},
		{"phrase", Evidence{Reply: "550 no such user, over quota"},
			"unknown-user: ; full: its longest phrase has 10 characters, the winner's 12"},
		{"position", Evidence{Reply: "550 green or brown"},
			"house: ; house-later: both rank alike, and the winner comes first in the files"},
		{"stock phrase", Evidence{Reply: "550 mailbox full, rejected"},
			"full: ; nothing-said: a stock phrase counts only where no other rule matches"},
		{"scope", Evidence{Reply: "550 over quota here, host mx.example.com said: 550 5.1.1 user unknown"},
			"unknown-user: ; full: the quoted reply comes before the reply"},
		{"notice", Evidence{Reply: "550 user unknown", Notice: "The user is over quota."},
			"unknown-user: ; full: the reply comes before the notice"},
		{"once, where it decides first", Evidence{Reply: "550 over quota", Notice: "The user is over quota."}, "full: "},
		{"admin", Evidence{Reply: "550 green, over quota"},
			"house: ; full: an administrator's rule comes before it"},
		{"shadow", Evidence{Reply: "550 purple, over quota"},
			"trial: a shadow rule has no effect; full: "},
		{"stock phrase of a wrapper", Evidence{Reply: "550 rejected, host mx.example.com said: 552 5.2.2 who knows"},
			"nothing-said: stock phrases around a quoted reply are left out"},
		{"words that say nothing", Evidence{Reply: "552 5.2.2 rejected"},
			"nothing-said: its reason is \"unknown\", so the codes decide"},
	} {
		x := e.Explain(&c.ev)
		var got []string
		for _, m := range x.Matches {
			got = append(got, m.ID+": "+m.Lost)
		}
		if got := strings.Join(got, "; "); got != c.want {
			t.Errorf("%s:\n%s, want\n%s", c.name, got, c.want)
		}
	}
}

// TestExplainWhy: the sentence claims nothing that was not read.
func TestExplainWhy(t *testing.T) {
	e := smallEngine(t, "")
	for _, c := range []struct {
		ev   Evidence
		want string
	}{
		{Evidence{Reply: "550 5.1.1"}, "There are no words, so the codes decide: the code table lists 550 5.1.1 as"},
		{Evidence{Reply: "550 5.1.1", Notice: "the moon is wrong"}, "No rule knows the words of the notice, so the codes decide: "},
		{Evidence{Reply: "550 5.1.1 the moon is wrong"}, "No rule knows the words, so the codes decide: "},
		{Evidence{Reply: "552 5.2.2 rejected"}, "The reason of rule nothing-said is \"unknown\", so the codes decide: "},
		{Evidence{Reply: "550 over quota and no such user"}, `The words decide before any code: rule unknown-user (a.toml:1) matches "no such user" in the reply, which ranks before 1 other rule.`},
		{Evidence{}, "Neither words nor codes say what happened."},
	} {
		if x := e.Explain(&c.ev); !strings.HasPrefix(x.Why, c.want) {
			t.Errorf("%+v: %s, want %s", c.ev, x.Why, c.want)
		}
	}
}

// TestLanguageRules: English words set no rule of another language off, or an
// administrator reads of French where nobody spoke it.
func TestLanguageRules(t *testing.T) {
	e := builtIn(t)
	english := func(file string) bool {
		return strings.HasPrefix(file, "general-") || strings.HasPrefix(file, "blocklist-") || strings.HasPrefix(file, "mta-") || strings.HasPrefix(file, "gateway-")
	}
	for _, r := range e.set.Rules {
		r.NeedExamples()
		if !english(r.File) {
			continue
		}
		for _, x := range r.Examples {
			for _, m := range e.Explain(&Evidence{Reply: x.Reply, Notice: x.Notice}).Matches {
				if r.ID == "hard-words-of-the-sender" {
					continue // it knows the sender's address in several languages
				}
				if strings.HasPrefix(m.File, "lang-") {
					t.Errorf("%q is English, and %s matches by %q", x.Reply, m.ID, m.By)
				}
			}
		}
	}
}

// TestExplainMessage: the recipients are those that Message names, and each that
// bounced must be explained with the verdict that it was given.
func TestExplainMessage(t *testing.T) {
	e := builtIn(t)
	files, err := filepath.Glob("testdata/mails/*.eml")
	if err != nil || len(files) == 0 {
		t.Fatal(files, err)
	}
	for _, file := range files {
		raw, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		want := e.Classify(context.Background(), raw)
		got, all := e.ExplainMessage(context.Background(), raw)
		if !reflect.DeepEqual(got, want) || len(all) != len(want.Recipients) {
			t.Errorf("%s: %+v, want %+v", file, got, want)
			continue
		}
		for i, x := range all {
			r := want.Recipients[i]
			if (x == nil) != (r.Category == "") {
				t.Errorf("%s: recipient %d is %s, explained %v", file, i, r.Action, x != nil)
			} else if x != nil && (!reflect.DeepEqual(x.Recipient, r) || x.Why == "" || !strings.Contains(x.Advice, e.reasons[r.Reason].Address.Of(string(r.Type)))) {
				t.Errorf("%s: %+v, want %+v", file, x, r)
			}
		}
	}
}
