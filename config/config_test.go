package config

import (
	"errors"
	"flag"
	"os"
	"path/filepath"
	"reflect"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/bounce-milter/bounce-milter/classify"
	"github.com/bounce-milter/bounce-milter/internal/action"
	"github.com/bounce-milter/bounce-milter/internal/toml"
)

var update = flag.Bool("update", false, "rewrite the expectations in testdata")

// Every file in testdata/bad gives exactly the messages beside it.
func TestBad(t *testing.T) {
	files, err := filepath.Glob("testdata/bad/*.toml")
	if err != nil || len(files) == 0 {
		t.Fatal("no fixtures", err)
	}
	engine, err := classify.New(classify.Options{})
	if err != nil {
		t.Fatal(err)
	}
	voc := action.VocabularyOf(engine)
	for _, file := range files {
		t.Run(strings.TrimSuffix(filepath.Base(file), ".toml"), func(t *testing.T) {
			data, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			c, ps := examine(filepath.Base(file), data)
			if len(ps) == 0 {
				ps = c.CheckHost()
			}
			if c != nil {
				ps = append(ps, c.CheckActions(voc)...)
				ps.Sort()
			}
			got := ps.Error() + "\n"
			wantFile := strings.TrimSuffix(file, ".toml") + ".want"
			if *update {
				if err := os.WriteFile(wantFile, []byte(got), 0o644); err != nil {
					t.Fatal(err)
				}
			}
			want, err := os.ReadFile(wantFile)
			if err != nil {
				t.Fatal(err)
			}
			if got != string(want) {
				t.Errorf("got\n%swant\n%s", got, want)
			}
			for _, p := range ps {
				if p.Line == 0 || p.File == "" {
					t.Errorf("%q does not say where", p.Message)
				}
			}
		})
	}
}

// An empty file is valid and means the defaults. The packaged file is what Show prints for
// the defaults.
func TestDefaults(t *testing.T) {
	c, err := Parse("empty.toml", nil)
	if err != nil {
		t.Fatal(err)
	}
	same(t, c, Default())
	const packaged = "../packaging/config.toml"
	if *update {
		if err := os.WriteFile(packaged, []byte(packagedHead+Default().Show()), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	data, err := os.ReadFile(packaged)
	if err != nil {
		t.Fatal(err)
	}
	if string(data) != packagedHead+Default().Show() {
		t.Errorf("%s is not what Show prints; go test ./config -update writes it", packaged)
	}
	if c, err = Parse(packaged, data); err != nil {
		t.Fatal(err)
	}
	same(t, c, Default())
}

const packagedHead = `# Configuration of bounce-milter; see bounce-milter.toml(5). Every key is here with its
# default, which also holds if the key is removed. After a change:
#
#	bounce-milter config check && systemctl reload bounce-milter

`

// same compares the settings of two configurations, wherever they come from.
func same(t *testing.T, got, want *Config) {
	t.Helper()
	a, b := *got, *want
	a.File, b.File, a.lines, b.lines = "", "", nil, nil
	if len(a.Milter.TrustedNetworks) == 0 {
		a.Milter.TrustedNetworks = nil
	}
	if !reflect.DeepEqual(a, b) {
		t.Errorf("got  %+v\nwant %+v", a, b)
	}
}

// For every file in testdata/good, what Show prints is read back as the same configuration.
func TestShow(t *testing.T) {
	files, err := filepath.Glob("testdata/good/*.toml")
	if err != nil || len(files) == 0 {
		t.Fatal("no fixtures", err)
	}
	for _, file := range files {
		c, err := Load(file)
		if err != nil {
			t.Fatal(err)
		}
		shown := c.Show()
		back, err := Parse("shown", []byte(shown))
		if err != nil {
			t.Fatalf("%s: %v\n%s", file, err, shown)
		}
		same(t, back, c)
		if back.Show() != shown {
			t.Errorf("%s: shown twice, not the same", file)
		}
	}
}

func TestEverything(t *testing.T) {
	c, err := Load("testdata/good/everything.toml")
	if err != nil {
		t.Fatal(err)
	}
	// Each key must differ from its default, otherwise the file does not test it.
	d := Default()
	for i := range c.Events.Sinks {
		sinks.grow(d)
		d.Events.Sinks[i].Type = c.Events.Sinks[i].Type // so that the same keys are shown
	}
	for range c.Milter.Actions {
		actions.grow(d)
	}
	defaults := map[string]string{}
	for _, s := range d.Settings() {
		defaults[s[0]] = s[1]
	}
	differs := map[string]bool{} // in one table [[name]] at least
	place := regexp.MustCompile(`\[\d+\]`)
	for _, s := range c.Settings() {
		name := place.ReplaceAllString(s[0], "")
		def, ok := defaults[s[0]]
		differs[name] = differs[name] || !ok || s[1] != def || strings.HasSuffix(name, ".type")
	}
	for _, k := range actions.keys(0) {
		if name := place.ReplaceAllString(k.name, ""); !differs[name] {
			t.Errorf("%s is not in the file", name)
		}
	}
	for _, s := range c.Settings() {
		if !differs[place.ReplaceAllString(s[0], "")] {
			t.Errorf("%s = %s in the file is the default", s[0], s[1])
		}
		if c.Line(s[0]) == 0 {
			t.Errorf("%s has no line", s[0])
		}
	}
	if got := c.Line("listen[1]"); got != 4 {
		t.Errorf("listen[1] is on line %d, want 4", got)
	}
	if c.Milter.Limits.IdleTimeout != 90*time.Minute || c.Milter.Limits.MaxMemory != 1<<30 || c.Milter.Limits.Report.Octets != 100_000 {
		t.Errorf("limits read as %+v", c.Milter.Limits)
	}
	if len(c.Milter.TrustedNetworks) != 2 || c.Milter.TrustedNetworks[1].String() != "2001:db8::25/128" {
		t.Errorf("networks read as %v", c.Milter.TrustedNetworks)
	}
}

// A URL may contain a secret after the "?", which must not be logged.
func TestSettingsKeepSecrets(t *testing.T) {
	c, err := Parse("x.toml", []byte("[[events.sink]]\nname = \"crm\"\ntype = \"webhook\"\nurl = \"https://crm.example.org/hook?key=geheim\"\n"))
	if err != nil {
		t.Fatal(err)
	}
	found := false
	for _, s := range c.Settings() {
		found = found || s == [2]string{"events.sink[0].url", `"https://crm.example.org/hook?…"`}
		if strings.Contains(s[1], "geheim") {
			t.Errorf("%s = %s", s[0], s[1])
		}
	}
	if !found || !strings.Contains(c.Show(), "?key=geheim") {
		t.Error("the URL is not shown")
	}
}

// IPv4-mapped IPv6 addresses in networks are turned into IPv4, because a client's IPv4 address
// never has that form.
func TestNetworksAreUnmapped(t *testing.T) {
	c, err := Parse("x.toml", []byte(`trusted_networks = ["::ffff:192.0.2.7", "::ffff:198.51.100.0/120", "::ffff:0:0/96"]`))
	if err != nil {
		t.Fatal(err)
	}
	if got := toml.QuoteList(c.Milter.TrustedNetworks); got != `["192.0.2.7/32", "198.51.100.0/24", "0.0.0.0/0"]` {
		t.Errorf("read as %s", got)
	}
}

func TestLoad(t *testing.T) {
	_, err := Load("/nowhere/at/all.toml")
	if err == nil || err.Error() != "/nowhere/at/all.toml: no such file or directory" {
		t.Errorf("missing file: %v", err)
	}
	var fe *FileError
	if !errors.As(err, &fe) || !errors.Is(err, os.ErrNotExist) {
		t.Errorf("missing file: %T", err)
	}
	if _, err := Load(t.TempDir()); err == nil || !strings.HasSuffix(err.Error(), "is a directory") {
		t.Errorf("folder: %v", err)
	}
}

// The default folder need not exist; any other must.
func TestRulesFolder(t *testing.T) {
	for dir, want := range map[string]string{"": "", "/nowhere/rules.d": "/nowhere/rules.d"} {
		c, err := Parse("x.toml", []byte("rules_dir = "+toml.Quote(dir)))
		if err != nil || c.RulesFolder() != want {
			t.Errorf("rules_dir = %q: %v, folder %q", dir, err, c.RulesFolder())
		}
	}
	if _, err := os.Stat(DefaultRulesDir); err != nil && Default().RulesFolder() != "" {
		t.Errorf("the default folder, which is not there, is used")
	}
}

func FuzzParse(f *testing.F) {
	files, _ := filepath.Glob("testdata/*/*.toml")
	for _, file := range files {
		data, err := os.ReadFile(file)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(data)
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		c, err := Parse("f", data)
		if err != nil {
			var ps toml.Problems
			if !errors.As(err, &ps) || len(ps) == 0 {
				t.Fatalf("%T: %v", err, err)
			}
			return
		}
		back, err := Parse("shown", []byte(c.Show()))
		if err != nil || back.Show() != c.Show() {
			t.Fatalf("%v\n%s", err, c.Show())
		}
	})
}
