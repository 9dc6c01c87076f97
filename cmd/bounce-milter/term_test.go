package main

import (
	"testing"
)

func TestClean(t *testing.T) {
	for in, want := range map[string]string{
		"plain é 漢字":                       "plain é 漢字",
		"\x1b]0;title\x07\x9b31m":          "·]0;title··31m",
		"two\nlines\tand":                  "two lines and",
		"a\u202eb\u200bc\ufeffd":           "a·b·c·d",
		"e\U000e0041f\U000f0000g\u061ch":   "e·f·g·h",
		"soft\u00adhyphen, 2\u00a0x":       "soft·hyphen, 2\u00a0x",
		"fill\u3164er\u2800x\u034fy\u115f": "fill·er·x·y·",
		"broken \xff":                      "broken ·",
	} {
		if got := clean(in); got != want {
			t.Errorf("%q: %q, want %q", in, got, want)
		}
	}
}

func TestStyle(t *testing.T) {
	if got := (style{}).paint(red, "x"); got != "x" {
		t.Errorf("no terminal: %q", got)
	}
	if got := (style{on: true}).paint(red, "x"); got != "\x1b[31mx\x1b[0m" {
		t.Errorf("terminal: %q", got)
	}
}
