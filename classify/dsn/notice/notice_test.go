package notice

import (
	"cmp"
	"fmt"
	"strings"
	"sync"
	"testing"
)

// fields is a header for tests: name, value, name, value ...
type fields []string

func (f fields) Get(name string) string {
	if v := f.Values(name); len(v) > 0 {
		return v[0]
	}
	return ""
}

func (f fields) Values(name string) (vs []string) {
	for i := 0; i+1 < len(f); i += 2 {
		if strings.EqualFold(f[i], name) {
			vs = append(vs, f[i+1])
		}
	}
	return vs
}

// builtIn are the data that are part of the program.
var builtIn = sync.OnceValue(func() *Data {
	d, _, err := Load()
	if err != nil {
		panic(err)
	}
	return d
})

// manyRecipients is more than a test's notice has.
const manyRecipients = 1000

// listed reads the recipients of a bounce in words.
func listed(h Header, text string, limit int) ([]Recipient, string) {
	return builtIn().Read(text, nil).Bounce(h, builtIn().Score(h), limit)
}

// noticeAbout returns what a notice says about one recipient, the remote
// server's reply if it quotes one; "" if there is nothing.
func noticeAbout(text, addr string) string {
	n := builtIn().Read(text, nil)
	for _, r := range n.Recipients(manyRecipients) {
		if strings.EqualFold(r.Address, addr) {
			return cmp.Or(r.Diagnostic, r.Words)
		}
	}
	r := n.About(addr)
	return cmp.Or(r.Diagnostic, r.Words)
}

// brief writes a recipient as the examples of the data do.
func brief(r Recipient) string {
	action, code := "failed", ""
	if r.Delayed {
		action = "delayed"
	}
	if r.SMTPCode != 0 {
		code = fmt.Sprint(r.SMTPCode)
	}
	return strings.Join([]string{r.Address, action, code, r.Status.String(), r.Diagnostic}, "|")
}

// TestNoticeExamples reads the examples of the data files: every format has
// one, and each is read as the data say.
func TestNoticeExamples(t *testing.T) {
	for _, f := range noticeFormats(t) {
		if len(f.Example) == 0 {
			t.Errorf("format %s has no example", f.Name)
		}
		if f.About == "" {
			t.Errorf("format %s does not say what it is about", f.Name)
		}
		for i, e := range f.Example {
			if e.Message != "" {
				t.Errorf("format %s: whole messages belong into testdata/notice of package dsn", f.Name)
			}
			h := fields{"From", e.From, "Subject", e.Subject}
			if e.Failed != "" {
				h = append(h, "X-Failed-Recipients", e.Failed)
			}
			var got []string
			rs, _ := listed(h, e.Text, manyRecipients)
			for _, r := range rs {
				got = append(got, brief(r))
			}
			if fmt.Sprint(got) != fmt.Sprint(e.Want) {
				t.Errorf("format %s, example %d:\n got %s\nwant %s", f.Name, i+1, strings.Join(got, "\n     "), strings.Join(e.Want, "\n     "))
			}
		}
	}
}
