package action

import (
	"fmt"
	"strings"
	"testing"

	"github.com/bounce-milter/bounce-milter/classify"
	"github.com/bounce-milter/bounce-milter/classify/dsn"
	"github.com/bounce-milter/bounce-milter/classify/origin"
)

// rcpt is a failed recipient with a verdict "category type reason".
func rcpt(addr, verdict string) classify.Recipient {
	w := strings.Fields(verdict)
	return classify.Recipient{Address: addr, Action: dsn.ActionFailed, Provider: "other",
		Category: classify.Category(w[0]), Type: classify.Type(w[1]), Reason: w[2]}
}

func acted(r classify.Recipient, a dsn.Action) classify.Recipient {
	r.Action = a
	return r
}

func report(kind dsn.Kind, rcpts ...classify.Recipient) *classify.Result {
	return &classify.Result{Kind: kind, Recipients: rcpts}
}

func TestFirst(t *testing.T) {
	const dead, full, none = "invalid-address hard unknown-recipient", "mailbox-full soft mailbox-full", "unclassified soft unknown"
	google := rcpt("a@gmail.example", full)
	google.Provider, google.Original = "google", "Alias@example.org"
	success := classify.Recipient{Address: "a@example.com", Action: dsn.ActionDelivered, Provider: "other"}
	redirect := []string{"x@example.org"}
	two := report(dsn.KindDSN, rcpt("a@example.com", dead), rcpt("b@example.net", full))
	for name, tt := range map[string]struct {
		match   Options
		message Message
		want    bool
	}{
		"category":                    {Options{Match: Match{Category: []string{"mailbox", "mailbox-full"}}}, Message{Result: report("dsn", google)}, true},
		"other category":              {Options{Match: Match{Category: []string{"mailbox"}}}, Message{Result: report("dsn", google)}, false},
		"all keys":                    {Options{Match: Match{Category: []string{"mailbox-full"}, Type: []string{"soft"}, Reason: []string{"mailbox-full"}, Provider: []string{"google"}, Action: []string{"failed"}, Kind: []string{"dsn"}}}, Message{Result: report("dsn", google)}, true},
		"one key differs":             {Options{Match: Match{Category: []string{"mailbox-full"}, Provider: []string{"yahoo"}}}, Message{Result: report("dsn", google)}, false},
		"reason":                      {Options{Match: Match{Reason: []string{"x", "unknown-recipient"}}}, Message{Result: two}, true},
		"the primary decides":         {Options{Match: Match{Type: []string{"soft"}}}, Message{Result: two}, false},
		"any recipient":               {Options{AnyRecipient: true, Match: Match{Type: []string{"soft"}}}, Message{Result: two}, true},
		"any, but one has all":        {Options{AnyRecipient: true, Match: Match{Type: []string{"soft"}, Recipient: []string{"*@example.com"}}}, Message{Result: two}, false},
		"recipient":                   {Options{Match: Match{Recipient: []string{"*@EXAMPLE.com"}}}, Message{Result: two}, true},
		"original recipient":          {Options{Match: Match{Recipient: []string{"alias@example.org"}}}, Message{Result: report("dsn", google)}, true},
		"envelope":                    {Options{Match: Match{EnvelopeRecipient: []string{"bounces+*@example.org"}}}, Message{Result: two, Recipients: []string{"a@b", "Bounces+77@example.org"}}, true},
		"envelope not known":          {Options{Match: Match{EnvelopeRecipient: []string{"*@example.org"}}}, Message{Result: two}, false},
		"origin":                      {Options{Match: Match{Origin: []string{"ours", "foreign"}}}, Message{Result: two, Origin: "foreign"}, true},
		"bound":                       {Options{Match: Match{Bound: true}}, Message{Result: two, Origin: "ours", Bound: true}, true},
		"not bound":                   {Options{Match: Match{Bound: true, Type: []string{"hard"}}}, Message{Result: two, Origin: "ours"}, false},
		"bound, not ours":             {Options{Match: Match{Bound: true}}, Message{Result: two, Origin: "unproven", Bound: true}, false},
		"origin of any":               {Options{AnyRecipient: true, Match: Match{Origin: []string{"ours"}, Type: []string{"soft"}}}, Message{Result: two, Origin: "unproven", Origins: []origin.Origin{origin.Unproven, origin.Ours}}, true},
		"origin of another":           {Options{AnyRecipient: true, Match: Match{Origin: []string{"ours"}, Type: []string{"hard"}}}, Message{Result: two, Origin: "unproven", Origins: []origin.Origin{origin.Unproven, origin.Ours}}, false},
		"origin not known":            {Options{Match: Match{Origin: []string{"ours", "foreign", "unproven"}}}, Message{Result: two}, false},
		"delayed":                     {Options{Match: Match{Action: []string{"delayed"}}}, Message{Result: report("dsn", acted(google, dsn.ActionDelayed))}, true},
		"kind":                        {Options{Match: Match{Kind: []string{"feedback"}}}, Message{Result: report("feedback")}, true},
		"complaint by its recipient":  {Options{Match: Match{Recipient: []string{"u@*"}}}, Message{Result: &classify.Result{Kind: "feedback", Feedback: &dsn.Feedback{Recipients: []string{"u@isp.example"}}}}, true},
		"complaint has no type":       {Options{Match: Match{Type: []string{"hard", "soft", "block"}}}, Message{Result: report("feedback")}, false},
		"a success has no type":       {Options{Match: Match{Type: []string{"hard", "soft", "block"}}}, Message{Result: report("dsn", success)}, false},
		"a success by its kind":       {Options{Match: Match{Kind: []string{"dsn"}}}, Message{Result: report("dsn", success)}, true},
		"ordinary mail":               {Options{Match: Match{Recipient: []string{"a*"}}}, Message{Result: report("none")}, false},
		"unclassified by type":        {Options{Match: Match{Type: []string{"soft"}}}, Message{Result: report("dsn", rcpt("a@b.example", none))}, false},
		"unclassified by kind":        {Options{Match: Match{Kind: []string{"dsn"}}}, Message{Result: report("dsn", rcpt("a@b.example", none))}, false},
		"unclassified by reason":      {Options{Match: Match{Reason: []string{"unknown"}}}, Message{Result: report("dsn", rcpt("a@b.example", none))}, false},
		"unclassified by name":        {Options{Match: Match{Category: []string{"unclassified"}}}, Message{Result: report("dsn", rcpt("a@b.example", none))}, true},
		"nobody named":                {Options{Match: Match{Kind: []string{"text"}}}, Message{Result: report("text")}, false},
		"nobody named, by name":       {Options{Match: Match{Category: []string{"unclassified"}, Type: []string{"soft"}, Provider: []string{"other"}}}, Message{Result: report("text")}, true},
		"nothing unclassified in any": {Options{AnyRecipient: true, Match: Match{Kind: []string{"dsn"}}}, Message{Result: report("dsn", rcpt("a@b.example", none), rcpt("c@b.example", none))}, false},
	} {
		tt.match.Name, tt.match.Redirect = "x", redirect
		if first, _ := New([]Options{tt.match}).First(tt.message); (first != nil) != tt.want {
			t.Errorf("%s: matches: %v, want %v", name, first != nil, tt.want)
		}
	}
	// What does not withhold a message may be about any.
	for _, o := range []Options{{Copy: redirect}, {None: true}, {Header: []Field{{"X-A", "b"}}}} {
		o.Match.Kind = []string{"dsn"}
		if first, _ := New([]Options{o}).First(Message{Result: report("dsn", rcpt("a@b.example", none))}); first == nil {
			t.Errorf("%s does not match an unclassified bounce", o.Verb())
		}
	}
}

// The first one that matches is taken; dry runs before it are told, those behind it not.
func TestOrder(t *testing.T) {
	hard := Match{Type: []string{"hard"}}
	list := New([]Options{
		{Name: "soft", Match: Match{Type: []string{"soft"}}, Discard: true},
		{Name: "trial", Match: hard, Discard: true, DryRun: true},
		{Name: "trial2", Match: hard, None: true, DryRun: true},
		{Name: "first", Match: hard, None: true},
		{Name: "second", Match: hard, Discard: true},
		{Name: "late", Match: hard, Discard: true, DryRun: true},
	})
	first, dry := list.First(Message{Result: report("dsn", rcpt("a@example.com", "invalid-address hard unknown-recipient"))})
	if first == nil || first.Name != "first" || len(dry) != 2 || dry[0].Name != "trial" || dry[1].Name != "trial2" {
		t.Errorf("first %v, dry runs %v", first, dry)
	}
	if first, dry := (&List{}).First(Message{Result: report("dsn")}); first != nil || dry != nil {
		t.Error("an empty list matches")
	}
}

func TestPrimary(t *testing.T) {
	soft, hard := rcpt("s@example.com", "mailbox-full soft mailbox-full"), rcpt("h@example.com", "invalid-address hard unknown-recipient")
	block := rcpt("b@example.com", "blocked block policy")
	for want, list := range map[string][]classify.Recipient{
		"h@example.com":  {soft, block, hard},
		"b@example.com":  {acted(hard, dsn.ActionDelayed), soft, block},
		"d1@example.com": {{Address: "d1@example.com", Action: dsn.ActionDelivered}, {Address: "d2@example.com", Action: dsn.ActionDelivered}},
	} {
		if got := Primary(list); got == nil || got.Address != want {
			t.Errorf("primary is %v, want %s", got, want)
		}
	}
	if Primary(nil) != nil {
		t.Error("a primary among none")
	}
}

func TestGlobs(t *testing.T) {
	for _, tt := range []struct {
		glob, addr string
		want       bool
	}{
		{"a@example.com", "A@Example.COM", true}, {"a@example.com", "aa@example.com", false},
		{"*@example.com", "x@example.com", true}, {"*@example.com", "x@sub.example.com", false},
		{"*@*.example.com", "x@sub.example.com", true}, {"*@*.example.com", "x@example.com", false},
		{"bounces+*", "bounces+a=b@example.com", true}, {"bounces+*", "bounces@example.com", false},
		{"a*a@x", "a@x", false}, {"a*a@x", "aa@x", true}, {"a*b*c@x", "abbc@x", true}, {"a*b*c@x", "acb@x", false},
		{"*ab*ab", "ab", false}, {"*ab*ab", "abab", true}, {"jürgen@*", "JÜRGEN@example.com", true},
		{"*@example.com", "", false}, {"*", strings.Repeat("a", 400), false},
	} {
		if got := newGlobs([]string{"never@example.org", tt.glob}).match(strings.ToLower(tt.addr)); got != tt.want {
			t.Errorf("%q fits %q: %v", tt.glob, tt.addr, got)
		}
	}
	for _, tt := range []struct {
		all, some string
		want      bool
	}{
		{"*@example.com", "a*@example.com", true}, {"a*@example.com", "*@example.com", false}, {"a*", "a*b*", true},
		{"*b", "*", false}, {"*@example.com", "*@EXAMPLE.com", true}, {"*a*", "*b*", false},
	} {
		if got := newGlobs([]string{tt.all}).covers([]string{tt.some}); got != tt.want {
			t.Errorf("%q covers %q: %v", tt.all, tt.some, got)
		}
	}
}

// Nothing fits that a straightforward matcher does not, and the other way round.
func FuzzGlob(f *testing.F) {
	f.Add("a*b*c", "axbxc")
	f.Add("*aab", "aaab")
	f.Add("a*a", "a")
	f.Fuzz(func(t *testing.T, p, s string) {
		if len(p) > 40 || len(s) > 100 || s == "" {
			return
		}
		if got, want := newGlobs([]string{p}).match(strings.ToLower(s)), slow(strings.ToLower(p), strings.ToLower(s)); got != want {
			t.Errorf("%q fits %q: %v, want %v", p, s, got, want)
		}
	})
}

func slow(p, s string) bool {
	fits := make([]bool, len(s)+1) // of p so far, up to each place in s
	fits[0] = true
	for i := range len(p) {
		next := make([]bool, len(s)+1)
		for j := range next {
			if p[i] == '*' {
				next[j] = fits[j] || j > 0 && next[j-1]
			} else {
				next[j] = j > 0 && fits[j-1] && s[j-1] == p[i]
			}
		}
		fits = next
	}
	return fits[len(s)]
}

// A hundred actions, none of which matches, cost little and allocate nothing.
func TestFirstAllocates(t *testing.T) {
	list, msg := New(many(100)), Message{Result: report("dsn", rcpt("a@example.com", "mailbox-full soft mailbox-full"))}
	if n := testing.AllocsPerRun(100, func() { list.First(msg) }); n > 0 {
		t.Errorf("%v allocations", n)
	}
}

func many(n int) []Options {
	var list []Options
	for i := range n {
		list = append(list, Options{Name: fmt.Sprint("a", i), Redirect: []string{"x@example.org"}, Match: Match{Category: []string{"mailbox-full"},
			Type: []string{"soft", "block"}, Recipient: []string{fmt.Sprintf("*+%d*@example.com", i), fmt.Sprintf("*%d@*", i)}}})
	}
	return list
}

func BenchmarkFirst(b *testing.B) {
	list, msg := New(many(20)), Message{Result: report("dsn", rcpt("a.b.c@example.com", "mailbox-full soft mailbox-full"))}
	b.ReportAllocs()
	for b.Loop() {
		list.First(msg)
	}
}
