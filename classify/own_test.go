package classify

import (
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"
	"testing/fstest"

	"github.com/bounce-milter/bounce-milter/classify/dsn"
	"github.com/bounce-milter/bounce-milter/classify/rules"
)

// folder is a folder of an administrator's files: name, text, name, text ...
func folder(t *testing.T, files ...string) string {
	t.Helper()
	dir := t.TempDir()
	for i := 0; i < len(files); i += 2 {
		if err := os.WriteFile(filepath.Join(dir, files[i]), []byte(files[i+1]), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

// engineIn makes an engine with the rules of a folder, which must have no problems.
func engineIn(t *testing.T, dir string) *Engine {
	t.Helper()
	for _, p := range Check(dir, nil) {
		t.Error(p)
	}
	e, err := New(Options{RulesDir: dir})
	if err != nil {
		t.Fatal(err)
	}
	return e
}

// TestOwnProviders adds a provider, extends a built-in one, and takes a host from another one:
// the administrator's data take precedence over the built-in data.
func TestOwnProviders(t *testing.T) {
	e := engineIn(t, folder(t,
		"10.toml", `
[[rule]]
id = "of-the-kestrel"
reason = "content-policy"
provider = "kestrel"
any = ["the keeper took it"]
examples = ["550 the keeper took it"]
`, "20.toml", `
[[provider]]
name = "kestrel"
mx = ["kestrel.example", "forward.mx.yandex.ru", "mx.mail.ovh.net"]
reply = ["kestrel-ticket:", "support.google.com"]

[[provider]]
name = "google"
mx = ["relay.example.net", "google.com"]
reporting = ["reports.example.net"]
`))
	for _, tt := range []struct {
		ev   Evidence
		want string
	}{
		{Evidence{RemoteMTA: "mx1.kestrel.example"}, "kestrel"},
		{Evidence{Reply: "550 no, kestrel-ticket:4711"}, "kestrel"},
		{Evidence{Reply: "550 see support.google.com"}, "kestrel"},
		{Evidence{Reply: "550 see mail.google.com/support"}, "google"},
		{Evidence{RemoteMTA: "forward.mx.yandex.ru"}, "kestrel"},
		{Evidence{RemoteMTA: "mx.yandex.ru"}, "yandex"},
		{Evidence{RemoteMTA: "mx.mail.ovh.net"}, "kestrel"},
		{Evidence{RemoteMTA: "in.relay.example.net"}, "google"},
		{Evidence{RemoteMTA: "aspmx.l.google.com"}, "google"},
		{Evidence{ReportingMTA: "a.reports.example.net"}, "google"},
		{Evidence{RemoteMTA: "mx.example.net"}, "other"},
	} {
		if v := e.Judge(&tt.ev); v.Provider != tt.want {
			t.Errorf("%+v: provider %q, want %q", tt.ev, v.Provider, tt.want)
		}
	}
	if v := e.Judge(&Evidence{Reply: "550 the keeper took it", RemoteMTA: "mx.kestrel.example"}); v.Rule != "of-the-kestrel" {
		t.Errorf("%+v", v)
	}
	if v := e.Judge(&Evidence{Reply: "550 the keeper took it"}); v.Rule == "of-the-kestrel" {
		t.Errorf("%+v", v)
	}
	if n := len(e.Providers()); n != len(builtIn(t).Providers())+1 || !slices.Contains(e.Providers(), "kestrel") {
		t.Errorf("%d providers: %q", n, e.Providers())
	}
	if slices.Contains(builtIn(t).Providers(), "kestrel") {
		t.Error("the provider outlives its engine")
	}
}

// A host that is built in may be said once more, and be another's.
func TestOwnProviderTakesHost(t *testing.T) {
	set, problems := small(t, rules.File{Name: "a.toml", Admin: true, Data: []byte(
		"[[provider]]\nname = \"mine\"\nmx = [\"mx.bigmail.test\"]\nreply = [\"bm-smtp\"]\n" +
			"[[provider]]\nname = \"smallmail\"\nmx = [\"smallmail.example\"]\n")})
	if len(problems) > 0 {
		t.Fatal(problems)
	}
	got := fmt.Sprint(set.Providers)
	if want := "[{bigmail [bigmail.example] [] [bigmail.example]} {smallmail [smallmail.example eu.bigmail.example] [help.smallmail.example] []} {mine [mx.bigmail.test] [bm-smtp] []}]"; got != want {
		t.Errorf("got  %s\nwant %s", got, want)
	}
}

// Every provider is a label of metrics: their number is bounded.
func TestManyOwnProviders(t *testing.T) {
	var b strings.Builder
	for i := range 102 {
		fmt.Fprintf(&b, "[[provider]]\nname = \"p%d\"\nmx = [\"p%[1]d.example\"]\n", i)
	}
	_, problems := small(t, rules.File{Name: "a.toml", Admin: true, Data: []byte(b.String())})
	want := "a.toml:302: provider \"p100\" is one too many: you can add 100, because each is a label of metrics\n" +
		"a.toml:305: provider \"p101\" is one too many: you can add 100, because each is a label of metrics"
	if got := problems.Error(); got != want {
		t.Errorf("got\n%s\nwant\n%s", got, want)
	}
}

// What is built in has places of its own, where tests hold it to its examples.
func TestBuiltInTextHoldsRulesOnly(t *testing.T) {
	fsys := fstest.MapFS{}
	err := fs.WalkDir(os.DirFS("testdata/small"), ".", func(name string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		data, err := os.ReadFile(filepath.Join("testdata/small", name))
		fsys[name] = &fstest.MapFile{Data: data}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	fsys["text/a.toml"] = &fstest.MapFile{Data: []byte("[[provider]]\nname = \"x\"\nmx = [\"x.example\"]\n")}
	fsys["text/b.toml"] = &fstest.MapFile{Data: []byte("[[cue]]\nname = \"x\"\n[[format]]\nname = \"x\"\n")}
	_, problems := rules.Build(fsys, nil)
	got := problems.Error()
	for _, want := range []string{"a.toml:1: built-in providers belong in the folder providers", "b.toml:3: built-in formats and cues stand in classify/dsn/notice/data"} {
		if !strings.Contains(got, want) {
			t.Errorf("%q is not in\n%s", want, got)
		}
	}
}

const heron = `
[[cue]]
name = "heron"
header = ["From"]
local = ["heron"]
weight = 2
machine = true
gate = true

[[format]]
name = "heron"
opens = ["your letter found no nest"]
names = ["nest:"]
reply = ["heron was told:"]
returned = ["your letter began so"]

[[format.example]]
message = '''
` + heronMail + `'''
want = ["lost@example.net|failed|550|5.1.1|550 5.1.1 No such bird here"]
`

const heronMail = `Return-Path: <heron@relay.example.com>
From: Heron <heron@relay.example.com>
To: news@example.org
Subject: It came back

Your letter found no nest.

Nest: lost@example.net
Heron was told: 550 5.1.1 No such bird here

Your letter began so:
To: shown@example.net
`

// TestOwnNotices teaches an engine a bounce in words that no other engine knows.
func TestOwnNotices(t *testing.T) {
	e := engineIn(t, folder(t, "heron.toml", heron))
	res := e.Classify(t.Context(), []byte(heronMail))
	if res.Kind != dsn.KindText || len(res.Recipients) != 1 || res.Recipients[0].Address != "lost@example.net" || res.Recipients[0].SMTPCode != 550 {
		t.Errorf("%+v", res)
	}
	if res := builtIn(t).Classify(t.Context(), []byte(heronMail)); res.Kind != dsn.KindNone {
		t.Errorf("an engine without it: %+v", res)
	}
	for _, tt := range []struct {
		name string
		e    *Engine
		want bool
	}{{"taught", e, true}, {"built in", builtIn(t), false}} {
		g := tt.e.Reader().Gate()
		g.Field([]byte("Return-Path"), []byte("<heron@relay.example.com>"))
		g.Field([]byte("From"), []byte("Heron <heron@relay.example.com>"))
		if g.Open() != tt.want {
			t.Errorf("%s: the gate is open: %v", tt.name, g.Open())
		}
	}
	if e.Version() == builtIn(t).Version() {
		t.Error("the version is that of what is built in")
	}
}

// An example that is read otherwise is a problem for `rules test`; the daemon starts
// all the same, for a release may read it otherwise. What is no format stops it.
func TestOwnNoticesThatAreWrong(t *testing.T) {
	dir := folder(t, "heron.toml", strings.Replace(heron, "|failed|", "|delayed|", 1))
	name := filepath.Join(dir, "heron.toml")
	want := name + `:17: format "heron": its example is read differently: write want = ["lost@example.net|failed|550|5.1.1|550 5.1.1 No such bird here"] if that is right`
	if got := Check(dir, nil).Error(); got != want {
		t.Errorf("got  %s\nwant %s", got, want)
	}
	if _, err := New(Options{RulesDir: dir}); err != nil {
		t.Error(err)
	}
	dir = folder(t, "heron.toml", strings.Replace(heron, "opens =", "open =", 1), "rule.toml", "[[rule]]\nid = \"x\"\n")
	_, err := New(Options{RulesDir: dir})
	if err == nil || !strings.Contains(err.Error(), `heron.toml:12: unknown key "open" in [[format]]: did you mean "opens"?`) || !strings.Contains(err.Error(), `rule "x" needs a reason`) {
		t.Errorf("%v", err)
	}
}

// TestExamplesAreThere: rules have their examples, whoever asks first, and also where an
// administrator switched others of the same file off.
func TestExamplesAreThere(t *testing.T) {
	set, _ := rules.Build(os.DirFS("rules"), nil)
	off := set.Rules[0].ID
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "a.toml"), []byte("[[override]]\nid = \""+off+"\"\ndisabled = true\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	e, err := New(Options{RulesDir: dir})
	if err != nil {
		t.Fatal(err)
	}
	for _, want := range set.Rules[1:] {
		if got, ok := e.Rule(want.ID); !ok || !reflect.DeepEqual(got, want.Clone()) {
			t.Fatalf("%+v, want %+v", got, want.Rule)
		}
	}
	if len(e.Rules()) != len(set.Rules)-1 {
		t.Errorf("%d rules", len(e.Rules()))
	}
}
