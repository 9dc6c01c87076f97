package notice

import (
	"fmt"
	"os"
	"slices"
	"strings"
	"testing"

	"github.com/bounce-milter/bounce-milter/internal/toml"
	"github.com/bounce-milter/bounce-milter/internal/toml/tomltest"
)

// noticeFormats are the formats of notices that the data know.
func noticeFormats(t testing.TB) []format {
	t.Helper()
	_, formats, _, err := load(dataFiles, nil)
	if err != nil {
		t.Fatal(err)
	}
	return formats
}

// TestNoticeDataTidy keeps the data files in order: phrases are written as they
// are compared, and none stands twice in a list.
func TestNoticeDataTidy(t *testing.T) {
	names := map[string]bool{}
	for _, f := range noticeFormats(t) {
		if names[f.Name] {
			t.Errorf("two formats %s", f.Name)
		}
		names[f.Name] = true
		for _, phrases := range f.roles() {
			list := toml.Strings(phrases)
			for j, p := range list {
				if got := foldPhrase(p); got != p {
					t.Errorf("format %s: %q is compared as %q", f.Name, p, got)
				}
				if slices.Index(list, p) != j {
					t.Errorf("format %s: %q stands twice in a list", f.Name, p)
				}
			}
		}
	}
}

func TestManyCues(t *testing.T) {
	var set cueSet
	for i := range 1000 {
		set.add(&cue{Header: []string{"Subject", "From"}, Any: []string{"gnarf"}, Weight: i})
	}
	sum, times := 0, 0
	set.each(fields{"Subject", "gnarf", "From", "gnarf gnarf"}, func(c *cue) { sum, times = sum+c.Weight, times+1 })
	if sum != 999*1000/2 || times != 1000 {
		t.Errorf("%d cues of 1000, %d in all", times, sum)
	}
}

func TestPhraseIndex(t *testing.T) {
	var x phraseIndex[role]
	for i, p := range []string{"The following Address", "following", "550 5.", "said:", "失敗", "address(es)  failed"} {
		if err := x.add(p, 1<<i); err != nil {
			t.Fatal(err)
		}
	}
	if err := x.add("abc", 1); err == nil {
		t.Error("a phrase of three octets was taken")
	}
	_, low := foldText(nil, nil, "Unthe following ADDRESS; the\n\tfollowing\u00a0address(es) failed: 配信失敗 SAID:550 nofollowing")
	var got []string
	x.find(low, func(start, end int, bits role) bool {
		got = append(got, fmt.Sprintf("%s %b", low[start:end], bits))
		return true
	})
	want := "following 10|the following address 1|following 10|address(es) failed 100000|失敗 10000|said: 1000"
	if s := strings.Join(got, "|"); s != want {
		t.Errorf("got  %s\nwant %s", s, want)
	}
}

func TestFoldText(t *testing.T) {
	tests := []struct{ in, orig, low string }{
		{"", "", ""},
		{"  A\t\r\nB  ", "A B ", "a b "},
		{"It’s “Done”", `It's "Done"`, `it's "done"`},
		{"ÄÖÜ ПИСЬМО", "ÄÖÜ ПИСЬМО", "äöü письмо"},
		{"İstanbul \u212a", "İstanbul \u212a", "İstanbul \u212a"}, // lower case would be of another length
		{"a\u200bb\ufeff", "ab", "ab"},
		{"\xff\xfeA", "\xff\xfeA", "\xff\xfea"},
		{"全角　空白", "全角 空白", "全角 空白"},
		{"o´brien «x» ５５０‐５．１．１　Ｕｓｅｒ：", `o'brien "x" 550-5.1.1 User:`, `o'brien "x" 550-5.1.1 user:`},
		{"`GEÇERSİZ` ALICI", "`GEÇERSİZ` ALICI", "'geçersİz' alici"},
		{"alıcı", "alıcı", "alıcı"}, // an address may have it
	}
	for _, tt := range tests {
		orig, low := foldText(nil, nil, tt.in)
		if string(orig) != tt.orig || string(low) != tt.low {
			t.Errorf("%q: got %q, %q", tt.in, orig, low)
		}
	}
}

func TestLoad(t *testing.T) {
	tests := []struct{ name, file, text, want string }{
		{"a key twice", "autoreply.toml", "threshold = 6\nwords = 1\nwords = 2\n", "autoreply.toml:3: not TOML: key words is already defined"},
		{"an unknown key", "unix.toml", "[[format]]\nname = \"x\"\nsayz = [\"some words\"]\n", `unix.toml:3: unknown key "sayz" in [[format]]: did you mean "says"?`},
		{"an unknown key of a cue", "cues.toml", "[[cue]]\nname = \"c\"\nmachin = true\n", `cues.toml:3: unknown key "machin" in [[cue]]: did you mean "machine"?`},
		{"a short phrase", "autoreply.toml", "threshold = 6\nwords = 3\nsure = 4\n[[language]]\nany = [\"long enough\",\n\"abc\"]\n", `autoreply.toml:6: "abc" is shorter than 4 octets: write more of it`},
		{"a short phrase of a notice", "unix.toml", "[[format]]\nsays = [\n\"abc\"]\n", `unix.toml:3: "abc" is shorter than 4 octets: write more of it`},
		{"no threshold", "autoreply.toml", "words = 3\nsure = 4\n", "autoreply.toml: threshold, words and sure must be above 0"},
		{"no weights", "cues.toml", "[text]\nid_fields = [\"ID\"]\n", "[weights] with a threshold, or [around] with a dialogue, is in no file: add it"},
		{"a phrase of nothing", "autoreply.toml", "threshold = 6\nwords = 3\nsure = 4\n[[cue]]\nname = \"c\"\nheader = [\"Subject\"]\nany = [\"\u200b\"]\n", `autoreply.toml:4: cue "c" has "\u200b", in which nothing is left to compare`},
		{"a field of a long name", "cues.toml", "[[cue]]\nname = \"c\"\nheader = [\"" + strings.Repeat("x", maxFieldName+1) + "\"]\npresent = true\n", `cues.toml:1: cue "c" looks at a field whose name has 65 octets: the maximum is 64`},
		{"a file that is not there", "autoreply.toml", "", "autoreply.toml: open data/autoreply.toml: file does not exist"},
	}
	for _, tt := range tests {
		d, _, _, err := load(tomltest.Overlay(t, dataFiles, map[string]string{tt.file: tt.text}), nil)
		if err == nil || d != nil || !strings.Contains(err.Error(), tt.want) {
			t.Errorf("%s: %v, want %q", tt.name, err, tt.want)
		}
	}
}

// TestGateData holds what the gate knows to what it can find.
func TestGateData(t *testing.T) {
	d := &builtIn().gate
	fields := 0
	for length, fs := range d.byLength {
		for _, f := range fs {
			fields++
			if len(f.name) != length || len(f.cues) == 0 {
				t.Errorf("field %+v", f)
			}
		}
	}
	if fields == 0 || d.wanted <= 0 {
		t.Errorf("%d fields, %d wanted", fields, d.wanted)
	}
}

// docs/rules.md tells what the signs of a bounce weigh.
func TestPageTellsWeights(t *testing.T) {
	page, err := os.ReadFile("../../../docs/rules.md")
	if err != nil {
		t.Fatal(err)
	}
	w := builtIn().weights
	want := fmt.Sprintf("the weights make %d: those of the cues; %d for a phrase of `opens`; %d for each of `says`, two of which count; "+
		"%d for a server's reply; %d for a returned message; −%d for each of `against`.", w.Threshold, w.Opens, w.Says, w.Reply, w.Returned, -w.Against)
	if w.MostSays != 2 || !strings.Contains(strings.Join(strings.Fields(string(page)), " "), want) {
		t.Errorf("docs/rules.md lacks: %s", want)
	}
}
