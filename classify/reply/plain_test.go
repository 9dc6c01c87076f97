package reply

import "testing"

func TestPlain(t *testing.T) {
	for s, want := range map[string]string{
		"":                    "",
		"550 5.1.1 User: `x'": "550 5.1.1 User: `x'", // ASCII is plain enough for people
		"o´brien ‘x’ ‚y‛ ʼ′":  "o'brien 'x' 'y' ''",
		"«x» “y” „z‟ ″":       `"x" "y" "z" "`,
		"a‐b‑c‒d–e—f―g−h":     "a-b-c-d-e-f-g-h",
		"１２３４　ＡＺａｚ：；＜＠＞｀～":                     "1234 AZaz:;<@>'~",
		"a\u00a0b\u2003c\u2028d\u0085":         "a b c d ",
		"a\u00adb\u200bc\u200ed\u2060e\ufefff": "abcdef",
		"Gönderı İ \u212a 収件人。、【】":             "Gönderı İ \u212a 収件人。、【】", // letters and their own signs
		"\xa0\xff\xe9": "\xa0\xff\xe9",
	} {
		if got := plain(s); got != want {
			t.Errorf("%q: %q, want %q", s, got, want)
		}
	}
}
