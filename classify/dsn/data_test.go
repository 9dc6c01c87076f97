package dsn

import (
	"strings"
	"testing"

	"github.com/bounce-milter/bounce-milter/internal/toml/tomltest"
)

func TestLoad(t *testing.T) {
	if err := Load(); err != nil {
		t.Fatal(err)
	}
	tests := []struct{ name, file, text, want string }{
		{"no TOML", "report.toml", "[actions]\nfailed = oops\n", "report.toml:2: not TOML: "},
		{"an unknown section", "report.toml", "[unknown]\nx = 1\n", "report.toml:1: unknown section [unknown]: there are [actions], [charsets], [[feedback]], [complaint], [diagnostic], [rejection], [types], [person]"},
		{"no string", "report.toml", "[actions]\nfailed = 1\n", "report.toml:2: failed must be a string or a list of strings"},
		{"an unknown action", "report.toml", "[actions]\nlost = [\"x\"]\n", `report.toml: "lost" is not an action of RFC 3464: write one of "failed", `},
		{"a name for no field", "report.toml", "[names.field]\nx = \"Acton\"\n", `report.toml: "Acton" is not a field of RFC 3464: write one of "Original-Envelope-Id", `},
		{"a file that is not there", "report.toml", "", "report.toml: open data/report.toml: file does not exist"},
	}
	for _, tt := range tests {
		d, err := loadData(tomltest.Overlay(t, dataFiles, map[string]string{tt.file: tt.text}))
		if err == nil || d != nil || !strings.Contains(err.Error(), tt.want) {
			t.Errorf("%s: %v, want %q", tt.name, err, tt.want)
		}
	}
}
