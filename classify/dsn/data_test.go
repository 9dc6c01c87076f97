package dsn

import (
	"io/fs"
	"strings"
	"testing"
	"testing/fstest"
)

// dataFS is the program's data with some files in their place.
func dataFS(t *testing.T, files map[string]string) fs.FS {
	t.Helper()
	all := fstest.MapFS{}
	names, err := fs.Glob(dataFiles, "data/*.toml")
	if err != nil || len(names) == 0 {
		t.Fatal("no data files", err)
	}
	for _, name := range names {
		b, err := dataFiles.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		all[name] = &fstest.MapFile{Data: b}
	}
	for name, text := range files {
		delete(all, "data/"+name)
		if text != "" {
			all["data/"+name] = &fstest.MapFile{Data: []byte(text)}
		}
	}
	return all
}

func TestLoad(t *testing.T) {
	if err := Load(); err != nil {
		t.Fatal(err)
	}
	tests := []struct{ name, file, text, want string }{
		{"no TOML", "report.toml", "[actions]\nfailed = oops\n", "report.toml:2: not TOML: "},
		{"a key twice", "autoreply.toml", "threshold = 6\nwords = 1\nwords = 2\n", "autoreply.toml:3: not TOML: key words is already defined"},
		{"an unknown key", "notice-unix.toml", "[[format]]\nname = \"x\"\nsayz = [\"some words\"]\n", `notice-unix.toml:3: unknown key "sayz" in [[format]]: did you mean "says"?`},
		{"an unknown key of a cue", "notice-cues.toml", "[[cue]]\nname = \"c\"\nmachin = true\n", `notice-cues.toml:3: unknown key "machin" in [[cue]]: did you mean "machine"?`},
		{"an unknown section", "report.toml", "[unknown]\nx = 1\n", "report.toml:1: unknown section [unknown]: there are [actions], [charsets], [[feedback]], [diagnostic], [rejection], [types], [person]"},
		{"no string", "report.toml", "[actions]\nfailed = 1\n", "report.toml:2: failed must be a string or a list of strings"},
		{"an unknown action", "report.toml", "[actions]\nlost = [\"x\"]\n", `report.toml: "lost" is no action of RFC 3464: write one of "failed", `},
		{"a short phrase", "autoreply.toml", "threshold = 6\nwords = 3\nsure = 4\n[[language]]\nany = [\"long enough\",\n\"abc\"]\n", `autoreply.toml:6: "abc" is shorter than 4 octets: write more of it`},
		{"a short phrase of a notice", "notice-unix.toml", "[[format]]\nsays = [\n\"abc\"]\n", `notice-unix.toml:3: "abc" is shorter than 4 octets: write more of it`},
		{"no threshold", "autoreply.toml", "words = 3\nsure = 4\n", "autoreply.toml: threshold, words and sure must be above 0"},
		{"no weights", "notice-cues.toml", "[text]\nid_fields = [\"ID\"]\n", "[weights] with a threshold, or [around] with a dialogue, is in no file: add it"},
		{"a phrase of nothing", "autoreply.toml", "threshold = 6\nwords = 3\nsure = 4\n[[cue]]\nname = \"c\"\nheader = [\"Subject\"]\nany = [\"\u200b\"]\n", `autoreply.toml:4: cue "c" holds "\u200b", which is nothing when it is compared`},
		{"a field of a long name", "notice-cues.toml", "[[cue]]\nname = \"c\"\nheader = [\"" + strings.Repeat("x", maxFieldName+1) + "\"]\npresent = true\n", `notice-cues.toml:1: cue "c" looks at a field whose name has 65 octets, 64 are the most`},
		{"a file that is not there", "report.toml", "", "report.toml: open data/report.toml: file does not exist"},
	}
	for _, tt := range tests {
		d, err := loadData(dataFS(t, map[string]string{tt.file: tt.text}))
		if err == nil || d != nil || !strings.Contains(err.Error(), tt.want) {
			t.Errorf("%s: %v, want %q", tt.name, err, tt.want)
		}
	}
}
