package milter

import (
	"log/slog"
	"os"
	"strings"
	"testing"

	"github.com/bounce-milter/bounce-milter/classify/dsn"
	"github.com/bounce-milter/bounce-milter/internal/trial"
)

// A bounce with the daemon's secret is refused with the headers that it would get, and
// counted nowhere. The secret is good once, only where a client keeps the message, and
// nothing else is refused.
func TestTrial(t *testing.T) {
	ts := start(t, nil)
	ts.lvl.Set(slog.LevelInfo)
	config := t.TempDir() + "/c.toml"
	secret, err := trial.New(config)
	if err != nil {
		t.Fatal(err)
	}
	defer secret.Close()
	ts.Trials(secret)
	proof := func() string {
		t.Helper()
		found := trial.Find(config)
		if len(found) != 1 {
			t.Fatalf("%d secrets", len(found))
		}
		return trial.Field + ": " + found[0].Secret
	}
	session := func(connect []byte) *wireClient {
		c := newClient(t, ts.dial(t), offerAll)
		c.expect('c', connect)
		return c
	}
	send := func(c *wireClient, more ...string) []mod {
		return c.message("", append(more, "Subject: Undelivered", "Content-Type: multipart/report; report-type=delivery-status; boundary=b", "", goodReport)...)
	}
	c := session(connectFrame("192.0.2.1"))
	good := proof()
	if mods := send(c, good); len(mods) != 0 || c.refused == "" {
		t.Fatalf("refused with %q, and changes %v", c.refused, mods)
	}
	fields, ok := trial.Read(c.refused)
	if !ok || !strings.HasPrefix(strings.Join(fields, "|"), "X-Bounce-Category: ") {
		t.Errorf("the answer tells %q", fields)
	}
	if n := ts.messages(dsn.KindDSN); n != 0 {
		t.Errorf("%d messages are counted", n)
	}
	eventually(t, "a line in the log", func() bool { return strings.Contains(ts.log.String(), "bounce of doctor, refused and not counted") })

	tagged := 0
	for name, more := range map[string][]string{
		"the same again": {good}, "no secret": {trial.Field + ": "}, "a guess": {trial.Field + ": " + strings.Repeat("A", 26)}, "none": nil,
	} {
		if mods := send(c, more...); len(mods) == 0 || c.refused != "" {
			t.Errorf("%s: refused with %q, and changes %v", name, c.refused, mods)
		}
		tagged++
	}
	// The MTA would have to bounce what comes from itself.
	inside := session(frame('C', "localhost\x004\x00\x00127.0.0.1\x00"))
	if mods := send(inside, proof()); len(mods) == 0 || inside.refused != "" {
		t.Errorf("from the MTA itself: refused with %q, and changes %v", inside.refused, mods)
	}
	if n := ts.messages(dsn.KindDSN); n != tagged+1 {
		t.Errorf("%d messages are counted, want %d", n, tagged+1)
	}
	if os.Geteuid() == 0 && len(trial.Find(config+"x")) > 0 {
		t.Error("the secret of another daemon is found")
	}
}

// A daemon that changes nothing tells no headers.
func TestTrialObserves(t *testing.T) {
	ts := start(t, func(c *Config) { c.Mode = ModeObserve })
	secret, err := trial.New("")
	if err != nil {
		t.Fatal(err)
	}
	defer secret.Close()
	ts.Trials(secret)
	c := newClient(t, ts.dial(t), offerAll)
	c.expect('c', connectFrame("192.0.2.1"))
	refused := false
	for _, d := range trial.Find("") { // other daemons may run here
		c.message("", trial.Field+": "+d.Secret, "Content-Type: multipart/report; report-type=delivery-status; boundary=b", "", goodReport)
		if fields, ok := trial.Read(c.refused); ok {
			refused = true
			if len(fields) > 0 {
				t.Errorf("it tells %q", fields)
			}
		}
	}
	if !refused {
		t.Error("the bounce is not refused")
	}
}
