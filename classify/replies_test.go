package classify

import (
	"os"
	"strings"
	"testing"

	"github.com/bounce-milter/bounce-milter/classify/dsn"
)

// TestReplies judges replies as they come in the wild: of many programs,
// providers and administrators, in logs and in exceptions, in several
// languages. Columns of testdata/replies.tsv: the reason to be found, the reply,
// the host that spoke ("-": unknown). All of them failed for good.
//
// A rule's examples show that its own words reach it; these show that the rules
// together come to the right end, and that none of them calls an address dead
// when its reason is about something else.
func TestReplies(t *testing.T) {
	data, err := os.ReadFile("testdata/replies.tsv")
	if err != nil {
		t.Fatal(err)
	}
	e := builtIn(t)
	usual := map[string]Type{}
	for _, r := range e.Reasons() {
		usual[r.ID] = Type(r.Type)
	}
	n := 0
	for i, line := range strings.Split(strings.TrimSpace(string(data)), "\n") {
		if strings.HasPrefix(line, "#") {
			continue
		}
		c := strings.Split(line, "\t")
		if len(c) != 3 {
			t.Fatalf("testdata/replies.tsv:%d: %d columns", i+1, len(c))
		}
		if _, ok := usual[c[0]]; !ok {
			t.Fatalf("testdata/replies.tsv:%d: no such reason: %s", i+1, c[0])
		}
		ev := Evidence{Reply: c[1], Action: dsn.ActionFailed}
		if c[2] != "-" {
			ev.RemoteMTA = c[2]
		}
		got := e.Explain(&ev)
		r := got.Recipient
		if r.Reason != c[0] {
			t.Errorf("testdata/replies.tsv:%d: %s, want %s\n\t%s\n\t%s", i+1, r.Reason, c[0], c[1], got.Why)
		}
		if r.Type == Hard && usual[c[0]] != Hard {
			t.Errorf("testdata/replies.tsv:%d: hard, though %s is not\n\t%s", i+1, c[0], c[1])
		}
		n++
	}
	if n < 200 {
		t.Errorf("testdata/replies.tsv: only %d replies", n)
	}
}
