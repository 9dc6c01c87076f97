package classify

import (
	"os"
	"strings"
	"testing"

	"github.com/bounce-milter/bounce-milter/classify/dsn"
)

// TestTraps judges replies whose codes or first words mislead. Columns of
// testdata/traps.tsv: the kind of trap, the host that spoke ("-": none), the
// reason and the type to be found ("-": any), the enhanced code ("-": none may
// be found, "?": any), the reply. All of them failed for good.
func TestTraps(t *testing.T) {
	data, err := os.ReadFile("testdata/traps.tsv")
	if err != nil {
		t.Fatal(err)
	}
	e := builtIn(t)
	lines := strings.Split(strings.TrimSpace(string(data)), "\n")
	for i, line := range lines[1:] {
		c := strings.Split(line, "\t")
		if len(c) != 6 {
			t.Fatalf("testdata/traps.tsv:%d: %d columns", i+2, len(c))
		}
		ev := Evidence{Reply: c[5], Action: dsn.ActionFailed}
		if c[1] != "-" {
			ev.RemoteMTA = c[1]
		}
		got := e.Explain(&ev)
		if r := got.Recipient; r.Reason != c[2] || c[3] != "-" && string(r.Type) != c[3] {
			t.Errorf("testdata/traps.tsv:%d: %s, %s; want %s, %s\n\t%s\n\t%s", i+2, r.Reason, r.Type, c[2], c[3], c[5], got.Why)
		}
		if want := strings.Trim(c[4], "-"); want != "?" && got.Status != want {
			t.Errorf("testdata/traps.tsv:%d: status %q, want %q", i+2, got.Status, want)
		}
	}
}
