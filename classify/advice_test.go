package classify

import (
	"regexp"
	"strings"
	"testing"

	"github.com/bounce-milter/bounce-milter/classify/rules"
)

// Words that tell the reader to give up an address. Only advice on a hard verdict may use them.
var letsGo = regexp.MustCompile(`(?i)\b(off (your|the|all) (\w+ )?lists?|stop mailing|stop sending|(remove|delete|drop|retire|suppress|unsubscribe|purge) (it|the (address|recipient|user)|this|them)|give (it|the address) up|clean (it|the|your) |from (your|the) (mailing )?lists?)`)

// TestAdvice tries every reason with every type and every evidence, including combinations that
// only an administrator's rule can produce.
func TestAdvice(t *testing.T) {
	e := builtIn(t)
	for _, r := range e.Reasons() {
		for _, kind := range Types() {
			for _, g := range []grounds{onWords, onBare, onUnread} {
				meaning, advice := e.advise(r.ID, kind, g)
				what := r.ID + ", " + string(kind)
				if r.Address.Of(string(kind)) == "" || r.Advice == "" || meaning == "" {
					t.Errorf("%s: nothing to do: %q, %q", what, meaning, advice)
				}
				if lets := letsGo.FindString(advice); kind != Hard && lets != "" {
					t.Errorf("%s says %q in %q", what, lets, advice)
				}
				if keeps := strings.Contains(advice, "Keep the address"); keeps == (kind == Hard) {
					t.Errorf("%s: what about the address? %q", what, advice)
				}
				if kind == Hard && letsGo.FindString(r.Address.Hard) == "" {
					t.Errorf("%s keeps the address: %q", what, r.Address.Hard)
				}
				switch g {
				case onBare:
					if !strings.HasPrefix(advice, e.set.Bare.Advice) {
						t.Errorf("%s, codes alone: %q", what, advice)
					}
				case onUnread:
					if !strings.HasPrefix(advice, e.set.Unread.Advice) {
						t.Errorf("%s, words not understood: %q", what, advice)
					}
				}
				if g != onWords && r.ID != rules.Unknown && meaning == r.Meaning {
					t.Errorf("%s claims what was not read: %q", what, meaning)
				}
			}
		}
	}
}

// What an unknown reason must not claim: anything that one of the others says.
var claims = regexp.MustCompile(`(?i)no such|does not exist|not exist|refused|rejected|blocklist|reputation|spam|virus|quota|full|disabled|SPF|DKIM|DMARC|sending side|policy|postmaster`)

func TestUnknownClaimsNothing(t *testing.T) {
	e := builtIn(t)
	for _, kind := range []Type{Soft, Block} {
		for _, g := range []grounds{onWords, onBare, onUnread} {
			meaning, advice := e.advise(rules.Unknown, kind, g)
			if claim := claims.FindString(meaning + " " + advice); claim != "" {
				t.Errorf("%s: claims %q: %s %s", kind, claim, meaning, advice)
			}
			if !strings.Contains(meaning, "not understood") || !strings.Contains(advice, "Read the reply") {
				t.Errorf("%s: does not say that nothing was understood: %s %s", kind, meaning, advice)
			}
		}
	}
}

// TestAdviceGiven judges replies: what to do follows type, reason and evidence.
func TestAdviceGiven(t *testing.T) {
	e := builtIn(t)
	for _, c := range []struct {
		name, reply, meaning, advice string
		kind                         Type
	}{
		{"hard by words", "550 5.1.1 User unknown", "The recipient's server knows", "Take the address off your lists.", Hard},
		{"hard by codes", "550 5.1.1", "By the codes alone: The recipient's", "There were codes and no words, so this is only what the codes stand for. Take the address off", Hard},
		{"delayed", "450 4.1.1 User unknown", "The recipient's server knows", "Keep the address: nothing shows that it is dead for good.", Soft},
		{"policy by codes", "550 5.7.1", "By the codes alone: ", "There were codes and no words, so this is only what the codes stand for. Keep the address: nothing shows", Block},
		{"SPF", "550 5.7.23 SPF check failed", "The SPF check", "Keep the address: the sending side was refused, not the recipient. SPF is about the envelope sender", Block},
		{"codes beside unknown words", "550 5.1.1 gribble frotz", "What happened was not understood", "No rule knows the words that came with the codes; only the codes were understood. Keep the address: nothing that was understood", Block},
		{"unknown words alone", "gribble frotz", "What happened was not understood", "Keep the address: nothing that was understood", Soft},
	} {
		x := e.Explain(&Evidence{Reply: c.reply})
		if x.Recipient.Type != c.kind || !strings.HasPrefix(x.Meaning, c.meaning) || !strings.HasPrefix(x.Advice, c.advice) {
			t.Errorf("%s: %s, %q, %q", c.name, x.Recipient.Type, x.Meaning, x.Advice)
		}
	}
}

// TestAdviceData: a reason's own words come first, then those for all reasons; of
// [doubted] only what a reason that is hard by default needs.
func TestAdviceData(t *testing.T) {
	const reasons = `
[[reason]]
id = "unknown"
category = "unclassified"
type = "soft"
meaning = "m"
soft = "Own words."
advice = "a"
[[reason]]
id = "gone"
category = "mailbox"
type = "hard"
meaning = "m"
advice = "a"
`
	set, _ := rules.Build(overlay(t, "reasons.toml", reasons), nil)
	want := []rules.ByType{
		{Hard: "Take it off.", Soft: "Own words.", Block: "Keep it, mend the sender."},
		{Hard: "Take it off.", Soft: "Keep it.", Block: "Keep it, doubt it."},
	}
	for i, r := range set.Reasons {
		if r.Address != want[i] {
			t.Errorf("%s: %+v", r.ID, r.Address)
		}
	}
	for _, c := range []struct{ data, problem string }{
		{"", "advice.toml: advice needs hard, soft and block of [address]"},
		{"[adress]\n", "advice.toml:1: unknown section [adress]: did you mean [address]?"},
		{"[address]\nhart = \"x\"\n", `advice.toml:2: unknown key "hart" in [address]: did you mean "hard"?`},
		{"[bare]\nadvise = \"x\"\n", `advice.toml:2: unknown key "advise" in [bare]: did you mean "advice"?`},
	} {
		_, problems := rules.Build(overlay(t, "advice.toml", c.data), nil)
		if !strings.Contains(problems.Error(), c.problem) {
			t.Errorf("%q: got %v, want %s", c.data, problems, c.problem)
		}
	}
}
