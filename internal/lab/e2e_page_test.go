//go:build e2e

package lab_test

import (
	"encoding/json"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"syscall"
	"testing"

	"github.com/bounce-milter/bounce-milter/internal/lab"
	"github.com/bounce-milter/bounce-milter/internal/lab/mta"
	"github.com/chromedp/chromedp"
	"github.com/chromedp/chromedp/kb"
)

// bounces is mail for the status page: many providers and reasons, and what no rule knows.
var bounces = []lab.Refused{
	{Address: "a@gmail.test", Status: "5.2.2", Diagnostic: "552 5.2.2 The email account that you tried to reach is over quota", RemoteMTA: "gmail-smtp-in.l.google.com"},
	{Address: "b@gmail.test", Status: "5.1.1", Diagnostic: "550 5.1.1 The email account that you tried to reach does not exist", RemoteMTA: "gmail-smtp-in.l.google.com"},
	{Address: "c@outlook.test", Status: "5.7.1", Diagnostic: "550 5.7.1 Service unavailable, Client host [192.0.2.7] blocked using Spamhaus", RemoteMTA: "x.mail.protection.outlook.com"},
	{Address: "d@yahoo.test", Status: "4.7.0", Action: "delayed", Diagnostic: "421 4.7.0 [TSS04] Messages from 192.0.2.7 temporarily deferred due to user complaints", RemoteMTA: "mta5.am0.yahoodns.net"},
	{Address: "e@gmx.test", Status: "5.7.26", Diagnostic: "550 5.7.26 This mail has been rejected: DMARC policy reject", RemoteMTA: "mx00.gmx.net"},
	{Address: "f@corp.test", Status: "4.2.1", Action: "delayed", Diagnostic: "450 4.2.1 The user you are trying to contact is receiving mail too quickly", RemoteMTA: "mx.corp.test"},
	{Address: "g@corp.test", Status: "5.4.6", Diagnostic: "554 5.4.6 Too many hops", RemoteMTA: "mx.corp.test"},
	{Address: "carla.jones@corp.test", Status: "5.0.0", RemoteMTA: "mx.corp.test",
		Diagnostic: "554 The larder of carla.jones (ticket AB12CD34EF56) is stuffed <script>alert(1)</script><img src=x onerror=alert(2)> see javascript:alert(3) or https://mx.corp.test/?u=carla.jones@corp.test"},
}

// pageLab is a daemon whose status page is looked at.
type pageLab struct {
	*testing.T
	daemon *lab.Daemon
	client *mta.Client
	sent   int
}

// bounce sends a bounce to the daemon, as a mail server does.
func (p *pageLab) bounce(r lab.Refused) {
	p.Helper()
	p.sent++
	id := fmt.Sprintf("page%d", p.sent)
	m := mta.Parse(mta.Envelope{QueueID: id, To: "news@lab.test"}, lab.Bounce(id, "news@lab.test", nil, r))
	if err := p.client.Send(m); err != nil {
		p.Fatal(err)
	}
}

func (p *pageLab) dial() {
	p.Helper()
	var err error
	if p.client, err = mta.Dial("tcp", strings.TrimPrefix(p.daemon.Config().Listen[0], "inet:")); err != nil {
		p.Fatal(err)
	}
}

// summary is what the tests read of /api/v1/summary.
type summary struct {
	Trouble []struct{ ID, Text string }
	Health  struct{ Serving bool }
	Windows map[string]struct {
		Bounces    float64
		Categories map[string]float64
	}
	NotUnderstood []struct{ Text, Rule string } `json:"not_understood"`
}

func (p *pageLab) summary() summary {
	p.Helper()
	s, err := p.askSummary()
	if err != nil {
		p.Fatal(err)
	}
	return s
}

func (p *pageLab) askSummary() (s summary, err error) {
	resp, err := http.Get("http://" + p.daemon.Metrics + "/api/v1/summary")
	if err != nil {
		return s, err
	}
	defer resp.Body.Close()
	err = json.NewDecoder(resp.Body).Decode(&s)
	return s, err
}

// until waits for the page to show so many bounces.
func (p *pageLab) until(bounces int) {
	p.Helper()
	if err := lab.Until(fmt.Sprintf("the page to show %d bounces", bounces), func() (bool, error) {
		s, err := p.askSummary()
		return s.Windows["7d"].Bounces == float64(bounces), err
	}); err != nil {
		p.Fatal(err)
	}
}

// has waits for the page to name a trouble.
func (p *pageLab) has(id string) {
	p.Helper()
	if err := lab.Until("the page to say "+id, func() (bool, error) {
		s, err := p.askSummary()
		for _, t := range s.Trouble {
			if t.ID == id {
				return true, nil
			}
		}
		return false, err
	}); err != nil {
		p.Fatal(err)
	}
}

// The status page, in a real browser: on a screen and a phone, in light and dark, without
// bounces, with them and in trouble; by keyboard, without scripts, and as accessible as
// axe-core can tell. Its numbers are those of the metrics.
func TestStatusPage(t *testing.T) {
	t.Parallel()
	l, err := lab.New()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(l.Close)
	ports, err := lab.FreePorts(1)
	if err != nil {
		t.Fatal(err)
	}
	p := &pageLab{T: t}
	cfg := lab.DaemonConfig{Bin: lab.Bin(), Listen: []string{"inet:" + lab.Loopback(ports[0])},
		Tables: fmt.Sprintf("state_file = %q\n[[events.sink]]\nname = \"archive\"\ntype = \"file\"\npath = %q\n", l.Path("page.state"), l.Path("events.jsonl"))}
	if p.daemon, err = l.StartDaemon("page", cfg); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if log := p.daemon.Log(); t.Failed() || strings.Contains(log, "DATA RACE") {
			t.Errorf("log of the daemon:\n%s", log[max(0, len(log)-4000):])
		}
	})
	b := newBrowser(t, p.daemon.Metrics)

	b.everywhere("empty", "/")
	p.dial()
	for i, r := range bounces {
		for range 3*len(bounces) - 2*i {
			p.bounce(r)
		}
	}
	p.until(p.sent)
	b.everywhere("full", "/")
	p.compare(b)
	b.scripts(false)
	b.open("/")
	p.compare(b)
	b.scripts(true)
	b.open("/")
	b.harmless()
	b.byKeyboard()
	b.everywhere("words", "/page/words", look{"light", 320}, look{"dark", 1400})

	bad := cfg
	bad.Top = "header_prefix = \"<b>X</b>\"\n"
	if err := p.daemon.Configure(bad); err != nil {
		t.Fatal(err)
	}
	if taken, err := p.daemon.Reload(); err != nil || taken {
		t.Fatalf("a bad configuration is in force: %v", err)
	}
	p.has("reload-refused")
	b.everywhere("trouble", "/", look{"light", 1400}, look{"dark", 320})
	var first string
	b.eval(`document.querySelector("main").firstElementChild.innerText`, &first)
	if !strings.Contains(first, "header_prefix") || !strings.Contains(first, "Something is wrong") {
		t.Errorf("on top of the page stands %q", first)
	}
	p.teach(cfg)
	p.survives(l.Path("page.state"))
}

// look is how a page is looked at.
type look struct {
	scheme string
	width  int
}

// everywhere looks at a page in several ways, or on a screen and a phone in light and dark,
// and opens what is folded.
func (b *browser) everywhere(name, path string, ways ...look) {
	b.t.Helper()
	if len(ways) == 0 {
		ways = []look{{"light", 1400}, {"light", 320}, {"dark", 1400}, {"dark", 320}}
	}
	for _, w := range ways {
		what := fmt.Sprintf("%s-%s-%d", name, w.scheme, w.width)
		b.look(w.width, 900, w.scheme)
		b.open(path)
		b.fits(what, w.width)
		b.shoot(what)
		b.run(`document.querySelectorAll("details").forEach(d => d.open = true)`)
		b.fits(what+", unfolded", w.width)
		b.accessible(what)
	}
	b.look(1400, 900, "light")
}

// compare holds the tables of the page to the metrics.
func (p *pageLab) compare(b *browser) {
	p.Helper()
	m, err := p.daemon.Scrape()
	if err != nil {
		p.Fatal(err)
	}
	var tables map[string]map[string]float64 // caption, row, last number
	b.eval(`Object.fromEntries([...document.querySelectorAll("table")].map(t => [t.caption.innerText,
		Object.fromEntries([...t.tBodies[0].rows].map(r => [r.cells[0].innerText.trim(), Number(r.cells[r.cells.length - 1].innerText.replace(/\D/g, ""))]))]))`, &tables)
	byLabel := func(metric, label string) map[string]float64 {
		sums := map[string]float64{}
		for series, v := range m {
			name, labels, _ := strings.Cut(series, "{")
			if _, rest, ok := strings.Cut(labels, label+`="`); ok && name == "bounce_milter_"+metric && v > 0 {
				value, _, _ := strings.Cut(rest, `"`)
				sums[value] += v
			}
		}
		return sums
	}
	for caption, want := range map[string]map[string]float64{
		"Bounces by category":                                   byLabel("bounces_total", "category"),
		"By what to do about the address":                       byLabel("bounces_total", "type"),
		"Messages that passed, by kind":                         byLabel("messages_total", "kind"),
		"Bounces of the last 24 hours by provider and category": byLabel("bounces_total", "provider"),
	} {
		if !reflect.DeepEqual(tables[caption], want) {
			p.Errorf("%s: the page has %v, the metrics %v", caption, tables[caption], want)
		}
	}
	var reasons map[string]float64
	b.eval(`[...document.querySelectorAll("section[aria-labelledby=reasons] ol > li")].reduce((all, li) => {
		const reason = li.querySelector("h3 a").innerText;
		all[reason] = (all[reason] || 0) + Number(li.querySelector(".num").innerText.split("·")[0].replace(/\D/g, ""));
		return all }, {})`, &reasons)
	if want := byLabel("bounce_reasons_total", "reason"); !reflect.DeepEqual(reasons, want) {
		p.Errorf("reasons: the page has %v, the metrics %v", reasons, want)
	}
}

// harmless checks that what a stranger wrote is text, and names nobody.
func (b *browser) harmless() {
	b.t.Helper()
	var alive []string
	b.eval(`[...document.querySelectorAll("script, img, iframe, object, [onerror], [style], a[href^='javascript:']")].map(e => e.outerHTML)`, &alive)
	if len(alive) > 0 {
		b.t.Errorf("the page contains %q", alive)
	}
	var text string
	b.eval(`document.querySelector("section[aria-labelledby=replies]").textContent`, &text)
	if !strings.Contains(text, "The larder of [name] (ticket [id]) is stuffed") {
		b.t.Errorf("the reply that no rule understood is missing: %s", text)
	}
	if strings.Contains(strings.ToLower(text), "carla") || strings.Contains(text, "corp.test") {
		b.t.Errorf("a reply names somebody: %s", text)
	}
}

// byKeyboard goes through the page with the tab key: every link and every fold is reached in
// the order of the page, and shows that it is.
func (b *browser) byKeyboard() {
	b.t.Helper()
	var all []string
	const name = `(e => e.tagName + " " + e.innerText.trim().slice(0, 40) + (e.getAttribute("href") || ""))`
	b.eval(`[...document.querySelectorAll("a[href], summary, [tabindex]")].filter(e => e.checkVisibility()).map(`+name+`)`, &all)
	for i, want := range all {
		b.do("pressing tab", chromedp.KeyEvent(kb.Tab))
		var at struct {
			Name    string
			Outline bool
		}
		b.eval(`({Name: `+name+`(document.activeElement), Outline: getComputedStyle(document.activeElement).outlineStyle !== "none"})`, &at)
		if at.Name != want || !at.Outline {
			b.t.Fatalf("tab %d leads to %q (shown: %v), not to %q", i+1, at.Name, at.Outline, want)
		}
	}
	if len(all) < 20 || !strings.HasPrefix(all[0], "A Skip") {
		b.t.Errorf("the keyboard reaches %q", all)
	}
}

// teach pastes the rule that the page proposes, and the reply is understood.
func (p *pageLab) teach(cfg lab.DaemonConfig) {
	p.Helper()
	s := p.summary()
	if len(s.NotUnderstood) != 1 || s.NotUnderstood[0].Rule == "" {
		p.Fatalf("no rule is proposed: %+v", s.NotUnderstood)
	}
	rule := strings.Replace(s.NotUnderstood[0].Rule, "CHOOSE", "mailbox-full", 1)
	if err := os.WriteFile(filepath.Join(p.daemon.RulesDir, "mine.toml"), []byte(rule), 0o644); err != nil {
		p.Fatal(err)
	}
	if err := p.daemon.Configure(cfg); err != nil {
		p.Fatal(err)
	}
	if taken, err := p.daemon.Reload(); err != nil || !taken {
		p.Fatalf("the rule is refused: %v\n%s", err, rule)
	}
	before := p.summary().Windows["7d"].Categories["mailbox-full"]
	p.bounce(bounces[len(bounces)-1])
	p.until(p.sent)
	if now := p.summary().Windows["7d"].Categories["mailbox-full"]; now != before+1 {
		p.Errorf("with the rule %v bounces are mailbox-full, without it %v\n%s", now, before, rule)
	}
}

// survives restarts the daemon: with its state file the page goes on, with a damaged one it
// starts empty and says so, and mail passes either way.
func (p *pageLab) survives(file string) {
	p.Helper()
	restart := func() {
		p.Helper()
		p.client.Close()
		if err := p.daemon.Signal(syscall.SIGTERM); err != nil {
			p.Fatal(err)
		}
		if _, err := p.daemon.Wait(lab.Patience); err != nil {
			p.Fatal(err)
		}
	}
	again := func() {
		p.Helper()
		if err := p.daemon.Restart(); err != nil {
			p.Fatal(err)
		}
		p.dial()
	}
	restart()
	again()
	p.until(p.sent)
	restart()
	if info, err := os.Stat(file); err != nil || info.Mode().Perm() != 0o600 {
		p.Fatalf("the state file: %v, %v", info, err)
	} else if err := os.Truncate(file, info.Size()-10); err != nil {
		p.Fatal(err)
	}
	again()
	if !strings.Contains(p.daemon.Log(), "is cut off or damaged: it is written anew") {
		p.Error("the log does not say that the state file is cut")
	}
	p.bounce(bounces[0])
	p.until(1)
}
