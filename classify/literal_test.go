package classify

import (
	"slices"
	"testing"
)

func TestLiterals(t *testing.T) {
	for _, c := range []struct {
		expr string
		want []string
	}{
		{`user unknown`, []string{"user unknown"}},
		{`USER (?:un)?known`, []string{"user unknown", "user known"}},
		{`\b550[- ](?:\d\.\d\.\d )?: ?user unknown`, []string{"550-: user unknown", "550-:user unknown", "550 : user unknown", "550 :user unknown", " : user unknown", " :user unknown"}},
		{`\b(?:rp|sc)-00\d\b`, []string{"rp-00", "sc-00"}},
		{`voll\b|kein (?:freier )?platz`, []string{"voll", "kein freier platz", "kein platz"}},
		{`spf= ?pass\b.*\bdkim= ?fail`, []string{"dkim= fail", "dkim=fail"}},
		{`mail to @ was refused`, []string{" was refused"}},
		{`(?:too many )+errors`, []string{"too many errors"}},
		{`(?:\d+ )?errors?`, []string{" errors", " error", "errors", "error"}},
		{`[a-f]+x?`, nil},
		{`(?:user|\d+) (?:unknown|\d)?`, nil},
		{`a|bc`, nil},
		{`\bspam\b.*score`, []string{"score"}},
		{`(?:ofr|lpn)_\d+`, []string{"ofr_", "lpn_"}},
		{`(?:ofr|lpn)[a-z]*_10[12]`, []string{"_101", "_102"}},
		{`a?b*`, nil},
		{`<@>: user unknown`, []string{">: user unknown"}},
		{`(full mailbox)+`, []string{"full mailbox"}},
		{`full  box`, nil},
		{`(?:full)?`, nil},
		{`(`, nil},
	} {
		got, want := literals(c.expr), slices.Clone(c.want)
		slices.Sort(got)
		slices.Sort(want)
		if !slices.Equal(got, want) {
			t.Errorf("%s: %q, want %q", c.expr, got, want)
		}
	}
}

// TestPrefilter: expressions whose start regexp cannot search for get a form
// that it can.
func TestPrefilter(t *testing.T) {
	if f := prefilter(`\b550 : ?user`); f == nil || !f.MatchString("x550 : user") {
		t.Error("no prefilter")
	}
	if f := prefilter(`spam.*score`); f != nil {
		t.Error("a prefilter where none is needed")
	}
}

// TestLiteralsMissNothing holds what lets an expression run to the expression
// itself, on every example and on every text that it could be taken for.
func TestLiteralsMissNothing(t *testing.T) {
	e := builtIn(t)
	for _, from := range e.set.Rules {
		for _, ex := range from.Examples {
			ev := Evidence{Reply: ex.Reply + " " + ex.Notice, RemoteMTA: ex.RemoteMTA}
			q := e.begin(&ev)
			for _, r := range e.match.rules {
				if r.Pattern != nil && r.Pattern.Match(q.regexText(&q.reply, q.reply.inner, r.inTail)) && !q.mayMatch(r, &q.reply, q.reply.inner) {
					t.Errorf("rule %s matches %q but does not look at it", r.ID, ev.Reply)
				}
			}
			e.end(q)
		}
	}
}
