package milter

import (
	"bytes"
	"fmt"
	"log/slog"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/bounce-milter/bounce-milter/classify"
	"github.com/prometheus/client_golang/prometheus"
)

// TestMemory checks how much memory the daemon uses, in a process of its own with the real
// rules: while it is idle, then in the middle of a thousand large bounces at once.
func TestMemory(t *testing.T) {
	if path := os.Getenv("MILTER_TEST_MEMORY"); path != "" {
		memoryChild(t, path)
		return
	}
	if raceEnabled {
		t.Log("the race detector takes memory of its own: figures are not checked")
	}
	path := filepath.Join(t.TempDir(), "m.sock")
	cmd := exec.Command(os.Args[0], "-test.run=^TestMemory$")
	cmd.Env = append(os.Environ(), "MILTER_TEST_MEMORY="+path)
	var out bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &out
	stdin, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	defer func() {
		stdin.Close() // which ends it
		if err := cmd.Wait(); err != nil {
			t.Errorf("%v\n%s", err, out.String())
		}
	}()
	eventually(t, "the daemon serves", func() bool { _, err := os.Stat(path); return err == nil })
	ts := &testServer{path: path}
	// The program's code is not counted, because a test has more of it.
	const text = 13
	check := func(when string, limit int) {
		t.Helper()
		rss := residentKiB(t, cmd.Process.Pid)/1024 + text
		t.Logf("%s: %d MB resident", when, rss)
		if rss > limit && !raceEnabled {
			t.Errorf("%s: %d MB resident, at most %d", when, rss, limit)
		}
	}
	goodMessage(t, ts)
	// It serves a moment before it has given back what building the rules took.
	const idle = 40
	for end := time.Now().Add(patience); residentKiB(t, cmd.Process.Pid)/1024+text > idle && time.Now().Before(end); {
		time.Sleep(50 * time.Millisecond)
	}
	check("idle", idle)

	header, body := benchMessage()
	half := strings.Repeat(body, 150_000/len(body))
	var clients []*wireClient
	for range min(1000, openFiles(t)-100) {
		c := newClient(t, ts.dial(t), offerAll)
		c.expect('c', connectFrame("192.0.2.1"))
		c.expect('c', mailFrame(""))
		for _, h := range header {
			c.send(headerFrame(h[0], h[1]))
		}
		c.expect('c', frame('N', ""))
		for rest := half; rest != ""; {
			n := min(len(rest), 65535)
			c.send(frame('B', rest[:n]))
			rest = rest[n:]
		}
		clients = append(clients, c)
	}
	check("1000 sessions within a bounce", 200)
	goodMessage(t, ts)
	for _, c := range clients {
		for range 2 {
			c.send(frame('B', half[:65535]))
		}
		if mods := c.end(frame('E', "")); len(mods) < 5 {
			t.Fatalf("not tagged: %v", mods)
		}
	}
	check("after 1000 bounces", 200)
}

// memoryChild is a reduced daemon.
func memoryChild(t *testing.T, path string) {
	engine, err := classify.New(classify.Options{})
	if err != nil {
		t.Fatal(err)
	}
	engine.Prepare()
	cfg := DefaultConfig()
	cfg.Listen = []Socket{{"unix", path}}
	cfg.Metrics = Socket{}
	rules := Rules{Inspector: engine, Labels: Labels{Rules: engine.RuleIDs(), Providers: engine.Providers()}}
	s, err := New(cfg, rules, NewMetrics(prometheus.NewRegistry(), Build{}), slog.New(slog.DiscardHandler), nil)
	if err != nil {
		t.Fatal(err)
	}
	go func() {
		os.Stdin.Read(make([]byte, 1))
		os.Exit(0)
	}()
	t.Error(s.Serve(t.Context()))
}

func residentKiB(t *testing.T, pid int) (n int) {
	t.Helper()
	status, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
	if err != nil {
		t.Fatal(err)
	}
	_, rest, _ := strings.Cut(string(status), "RssAnon:")
	if _, err := fmt.Sscanf(rest, "%d kB", &n); err != nil {
		t.Fatal(err)
	}
	return n
}

// TestTrim checks that unused memory is returned to the system while no message arrives.
func TestTrim(t *testing.T) {
	ts := start(t, nil)
	garbage := make([][]byte, 64)
	for i := range garbage {
		garbage[i] = bytes.Repeat([]byte{1}, 1<<20)
	}
	before := heldMemory()
	runtime.KeepAlive(garbage)
	garbage = nil
	defer ts.trim(10 * time.Millisecond)()
	goodMessage(t, ts)
	eventually(t, "memory is given back", func() bool { return heldMemory() < before-(32<<20) })
}
