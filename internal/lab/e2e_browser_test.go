//go:build e2e

package lab_test

import (
	"compress/gzip"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"github.com/bounce-milter/bounce-milter/internal/lab"
	"github.com/chromedp/cdproto/cdp"
	"github.com/chromedp/cdproto/emulation"
	"github.com/chromedp/cdproto/log"
	"github.com/chromedp/cdproto/network"
	"github.com/chromedp/cdproto/page"
	"github.com/chromedp/cdproto/runtime"
	"github.com/chromedp/chromedp"
)

// browser is a tab of a headless Chromium, with what the page in it asked for and what it
// complained about.
type browser struct {
	t    *testing.T
	ctx  context.Context
	host string // the only host that it may ask
	axe  string // source of axe-core

	mu        sync.Mutex
	asked     []string
	complains []string
}

// newBrowser starts Debian's Chromium with a profile of its own.
func newBrowser(t *testing.T, host string) *browser {
	t.Helper()
	b := &browser{t: t, host: host, axe: axeSource(t)}
	options := append(chromedp.DefaultExecAllocatorOptions[:],
		chromedp.ExecPath("/usr/bin/chromium"), chromedp.NoSandbox, chromedp.DisableGPU, chromedp.UserDataDir(t.TempDir()),
		chromedp.Flag("disable-quic", true), chromedp.Flag("disable-component-update", true), chromedp.Flag("hide-scrollbars", true),
		chromedp.WSURLReadTimeout(lab.Patience))
	ctx, cancel := context.WithTimeout(context.Background(), 10*lab.Patience)
	t.Cleanup(cancel)
	b.ctx, cancel = chromedp.NewContext(ctx, chromedp.WithAllocatorOptions(options...))
	t.Cleanup(cancel)
	b.do("starting", call(network.Enable, network.EnableParams{}), call(log.Enable, cdp.Empty{}))
	if err := chromedp.Listen(b.ctx, b.hear); err != nil {
		t.Fatal(err)
	}
	return b
}

// axeSource returns axe-core as it was taken from npm.
func axeSource(t *testing.T) string {
	t.Helper()
	const sum = "29348999450cdf2849a8e70b7912fc2da85a849da39c0d0d5394f51d4a9ed95c"
	f, err := os.Open(filepath.Join("testdata", "axe", "axe.min.js.gz"))
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	z, err := gzip.NewReader(f)
	if err != nil {
		t.Fatal(err)
	}
	source, err := io.ReadAll(z)
	if err != nil {
		t.Fatal(err)
	}
	if h := sha256.Sum256(source); hex.EncodeToString(h[:]) != sum {
		t.Fatal("axe.min.js is not the one of testdata/axe/README")
	}
	return string(source)
}

// hear notes what the browser says while it loads and shows a page.
func (b *browser) hear(ev any) {
	b.mu.Lock()
	defer b.mu.Unlock()
	switch ev := ev.(type) {
	case *network.EventRequestWillBeSent:
		b.asked = append(b.asked, ev.Request.URL)
	case *log.EventEntryAdded: // violations of the Content-Security-Policy are among these
		b.complains = append(b.complains, ev.Entry.Text)
	case *runtime.EventConsoleAPICalled:
		b.complains = append(b.complains, fmt.Sprint("console: ", ev.Type))
	case *runtime.EventExceptionThrown:
		b.complains = append(b.complains, ev.ExceptionDetails.Text)
	case *page.EventJavascriptDialogOpening:
		b.complains = append(b.complains, "dialog: "+ev.Message)
	}
}

// call makes an action of a command of the DevTools protocol.
func call[P, R any](c cdp.Command[P, R], params P) chromedp.Action[chromedp.Void] {
	return chromedp.Func(func(ctx context.Context, t *chromedp.Target) error {
		_, err := cdp.Call(ctx, t, c, params)
		return err
	})
}

func (b *browser) do(what string, actions ...chromedp.Action[chromedp.Void]) {
	b.t.Helper()
	if err := chromedp.Do(b.ctx, actions...); err != nil {
		b.t.Fatalf("%s: %v", what, err)
	}
}

// look sets the size of the window and the reader's choice of colours.
func (b *browser) look(width, height int, scheme string) {
	b.t.Helper()
	b.do("setting the window",
		call(emulation.SetDeviceMetricsOverride, emulation.SetDeviceMetricsOverrideParams{Width: int64(width), Height: int64(height), DeviceScaleFactor: 1, Mobile: width < 600}),
		call(emulation.SetEmulatedMedia, emulation.SetEmulatedMediaParams{Features: []*emulation.MediaFeature{{Name: "prefers-color-scheme", Value: scheme}}}))
}

// scripts says whether pages may run any.
func (b *browser) scripts(run bool) {
	b.t.Helper()
	b.do("turning scripts off or on", call(emulation.SetScriptExecutionDisabled, emulation.SetScriptExecutionDisabledParams{Value: !run}))
}

// open loads a page and checks that nothing was asked of another host and that the browser
// has nothing to complain about.
func (b *browser) open(path string) {
	b.t.Helper()
	b.mu.Lock()
	b.asked, b.complains = nil, nil
	b.mu.Unlock()
	b.do("loading "+path, chromedp.Navigate("http://"+b.host+path))
	b.quiet(path)
}

func (b *browser) quiet(path string) {
	b.t.Helper()
	b.mu.Lock()
	defer b.mu.Unlock()
	if len(b.asked) < 2 {
		b.t.Errorf("%s: only %q was asked for, without a style", path, b.asked)
	}
	for _, a := range b.asked {
		if u, err := url.Parse(a); err != nil || u.Host != b.host {
			b.t.Errorf("%s asks for %s", path, a)
		}
	}
	for _, c := range b.complains {
		b.t.Errorf("%s: the browser says %q", path, c)
	}
}

// eval evaluates an expression in the page.
func (b *browser) eval(expression string, into any) {
	b.t.Helper()
	text, err := chromedp.Run(b.ctx, chromedp.Evaluate[string]("Promise.resolve("+expression+").then(v => JSON.stringify(v === undefined ? null : v))", chromedp.EvalAwaitPromise))
	if err != nil {
		b.t.Fatalf("evaluating %s: %v", expression, err)
	}
	if err := json.Unmarshal([]byte(text), into); err != nil {
		b.t.Fatalf("%s: %v in %s", expression, err, text)
	}
}

// run runs a script in the page, whatever the page's policy allows.
func (b *browser) run(script string) {
	b.t.Helper()
	if _, err := chromedp.Run(b.ctx, chromedp.Evaluate[int](script+";0")); err != nil {
		b.t.Fatal(err)
	}
}

// accessible has axe-core look at the page: it may find nothing wrong, and no text whose
// contrast it cannot measure, unless that is scrolled out of sight.
func (b *browser) accessible(what string) {
	b.t.Helper()
	var found []struct {
		ID, Impact, Help string
		Nodes            []string
	}
	b.run(b.axe)
	b.eval(`axe.run(document, {resultTypes: ["violations", "incomplete"]}).then(r =>
		r.violations.concat(r.incomplete.filter(i => i.id === "color-contrast" &&
			i.nodes.some(n => !document.querySelector(n.target[0]).closest(".scroll")))).map(v =>
			({ID: v.id, Impact: v.impact, Help: v.help, Nodes: v.nodes.slice(0, 3).map(n => n.html + " " + n.failureSummary)})))`, &found)
	for _, f := range found {
		b.t.Errorf("%s: %s (%s): %s\n%s", what, f.ID, f.Impact, f.Help, strings.Join(f.Nodes, "\n"))
	}
}

// fits checks that the page needs no scrolling to the side in a window of a width. A phone
// would make the window wider than it is.
func (b *browser) fits(what string, width int) {
	b.t.Helper()
	var wide []string
	b.eval(fmt.Sprintf(`document.documentElement.scrollWidth <= %[1]d ? [] : [...document.querySelectorAll("body *")]
		.filter(e => e.getBoundingClientRect().right > %[1]d && !e.closest(".scroll")).slice(0, 5).map(e => e.outerHTML.slice(0, 120))`, width), &wide)
	if len(wide) > 0 {
		b.t.Errorf("%s is wider than the window:\n%s", what, strings.Join(wide, "\n"))
	}
}

// shoot saves a picture of the whole page for people to look at.
func (b *browser) shoot(name string) {
	b.t.Helper()
	root, err := lab.ModuleRoot()
	if err != nil {
		b.t.Fatal(err)
	}
	dir := filepath.Join(root, "bin", "screenshots")
	if err := os.MkdirAll(dir, 0o755); err != nil {
		b.t.Fatal(err)
	}
	png, err := chromedp.Run(b.ctx, chromedp.FullScreenshot(100))
	if err != nil {
		b.t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(dir, name+".png"), png, 0o644); err != nil {
		b.t.Fatal(err)
	}
}
