package dsn

import (
	"fmt"
	"os"
	"strings"
	"testing"
)

// heron is a file without a mistake; a test puts one in.
const heron = `[[cue]]
name = "heron"
header = ["From"]
local = ["heron"]
weight = 2
machine = true
gate = true

[[format]]
name = "heron"
opens = ["your letter found no nest"]
names = ["nest:"]
reply = ["heron was told:"]

[[format.example]]
from = "Heron <heron@relay.example.com>"
subject = "It came back"
text = """
Your letter found no nest.

Nest: lost@example.net
Heron was told: 550 5.1.1 No such bird here
"""
want = ["lost@example.net|failed|550|5.1.1|550 5.1.1 No such bird here"]
`

func TestCheckFiles(t *testing.T) {
	tests := []struct{ name, old, new, want string }{
		{"good", "", "", ""},
		{"no TOML", "[[cue]]", "[[cue]", "own.toml:1: not TOML: "},
		{"an unknown key", "reply =", "replay =", `own.toml:13: unknown key "replay" in [[format]]: did you mean "reply"?`},
		{"a format without a name", "name = \"heron\"\nopens", "opens", "own.toml:9: a format needs a name"},
		{"a format without phrases", heron[strings.Index(heron, "opens"):strings.Index(heron, "\n[[format.ex")], "", `own.toml:9: format "heron" has no phrases`},
		{"a format without an example", heron[strings.Index(heron, "[[format.ex"):], "", `own.toml:9: format "heron" has no example: write a [[format.example]]`},
		{"an example of nothing", heron[strings.Index(heron, "from ="):strings.Index(heron, "want =")], "", `own.toml:15: an example of format "heron" has neither message nor text`},
		{"an example of both", "want =", "message = \"x\"\nwant =", `own.toml:15: an example of format "heron" has a whole message: remove from, `},
		{"a short phrase", `"nest:"`, `"at:"`, `own.toml:12: "at:" is shorter than 4 octets: write more of it`},
		{"a long phrase", `"nest:"`, `"` + strings.Repeat("x", 501) + `"`, `own.toml:12: format "heron" has a phrase of 501 octets: the maximum is 500`},
		{"two formats", "[[cue]]", "[[format]]\nname = \"heron\"\nsays = [\"some words\"]\n[[cue]]", `own.toml:12: format "heron" is there twice, first at own.toml:1`},
		{"a cue without a name", "name = \"heron\"\nheader", "header", "own.toml:1: a cue needs a name"},
		{"a cue without a field", "header = [\"From\"]\n", "", `own.toml:1: cue "heron" looks at no field: give it header`},
		{"a cue of no field", `["From"]`, `["From:"]`, `own.toml:1: cue "heron" looks at "From:", which is no name of a field`},
		{"a cue that never holds", "local = [\"heron\"]\n", "", `own.toml:1: cue "heron" never matches: give it local, begin, any, empty or present`},
		{"a cue that never counts", "weight = 2\nmachine = true\ngate = true", "machine = true", `own.toml:1: cue "heron" never counts: give it a weight, or gate = true`},
		{"a heavy cue", "weight = 2", "weight = 13", `own.toml:1: cue "heron" weighs 13: write a weight from -12 to 12`},
		{"a closed gate", "gate = true\n", "", `own.toml:14: format "heron": the daemon would not read its example, because no cue `},
		{"no machine", "machine = true\n", "", `own.toml:14: format "heron": its example is not read as a bounce: no cue marked machine or robot matches its header`},
		{"a robot that opens nothing", "machine = true\ngate = true\n\n[[format]]\nname = \"heron\"\nopens", "robot = true\ngate = true\n[[format]]\nname = \"heron\"\nsays",
			`own.toml:14: format "heron": its example is not read as a bounce: only a cue marked robot matches its header, none marked machine: then the text must have a phrase of opens`},
		{"too light", "weight = 2", "weight = -1", `header and words weigh too little: the header weighs -1, and both together must weigh 6; found in the text: one of opens, 0 of says, 0 of against`},
		{"read otherwise", "|failed|", "|delayed|", `own.toml:15: format "heron": its example is read differently: write want = ["lost@example.net|failed|550|5.1.1|550 5.1.1 No such bird here"] if that is right`},
		{"one that spoils the others", "names = ", "against = [\"could not be delivered\"]\nnames = ", "own.toml: an example of the built-in format \"au\" is read as "},
	}
	for _, tt := range tests {
		text := strings.Replace(heron, tt.old, tt.new, 1)
		if tt.old != "" && text == heron {
			t.Errorf("%s: %q is not there", tt.name, tt.old)
		}
		err := CheckFiles(File{"own.toml", []byte(text)})
		if tt.want == "" && err != nil || tt.want != "" && (err == nil || !strings.Contains(err.Error(), tt.want)) {
			t.Errorf("%s: got %v\nwant %s", tt.name, err, tt.want)
		}
	}
}

// What one file spoils, another is not blamed for.
func TestCheckFilesBlamesOne(t *testing.T) {
	err := CheckFiles(File{"good.toml", []byte(heron)},
		File{"bad.toml", []byte(strings.NewReplacer(`"heron"`, `"egret"`, "names = ", "against = [\"could not be delivered\"]\nnames = ").Replace(heron))})
	if err == nil || strings.Contains(err.Error(), "good.toml") {
		t.Error(err)
	}
}

func TestManyOwnFormats(t *testing.T) {
	var b strings.Builder
	for i := range 201 {
		fmt.Fprintf(&b, "[[format]]\nname = \"f%d\"\nsays = [\"some words\"]\n[[format.example]]\ntext = \"x\"\n", i)
	}
	for i := range 101 {
		fmt.Fprintf(&b, "[[cue]]\nname = \"c%d\"\nheader = [\"X-Own\"]\nany = [\"x\"]\nweight = 1\n", i)
	}
	_, err := NewReader(File{"own.toml", []byte(b.String())})
	want := "reading formats of notices: own.toml:1001: format \"f200\" is one too many: you can add 200\n" +
		"own.toml:1506: cue \"c100\" is one too many: you can add 100"
	if err == nil || err.Error() != want {
		t.Errorf("got  %v\nwant %s", err, want)
	}
}

// A reader with files of its own reads every fixture as one without them does.
func TestReaderReadsAsBefore(t *testing.T) {
	r, err := NewReader(File{"own.toml", []byte(heron)})
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"notice", "notice-none", "notice-autoreply"} {
		entries, err := os.ReadDir("testdata/" + name)
		if err != nil {
			t.Fatal(err)
		}
		for _, e := range entries {
			if !strings.HasSuffix(e.Name(), ".eml") {
				continue
			}
			raw, err := os.ReadFile("testdata/" + name + "/" + e.Name())
			if err != nil {
				t.Fatal(err)
			}
			got, want := stated(t, r.Read(t.Context(), raw, Limits{})), stated(t, Read(t.Context(), raw, Limits{}))
			if fmt.Sprint(got) != fmt.Sprint(want) {
				t.Errorf("%s/%s: got %+v, want %+v", name, e.Name(), got, want)
			}
		}
	}
	if !r.Decisive([]byte("From")) || !r.Decisive([]byte("MIME-Version")) || r.Decisive([]byte("X-Heron")) {
		t.Error("other fields are decisive")
	}
}
