package doctor

import (
	"context"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/bounce-milter/bounce-milter/config"
	"github.com/bounce-milter/bounce-milter/milter"
)

var usual = []milter.Socket{{Network: "tcp", Address: "127.0.0.1:8894"}}

// asked answers for programs: output by command line.
func asked(answers map[string]string) Options {
	return Options{Run: func(_ context.Context, name string, args ...string) ([]byte, error) {
		out, ok := answers[strings.Join(append([]string{name}, args...), " ")]
		if !ok {
			return nil, errors.New("unknown option")
		}
		return []byte(out), nil
	}}
}

func amiss(list []Finding) (names, mend []string) {
	for _, f := range list {
		if f.Check != "socket" && f.State != Good && f.State != Note {
			names = append(names, f.Check+"="+string(f.State))
			mend = append(mend, f.Mend...)
		}
	}
	return names, mend
}

// TestVersions: what several versions of postconf print is understood; see the files
// want, whose first line is what is found, and the others commands that mend it.
func TestVersions(t *testing.T) {
	folders, _ := filepath.Glob("testdata/*.*")
	if len(folders) < 4 {
		t.Fatal(folders)
	}
	for _, dir := range folders {
		t.Run(filepath.Base(dir), func(t *testing.T) {
			read := func(name string) string {
				data, _ := os.ReadFile(filepath.Join(dir, name))
				return strings.ReplaceAll(string(data), "@DIR@", dir)
			}
			answers := map[string]string{"postconf": read("postconf")}
			if master := read("master"); master != "" {
				answers["postconf -M"] = master
			}
			r := &report{Options: asked(answers), ctx: context.Background()}
			if !r.postfix(usual) {
				t.Fatal("no Postfix")
			}
			want := strings.Split(strings.TrimSuffix(read("want"), "\n"), "\n")
			names, mend := amiss(r.list)
			if got := strings.Join(names, " "); got != want[0] {
				t.Errorf("found %q, want %q\n%+v", got, want[0], r.list)
			}
			for _, command := range want[1:] {
				if !slices.Contains(mend, command) {
					t.Errorf("no command is\n%s\nof %q", command, mend)
				}
			}
		})
	}
}

// TestNoMailServer: without Postfix, with a postconf that fails, and with a file that is
// no configuration, it says so and goes on.
func TestNoMailServer(t *testing.T) {
	opts := Options{Config: "testdata/none.toml", SendmailCF: "testdata/none.cf", Send: true,
		Run: func(context.Context, string, ...string) ([]byte, error) { return nil, exec.ErrNotFound }}
	var checks []string
	for _, f := range Examine(context.Background(), opts) {
		checks = append(checks, f.Check+"="+string(f.State))
	}
	for _, want := range []string{"configuration=wrong", "rules=good", "mail server=unknown", "send=unknown"} {
		if !slices.Contains(checks, want) {
			t.Errorf("no %s in %q", want, checks)
		}
	}
	r := &report{Options: asked(nil), ctx: context.Background()}
	if !r.postfix(usual) || r.list[0].State != Unknown {
		t.Errorf("%+v", r.list)
	}
}

// TestQuote: whatever a configuration holds, a shell reads it as one word.
func TestQuote(t *testing.T) {
	for _, s := range []string{"", "a", "a b", "'", "`id`", "$(id)", "a\nb", `\`, "a;b", "~", "*", "ü", "!x", "-e", "a'b'c"} {
		out, err := exec.Command("sh", "-c", "printf %s "+quote(s)).Output()
		if err != nil || string(out) != s {
			t.Errorf("%q: %q, %v", s, out, err)
		}
	}
}

func TestExpand(t *testing.T) {
	p := &postfix{values: map[string]string{"a": "1", "b": "$a$a", "none": "", "loop": "x$loop"}}
	for in, want := range map[string]string{
		"$a-${b}-$(a)": "1-11-1", "$$a": "$a", "${a?yes}": "yes", "${none?yes}": "", "${none:no}": "no", "${a?{x}:{y}}": "x",
		"${none?{x}:{$b}}": "11", "$": "$", "${a": "", "a$": "a$", "$ab": "", "${ a }": "1",
	} {
		if got, _ := p.expand(in, nil); got != want {
			t.Errorf("%q: %q, want %q", in, got, want)
		}
	}
	if got, _ := p.expand("$loop", nil); len(got) > 100 {
		t.Errorf("a loop makes %d octets", len(got))
	}
	// Values that name each other many times end as well.
	many := &postfix{values: map[string]string{"a": strings.Repeat("$b ", 50), "b": strings.Repeat("$a", 50), "c": strings.Repeat("$d", 50)}}
	for _, in := range []string{"$a", "$b", "$c"} {
		if got, _ := many.expand(in, nil); len(got) > 2*maxOctets {
			t.Errorf("%s: %d octets", in, len(got))
		}
	}
	if _, missing := p.expand("$ab ${cd} $ab ${ef?x}", nil); strings.Join(missing, " ") != "ab cd" {
		t.Errorf("missing: %q", missing)
	}
}

func TestSendmail(t *testing.T) {
	for text, want := range map[string]string{
		"O QueueDirectory=/q\n": "sendmail=wrong",
		"O InputMailFilters=bounce-milter\nXbounce-milter, S=inet:8894@127.0.0.1, T=C:3s\n":   "",
		"O InputMailFilters=bounce-milter\nXbounce-milter, S=inet:8894@127.0.0.1, F=T\n":      "default_action=wrong",
		"Xbounce-milter, S=inet:8894@127.0.0.1\n":                                             "sendmail=wrong",
		"O InputMailFilters=b,dkim\nXb, S=inet:8894@127.0.0.1\nXdkim, S=local:/run/d.sock\n":  "order=warning",
		"O InputMailFilters=dkim\nXdkim, S=local:/run/d.sock, F=R\n":                          "sendmail=wrong",
		"O InputMailFilters=gone,bounce-milter\nXbounce-milter,\tS=inet:8894@localhost, F=\n": "value=wrong",
	} {
		file := filepath.Join(t.TempDir(), "sendmail.cf")
		if err := os.WriteFile(file, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
		r := &report{Options: Options{SendmailCF: file}, ctx: context.Background()}
		if !r.sendmail(usual) {
			t.Fatal("no Sendmail")
		}
		if names, _ := amiss(r.list); strings.Join(names, " ") != want {
			t.Errorf("%q: found %q, want %q", text, names, want)
		}
	}
}

// A daemon that serves mail and is not content is not simply good.
func TestDaemonWorries(t *testing.T) {
	answer := "ready\nthe reload at 2026-11-28T09:00:00Z was refused\nweb_config is wrong\n"
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/-/ready" {
			io.WriteString(w, answer)
		}
	}))
	defer s.Close()
	cfg := config.Default()
	cfg.Milter.Metrics = milter.Socket{Network: "tcp", Address: s.Listener.Addr().String()}
	said := func() (list []string) {
		r := &report{ctx: t.Context()}
		r.daemon(cfg)
		for _, f := range r.list {
			if f.Check == "daemon" {
				list = append(list, string(f.State)+" "+f.Says)
			}
		}
		return list
	}
	if got, want := said(), []string{"warning the reload at 2026-11-28T09:00:00Z was refused", "warning web_config is wrong"}; !slices.Equal(got, want) {
		t.Errorf("got %q, want %q", got, want)
	}
	answer = "ready\n"
	if got := said(); got != nil {
		t.Errorf("without a worry: %q", got)
	}
}

// TestClock: a clock from before the program was built is wrong.
func TestClock(t *testing.T) {
	r := &report{Options: Options{Built: time.Now().AddDate(1, 0, 0)}, ctx: context.Background()}
	r.clock(r.configuration())
	if names, _ := amiss(r.list); !slices.Contains(names, "clock=wrong") {
		t.Errorf("%+v", r.list)
	}
}

func FuzzPostfix(f *testing.F) {
	f.Add("smtpd_milters = { inet:127.0.0.1:8894, x=y }, $z\nmail_version = 3.7\n", "smtp inet n - y - - smtpd -o { a = b }\n")
	f.Add("smtpd_milters = ${${a?{b}:{c}}\n", "a b c d e f g smtpd -o\n")
	f.Fuzz(func(t *testing.T, main, master string) {
		r := &report{Options: asked(map[string]string{"postconf": main, "postconf -M": master}), ctx: context.Background()}
		p, err := r.askPostfix()
		if err != nil {
			return
		}
		c := &postfixCheck{report: r, postfix: p}
		c.incoming()
		c.own()
	})
}
