package fold

import (
	"testing"
	"unicode/utf8"

	"golang.org/x/text/encoding/charmap"
)

// taken returns UTF-8 as a program hands it on that takes it for another character set.
func taken(t testing.TB, s string, set *charmap.Charmap) string {
	t.Helper()
	b := make([]byte, 0, len(s))
	for i := 0; i < len(s); i++ {
		r := set.DecodeByte(s[i])
		if r == utf8.RuneError { // a hole of the set stays
			r = rune(s[i])
		}
		b = utf8.AppendRune(b, r)
	}
	return string(b)
}

func TestMend(t *testing.T) {
	for _, c := range []struct {
		want string
		sets []*charmap.Charmap
	}{
		{"usuário não é conhecido – «ß»", []*charmap.Charmap{charmap.ISO8859_1, charmap.Windows1252}},
		{"Пользователь не найден и не существует", []*charmap.Charmap{charmap.ISO8859_1, charmap.Windows1252}},
		{"ящик переполнен", []*charmap.Charmap{charmap.Windows1251}},
		{"skrzynka pełna, użytkownik żółw", []*charmap.Charmap{charmap.Windows1250}},
		{"địa chỉ không tồn tại", []*charmap.Charmap{charmap.ISO8859_1, charmap.Windows1252}},
		{"ο χρήστης δεν υπάρχει", []*charmap.Charmap{charmap.ISO8859_1}},
		{"用户不存在 存在しません 없습니다", []*charmap.Charmap{charmap.ISO8859_1, charmap.Windows1252}},
	} {
		for _, set := range c.sets {
			if got := Mend(taken(t, c.want, set)); got != c.want {
				t.Errorf("%s, as %v: %q", c.want, set, got)
			}
		}
	}
	// What was encoded once stays as it is.
	for _, s := range []string{
		"", "plain", "usuário não é conhecido – «ß»", "„Gruß“ «É» Ñ» “Ö”", "Сёмин, СССР» и «Рига»", "CĂSUȚĂ plină", "\xc3\xa4\xff\xe4 \xe4", "Ã", "Ãx Â Ð",
		"« accès refusé\u00a0»", "désactivé…»", "“é”— OÙ\u00a0», È\u00a0piena", "«\u00a0à\u00a0» à\u00a0«\u00a0é\u00a0»",
		"Nutzer „Bö“ — “à” …", "пользователь не найден", "χρήστης", "用户不存在",
	} {
		if got := Mend(s); got != s {
			t.Errorf("%q is read as %q", s, got)
		}
	}
}

func TestBare(t *testing.T) {
	for r, want := range map[rune]string{
		'a': "a", 'é': "e", 'ß': "ss", 'æ': "ae", 'œ': "oe", 'ł': "l", 'ø': "o", 'ế': "e", 'ς': "σ", 'ώ': "ω", 'й': "и", 'ё': "е", 'ї': "і",
		0x301: "", 'я': "я", '件': "件", '×': "×", 'þ': "þ",
	} {
		got := ""
		if first, second := Bare(r); first >= 0 {
			got = string(first)
			if second != 0 {
				got += string(second)
			}
		}
		if got != want {
			t.Errorf("%q: %q, want %q", r, got, want)
		}
	}
	for r := range rune(0x2000) { // the width never grows
		first, second := Bare(r)
		if second == 0 && first >= 0 && utf8.RuneLen(first) > utf8.RuneLen(r) || second != 0 && (second >= 0x80 || first >= 0x80 || utf8.RuneLen(r) < 2) {
			t.Errorf("%q: %q %q", r, first, second)
		}
		if again, _ := Bare(max(first, 0)); first > 0 && again != first {
			t.Errorf("%q: %q, then %q", r, first, again)
		}
	}
}
