package main

import (
	"strings"
	"testing"

	"github.com/rivo/uniseg"
)

func TestShorten(t *testing.T) {
	tests := []struct {
		text string
		n    int
		keep part
		want string
	}{
		{"short", 5, keepBegin, "short"},
		{"longer", 5, keepBegin, "long…"},
		{"longer", 5, keepEnd, "…nger"},
		{"very.long.name@example.com", 20, keepBegin, "very.lo…@example.com"},
		{"u@a.very.long.domain.example.com", 20, keepBegin, "u@a.very.long.domai…"},
		{"@", 1, keepBegin, "@"},
		{"山田太郎@example.jp", 16, keepBegin, "山田…@example.jp"},
		{"山田太郎", 5, keepEnd, "…太郎"},
		{"山田太郎", 4, keepBegin, "山…"},
		{"e\u0301e\u0301e\u0301", 2, keepBegin, "e\u0301…"},
		{"/var/mail/archive/2026/bounce.eml", 16, keepEnd, "…2026/bounce.eml"},
	}
	for _, tt := range tests {
		got := shorten(tt.text, tt.n, tt.keep)
		if got != tt.want {
			t.Errorf("shorten(%q, %d): %q, want %q", tt.text, tt.n, got, tt.want)
		}
		if w := uniseg.StringWidth(got); w > tt.n {
			t.Errorf("shorten(%q, %d): %q has %d columns", tt.text, tt.n, got, w)
		}
	}
}

// TestTableFitsWindow lays the table of classify out in windows of many widths.
func TestTableFitsWindow(t *testing.T) {
	tests := []struct {
		window                int
		files, origins, takes bool
		want                  string
	}{
		{50, true, false, true, "CATEGORY TYPE RECIPIENT"},
		{60, true, false, false, "CATEGORY TYPE CODE RECIPIENT"},
		{60, false, false, false, "CATEGORY TYPE CODE RECIPIENT"},
		{80, true, false, false, "CATEGORY TYPE CODE RECIPIENT FILE"},
		{80, false, false, false, "CATEGORY TYPE REASON CODE RECIPIENT"},
		{100, true, false, false, "CATEGORY TYPE REASON CODE RECIPIENT FILE"},
		{120, true, false, false, "CATEGORY TYPE REASON ACTION CODE RECIPIENT FILE"},
		{120, true, false, true, "CATEGORY TYPE REASON CODE RECIPIENT TAKES FILE"},
		{60, false, true, false, "CATEGORY TYPE CODE RECIPIENT"},
		{120, false, true, false, "CATEGORY TYPE REASON ACTION CODE ORIGIN RECIPIENT"},
		{0, true, false, true, "CATEGORY TYPE REASON ACTION CODE RECIPIENT TAKES FILE"},
		{0, true, true, true, "CATEGORY TYPE REASON ACTION CODE ORIGIN RECIPIENT TAKES FILE"},
	}
	for _, tt := range tests {
		l := fit(verdictColumns(tt.files, tt.origins, tt.takes), tt.window)
		if got := strings.Join(strings.Fields(strings.Join(l.heads(), " ")), " "); got != tt.want {
			t.Errorf("%d columns, files %v, origins %v, takes %v: %s, want %s", tt.window, tt.files, tt.origins, tt.takes, got, tt.want)
		}
		long := make([]string, len(l))
		for i := range long {
			long[i] = strings.Repeat("x", 200) + "@example.com"
		}
		line := l.line(long, tt.window == 0, func(_ int, cell string) string { return cell })
		if w := uniseg.StringWidth(line); tt.window > 0 && w > tt.window {
			t.Errorf("a row in a window of %d has %d columns", tt.window, w)
		}
		if tt.window == 0 && strings.Contains(line, "…") {
			t.Errorf("a row without a window is shortened: %s", line)
		}
	}
	for window := 40; window < 300; window++ {
		if l := fit(verdictColumns(true, true, true), window); l[0] == nil || l[1] == nil {
			t.Errorf("a window of %d has no verdict: %q", window, l.heads())
		}
	}
}
