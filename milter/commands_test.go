package milter

import (
	"strings"
	"testing"
	"time"

	gomilter "github.com/emersion/go-milter"
)

// TestOtherCommands sends commands that we do not ask for.
func TestOtherCommands(t *testing.T) {
	ts := start(t, nil)
	c := newClient(t, ts.dial(t), 0)
	c.expect('c', connectFrame("192.0.2.1"))
	c.expect('c', frame('H', "mx.example.com\x00"))
	c.expect('c', frame('U', "NOSUCH\x00"))
	c.expect('c', mailFrame(""))
	c.expect('c', rcptFrame("user@example.net"))
	c.expect('c', frame('T', ""))
	c.send(frame('D', "Li\x00QID\x00"), frame('D', "L"), frame('D', "Z\x00"))
	c.expect('c', headerFrame("Content-Type", "multipart/report"))
	c.expect('c', frame('N', ""))
	c.expect('c', frame('B', ""))
	if mods := c.end(frame('E', "")); len(mods) != 5 {
		t.Errorf("changes %v", mods)
	}
	// The end of a message that has no header at all.
	c.expect('c', mailFrame(""))
	if mods := c.end(frame('E', "")); len(mods) != 0 {
		t.Errorf("changes %v", mods)
	}
	if mods := c.message("", "Content-Type: multipart/report"); len(mods) != 5 {
		t.Errorf("the next message: %v", mods)
	}
	if ts.errors(stageInspect) != 1 || ts.errors(stageFrame) != 0 {
		t.Errorf("log: %s", ts.log)
	}
}

// TestIdleTimeout ends a session that stays silent between messages.
func TestIdleTimeout(t *testing.T) {
	ts := start(t, func(c *Config) { c.Limits.IdleTimeout = 50 * time.Millisecond })
	c := newClient(t, ts.dial(t), offerAll)
	c.expect('c', connectFrame("192.0.2.1"))
	wantClosed(t, c.conn)
	eventually(t, "it is counted and logged", func() bool {
		return ts.errors(stageTimeout) == 1 && strings.Contains(ts.log.String(), "\n")
	})
	if !strings.Contains(ts.log.String(), "waiting for a frame: timed out") || !strings.Contains(ts.log.String(), "peer=192.0.2.1") {
		t.Errorf("log: %s", ts.log)
	}
	goodMessage(t, ts)
}

// TestModeChangesWithinASession keeps a connection over reloads that change
// what was negotiated for.
func TestModeChangesWithinASession(t *testing.T) {
	for _, first := range []Forged{ForgedKeep, ForgedRemove} {
		ts := start(t, func(c *Config) { c.ForgedHeaders, c.LookAt = first, LookAtEnvelope })
		c := newClient(t, ts.dial(t), offerAll)
		if got := c.protocol&gomilter.OptNoEOHReply != 0; got != (first == ForgedKeep) {
			t.Errorf("%s: no reply at the end of a header: %v", first, got)
		}
		c.expect('c', connectFrame("192.0.2.1"))
		for _, now := range []Forged{ForgedKeep, ForgedRemove, ForgedKeep} {
			cfg := ts.state.Load().cfg
			cfg.ForgedHeaders = now
			if err := ts.Reload(cfg, ts.rules()); err != nil {
				t.Fatal(err)
			}
			want := 0
			if now == ForgedRemove {
				want = 1
			}
			if mods := c.message("a@example.org", "X-Bounce-Type: x", "", "body"); len(mods) != want {
				t.Errorf("%s, now %s: %v", first, now, mods)
			}
			if mods := c.message("a@example.org", "Subject: x", "", "body"); len(mods) != 0 {
				t.Errorf("%s, now %s: %v", first, now, mods)
			}
			if mods := c.message("", "Content-Type: multipart/report", "", "body"); len(mods) != 5 {
				t.Errorf("%s, now %s: %v", first, now, mods)
			}
		}
	}
}
