package milter

import (
	"bytes"
	"context"
	"errors"
	"io"
	"log/slog"
	"net"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/bounce-milter/bounce-milter/classify"
	"github.com/bounce-milter/bounce-milter/classify/dsn"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil"
)

// fakeInspector treats every multipart/report as a bounce, and keeps what it was given.
type fakeInspector struct {
	mu   sync.Mutex
	seen [][]byte
	res  func(raw []byte) classify.Result // nil is the default below
	wait func(context.Context)            // called first, may be nil
}

func (f *fakeInspector) Classify(ctx context.Context, raw []byte) classify.Result {
	if f.wait != nil {
		f.wait(ctx)
	}
	f.mu.Lock()
	f.seen = append(f.seen, bytes.Clone(raw))
	f.mu.Unlock()
	if f.res != nil {
		return f.res(raw)
	}
	if !bytes.Contains(raw, []byte("multipart/report")) {
		return classify.Result{Kind: dsn.KindNone}
	}
	return bounce("gone@example.com")
}

func (f *fakeInspector) last() []byte {
	f.mu.Lock()
	defer f.mu.Unlock()
	if len(f.seen) == 0 {
		return nil
	}
	return f.seen[len(f.seen)-1]
}

func bounce(rcpts ...string) classify.Result {
	res := classify.Result{Kind: dsn.KindDSN}
	for _, r := range rcpts {
		res.Recipients = append(res.Recipients, classify.Recipient{
			Address: r, Action: dsn.ActionFailed, Category: classify.InvalidAddress, Type: classify.Hard,
			Reason: "unknown-recipient", Status: "5.1.1", SMTPCode: 550, Provider: "google", Rule: "google-no-such-user",
			RemoteMTA: "mx.example.com", Evidence: classify.RungText,
		})
	}
	return res
}

// testServer is a server on a unix socket, with its log.
type testServer struct {
	*Server
	insp *fakeInspector
	rec  *fakeRecorder
	path string
	log  *logBuffer
	lvl  slog.LevelVar // of log, warnings unless changed
	done chan error
	stop context.CancelFunc
}

type logBuffer struct {
	mu  sync.Mutex
	buf bytes.Buffer
}

func (b *logBuffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.buf.Write(p)
}

func (b *logBuffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.buf.String()
}

var testLabels = Labels{
	Reasons:   []string{"unknown-recipient", "mailbox-full"},
	Providers: []string{"google", "microsoft"},
	Rules:     []string{"google-no-such-user", "shadow-rule"},
}

func testConfig(t testing.TB) Config {
	cfg := DefaultConfig()
	cfg.Listen = []Socket{{"unix", filepath.Join(t.TempDir(), "m.sock")}}
	cfg.Metrics = Socket{}
	cfg.DrainTimeout = patience
	return cfg
}

func (ts *testServer) rules() Rules {
	return Rules{Inspector: ts.insp, Labels: testLabels, Version: "r1"}
}

// start serves until the test ends. change may be nil.
func start(t testing.TB, change func(*Config)) *testServer {
	t.Helper()
	cfg := testConfig(t)
	if change != nil {
		change(&cfg)
	}
	ts := &testServer{insp: &fakeInspector{}, rec: &fakeRecorder{}, path: cfg.Listen[0].Address, log: &logBuffer{}, done: make(chan error, 1)}
	ts.lvl.Set(slog.LevelWarn)
	log := slog.New(slog.NewTextHandler(ts.log, &slog.HandlerOptions{Level: &ts.lvl}))
	s, err := New(cfg, ts.rules(), NewMetrics(prometheus.NewRegistry(), Build{Version: "1.0"}), log, ts.rec)
	if err != nil {
		t.Fatal(err)
	}
	ts.Server = s
	if err := s.Listen(); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	ts.stop = cancel
	go func() { ts.done <- s.Serve(ctx) }()
	eventually(t, "the server serves", s.serving.Load)
	t.Cleanup(func() {
		cancel()
		select {
		case err := <-ts.done:
			if !errors.Is(err, ErrServerClosed) {
				t.Errorf("Serve: %v", err)
			}
		case <-time.After(2 * patience):
			t.Error("Serve does not return")
		}
		// Nobody waits for the result twice.
		ts.done <- ErrServerClosed
	})
	return ts
}

// patience bounds what tests wait for. A busy machine may take its time, and what comes soon
// is not waited for any longer.
const patience = time.Minute

// eventually waits for a condition, and fails the test if it does not become true.
func eventually(t testing.TB, what string, ok func() bool) {
	t.Helper()
	deadline := time.Now().Add(patience)
	for !ok() {
		if time.Now().After(deadline) {
			buf := make([]byte, 1<<20)
			t.Fatalf("in vain: %s\n%s", what, buf[:runtime.Stack(buf, true)])
		}
		time.Sleep(2 * time.Millisecond)
	}
}

func (ts *testServer) errors(stage string) int {
	return int(testutil.ToFloat64(ts.metrics.errors.WithLabelValues(stage)))
}

func (ts *testServer) refusedFor(reason string) int {
	return int(testutil.ToFloat64(ts.metrics.refused.WithLabelValues(reason)))
}

func (ts *testServer) messages(k dsn.Kind) int {
	return int(testutil.ToFloat64(ts.metrics.messages.WithLabelValues(string(k))))
}

// quiet waits until no session is open and no message holds memory.
func (ts *testServer) quiet(t testing.TB) {
	t.Helper()
	eventually(t, "sessions end, memory is back", func() bool {
		return testutil.ToFloat64(ts.metrics.sessions) == 0 && ts.memory.used.Load() == 0
	})
}

// begin begins a message and waits until the server knows of it.
func (ts *testServer) begin(t testing.TB, c *wireClient) {
	t.Helper()
	before := ts.seen.Load()
	c.expect('c', mailFrame(""))
	eventually(t, "the message has begun", func() bool { return ts.seen.Load() > before })
}

func (ts *testServer) dial(t testing.TB) net.Conn {
	t.Helper()
	network, addr := "unix", ts.path
	if !filepath.IsAbs(addr) {
		network, addr = "tcp", ts.Addrs()[0].String()
	}
	c, err := net.Dial(network, addr)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	return c
}

func TestServeTwiceOnOneSocket(t *testing.T) {
	ts := start(t, nil)
	cfg := ts.state.Load().cfg
	s, err := New(cfg, ts.rules(), NewMetrics(prometheus.NewRegistry(), Build{}), slog.New(slog.DiscardHandler), nil)
	if err != nil {
		t.Fatal(err)
	}
	err = s.Serve(t.Context())
	if !errors.Is(err, ErrInUse) || !strings.Contains(err.Error(), "listening on unix:"+ts.path) {
		t.Errorf("a second server says %v", err)
	}
	goodMessage(t, ts)
}

// TestShutdownLetsAMessageFinish checks that the server goes on serving while a message is in
// progress, because mail that finds no daemon keeps its forged headers.
func TestShutdownLetsAMessageFinish(t *testing.T) {
	ts := start(t, nil)
	idle := newClient(t, ts.dial(t), offerAll)
	idle.expect('c', connectFrame("192.0.2.1"))

	c := newClient(t, ts.dial(t), offerAll)
	c.expect('c', connectFrame("192.0.2.1"))
	ts.begin(t, c)
	ts.stop()
	eventually(t, "it is told to stop", ts.stopping.Load)
	if mods := idle.message("", "Content-Type: multipart/report"); len(mods) == 0 {
		t.Error("a session that waited is not served")
	}
	goodMessage(t, ts)
	c.send(headerFrame("Content-Type", "multipart/report"))
	c.expect('c', frame('N', ""))
	c.send(frame('B', "body"))
	if mods := c.end(frame('E', "")); len(mods) == 0 {
		t.Error("the message in progress was not tagged")
	}
	for _, c := range []*wireClient{c, idle} {
		if _, err := c.conn.Read(make([]byte, 1)); err != io.EOF {
			t.Errorf("after the last message: %v, want the end", err)
		}
	}
	if err := <-ts.done; !errors.Is(err, ErrServerClosed) {
		t.Errorf("Serve: %v", err)
	}
	ts.done <- ErrServerClosed
	if nc, err := net.Dial("unix", ts.path); err == nil {
		nc.Close()
		t.Error("it listens still")
	}
	ts.quiet(t)
}

// TestShutdownEndsArrivingMessages checks that a message that waits for its client is not
// waited for, but one whose content is being sent is.
func TestShutdownEndsArrivingMessages(t *testing.T) {
	ts := start(t, func(c *Config) { c.DrainTimeout = time.Millisecond })
	slow, quick := newClient(t, ts.dial(t), offerAll), newClient(t, ts.dial(t), offerAll)
	for _, c := range []*wireClient{slow, quick} {
		c.expect('c', connectFrame("192.0.2.1"))
		ts.begin(t, c)
	}
	quick.send(headerFrame("Content-Type", "multipart/report"))
	eventually(t, "its content arrives", func() bool {
		ts.mu.Lock()
		defer ts.mu.Unlock()
		for c := range ts.conns {
			if c.arriving.Load() {
				return true
			}
		}
		return false
	})
	ts.stop()
	if _, err := slow.conn.Read(make([]byte, 1)); err != io.EOF {
		t.Errorf("a message without content: %v, want the end", err)
	}
	quick.expect('c', frame('N', ""))
	if mods := quick.end(frame('E', "")); len(mods) == 0 {
		t.Error("the message whose content had begun was not tagged")
	}
	<-ts.done
	ts.done <- ErrServerClosed
	if !strings.Contains(ts.log.String(), "1 messages in progress") {
		t.Errorf("log %s", ts.log)
	}
}

func TestShutdownIsBounded(t *testing.T) {
	ts := start(t, func(c *Config) { c.DrainTimeout = 50 * time.Millisecond })
	c := newClient(t, ts.dial(t), offerAll)
	c.expect('c', connectFrame("192.0.2.1"))
	ts.begin(t, c)
	ts.stop()
	select {
	case err := <-ts.done:
		ts.done <- err
	case <-time.After(patience):
		t.Fatal("the message is waited for without end")
	}
	ts.quiet(t)
}

func TestReload(t *testing.T) {
	ts := start(t, nil)
	c := newClient(t, ts.dial(t), offerAll)
	c.expect('c', connectFrame("192.0.2.1"))
	ts.begin(t, c) // in progress while the reload happens

	cfg := ts.state.Load().cfg
	cfg.HeaderPrefix = "X-Returned-"
	second := filepath.Join(t.TempDir(), "second.sock")
	cfg.Listen = append(cfg.Listen, Socket{"unix", second})
	if err := ts.Reload(cfg, ts.rules()); err != nil {
		t.Fatal(err)
	}
	if got := testutil.ToFloat64(ts.metrics.process.reloaded); got != 1 {
		t.Errorf("last_reload_successful = %v", got)
	}
	c.send(headerFrame("Content-Type", "multipart/report"))
	c.expect('c', frame('N', ""))
	if mods := c.end(frame('E', "")); len(mods) == 0 || !strings.HasPrefix(mods[0].name, "X-Bounce-") {
		t.Errorf("a message ends under what it began with, got %v", mods)
	}
	if mods := c.message("", "Content-Type: multipart/report"); len(mods) == 0 || !strings.HasPrefix(mods[0].name, "X-Returned-") {
		t.Errorf("the next message of the session: %v", mods)
	}
	ts.path = second
	if mods := goodMessage(t, ts); !strings.HasPrefix(mods[0].name, "X-Returned-") {
		t.Errorf("on the new socket: %v", mods)
	}

	// A socket that cannot be opened: all stays as it is.
	bad := cfg
	bad.HeaderPrefix = "X-Other-"
	bad.Listen = []Socket{{"unix", filepath.Join(t.TempDir(), "no", "folder", "m.sock")}}
	if err := ts.Reload(bad, ts.rules()); err == nil || !strings.Contains(err.Error(), "no folder for it") {
		t.Errorf("a bad socket: %v", err)
	}
	if got := testutil.ToFloat64(ts.metrics.process.reloaded); got != 0 {
		t.Errorf("last_reload_successful = %v after a failure", got)
	}
	if ts.errors(stageReload) != 1 || !strings.Contains(ts.log.String(), "reload refused") {
		t.Errorf("a failed reload: %d errors, log %s", ts.errors(stageReload), ts.log)
	}
	if mods := goodMessage(t, ts); !strings.HasPrefix(mods[0].name, "X-Returned-") {
		t.Errorf("after a failed reload: %v", mods)
	}

	// A socket that is no longer wanted is closed, its file gone.
	cfg.Listen = cfg.Listen[1:]
	if err := ts.Reload(cfg, ts.rules()); err != nil {
		t.Fatal(err)
	}
	if _, err := net.Dial("unix", testPath(ts)); err == nil {
		t.Error("the first socket is still served")
	}
	goodMessage(t, ts)
}

// TestReloadMovesSockets changes the address of a port that stays, and the
// rights of a socket that stays.
func TestReloadMovesSockets(t *testing.T) {
	port := freePort(t)
	ts := start(t, func(c *Config) { c.Listen = append(c.Listen, Socket{"tcp4", "127.0.0.1:" + port}) })
	cfg := ts.state.Load().cfg
	cfg.Listen = []Socket{cfg.Listen[0], {"tcp4", "0.0.0.0:" + port}}
	cfg.SocketMode = 0o606
	if err := ts.Reload(cfg, ts.rules()); err != nil {
		t.Fatal(err)
	}
	dial := func() {
		t.Helper()
		nc, err := net.Dial("tcp4", "127.0.0.1:"+port)
		if err != nil {
			t.Fatal(err)
		}
		defer nc.Close()
		newClient(t, nc, offerAll)
	}
	dial()
	if info, err := os.Stat(ts.path); err != nil || info.Mode().Perm() != 0o606 {
		t.Errorf("%v, %v", info.Mode(), err)
	}
	// Making room for one, then failing at another: the first is back.
	bad := cfg
	bad.Listen = []Socket{cfg.Listen[0], {"tcp4", "127.0.0.1:" + port}, {"unix", filepath.Join(t.TempDir(), "no", "m.sock")}}
	if err := ts.Reload(bad, ts.rules()); err == nil {
		t.Error("a folder that is not there does")
	}
	dial()
	if n := len(ts.Addrs()); n != 2 {
		t.Errorf("served at %v", ts.Addrs())
	}
	goodMessage(t, ts)
}

// testPath is the socket that start made.
func testPath(ts *testServer) string {
	for spec := range ts.milter {
		if spec.Address != ts.path {
			return spec.Address
		}
	}
	return filepath.Join(filepath.Dir(ts.path), "gone.sock")
}

func TestAcceptErrorsPass(t *testing.T) {
	ts := start(t, nil)
	ln, err := net.Listen("unix", filepath.Join(t.TempDir(), "flaky.sock"))
	if err != nil {
		t.Fatal(err)
	}
	flaky := &flakyListener{Listener: ln, left: 3}
	finished := make(chan struct{})
	go func() { ts.accept(flaky); close(finished) }()
	ts.path = ln.Addr().String()
	goodMessage(t, ts)
	if got := ts.errors(stageAccept); got != 3 {
		t.Errorf("%d accept errors counted, want 3", got)
	}
	ln.Close()
	<-finished
}

// flakyListener fails as a process without file descriptors does.
type flakyListener struct {
	net.Listener
	left int
}

func (l *flakyListener) Accept() (net.Conn, error) {
	if l.left > 0 {
		l.left--
		return nil, errors.New("accept: too many open files")
	}
	return l.Listener.Accept()
}
