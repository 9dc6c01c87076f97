package main

import (
	"debug/buildinfo"
	"fmt"
	"log/slog"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/bounce-milter/bounce-milter/classify"
	"github.com/bounce-milter/bounce-milter/classify/origin"
	"github.com/bounce-milter/bounce-milter/internal/action"
	"github.com/bounce-milter/bounce-milter/internal/event/stream"
	"github.com/bounce-milter/bounce-milter/internal/follow"
	"github.com/bounce-milter/bounce-milter/internal/lab/mixin"
	"github.com/bounce-milter/bounce-milter/milter"
	"github.com/prometheus/client_golang/prometheus"
	"go.yaml.in/yaml/v3"
)

const root = "../.."

func read(t *testing.T, path string) string {
	t.Helper()
	data, err := os.ReadFile(filepath.Join(root, path))
	if err != nil {
		t.Fatal(err)
	}
	return string(data)
}

// describedRegistry knows the metrics that are registered, also those without a series:
// the type and the labels of each.
type describedRegistry struct {
	*prometheus.Registry
	metrics map[string]string
}

func (r *describedRegistry) MustRegister(cs ...prometheus.Collector) {
	r.Registry.MustRegister(cs...)
	for _, c := range cs {
		var kind string
		switch c.(type) {
		case *prometheus.CounterVec:
			kind = "counter"
		case prometheus.Histogram:
			kind = "histogram"
		case prometheus.Gauge, *prometheus.GaugeVec: // a gauge has the methods of a counter too
			kind = "gauge"
		case prometheus.Counter:
			kind = "counter"
		default:
			kind = "gauge" // those of events, which are made when they are asked for
		}
		ch := make(chan *prometheus.Desc)
		go func() {
			c.Describe(ch)
			close(ch)
		}()
		for d := range ch {
			m := regexp.MustCompile(`fqName: "(\w+)".*variableLabels: \{(.*)\}\}`).FindStringSubmatch(d.String())
			if kind == "gauge" && strings.HasSuffix(m[1], "_total") {
				kind = "counter"
			}
			r.metrics[m[1]] = strings.TrimSpace(kind + " " + strings.ReplaceAll(m[2], ",", " "))
		}
	}
}

// Rules, alerts and documents name only metrics and labels that exist.
func TestMetricNames(t *testing.T) {
	engine, err := classify.New(classify.Options{})
	if err != nil {
		t.Fatal(err)
	}
	reg := &describedRegistry{Registry: prometheus.NewRegistry(), metrics: map[string]string{}}
	metrics := milter.NewMetrics(reg, milter.Build{Version: "1", Revision: "2", Ruleset: "3"})
	cfg := milter.DefaultConfig()
	cfg.Actions = []action.Options{{Name: "dead", Match: action.Match{Type: []string{"hard"}}, Redirect: []string{"dead@example.org"}}}
	if _, err := milter.New(cfg, milterRules(engine), metrics, slog.New(slog.DiscardHandler), nil); err != nil {
		t.Fatal(err)
	}
	events := stream.DefaultOptions()
	sink := stream.DefaultSink()
	sink.Name, sink.Type, sink.File.Path = "archive", stream.TypeFile, "-"
	events.Sinks = append(events.Sinks, sink)
	records, err := stream.New(events, "1", stream.NewMetrics(reg), slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	defer records.Close(t.Context())
	families, err := reg.Gather()
	if err != nil {
		t.Fatal(err)
	}
	series := 0
	known := map[string]string{} // name: its series as text, if there are any yet
	for name := range reg.metrics {
		known[name] = ""
	}
	for _, f := range families {
		known[f.GetName()] = fmt.Sprint(f.GetMetric())
		for _, m := range f.GetMetric() {
			series += 1 + len(m.GetHistogram().GetBucket()) + len(m.GetSummary().GetQuantile())
			if m.Histogram != nil || m.Summary != nil {
				series += 2
			}
		}
	}
	t.Logf("%d series", series)
	if series > 300-2*11 { // room for two more sinks
		t.Errorf("a daemon that saw nothing has %d series", series)
	}
	// What follow counts is on a registry of its own.
	follow.New(follow.Options{}, engine, nil, reg, slog.New(slog.DiscardHandler))
	for name := range reg.metrics {
		known[name] += ""
	}
	var documented []string
	for _, row := range regexp.MustCompile(`(?m)^\| `+"`(bounce_milter_\\w+)`"+` \| (\w+) \| ([^|]*)\|`).FindAllStringSubmatch(read(t, "docs/metrics.md"), -1) {
		documented = append(documented, row[1])
		if have := strings.Trim(row[2]+" "+strings.NewReplacer("`", "", ", ", " ").Replace(row[3]), " "); have != reg.metrics[row[1]] {
			t.Errorf("docs/metrics.md: %s is %q, and %q in the daemon", row[1], have, reg.metrics[row[1]])
		}
	}
	for name := range reg.metrics {
		if !slices.Contains(documented, name) && strings.HasPrefix(name, "bounce_milter_") {
			t.Errorf("docs/metrics.md does not have %s", name)
		}
	}
	label := regexp.MustCompile(`(bounce_milter_\w+)\{(\w+)="([^"]+)"`)
	for _, path := range []string{"README.md", "docs/metrics.md", "docs/prometheus.md", "docs/runbooks.md", mixin.RecordingFile, mixin.AlertFile, "packaging/grafana/bounce-milter.json"} {
		text := read(t, path)
		for _, n := range mixin.Counted(text) {
			if _, ok := known[strings.TrimSuffix(n, "_bucket")]; !ok {
				t.Errorf("%s: there is no metric %s", path, n)
			}
		}
		for _, m := range label.FindAllStringSubmatch(text, -1) {
			if want := fmt.Sprintf(`name:"%s" value:"%s"`, m[2], m[3]); known[m[1]] != "" && !strings.Contains(strings.ReplaceAll(known[m[1]], "  ", " "), want) {
				t.Errorf("%s: %s has no series with %s=%q", path, m[1], m[2], m[3])
			}
		}
	}
}

// The runbook says of each stage, reason and result that an alert may name what to do.
func TestRunbookLabels(t *testing.T) {
	page := read(t, "docs/runbooks.md")
	metrics := read(t, "docs/metrics.md")
	value := regexp.MustCompile("(?m)^\\| `([a-z-]+)` \\|")
	for heading, section := range map[string]string{
		"`stage` of `bounce_milter_errors_total`":            "BounceMilterErrors",
		"`reason` of `bounce_milter_sessions_refused_total`": "BounceMilterSessionsRefused",
	} {
		_, values, ok := strings.Cut(metrics, "\n"+heading+":\n\n")
		if !ok {
			t.Fatalf("docs/metrics.md has no values for %s", heading)
		}
		values, _, _ = strings.Cut(values, "\n\n")
		_, text, _ := strings.Cut(page, "\n### "+section+"\n")
		text, _, _ = strings.Cut(text, "\n### ")
		for _, m := range value.FindAllStringSubmatch(values, -1) {
			if !strings.Contains(text, "`"+m[1]+"`") {
				t.Errorf("%s does not say what to do about %s", section, m[1])
			}
		}
	}
}

// The examples of all rules are right, including those in the README and the manual.
func TestExampleRules(t *testing.T) {
	dir := t.TempDir()
	_, readme, ok := strings.Cut(read(t, "README.md"), "```toml\n[[rule]]")
	if !ok {
		t.Fatal("README.md has no rule")
	}
	readme, _, _ = strings.Cut(readme, "```")
	var manual strings.Builder
	for _, m := range regexp.MustCompile(`(?s)\.Bd -literal -offset indent\n(\[\[(rule|provider|cue)\]\]\n.*?)\.Ed\n`).FindAllStringSubmatch(read(t, "packaging/man/bounce-milter-rules.5"), -1) {
		manual.WriteString(m[1])
	}
	if strings.Count(manual.String(), "[[") != 5 {
		t.Fatalf("the manual has other examples:\n%s", manual.String())
	}
	for name, text := range map[string]string{
		"readme.toml":  "[[rule]]\n" + readme,
		"manual.toml":  manual.String(),
		"example.toml": read(t, "packaging/rules.d/example.toml"),
	} {
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		for _, p := range classify.Check("", []string{path}) {
			if p.File == path {
				t.Errorf("%s: %s", name, p)
			}
		}
	}
}

// The tour shows exactly what explain prints.
func TestTourExplains(t *testing.T) {
	dir := t.TempDir()
	config := filepath.Join(dir, "c.toml")
	if err := os.WriteFile(config, []byte("rules_dir = \"\"\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	out, err := os.Create(filepath.Join(dir, "out"))
	if err != nil {
		t.Fatal(err)
	}
	defer out.Close()
	if code := run([]string{"explain", "--config", config, "550 5.2.1"}, strings.NewReader(""), out, out); code != exitGood {
		t.Fatalf("exit code %d", code)
	}
	said, err := os.ReadFile(out.Name())
	if err != nil {
		t.Fatal(err)
	}
	if want := "$ bounce-milter explain \"550 5.2.1\"\n" + string(said) + "```"; !strings.Contains(read(t, "docs/tour.md"), want) {
		t.Errorf("docs/tour.md lacks\n%s", want)
	}
}

// Sieve, Postfix and the other recipes name categories, types, reasons, actions and
// kinds that are said.
func TestRecipes(t *testing.T) {
	words := map[string]bool{"feedback": true, "auto-reply": true, "disposition": true}
	for _, o := range origin.Origins() {
		words[string(o)] = true
	}
	for _, c := range classify.Categories() {
		words[string(c)] = true
	}
	for _, c := range classify.Types() {
		words[string(c)] = true
	}
	for _, c := range []string{"failed", "delayed", "delivered", "relayed", "expanded"} {
		words[c] = true
	}
	engine, err := classify.New(classify.Options{})
	if err != nil {
		t.Fatal(err)
	}
	for _, r := range engine.Reasons() {
		words[r.ID] = true
	}
	sieve := regexp.MustCompile(`header :is "X-Bounce-\w+" (?:"([^"]+)"|\[([^\]]+)\])`)
	table := regexp.MustCompile(`(?m)^(?:/|\* )\^X-Bounce-\w+: \(?([a-z|-]+)\)?\$(?:/|$)`)
	check := func(path string, re *regexp.Regexp, separator string) {
		found := re.FindAllStringSubmatch(read(t, path), -1)
		if len(found) == 0 {
			t.Errorf("%s: nothing to check", path)
		}
		for _, m := range found {
			for w := range strings.SplitSeq(strings.Join(m[1:], ""), separator) {
				if w = strings.Trim(w, `" `); !words[w] {
					t.Errorf("%s: %q is never said", path, w)
				}
			}
		}
	}
	check("packaging/sieve/bounces.sieve", sieve, ",")
	check("README.md", sieve, ",")
	check("packaging/postfix/bounce_routing.regexp", table, "|")
	check("packaging/lists/shield.regexp", table, "|")
	check("packaging/postfix/bounce_discard.regexp", table, "|")
	check("packaging/postfix/bounce_transport.regexp", table, "|")
	check("packaging/procmail/bounces.procmailrc", table, "|")
	check("README.md", table, "|")
}

// The units start before the mail servers, Debian's Postfix among them, and a
// reload checks first.
func TestUnits(t *testing.T) {
	for _, path := range []string{"systemd/bounce-milter.service", "systemd/bounce-milter.socket"} {
		if !strings.Contains(read(t, path), "\nBefore=postfix.service postfix@-.service sendmail.service\n") {
			t.Errorf("%s is not ordered before the mail servers", path)
		}
	}
	if !strings.Contains(read(t, "systemd/bounce-milter.service"), "\nExecReload=bounce-milter config check\nExecReload=/bin/kill -HUP $MAINPID\n") {
		t.Error("a reload does not check first")
	}
	units, err := os.ReadDir(filepath.Join(root, "systemd"))
	if err != nil {
		t.Fatal(err)
	}
	for _, unit := range units {
		for _, script := range []string{"deb/prerm", "deb/postrm", "rpm/preun"} {
			if !regexp.MustCompile(`[\s']` + regexp.QuoteMeta(unit.Name()) + `[\s']`).MatchString(read(t, "packaging/package/"+script)) {
				t.Errorf("packaging/package/%s does not stop or forget %s", script, unit.Name())
			}
		}
	}
}

// The licence of every module that is linked into the program is installed.
func TestLicences(t *testing.T) {
	dir := t.TempDir()
	run := func(name string, args ...string) {
		t.Helper()
		cmd := exec.Command(name, args...)
		cmd.Dir = root
		if out, err := cmd.CombinedOutput(); err != nil {
			t.Fatalf("%v: %s", err, out)
		}
	}
	program, texts := filepath.Join(dir, "bounce-milter"), filepath.Join(dir, "licenses")
	run("go", "build", "-buildvcs=false", "-o", program, "./cmd/bounce-milter")
	run("packaging/licenses.sh", texts)
	info, err := buildinfo.ReadFile(program)
	if err != nil {
		t.Fatal(err)
	}
	linked := []string{"go"}
	for _, m := range info.Deps {
		linked = append(linked, m.Path)
	}
	if len(linked) < 10 {
		t.Errorf("linked are %v only", linked)
	}
	for _, path := range linked {
		found, err := filepath.Glob(filepath.Join(texts, path, "LICENSE*"))
		if err != nil || len(found) == 0 {
			t.Errorf("%s has no licence among the texts", path)
		}
		for _, f := range found {
			if text, err := os.ReadFile(f); err != nil || !strings.Contains(string(text), "opyright") {
				t.Errorf("%s is no licence: %v", f, err)
			}
		}
	}
}

// The version is in one place, and the changelog's first release is that one.
func TestVersion(t *testing.T) {
	found := regexp.MustCompile(`(?m)^## \[(\d+\.\d+\.\d+)\] - \d{4}-\d\d-\d\d$`).FindStringSubmatch(read(t, "CHANGELOG.md"))
	if found == nil || versionFile != found[1]+"\n" {
		t.Errorf("VERSION is %q, the changelog's first release %q", versionFile, found)
	}
	if v := readBuild().version; v+"\n" != versionFile {
		t.Errorf("the program says that it is %q", v)
	}
}

// The snippets of compose are YAML, run the image of this version as little trusted as the
// daemon can do with, and publish nothing.
func TestCompose(t *testing.T) {
	for _, path := range []string{"container/compose.yml", "mailcow/docker-compose.override.yml",
		"mailu/docker-compose.override.yml", "docker-mailserver/compose.override.yaml"} {
		var file struct {
			Services map[string]struct {
				Image       string
				ReadOnly    bool     `yaml:"read_only"`
				CapDrop     []string `yaml:"cap_drop"`
				SecurityOpt []string `yaml:"security_opt"`
				Ports       []string
				Healthcheck struct{ Test []string }
			}
		}
		if err := yaml.Unmarshal([]byte(read(t, "packaging/"+path)), &file); err != nil {
			t.Errorf("%s: %v", path, err)
		}
		s := file.Services["bounce-milter"]
		got := fmt.Sprintln(s.Image, s.ReadOnly, s.CapDrop, s.SecurityOpt, s.Ports, s.Healthcheck.Test)
		want := fmt.Sprintln("bounce-milter:"+readBuild().version, true, "[ALL]", "[no-new-privileges:true]", "[]", "[CMD /usr/bin/bounce-milter health]")
		if got != want {
			t.Errorf("%s has %snot %s", path, got, want)
		}
	}
}
