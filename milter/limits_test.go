package milter

import (
	"bytes"
	"fmt"
	"strings"
	"testing"

	"github.com/bounce-milter/bounce-milter/classify"
	"github.com/prometheus/client_golang/prometheus/testutil"
)

// TestReportBehindLimits checks that a bounce is tagged, and counted as truncated, even if the
// field that shows what it is comes after all limits of a header.
func TestReportBehindLimits(t *testing.T) {
	engine, err := classify.New(classify.Options{})
	if err != nil {
		t.Fatal(err)
	}
	long := "X-Long: " + strings.Repeat("y", 60000)
	vital := []string{"From: MAILER-DAEMON@mx.example.com", "MIME-Version: 1.0", "Content-Type: multipart/report;\n\treport-type=delivery-status; boundary=b"}
	tests := []struct {
		name  string
		lines []string
		cut   bool
	}{
		{"within", vital, false},
		{"behind many fields", append(repeated(3000, "X-Many-%d"), vital...), true},
		{"behind as many as an inspector reads", append(repeated(600, "X-Many-%d"), vital...), true},
		{"behind long fields", append([]string{long, long, long, long}, vital...), true},
		{"behind one longer than a frame may be", append([]string{"X-Long: " + strings.Repeat("y", 200_000)}, vital...), true},
		{"before many of its name", append(append(repeated(600, "X-Many-%d"), vital...), repeated(5000, "Content-Type")...), true},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			ts := start(t, nil)
			rules := Rules{Inspector: engine, Labels: Labels{Rules: engine.RuleIDs(), Providers: engine.Providers()}}
			if err := ts.Reload(ts.state.Load().cfg, rules); err != nil {
				t.Fatal(err)
			}
			c := newClient(t, ts.dial(t), offerAll)
			c.expect('c', connectFrame("192.0.2.1"))
			mods := c.message("", append(tt.lines, "", goodReport)...)
			if len(mods) != 5 || mods[4].String() != "i0 X-Bounce-Category: invalid-address" {
				t.Errorf("changes %v", mods)
			}
			if got := testutil.ToFloat64(ts.metrics.truncated.WithLabelValues(cutHeader)) == 1; got != tt.cut {
				t.Errorf("counted as truncated: %v", got)
			}
		})
	}
}

// TestVitalFieldsAreBounded sends nothing but fields that are kept beyond the
// limits of a header.
func TestVitalFieldsAreBounded(t *testing.T) {
	ts := start(t, func(c *Config) { c.Limits.MaxHeaderFields, c.Limits.MaxHeaderOctets = 10, 2000 })
	c := newClient(t, ts.dial(t), offerAll)
	c.expect('c', connectFrame("192.0.2.1"))
	c.message("", append(repeated(5000, "Content-Type"), "Content-Type: multipart/report", "", "body")...)
	if n := bytes.Count(ts.insp.last(), []byte("Content-Type")); n != 10+maxVital {
		t.Errorf("%d fields kept", n)
	}
	c.message("", "From: "+strings.Repeat("x", maxVitalOctets), "Subject: y", "", "body")
	if got := string(ts.insp.last()); got != nullPath+"Subject: y\r\n\r\nbody" {
		t.Errorf("inspected %d octets", len(got))
	}
}

// TestQueueIDAtMail checks that macros sent with MAIL belong to the message that MAIL begins,
// even if no abort ended the message before.
func TestQueueIDAtMail(t *testing.T) {
	ses := &session{srv: start(t, nil).Server}
	for i := range 3 {
		id := fmt.Sprintf("QID%d", i)
		ses.macros('M', []byte("i\x00"+id+"\x00"))
		ses.begin("a@example.org", false)
		if got := ses.queueID(); got != id {
			t.Errorf("message %d is called %q", i, got)
		}
		ses.macros('E', []byte("i\x00"+id+"\x00"))
	}
	ses.endMessage()
	if got := ses.queueID(); got != "" {
		t.Errorf("between messages: %q", got)
	}
}
