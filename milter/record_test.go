package milter

import (
	"fmt"
	"strings"
	"sync"
	"testing"

	"github.com/bounce-milter/bounce-milter/classify"
	"github.com/bounce-milter/bounce-milter/classify/dsn"
	"github.com/bounce-milter/bounce-milter/internal/event"
	"github.com/prometheus/client_golang/prometheus/testutil"
)

// fakeRecorder keeps what it is handed.
type fakeRecorder struct {
	mu    sync.Mutex
	all   []event.Record
	calls int
	panic bool
}

func (f *fakeRecorder) Record(rs []event.Record) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.calls++
	if f.panic {
		panic("no disk")
	}
	f.all = append(f.all, rs...)
}

// take returns what was recorded since the last time.
func (f *fakeRecorder) take() []event.Record {
	f.mu.Lock()
	defer f.mu.Unlock()
	all := f.all
	f.all = nil
	return all
}

const report = "multipart/report; report-type=delivery-status; boundary=b"

// send sends a message with recipients of its envelope.
func (c *wireClient) envelope(from string, to []string, lines ...string) []mod {
	c.t.Helper()
	c.send(mailFrame(from))
	if c.answered('M') {
		c.read()
	}
	for _, r := range to {
		c.expect('c', rcptFrame(r))
	}
	for _, l := range lines {
		name, value, _ := strings.Cut(l, ": ")
		c.send(headerFrame(name, value))
	}
	c.send(frame('N', ""))
	if c.protocol&0x40000 == 0 { // SMFIP_NR_EOH
		if code, _ := c.read(); code == 'a' {
			return nil
		}
	}
	return c.end(frame('E', ""))
}

// TestRecord checks that, whatever the mode, each report is recorded once, before its
// acceptance is sent, with what is known about its envelope.
func TestRecord(t *testing.T) {
	for _, mode := range Modes {
		for _, network := range []string{"unix", "tcp"} {
			t.Run(string(mode)+" "+network, func(t *testing.T) {
				ts := start(t, func(c *Config) {
					c.Mode, c.Events = mode, true
					c.VERP = []string{"b.{token}+{local}={domain}@lists.example.org"}
					if network == "tcp" {
						c.Listen = []Socket{{"tcp", "127.0.0.1:0"}}
					}
				})
				c := newClient(t, ts.dial(t), offerAll)
				defer c.conn.Close()
				c.send(frame('D', "Cj\x00mx1.example.org\x00"))
				c.expect('c', connectFrame("192.0.2.1"))
				c.send(frame('D', "Mi\x004XYZ1\x00"))
				to := []string{"postmaster@lists.example.org", "b.77+jo=example.com@lists.example.org", "\x01a\x7fb@lists.example.org"}
				mods := c.envelope("", to, "Content-Type: "+report)
				got := ts.rec.take()
				if len(got) != 1 {
					t.Fatalf("%d records at the acceptance, want 1", len(got))
				}
				r := got[0]
				if r.Host != "mx1.example.org" || r.QueueID != "4XYZ1" || r.Client != "192.0.2.1" || r.EnvelopeFrom != "" || r.Source != event.SourceMilter ||
					r.Kind != dsn.KindDSN || r.Address != "gone@example.com" || r.VERP != "jo@example.com" || r.Token != "77" ||
					fmt.Sprint(r.EnvelopeTo) != "[postmaster@lists.example.org b.77+jo=example.com@lists.example.org ab@lists.example.org]" ||
					len(r.ID) != 26 || r.Time.IsZero() {
					t.Errorf("recorded %+v", r)
				}
				if mode == ModeTag {
					// The same comes again from a content filter, with the fields that it was given.
					lines := []string{"Content-Type: " + report}
					for _, m := range mods { // each went on top
						lines = append([]string{m.name + ": " + m.value}, lines...)
					}
					c.envelope("", to, lines...)
				}
				c.envelope("a@example.org", to, "Subject: hello")
				c.envelope("", nil, "Subject: hello")
				c.send(mailFrame(""))
				if c.answered('M') {
					c.read()
				}
				c.expect('c', rcptFrame("a@lists.example.org"))
				c.send(headerFrame("Content-Type", report), frame('A', ""))
				c.envelope("", nil, "Content-Type: "+report)
				got = ts.rec.take()
				if len(got) != 1 || got[0].VERP != "" || len(got[0].EnvelopeTo) != 0 {
					t.Errorf("recorded %+v", got)
				}
			})
		}
	}
}

// A report that names no recipient is recorded for the one that its VERP address names, and
// other reports once. If the recorder panics the message passes.
func TestRecordKinds(t *testing.T) {
	ts := start(t, func(c *Config) {
		c.Events = true
		c.VERP = []string{"b+{local}={domain}@lists.example.org"}
	})
	c := newClient(t, ts.dial(t), offerAll)
	defer c.conn.Close()
	c.expect('c', connectFrame("192.0.2.1"))
	to := []string{"b+jo=example.com@lists.example.org"}
	for _, tt := range []struct {
		res  classify.Result
		want string
	}{
		{classify.Result{Kind: dsn.KindNone}, ""},
		{classify.Result{Kind: dsn.KindAutoReply}, "auto-reply  jo@example.com"},
		{classify.Result{Kind: dsn.KindDisposition}, "disposition  jo@example.com"},
		{classify.Result{Kind: dsn.KindText}, "text jo@example.com jo@example.com"},
		{bounce("a@example.net", "b@example.net"), "dsn a@example.net jo@example.com, dsn b@example.net jo@example.com"},
		{bounce(""), "dsn jo@example.com jo@example.com"},
	} {
		ts.insp.res = func([]byte) classify.Result { return tt.res }
		c.envelope("", to, "Content-Type: "+report)
		var got []string
		for _, r := range ts.rec.take() {
			got = append(got, fmt.Sprintf("%s %s %s", r.Kind, r.Address, r.VERP))
		}
		if s := strings.Join(got, ", "); s != tt.want {
			t.Errorf("recorded %q, want %q", s, tt.want)
		}
	}
	ts.rec.panic = true
	if mods := c.envelope("", to, "Content-Type: "+report); len(mods) == 0 {
		t.Error("no tags on a message that could not be recorded")
	}
	if n := testutil.ToFloat64(ts.metrics.errors.WithLabelValues(stageRecord)); n != 1 {
		t.Errorf("%v errors counted", n)
	}
}

// If no records are wanted, the recorder is not called.
func TestNoRecord(t *testing.T) {
	ts := start(t, nil)
	goodMessage(t, ts)
	if ts.rec.calls > 0 {
		t.Errorf("%d calls of the recorder", ts.rec.calls)
	}
}

// Many long recipients are kept up to a bound, the first ones.
func TestRecipientsBound(t *testing.T) {
	ts := start(t, func(c *Config) { c.Events = true })
	c := newClient(t, ts.dial(t), offerAll)
	defer c.conn.Close()
	c.expect('c', connectFrame("192.0.2.1"))
	for _, length := range []int{10, 300, 60_000} {
		var to []string
		for i := range 200 {
			to = append(to, fmt.Sprintf("%d%s@example.org", i, strings.Repeat("a", length)))
		}
		c.envelope("", to, "Content-Type: "+report)
		r := ts.rec.take()[0]
		if len(r.EnvelopeTo) > maxRecipients || len(strings.Join(r.EnvelopeTo, "")) > maxRcptOctets || len(r.EnvelopeTo) == 0 != (length > maxRcptOctets) {
			t.Errorf("of addresses of %d octets %d were kept", length, len(r.EnvelopeTo))
		}
		for i := range r.EnvelopeTo {
			if r.EnvelopeTo[i] != to[i] {
				t.Fatalf("recipient %d is %q", i, r.EnvelopeTo[i])
			}
		}
	}
}
