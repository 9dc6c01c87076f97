//go:build e2e

package lab

import (
	"fmt"
	"slices"
	"strings"
	"testing"
)

// Mail with more forged fields than Postfix lets a milter delete is delivered
// all the same, soon, with a field at its top that says what stayed; a report
// of that kind is tagged above it, and mail with just as many as are removed
// arrives without any.
func TestManyForgedHeaders(t *testing.T) {
	w := theWorld(t)
	const name = "X-Bounce-Type"
	forged := func(n int) []string { return slices.Repeat([]string{name + ": hard"}, n) }
	others := make([]string, 3000)
	for i := range others {
		others[i] = fmt.Sprintf("X-Bounce-%dKind: x", i)
	}
	for _, c := range []struct {
		name   string
		forged []string
		left   int
	}{
		{"12000", forged(12000), 11000},
		{"as many as are removed", forged(1000), 0},
		{"other names in front", append(others, "X-Bounce-Category: mailbox-full"), 2750},
	} {
		t.Run(c.name, func(t *testing.T) {
			before := scrape(t, w.daemon)
			to, box := w.postfix.Mailbox()
			send(t, w.postfix.Addr("unix"),
				Mail{From: "ann@remote.test", To: []string{to}, Data: Ordinary("h1", to, c.forged, 500)},
				Mail{To: []string{to}, Data: Bounce("h2", to, c.forged, unknownUser)})
			ours := 0
			for _, m := range delivered(t, box, 2) {
				tags := m.Tags("X-Bounce-")
				if m.Get("Message-Id") == "<h2@mx.remote.test>" {
					if len(tags) < 5 || tags[0].Name != "X-Bounce-Category" || tags[0].Value != "invalid-address" || tags[4].Name != "X-Bounce-Result" {
						t.Fatalf("the report's own tags are not first: %v", tags[:min(5, len(tags))])
					}
					ours++
					tags = tags[5:]
				}
				if c.left == 0 {
					if len(tags) > 0 {
						t.Errorf("%d forged fields are left", len(tags))
					}
					continue
				}
				if want := fmt.Sprintf("%d left", c.left); len(tags) != c.left+1 || tags[0].Name != "X-Bounce-Forged" || tags[0].Value != want {
					t.Fatalf("%d fields with our prefix, the first %v; want %d behind X-Bounce-Forged: %s", len(tags), tags[:min(1, len(tags))], c.left, want)
				}
				for _, f := range tags[1:] {
					if strings.EqualFold(f.Name, "X-Bounce-Category") {
						t.Error("one of ours is hidden behind others")
					}
				}
			}
			if ours != 1 {
				t.Errorf("%d reports arrived, want 1", ours)
			}
			counted(t, w.daemon, before,
				count(float64(2*len(c.forged)), "forged_headers_total"),
				count(float64(2*min(1, c.left)), "errors_total", `stage="forged"`))
		})
	}
}
