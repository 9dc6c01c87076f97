package main

import (
	"strings"
	"testing"
	"time"
)

func TestProgress(t *testing.T) {
	var w strings.Builder
	now := time.Unix(0, 0)
	p := newProgress(&w, 80, "classify", "messages", 1000)
	p.now = func() time.Time { return now }
	p.start = now

	p.add(100, 1)
	if w.String() != "" {
		t.Errorf("a short run shows %q", w.String())
	}
	now = now.Add(time.Second)
	p.add(150, 1)
	want := "\rclassify  " + "██████████" + strings.Repeat(" ", 30) + "   25 %  2 messages  3s left\x1b[K"
	if w.String() != want {
		t.Errorf("got  %q\nwant %q", w.String(), want)
	}
	w.Reset()
	now = now.Add(50 * time.Millisecond)
	p.add(1, 1)
	if w.String() != "" {
		t.Errorf("drawn again after 50 ms: %q", w.String())
	}
	p.clear()
	p.clear()
	if w.String() != "\r\x1b[K" {
		t.Errorf("cleared with %q", w.String())
	}
	if n := len([]rune(newProgress(&w, 40, "classify", "messages", 1000).line(now))); n > 40 {
		t.Errorf("%d columns on a terminal of 40", n)
	}
	var none *progress
	none.add(1, 1)
	none.clear()

	unknown := newProgress(&w, 80, "classify", "messages", 0)
	unknown.counted = 1234567
	if got := unknown.line(now); got != "classify  1,234,567 messages" {
		t.Errorf("of unknown size: %q", got)
	}
}

func TestBar(t *testing.T) {
	for _, tt := range []struct {
		share float64
		want  string
	}{{0, ""}, {0.0001, "▏"}, {0.5, "██"}, {0.6, "██▍"}, {1, "████"}, {7, "████"}, {-1, ""}} {
		if got := bar(tt.share, 4); got != tt.want {
			t.Errorf("%v: %q, want %q", tt.share, got, tt.want)
		}
	}
}
