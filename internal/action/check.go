package action

import (
	"fmt"
	"slices"
	"strings"

	"github.com/bounce-milter/bounce-milter/classify"
	"github.com/bounce-milter/bounce-milter/classify/dsn"
	"github.com/bounce-milter/bounce-milter/classify/rules"
	"github.com/bounce-milter/bounce-milter/internal/toml"
)

// Vocabulary is what verdicts can say under the rules in force.
type Vocabulary struct {
	Reasons, Providers []string
	Verdicts           []classify.Verdict // see [classify.Engine.Verdicts]
}

// VocabularyOf returns the words of an engine.
func VocabularyOf(e *classify.Engine) Vocabulary {
	v := Vocabulary{Providers: e.Providers(), Verdicts: e.Verdicts()}
	for _, r := range e.Reasons() {
		v.Reasons = append(v.Reasons, r.ID)
	}
	return v
}

// Check returns what is wrong with the actions as a list, and as to the rules in force:
// unknown reasons and providers, a match that nothing fits, an action that is never reached.
// It leaves out what Validate complains about.
func Check(list []Options, voc Vocabulary) toml.Problems {
	var ps toml.Problems
	all := situations(voc.Verdicts)
	done := make([]*reach, len(list))
	for i := range list {
		at := fmt.Sprintf("action[%d].match", i)
		o := &list[i]
		if o.Match.empty() || wrongWords(&ps, at, &o.Match, voc) {
			continue
		}
		r := reachOf(o, all)
		if r == nil {
			continue // Validate says why
		}
		if !slices.Contains(r.fits, true) {
			contradiction(&ps, at, o, all)
			continue
		}
		reasons(&ps, at, &o.Match, all)
		unreachable(&ps, at, list, done[:i], r)
		done[i] = r
	}
	return ps
}

// wrongWords reports whether the match has words that nobody knows.
func wrongWords(ps *toml.Problems, at string, m *Match, voc Vocabulary) bool {
	before := len(*ps)
	check := func(key string, words, known []string) {
		for i, w := range words {
			if !slices.Contains(known, w) {
				mend := toml.DidYouMean(w, known)
				if mend == "" {
					mend = ": bounce-milter rules list shows them"
				}
				ps.Add(fmt.Sprintf("%s.%s[%d]", at, key, i), "%q is no %s%s", w, key, mend)
			}
		}
	}
	check("reason", m.Reason, voc.Reasons)
	check("provider", m.Provider, voc.Providers)
	return len(*ps) > before
}

// situation is what a report can say of a recipient, as far as it is a matter of few
// words.
type situation struct {
	kind   dsn.Kind
	action dsn.Action
	classify.Verdict
}

// situations lists all that can occur.
func situations(verdicts []classify.Verdict) []situation {
	var all []situation
	for _, k := range Kinds() {
		if k != dsn.KindDSN && k != dsn.KindText {
			all = append(all, situation{kind: k})
			continue
		}
		for _, v := range verdicts {
			all = append(all, situation{k, "", v}, situation{k, dsn.ActionFailed, v})
			if v.Type == classify.Soft { // a delay is never anything else
				all = append(all, situation{k, dsn.ActionDelayed, v})
			}
		}
		all = append(all, situation{kind: k, Verdict: classify.Verdict{Category: classify.Unclassified, Type: classify.Soft, Reason: rules.Unknown}})
		for _, a := range reported {
			if !a.Bounced() {
				all = append(all, situation{kind: k, action: a})
			}
		}
	}
	return all
}

// reach is which situations an action takes.
type reach struct {
	*Action
	fits []bool
}

// reachOf returns nil for an action that Validate complains of.
func reachOf(o *Options, all []situation) *reach {
	var ps toml.Problems
	v := validation{&ps, ""}
	v.match(o)
	if len(ps) > 0 || o.Verb() == "" {
		return nil
	}
	a := New([]Options{*o}).actions[0]
	r := &reach{a, make([]bool, len(all))}
	words := *a // goes by the few words alone
	words.origins, words.providers, words.recipient = 0, nil, nil
	for i := range all {
		s := &all[i]
		bounce := s.kind == dsn.KindDSN || s.kind == dsn.KindText
		r.fits[i] = words.fits(s.facts()) && (a.providers == nil || bounce) && (a.recipient == nil || bounce || s.kind == dsn.KindFeedback)
	}
	return r
}

func (s *situation) facts() *facts {
	return &facts{kind: bitOf(s.kind, allKinds), act: bitOf(s.action, reported), category: bitOf(s.Category, allCategories),
		typ: bitOf(s.Type, allTypes), reason: s.Reason}
}

// contradiction says which keys of a match exclude each other.
func contradiction(ps *toml.Problems, at string, o *Options, all []situation) {
	few := slices.DeleteFunc(o.Match.lists(), func(l matchList) bool { return l.key == "origin" || l.key == "envelope_recipient" })
	for j := range few {
		for i := range j {
			two := Options{None: true, Match: only(&o.Match, few[i].key, few[j].key)}
			if len(few[i].values) == 0 || len(few[j].values) == 0 || slices.Contains(reachOf(&two, all).fits, true) {
				continue
			}
			ps.Add(at+"."+few[j].key, "holds for no message: nothing of the %s %s has the %s %s: take one out",
				few[i].key, quoted(few[i].values), few[j].key, quoted(few[j].values))
			return
		}
	}
	if len(o.Match.Category) == 0 && o.Verb().withholds() {
		everything := *o
		everything.Redirect, everything.Quarantine, everything.Discard, everything.Reject, everything.None = nil, "", false, "", true
		if slices.Contains(reachOf(&everything, all).fits, true) {
			ps.Add(at, `holds for no message: it fits unclassified bounces alone, and to these nothing is done unless they are named: write category = ["unclassified"]`)
			return
		}
	}
	ps.Add(at, "holds for no message: no verdict has all of this together: take a key out")
}

// only returns what a match says under two of its keys.
func only(m *Match, keys ...string) Match {
	var out Match
	for _, l := range []struct {
		key      string
		from, to *[]string
	}{{"category", &m.Category, &out.Category}, {"type", &m.Type, &out.Type}, {"reason", &m.Reason, &out.Reason},
		{"provider", &m.Provider, &out.Provider}, {"action", &m.Action, &out.Action}, {"kind", &m.Kind, &out.Kind}, {"recipient", &m.Recipient, &out.Recipient}} {
		if slices.Contains(keys, l.key) {
			*l.to = *l.from
		}
	}
	return out
}

// reasons complains of reasons that the categories beside them exclude.
func reasons(ps *toml.Problems, at string, m *Match, all []situation) {
	if len(m.Category) == 0 {
		return
	}
	for i, r := range m.Reason {
		var of []string
		for _, s := range all {
			if c := string(s.Category); s.Reason == r && !slices.Contains(of, c) {
				of = append(of, c)
			}
		}
		if !slices.ContainsFunc(of, func(c string) bool { return slices.Contains(m.Category, c) }) {
			ps.Add(fmt.Sprintf("%s.reason[%d]", at, i), "%q is of the category %s, which match.category lacks: add that, or take the reason out", r, quoted(of))
		}
	}
}

// unreachable complains of an action for which earlier ones leave nothing.
func unreachable(ps *toml.Problems, at string, list []Options, earlier []*reach, r *reach) {
	left := slices.Clone(r.fits)
	var names []string
	for i, e := range earlier {
		if e == nil || e.DryRun || !e.coversRest(r) {
			continue
		}
		takes := false
		for j := range left {
			if left[j] && e.fits[j] {
				left[j], takes = false, true
			}
		}
		if takes {
			names = append(names, list[i].Name)
		}
	}
	switch {
	case slices.Contains(left, true):
	case len(names) == 1:
		ps.Add(at, "is never reached: %q comes first and takes all of it: put this one before it, or take it out", names[0])
	default:
		ps.Add(at, "is never reached: %s come first and together take all of it: put this one before them, or take it out", strings.Replace(quoted(names), " or ", " and ", 1))
	}
}

// coversRest reports whether an earlier action fits whatever a later one fits, apart from
// situations.
func (r *reach) coversRest(later *reach) bool {
	within := func(all, some map[string]bool) bool {
		if all == nil {
			return true
		}
		for w := range some {
			if !all[w] {
				return false
			}
		}
		return some != nil
	}
	globsWithin := func(all *globs, some []string) bool { return all == nil || len(some) > 0 && all.covers(some) }
	return (r.AnyRecipient || !later.AnyRecipient) && (!r.Match.Bound || later.Match.Bound) &&
		(r.origins == 0 || later.origins != 0 && later.origins&^r.origins == 0) &&
		within(r.providers, later.providers) &&
		globsWithin(r.recipient, later.Match.Recipient) && globsWithin(r.envelope, later.Match.EnvelopeRecipient)
}

// quoted lists values as a sentence does: "a", "b" or 3 more.
func quoted(list []string) string {
	const most = 4
	if len(list) <= most {
		return toml.OneOf(list)
	}
	text := make([]string, most-1)
	for i := range text {
		text[i] = toml.Quote(list[i])
	}
	return fmt.Sprintf("%s or %d more", strings.Join(text, ", "), len(list)-len(text))
}
