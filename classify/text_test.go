package classify

import (
	"io/fs"
	"os"
	"strings"
	"testing"
	"testing/fstest"
)

// overlay is the small data set with one file replaced.
func overlay(t testing.TB, name, data string) fs.FS {
	t.Helper()
	out := fstest.MapFS{}
	err := fs.WalkDir(os.DirFS("testdata/small"), ".", func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		raw, err := os.ReadFile("testdata/small/" + path)
		out[path] = &fstest.MapFile{Data: raw}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	out[name] = &fstest.MapFile{Data: []byte(data)}
	return out
}

// TestText shows texts as phrases are matched on them, with "@" for what is
// masked.
func TestText(t *testing.T) {
	for _, c := range []struct{ source, want string }{
		{"550 5.1.1 User   UNKNOWN\t here", "550 5.1.1 user unknown here"},
		{"It’s “over” quota – really", `it's "over" quota - really`},
		{"Empfänger UNBEKANNT ÄÖÜ", "empfanger unbekannt aou"},
		{"Empf\xe4nger", "empfanger"},
		{"E\u0301te\u0301 ﬁni, groß, œuvre", "ete ﬁni, gross, oeuvre"},
		{"ΧΡΉΣΤΗΣ, χρήστης; ПОЙМЁТ", "χρηστησ, χρηστησ; поимет"},
		{"trouv?? d??sactiv\ufffd\ufffd, ?? no? or ??", "trouv? d?sactiv?, ?? no? or ??"},
		{"a\x00b\x1b[0m", "a b [0m"},
		{"zero\u200bwidth soft\u00adhyphen no\u00a0break", "zerowidth softhyphen no break"},
		{"ＭＡＩＬＢＯＸ　ｆｕｌｌ", "mailbox full"},
		{"o´brien «x» ５５０‐５．１．１　Ｕｓｅｒ：", `o'brien "x" 550-5.1.1 user:`},
		{"`GEÇERSİZ` ALICI, alıcı", "'gecersiz' alici, alici"},
		{"two\u2028lines", "two lines"},

		{"<blocked@spam.example>: rejected", "<@>: rejected"},
		{"to blocked@spam.example. It", "to @. it"},
		{"\"full box\"@example.com", "@"},
		{"u@[192.0.2.7] said", "@ said"},
		{"<пользователь@пример.рф> нет", "<@> нет"},
		{"宛先u@example.comは存在しません", "宛先@は存在しません"},
		{"550 u@example.com...User unknown", "550 @...user unknown"},
		{"host mx.example.com...Connection refused", "host @...connection refused"},
		{"not @ all, @nowhere, a@", "not @ all, @nowhere, a@"},
		{"host MX1.Full.Example[192.0.2.7] said", "host @[192.0.2.7] said"},
		{"see https://example.com/rejected?p=NoSuchUser&q=1.", "see @."},
		{"see (http://example.com/a(b)c) now", "see (@(b)c) now"},
		{"see www.example.com/blocked/list.", "see @."},
		{"mail.i.ua/err/3/ now", "@ now"},
		{"RESOLVER.ADR.RecipNotFound; QUEUE.Expired", "resolver.adr.recipnotfound; queue.expired"},
		{"It has failed.Please try. The box is full.It stays", "it has failed.please try. the box is full.it stays"},
		{"codes 5.7.1 and 192.0.2.7 and 554.30", "codes 5.7.1 and 192.0.2.7 and 554.30"},
		{"see smtp-errors.php or message.eml", "see smtp-errors.php or message.eml"},
		{"zen.spamhaus.org.", "@."},
		{"smtp://example.com", "@"},
		{"time 12:30: over", "time 12:30: over"},
		{"trailing dots... and a.b..c", "trailing dots... and a.b..c"},
	} {
		var tx text
		tx.set(c.source)
		tx.mask()
		q := inquest{}
		if got := strings.TrimSpace(string(q.regexText(&tx, 0, true))); got != c.want {
			t.Errorf("%q is read as %q, want %q", c.source, got, c.want)
		}
	}
}

// TestNormalIdempotent: what a phrase must look like is what it stays.
func TestNormalIdempotent(t *testing.T) {
	for _, s := range []string{" spaces at both ends ", "Plain", "´`’", "İstanbul", "ẞ", "  two", "\xff\xfe", "", " "} {
		if once := normal(s); normal(once) != once {
			t.Errorf("%q: %q, then %q", s, once, normal(once))
		}
	}
}

// TestSourceOffset finds the way back from a text to its source.
func TestSourceOffset(t *testing.T) {
	for _, s := range []string{"plain ascii said: 550 x", "Ünïcödé said: 550 x", "“quoted”  said: 550 x", "Ge\u0301ne\u0301 groß trouv??e said: 550 x", "\xe4\xff said: 550 x"} {
		var tx text
		tx.set(s)
		at := strings.Index(string(tx.norm), "550")
		if got := tx.sourceOffset(s, at); got != strings.Index(s, "550") {
			t.Errorf("%q: %d, want %d", s, got, strings.Index(s, "550"))
		}
	}
}

// TestPhrasesBeginWords judges replies in which a word that means something
// stands within another, which means nothing or the same.
func TestPhrasesBeginWords(t *testing.T) {
	e := builtIn(t)
	for reply, want := range map[string]string{
		"an undisclosed address (generated from u@example.com)": "unknown",
		"550 5.1.1 UserUnknown":                                 "unknown-recipient",
		"554 MCVirusSignature found":                            "malware",
		"552 Your email rejected due to mailbox is full":        "mailbox-full",
		"554 5.7.1 email rejected":                              "policy",
	} {
		if v := e.Judge(&Evidence{Reply: reply}); v.Reason != want {
			t.Errorf("%q is %s by %s, want %s", reply, v.Reason, v.Rule, want)
		}
	}
}
