//go:build e2e

package lab

import (
	"crypto/rand"
	"crypto/rsa"
	"fmt"
	"os"
	"strings"
	"sync"
	"testing"

	"github.com/bounce-milter/bounce-milter/internal/lab/natslab"
)

// The end-to-end tests share one Postfix, one remote server and one daemon.
// Tests that stop or reconfigure the daemon start one of their own.

// bin is the program under test: built here, from this tree, with the race
// detector in it, so that a data race in the daemon fails the test that found it.
var bin string

// Bin is bin, for tests outside of the package.
func Bin() string { return bin }

func TestMain(m *testing.M) {
	natslab.Main()
	os.Exit(runTests(m))
}

func runTests(m *testing.M) int {
	if os.Geteuid() != 0 {
		fmt.Fprintln(os.Stderr, "the end-to-end tests start mail servers, which needs root")
		return 1
	}
	l, err := New()
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	defer l.Close()
	bin = os.Getenv("BOUNCE_MILTER") // to test a binary that exists already
	if bin == "" {
		bin = l.Path("bounce-milter")
		if err := Build("./cmd/bounce-milter", bin, "-race"); err != nil {
			fmt.Fprintln(os.Stderr, err)
			return 1
		}
	}
	shared = sync.OnceValues(func() (*world, error) { return newWorld(l) })
	code := m.Run()
	return code
}

// world is what the tests share.
type world struct {
	postfix *Postfix
	remote  *Remote
	daemon  *Daemon
}

var shared func() (*world, error)

// theWorld returns the shared servers. When the test has failed it shows what
// they logged meanwhile.
func theWorld(t *testing.T) *world {
	t.Helper()
	w, err := shared()
	if err != nil {
		t.Fatal(err)
	}
	showOnFailure(t, "postfix", w.postfix.Log)
	showOnFailure(t, "bounce-milter", w.daemon.Log)
	t.Cleanup(func() { noRaces(t, w.daemon) })
	return w
}

// newLab makes a lab that ends with the test.
func newLab(t *testing.T) *Lab {
	t.Helper()
	l, err := New()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(l.Close)
	return l
}

// orFail returns a function that ends the test at an error.
func orFail(t *testing.T) func(error) {
	return func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
}

// newKey returns a key for DKIM.
func newKey(t *testing.T) *rsa.PrivateKey {
	t.Helper()
	key, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		t.Fatal(err)
	}
	return key
}

func showOnFailure(t *testing.T, name string, log func() string) {
	from := len(log())
	t.Cleanup(func() {
		if t.Failed() {
			text := log()
			t.Logf("log of %s:\n%s", name, text[min(from, len(text)):])
		}
	})
}

func noRaces(t *testing.T, d *Daemon) {
	if strings.Contains(d.Log(), "DATA RACE") {
		t.Error("the race detector found a data race in the daemon; see its log")
	}
}

// services are the ways of reaching the daemon: both kinds of sockets, from an
// smtpd in a chroot and from one that is not.
var services = []string{"unix", "unix-chroot", "tcp", "tcp-chroot"}

func newWorld(l *Lab) (*world, error) {
	w := &world{}
	var err error
	if w.remote, err = l.StartRemote(refuse); err != nil {
		return nil, err
	}
	sockets, err := l.SocketDir("pf")
	if err != nil {
		return nil, err
	}
	ports, err := FreePorts(1)
	if err != nil {
		return nil, err
	}
	tcp := fmt.Sprintf("inet:%s", Loopback(ports[0]))
	w.daemon, err = l.StartDaemon("daemon", DaemonConfig{
		Bin:    bin,
		Listen: []string{"unix:" + sockets + "/m.sock", tcp},
		Top:    "socket_mode = \"0660\"\nsocket_group = \"postfix\"\n",
	})
	if err != nil {
		return nil, err
	}
	w.postfix, err = l.StartPostfix("pf", PostfixConfig{
		Services: []Service{
			{Name: "plain"},
			{Name: "unix", Milters: "unix:milter/m.sock"},
			{Name: "unix-chroot", Milters: "unix:milter/m.sock", Chroot: true},
			{Name: "tcp", Milters: tcp},
			{Name: "tcp-chroot", Milters: tcp, Chroot: true},
		},
		OwnBounces: "unix:milter/m.sock",
		Remote:     w.remote.Addr,
	})
	if err != nil {
		return nil, err
	}
	fmt.Printf("=== Postfix %s, smtpd chrooted and not, over unix and TCP sockets\n", w.postfix.Version)
	return w, nil
}

// refuse is the remote server's policy: an address says by its first part what
// becomes of it.
func refuse(stage, recipient string) string {
	local, _, _ := strings.Cut(recipient, "@")
	kind, _, _ := strings.Cut(local, "+")
	switch stage + " " + kind {
	case "RCPT nobody":
		return "550 5.1.1 <" + recipient + ">: Recipient address rejected: User unknown in virtual mailbox table"
	case "RCPT full":
		return "552-5.2.2 The mailbox of this recipient\n552 5.2.2 is over quota, please try later"
	case "DATA spam":
		return "554 5.7.1 Message rejected as spam by content filter"
	}
	return ""
}

// scrape reads the shared daemon's metrics.
func scrape(t *testing.T, d *Daemon) Metrics {
	t.Helper()
	m, err := d.Scrape()
	if err != nil {
		t.Fatal(err)
	}
	return m
}

// send sends mail and fails the test when it is not accepted.
func send(t *testing.T, addr string, mails ...Mail) {
	t.Helper()
	if err := SendAll(addr, mails...); err != nil {
		t.Fatal(err)
	}
}

// delivered waits for n messages.
func delivered(t *testing.T, box Maildir, n int) []Message {
	t.Helper()
	got, err := box.Wait(n)
	if err != nil {
		t.Fatal(err)
	}
	if len(got) != n {
		t.Fatalf("%d messages were delivered, want %d", len(got), n)
	}
	return got
}

// expectation is how much a metric must have risen.
type expectation struct {
	by     float64
	name   string
	labels []string
}

func count(by float64, name string, labels ...string) expectation {
	return expectation{by, name, labels}
}

// counted waits until the daemon has counted what the test expects: it may
// count a message just after the mail server has delivered it.
func counted(t *testing.T, d *Daemon, before Metrics, want ...expectation) {
	t.Helper()
	var wrong []string
	err := Until("the counters", func() (bool, error) {
		now, err := d.Scrape()
		if err != nil {
			return false, err
		}
		rise := now.Since(before)
		wrong = wrong[:0]
		for _, w := range want {
			if got := rise.Sum(w.name, w.labels...); got != w.by {
				wrong = append(wrong, fmt.Sprintf("%s %v rose by %v, want %v", w.name, w.labels, got, w.by))
			}
		}
		return len(wrong) == 0, nil
	})
	if err != nil {
		t.Errorf("%v\n%s", err, strings.Join(wrong, "\n"))
	}
}

// tagged checks the fields that describe the primary recipient, their order,
// and that the results, one a recipient, follow at once. It returns the results.
func tagged(t *testing.T, m Message, category, kind, reason, action string) []map[string]string {
	t.Helper()
	names := []string{"X-Bounce-Category", "X-Bounce-Type", "X-Bounce-Reason", "X-Bounce-Action"}
	want := []string{category, kind, reason, action}
	fields := m.Fields()
	at := 0
	for at < len(fields) && !strings.HasPrefix(fields[at].Name, "X-Bounce-") {
		at++
	}
	tags := fields[at:]
	if len(tags) < len(names) {
		t.Fatalf("the message is not tagged:\n%s", head(m))
	}
	for i, name := range names {
		if tags[i].Name != name || tags[i].Value != want[i] {
			t.Errorf("field %d is %s: %s, want %s: %s", i, tags[i].Name, tags[i].Value, name, want[i])
		}
	}
	var results []map[string]string
	for _, f := range tags[len(names):] {
		if f.Name != "X-Bounce-Result" {
			break
		}
		results = append(results, f.Params())
	}
	if len(results) == 0 {
		t.Fatalf("the message has no results:\n%s", head(m))
	}
	if n := len(m.Tags("X-Bounce-")); n != len(names)+len(results) {
		t.Errorf("%d fields with our prefix, of which %d are ours:\n%s", n, len(names)+len(results), head(m))
	}
	return results
}

// head is the header of a message, for a failure's report.
func head(m Message) string {
	h, _, _ := strings.Cut(string(m.Raw), "\n\n")
	return h
}

// result checks parameters of one X-Bounce-Result.
func result(t *testing.T, got map[string]string, recipient string, want map[string]string) {
	t.Helper()
	if got[""] != recipient {
		t.Errorf("result is about %q, want %q", got[""], recipient)
	}
	for k, v := range want {
		if got[k] != v {
			t.Errorf("result of %s has %s=%q, want %q", recipient, k, got[k], v)
		}
	}
}
