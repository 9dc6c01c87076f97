package main

import (
	"slices"
	"strings"
	"testing"
)

func TestWrap(t *testing.T) {
	got := wrap("  one two\nthree  averyverylongword  four", 9)
	if want := []string{"one two", "three", "averyverylongword", "four"}; !slices.Equal(got, want) {
		t.Errorf("%q, want %q", got, want)
	}
	if got := wrap("", 9); got != nil {
		t.Errorf("%q of nothing", got)
	}
}

// Languages without spaces are broken where Unicode allows it, and wide characters
// count as two columns.
func TestWrapWide(t *testing.T) {
	for _, c := range []struct {
		name, text string
		n          int
		want       []string
	}{
		{"Japanese", "550 該当するユーザーが存在しません。", 14, []string{"550 該当する", "ユーザーが存在", "しません。"}},
		{"no line begins with a full stop", "存在しません。", 13, []string{"存在しませ", "ん。"}},
		{"an id stays whole", "user-unknown-in-table/該当する", 12, []string{"user-unknown-in-table/", "該当する"}},
		{"Thai", "ไม่พบผู้ใช้นี้", 5, []string{"ไม่พบผู้", "ใช้นี้"}},
		{"Latin letters", "Empfänger unbekannt", 10, []string{"Empfänger", "unbekannt"}},
		{"one character wider than the line", "存在", 1, []string{"存", "在"}},
	} {
		if got := wrap(c.text, c.n); !slices.Equal(got, c.want) {
			t.Errorf("%s: %q, want %q", c.name, got, c.want)
		}
	}
}

func TestPad(t *testing.T) {
	for in, want := range map[string]string{
		"abc": "abc   ", "存在": "存在  ", "e\u0301": "e\u0301     ", "longer than that": "longer than that",
	} {
		if got := pad(in, 6); got != want {
			t.Errorf("%q: %q, want %q", in, got, want)
		}
	}
}

// FuzzWrap checks that no text is lost, and that every line that can be broken fits.
func FuzzWrap(f *testing.F) {
	for _, s := range []string{"550 該当するユーザーが存在しません。", "ไม่พบผู้ใช้นี้ 👩‍👩‍👧 x", "\xff\xfe a\u200bb", "a-b/c 存在"} {
		f.Add(s, 10)
	}
	f.Fuzz(func(t *testing.T, s string, n int) {
		if n < 2 || n > 200 || len(s) > 4000 {
			return
		}
		got := strings.Join(wrap(s, n), "")
		if want := strings.Join(strings.Fields(s), ""); strings.Join(strings.Fields(got), "") != want {
			t.Errorf("%q became %q", s, got)
		}
	})
}
