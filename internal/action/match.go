package action

import (
	"slices"
	"strings"

	"github.com/bounce-milter/bounce-milter/classify"
	"github.com/bounce-milter/bounce-milter/classify/dsn"
	"github.com/bounce-milter/bounce-milter/classify/origin"
	"github.com/bounce-milter/bounce-milter/classify/rules"
)

// List is a list of actions, ready to be matched. It never changes.
type List struct {
	actions  []*Action
	envelope bool // an action goes by the recipients of the envelope
	replaces bool // or replaces them
}

// Action is one action of a list.
type Action struct {
	Options
	Verb Verb

	kinds, acts, categories, types, origins bits
	reasons, providers                      map[string]bool
	recipient, envelope                     *globs
}

// bits is a set of words, by their place in a list; 0 is the set of all.
type bits uint16

// Message is what actions go by.
type Message struct {
	*classify.Result
	Origin     origin.Origin   // of the primary recipient, "" if nobody asked
	Origins    []origin.Origin // of each recipient of the result
	Bound      bool            // the report names only those whom the message went to
	Recipients []string        // of the envelope
}

// New makes a list of options that Validate accepts.
func New(options []Options) *List {
	l := &List{}
	for _, o := range options {
		m := &o.Match
		if m.Bound && m.Origin == nil {
			m.Origin = []string{string(origin.Ours)}
		}
		a := &Action{Options: o, Verb: o.Verb(),
			kinds: setOf(m.Kind, allKinds), acts: setOf(m.Action, reported), categories: setOf(m.Category, allCategories),
			types: setOf(m.Type, allTypes), origins: setOf(m.Origin, allOrigins),
			reasons: wordsOf(m.Reason), providers: wordsOf(m.Provider),
			recipient: newGlobs(m.Recipient), envelope: newGlobs(m.EnvelopeRecipient)}
		l.envelope = l.envelope || a.envelope != nil
		l.replaces = l.replaces || a.Verb == Redirect
		l.actions = append(l.actions, a)
	}
	return l
}

// Len returns how many actions there are.
func (l *List) Len() int { return len(l.actions) }

// All returns the actions in their order.
func (l *List) All() []*Action { return slices.Clone(l.actions) }

// GoesByRecipients reports whether an action goes by the recipients of the envelope.
func (l *List) GoesByRecipients() bool { return l.envelope }

// NeedsRecipients reports whether an action needs to know them, for whatever reason.
func (l *List) NeedsRecipients() bool { return l.envelope || l.replaces }

func setOf[T ~string](words []string, all []T) bits {
	var b bits
	for _, w := range words {
		b |= bitOf(T(w), all)
	}
	return b
}

// bitOf is the bit of a word, 0 if it is none of them.
func bitOf[T ~string](word T, all []T) bits {
	for i, w := range all {
		if w == word {
			return 1 << i
		}
	}
	return 0
}

func wordsOf(words []string) map[string]bool {
	if len(words) == 0 {
		return nil
	}
	m := make(map[string]bool, len(words))
	for _, w := range words {
		m[w] = true
	}
	return m
}

// The lists that bits count in, made once.
var (
	allKinds      = dsn.Kinds()
	allCategories = classify.Categories()
	allTypes      = classify.Types()
	allOrigins    = origin.Origins()
)

// facts are what is known of one recipient of a report, or of a message without one.
type facts struct {
	kind, act, category, typ, origin bits
	reason, provider                 string
	addresses                        [2]string // as reported, and as it was written to
}

var unclassified = bitOf(classify.Unclassified, allCategories)

// First returns the first action for a message, nil if there is none, and the dry runs
// before it, which have no effect.
func (l *List) First(m Message) (first *Action, dry []*Action) {
	if l.Len() == 0 || m.Result == nil || m.Kind == dsn.KindNone || m.Kind == "" {
		return nil, nil
	}
	primary := [1]facts{m.facts(Primary(m.Result.Recipients), m.Origin)}
	var others []facts
	for _, a := range l.actions {
		list := primary[:]
		if a.AnyRecipient && len(m.Result.Recipients) > 1 {
			if others == nil {
				for i := range m.Result.Recipients {
					of := m.Origin
					if i < len(m.Origins) {
						of = m.Origins[i]
					}
					others = append(others, m.facts(&m.Result.Recipients[i], of))
				}
			}
			list = others
		}
		if !a.matches(&m, list) {
			continue
		}
		if !a.DryRun {
			return a, dry
		}
		dry = append(dry, a)
	}
	return nil, dry
}

// facts returns what is known of a recipient; nil is a message that names none.
func (m *Message) facts(r *classify.Recipient, of origin.Origin) facts {
	f := facts{kind: bitOf(m.Kind, allKinds), origin: bitOf(of, allOrigins)}
	switch {
	case r != nil:
		f.act, f.addresses[0], f.addresses[1] = bitOf(r.Action, reported), strings.ToLower(r.Address), strings.ToLower(r.Original)
		if r.Action == "" || r.Action.Bounced() {
			f.category, f.typ = bitOf(r.Category, allCategories), bitOf(r.Type, allTypes)
			f.reason, f.provider = r.Reason, r.Provider
		} else {
			f.provider = r.Provider
		}
	case m.Kind == dsn.KindDSN || m.Kind == dsn.KindText:
		// The headers say the same of a report in which nobody could be read.
		f.category, f.typ = unclassified, bitOf(classify.Soft, allTypes)
		f.reason, f.provider = rules.Unknown, rules.OtherProvider
	case m.Feedback != nil:
		for i, r := range m.Feedback.Recipients[:min(len(m.Feedback.Recipients), len(f.addresses))] {
			f.addresses[i] = strings.ToLower(r)
		}
	}
	return f
}

// matches reports whether one of the recipients fits, and the message does.
func (a *Action) matches(m *Message, list []facts) bool {
	if a.Match.Bound && !m.Bound {
		return false
	}
	for i := range list {
		if a.fits(&list[i]) {
			return a.envelope == nil || slices.ContainsFunc(m.Recipients, func(r string) bool { return a.envelope.match(strings.ToLower(r)) })
		}
	}
	return false
}

func (a *Action) fits(f *facts) bool {
	has := func(set, bit bits) bool { return set == 0 || set&bit != 0 }
	switch {
	case !has(a.kinds, f.kind), !has(a.acts, f.act), !has(a.categories, f.category), !has(a.types, f.typ), !has(a.origins, f.origin),
		a.reasons != nil && !a.reasons[f.reason], a.providers != nil && !a.providers[f.provider]:
		return false
	case f.category == unclassified && a.Verb.withholds() && a.categories&unclassified == 0:
		return false
	case a.recipient != nil && !a.recipient.match(f.addresses[0]) && !a.recipient.match(f.addresses[1]):
		return false
	}
	return true
}
