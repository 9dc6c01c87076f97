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
		{"an unknown section", "report.toml", "[unknown]\nx = 1\n", "report.toml:1: unknown section [unknown]: there are [actions], [charsets], [[feedback]], [diagnostic], [rejection], [types], [person]"},
		{"no string", "report.toml", "[actions]\nfailed = 1\n", "report.toml:2: failed must be a string or a list of strings"},
		{"an unknown action", "report.toml", "[actions]\nlost = [\"x\"]\n", `report.toml: "lost" is no action of RFC 3464: write one of "failed", `},
		{"a name for no field", "report.toml", "[names.field]\nx = \"Acton\"\n", `report.toml: "Acton" is no field of RFC 3464: write one of "Original-Envelope-Id", `},
		{"a file that is not there", "report.toml", "", "report.toml: open data/report.toml: file does not exist"},
	}
	for _, tt := range tests {
		d, err := loadData(dataFS(t, map[string]string{tt.file: tt.text}))
		if err == nil || d != nil || !strings.Contains(err.Error(), tt.want) {
			t.Errorf("%s: %v, want %q", tt.name, err, tt.want)
		}
	}
}
