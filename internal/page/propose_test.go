package page

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/bounce-milter/bounce-milter/classify"
	"github.com/bounce-milter/bounce-milter/internal/propose"
)

// odd are replies that no rule knows, with what people and servers put between the words.
var odd = []string{
	"554 5.0.0 The larder of carla.jones@example.com (ticket 4711-ABCD99) is stuffed",
	"550 Grumble: the heron at mx1.example.net[192.0.2.9] took your letter; see https://help.example.net/x?id=12",
	"550-5.9.9 Your letter found no nest here\r\n550 5.9.9 and the heron will not look again 2001:db8::7",
	"host mx.example.org[192.0.2.4] said: 554 Quibble over marmalade \"toast\" \\ jam (in reply to end of DATA command)",
	"550 Der Reiher hat Ihren Brief f\u00fcr carla@example.com verschmäht",
	"554 鷺はあなたの手紙を取りました carla@example.com",
	"550 [name] and #comment = \"value\" wibbled through the marmalade",
	"550 4711",
	"550 <carla>",
}

// Every rule that the page proposes is accepted by rules test once its reason is chosen, and
// not before.
func TestProposedRules(t *testing.T) {
	engine, err := classify.New(classify.Options{})
	if err != nil {
		t.Fatal(err)
	}
	b, _ := testBoard(begin)
	b.SetWords(Words{Understand: func(reply string) string { return engine.Explain(&classify.Evidence{Reply: reply}).Words }})
	for _, s := range odd {
		x := bounce(classify.Unclassified)
		x.Reply, x.Address = s, "carla.jones@example.com"
		b.times(1, x)
	}
	var all []string
	for _, r := range b.fresh().Replies {
		if r.Rule == "" {
			if !strings.Contains(r.Text, "4711") && !strings.Contains(r.Text, "[number]") && !strings.Contains(r.Text, "[name]") {
				t.Errorf("no rule for %s", r.Text)
			}
			continue
		}
		if strings.Contains(r.Rule, "carla") || strings.Contains(r.Rule, "192.0.2.9") || strings.Contains(r.Rule, "4711") {
			t.Errorf("a rule names somebody:\n%s", r.Rule)
		}
		all = append(all, r.Rule)
	}
	if len(all) < 6 {
		t.Fatalf("%d rules", len(all))
	}
	file := filepath.Join(t.TempDir(), "mine.toml")
	write := func(text string) {
		if err := os.WriteFile(file, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	text := strings.Join(all, "\n")
	write(strings.ReplaceAll(text, propose.Choose, "policy"))
	if ps := classify.Check("", []string{file}); len(ps) > 0 {
		t.Errorf("%v\n%s", ps, text)
	}
	write(text)
	if ps := classify.Check("", []string{file}); len(ps) == 0 {
		t.Error("rules are accepted without a reason")
	}
}
