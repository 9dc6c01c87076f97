package dsn

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/bounce-milter/bounce-milter/internal/toml"
)

// noticeFormats are the formats of notices that the data know.
func noticeFormats(t testing.TB) []noticeFormat {
	l := loader{fsys: dataFiles}
	loadNotices(&l)
	if err := l.problems.Err(); err != nil {
		t.Fatal(err)
	}
	return l.formats
}

// TestNoticeDataTidy keeps the data files in order: phrases are written as they
// are compared, none stands twice in a list, every cue can hold and counts.
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
	for _, f := range notices().cues.fields {
		for _, c := range f.cues {
			if c.Weight == 0 && !c.Gate || len(c.Local)+len(c.Begin)+len(c.Any) == 0 && !c.Empty && !c.Present {
				t.Errorf("cue %q never counts", c.Name)
			}
		}
	}
}

func TestManyCues(t *testing.T) {
	var set cueSet
	for i := range 1000 {
		set.add(&noticeCue{Header: []string{"Subject", "From"}, Any: []string{"gnarf"}, Weight: i})
	}
	sum, times := 0, 0
	set.each(fields{"Subject", "gnarf", "From", "gnarf gnarf"}, func(c *noticeCue) { sum, times = sum+c.Weight, times+1 })
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
	}
	for _, tt := range tests {
		orig, low := foldText(nil, nil, tt.in)
		if string(orig) != tt.orig || string(low) != tt.low {
			t.Errorf("%q: got %q, %q", tt.in, orig, low)
		}
	}
}

func TestAddressesIn(t *testing.T) {
	tests := []struct{ in, want string }{
		{"", ""},
		{"u@example.com", "u@example.com"},
		{"<u@example.com>: no", "u@example.com <>"},
		{"(u@example.com) \"v@example.com\" 'w@example.com'.", "u@example.com v@example.com w@example.com"},
		{"write to u@example.com, v@example.net.", "u@example.com v@example.net"},
		{"rfc822;u+tag=x@example.com", "u+tag=x@example.com"},
		{`"a b"@example.com`, `"a b"@example.com`},
		{"u@[192.0.2.1] x", "u@[192.0.2.1]"},
		{"宛先u@example.jp様", "u@example.jp"},
		{"<用户@例子.广告>", "用户@例子.广告 <>"},
		{"@ @@ a@ @b a@-", ""},
		{"a@b@c.example", "a@b"},
		{"****@example.com", "****@example.com"},
		{"*u@example.com*", "u@example.com"},
		{"mailto:u@example.com?subject=x", "u@example.com"},
		{"see http://spam.example/login?ada@example.com", ""},
		{"https://spam.example/a/b/c,d;ada@example.com u@example.com", "u@example.com"},
		{"ftp:u@example.com", "u@example.com"},
		{"u@example.com<mailto:u@example.com>", "u@example.com u@example.com"},
	}
	for _, tt := range tests {
		var got []string
		for _, a := range addressesIn([]byte(tt.in), nil) {
			s := tt.in[a.start:a.end]
			if a.angle {
				s += " <>"
			}
			got = append(got, s)
		}
		if s := strings.Join(got, " "); s != tt.want {
			t.Errorf("%q: got %q, want %q", tt.in, s, tt.want)
		}
	}
}
