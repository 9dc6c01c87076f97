package milter

import (
	"bytes"
	"cmp"
	"context"
	"crypto/ed25519"
	"encoding/base64"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/bounce-milter/bounce-milter/classify"
	"github.com/bounce-milter/bounce-milter/classify/origin"
	"github.com/bounce-milter/bounce-milter/internal/action"
	"github.com/bounce-milter/bounce-milter/internal/event"
	"github.com/bounce-milter/bounce-milter/internal/lab"
	"github.com/bounce-milter/bounce-milter/internal/proof"
	gomilter "github.com/emersion/go-milter"
	"github.com/emersion/go-msgauth/dkim"
	"github.com/prometheus/client_golang/prometheus/testutil"
)

// keyFile writes a file with a new key, and returns its path.
func keyFile(t testing.TB) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "ticket.keys")
	if err := os.WriteFile(path, []byte(origin.GenerateKey(time.Now())+"\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

// A key file that breaks leaves the old keys and the old configuration in force; one that
// is mended is read again.
func TestReloadKeys(t *testing.T) {
	path := keyFile(t)
	ts := start(t, func(c *Config) { c.Origin.Domains, c.Origin.KeyFile = []string{"example.org"}, path })
	before := ts.state.Load()
	good, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	for _, bad := range []string{"", "a short\n", string(good) + "what is this\n"} {
		if err := os.WriteFile(path, []byte(bad), 0o600); err != nil {
			t.Fatal(err)
		}
		cfg := before.cfg
		cfg.HeaderPrefix = "X-Other-"
		if err := ts.Reload(cfg, ts.rules()); err == nil || !strings.Contains(err.Error(), "origin.key_file: the key file "+path) {
			t.Errorf("%q: %v", bad, err)
		}
		if ts.state.Load() != before {
			t.Errorf("%q: another state is in force", bad)
		}
	}
	more := string(good) + origin.GenerateKey(time.Now()) + "\n"
	if err := os.WriteFile(path, []byte(more), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := ts.Reload(before.cfg, ts.rules()); err != nil {
		t.Fatal(err)
	}
	if ids := ts.state.Load().origin.Keys.IDs(); len(ids) != 2 {
		t.Errorf("keys %q", ids)
	}
}

// sourceEngine is an engine that hands out returned messages as they came.
var sourceEngine = sync.OnceValues(func() (*classify.Engine, error) {
	return classify.New(classify.Options{ReturnedSource: true})
})

// originServer is a server that judges in earnest, and knows what is ours. change may be
// nil.
func originServer(t testing.TB, change func(*Config)) *testServer {
	t.Helper()
	engine, err := sourceEngine()
	if err != nil {
		t.Fatal(err)
	}
	ts := start(t, func(c *Config) {
		c.Events = true
		c.Origin.Domains, c.Origin.KeyFile = []string{"example.org"}, keyFile(t)
		c.Origin.MaxBound = 2
		if change != nil {
			change(c)
		}
	})
	ts.insp.res = func(raw []byte) classify.Result { return engine.Classify(context.Background(), raw) }
	return ts
}

// sentMail is a message of ours, with more fields at its top.
func sentMail(more ...string) string {
	return strings.Join(append(more, "Received: from app.example.org (app.example.org [192.0.2.7])", "\tby mail.example.org; Fri, 27 Nov 2026 21:59:58 +0000",
		"From: News <news@example.org>", "To: U <u@example.com>", "Subject: News", "Date: "+time.Now().Format(time.RFC1123Z),
		"Message-ID: <1234@mail.example.org>", "X-Mailer: news", ""), "\r\n")
}

// ticket returns the field that a message of ours gets.
func (ts *testServer) ticket(rcpts ...string) string {
	m := &origin.Mail{Sender: "bounces@example.org", From: "News <news@example.org>", MessageID: "<1234@mail.example.org>", Recipients: rcpts}
	return origin.TicketField + ": " + strings.ReplaceAll(ts.state.Load().origin.Keys.Sign(m, time.Now(), ts.state.Load().cfg.Origin.MaxBound), "\n", "\r\n")
}

// bounceOf returns the body of a bounce that returns a message and speaks of recipients,
// each as "final" or "final original".
func bounceOf(returned string, rcpts ...string) string {
	b := "--b\r\nContent-Type: text/plain\r\n\r\nYour message could not be delivered.\r\n" +
		"--b\r\nContent-Type: message/delivery-status\r\n\r\nReporting-MTA: dns; mx.example.com\r\n"
	for _, r := range rcpts {
		final, original, _ := strings.Cut(r, " ")
		b += "\r\n"
		if original != "" {
			b += "Original-Recipient: rfc822;" + original + "\r\n"
		}
		b += "Final-Recipient: rfc822;" + final + "\r\nAction: failed\r\nStatus: 5.1.1\r\n" +
			"Diagnostic-Code: smtp; 550 5.1.1 <" + final + ">: Recipient address rejected: User unknown\r\n"
	}
	return b + "--b\r\nContent-Type: message/rfc822\r\n\r\n" + returned + "\r\nHello\r\n--b--\r\n"
}

const bounceType = "Content-Type: multipart/report; report-type=delivery-status; boundary=b"

// bounced sends a bounce, and returns the changes by their names and the records.
func (ts *testServer) bounced(t testing.TB, c *wireClient, to, body string, fields ...string) (map[string][]string, []event.Record) {
	t.Helper()
	mods := c.report("", to, append(append(fields, "From: MAILER-DAEMON@mx.example.com", bounceType), "", body)...)
	values := map[string][]string{}
	for _, m := range mods {
		if m.op == 'i' {
			values[m.name] = append([]string{m.value}, values[m.name]...) // each went on top
		}
	}
	return values, ts.rec.take()
}

// report sends a whole message to one recipient.
func (c *wireClient) report(from, to string, lines ...string) []mod {
	c.t.Helper()
	c.send(mailFrame(from))
	if c.answered('M') {
		c.read()
	}
	c.expect('c', rcptFrame(to))
	for ; lines[0] != ""; lines = lines[1:] {
		name, value, _ := strings.Cut(lines[0], ": ")
		c.send(headerFrame(name, value))
	}
	c.send(frame('N', ""))
	if c.protocol&gomilter.OptNoEOHReply == 0 {
		c.read()
	}
	c.send(frame('B', lines[1]))
	return c.end(frame('E', ""))
}

// originClient is a client that may send bounces.
func (ts *testServer) originClient(t testing.TB) *wireClient {
	t.Helper()
	c := newClient(t, ts.dial(t), offerAll|gomilter.OptNoBodyReply)
	c.expect('c', connectFrame("192.0.2.1"))
	return c
}

// What is said of each recipient stands in header, record and metric, and an action that
// removes addresses is for nobody but those to whom the message is proved to have gone.
func TestOrigin(t *testing.T) {
	ts := originServer(t, func(c *Config) {
		c.VERP = []string{"b-{mac}+{local}={domain}@example.org", "t-{mac}-{token}@example.org"}
		c.Actions = []action.Options{
			{Name: "strike", Match: action.Match{Type: []string{"hard"}, Origin: []string{"ours"}, Bound: true}, Header: []action.Field{{Name: "X-Strike", Value: "yes"}}},
			{Name: "any", AnyRecipient: true, Match: action.Match{Origin: []string{"ours"}, Recipient: []string{"any@*"}}, Header: []action.Field{{Name: "X-Any", Value: "yes"}}},
		}
	})
	keys := ts.state.Load().origin.Keys
	verpOf := func(address string) string { return strings.Replace(address, "{mac}", keys.VERP(address), 1) }
	ticket := ts.ticket("u@example.com", "List@example.net")
	backscatter := strings.NewReplacer("example.org", "spam.example").Replace(sentMail())
	for name, tt := range map[string]struct {
		to       string // where the bounce comes to
		returned string
		rcpts    []string // of whom it speaks
		message  string   // X-Bounce-Origin
		results  []string // what each X-Bounce-Result ends in
		strikes  bool
	}{
		"ours, bound": {"bounces@example.org", sentMail(ticket), []string{"u@example.com"}, "ours",
			[]string{"origin=ours; proof=ticket; bound=yes;\n\twent-to=u@example.com"}, true},
		"one of several, in other letters": {"bounces@example.org", sentMail(ticket), []string{"list@Example.NET"}, "ours",
			[]string{"origin=ours; proof=ticket; bound=yes;\n\twent-to=list@Example.NET"}, true},
		"replayed for another recipient": {"bounces@example.org", sentMail(ticket), []string{"victim@example.com"}, "unproven",
			[]string{"origin=unproven"}, false},
		"replayed with the victim as the final recipient": {"bounces@example.org", sentMail(ticket), []string{"victim@example.com u@example.com"}, "ours",
			[]string{"origin=ours; proof=ticket; bound=no;\n\twent-to=u@example.com"}, false},
		"replayed with the victim as the original recipient": {"bounces@example.org", sentMail(ticket), []string{"u@example.com victim@example.com"}, "ours",
			[]string{"origin=ours; proof=ticket; bound=no;\n\twent-to=u@example.com"}, false},
		"replayed with a victim beside him": {"bounces@example.org", sentMail(ticket), []string{"u@example.com", "victim@example.com"}, "ours",
			[]string{"origin=ours; proof=ticket; bound=yes;\n\twent-to=u@example.com", "origin=unproven"}, false},
		"replayed, the victim first": {"bounces@example.org", sentMail(ticket), []string{"victim@example.com", "u@example.com"}, "unproven",
			[]string{"origin=unproven", "origin=ours; proof=ticket; bound=yes;\n\twent-to=u@example.com"}, false},
		"an alias": {"bounces@example.org", sentMail(ticket), []string{"mailbox@inner.example.net list@example.net"}, "ours",
			[]string{"origin=ours; proof=ticket; bound=no;\n\twent-to=list@example.net"}, false},
		"to more than max_bound": {"bounces@example.org", sentMail(ts.ticket("a@example.com", "b@example.com", "u@example.com")), []string{"victim@example.com"}, "ours",
			[]string{"origin=ours; proof=ticket; bound=no"}, false},
		"two tickets, the second ours": {"bounces@example.org", sentMail("X-Bounce-Ticket: v=1; k=other; t=1; m=AAAAAAAAAAA; r=; h=AAAAAAAAAAAAAAAAAAAAAA", ticket), []string{"u@example.com"}, "ours",
			[]string{"origin=ours; proof=ticket; bound=yes;\n\twent-to=u@example.com"}, true},
		"a forged ticket": {"bounces@example.org", sentMail(strings.Replace(ticket, "h=", "h=A", 1)), []string{"u@example.com"}, "unproven",
			[]string{"origin=unproven"}, false},
		"another message's ticket": {"bounces@example.org", strings.Replace(sentMail(ticket), "<1234@", "<1235@", 1), []string{"u@example.com"}, "unproven",
			[]string{"origin=unproven"}, false},
		"backscatter": {"news@example.org", backscatter, []string{"u@example.com"}, "foreign", []string{"origin=foreign"}, false},
		"VERP with a MAC": {verpOf("b-{mac}+u=example.com@example.org"), "Subject: cut\r\n", []string{"u@example.com"}, "ours",
			[]string{"verp=u@example.com;\n\torigin=ours; proof=verp; bound=yes;\n\twent-to=u@example.com"}, true},
		"VERP with a MAC, and a victim": {verpOf("b-{mac}+u=example.com@example.org"), "Subject: cut\r\n", []string{"victim@example.com"}, "ours",
			[]string{"verp=u@example.com;\n\torigin=ours; proof=verp; bound=no;\n\twent-to=u@example.com"}, false},
		"VERP with another's MAC": {strings.Replace(verpOf("b-{mac}+u=example.com@example.org"), "u=", "v=", 1), "Subject: cut\r\n", []string{"v@example.com"}, "unproven",
			[]string{"verp=v@example.com;\n\torigin=unproven"}, false},
		"VERP with a token alone": {verpOf("t-{mac}-77@example.org"), "Subject: cut\r\n", []string{"victim@example.com"}, "ours",
			[]string{"origin=ours; proof=verp; bound=no"}, false},
	} {
		t.Run(name, func(t *testing.T) {
			c := ts.originClient(t)
			defer c.conn.Close()
			count := ts.metrics.origins.WithLabelValues(tt.message)
			before := testutil.ToFloat64(count)
			got, records := ts.bounced(t, c, tt.to, bounceOf(tt.returned, tt.rcpts...))
			if o := got["X-Bounce-Origin"]; !slices.Equal(o, []string{tt.message}) {
				t.Errorf("X-Bounce-Origin %q, want %q", o, tt.message)
			}
			results := got["X-Bounce-Result"]
			if len(results) != len(tt.results) || len(records) != len(tt.results) {
				t.Fatalf("%d results, %d records, want %d: %q", len(results), len(records), len(tt.results), results)
			}
			for i, want := range tt.results {
				if !strings.HasSuffix(results[i], ";\n\t"+want) {
					t.Errorf("result %d: %q, want %q", i, results[i], want)
				}
				line, err := records[i].JSON()
				if err != nil {
					t.Fatal(err)
				}
				if err := lab.CheckEvent(line); err != nil {
					t.Error(err)
				}
				// The record says the same.
				r := records[i].Whose
				said := "origin=" + r.Origin
				if r.Proof != "" {
					said += "; proof=" + r.Proof + "; bound=" + map[bool]string{true: "yes", false: "no"}[r.Bound]
				}
				if r.WentTo != "" {
					said += ";\n\twent-to=" + r.WentTo
				}
				if !strings.HasSuffix(want, said) {
					t.Errorf("record %d: %q, want %q", i, said, want)
				}
			}
			if strikes := len(got["X-Strike"]) > 0; strikes != tt.strikes {
				t.Errorf("struck: %v", strikes)
			}
			if n := testutil.ToFloat64(count) - before; n != 1 {
				t.Errorf("counted %v times", n)
			}
		})
	}

	// An action for any recipient goes by the origin of that one.
	for rcpts, want := range map[string]bool{"u@example.com any@example.com": false, "any@example.com u@example.com": false} {
		c := ts.originClient(t)
		got, _ := ts.bounced(t, c, "bounces@example.org", bounceOf(sentMail(ticket), strings.Fields(rcpts)...))
		if took := len(got["X-Any"]) > 0; took != want {
			t.Errorf("%s: taken %v", rcpts, took)
		}
		c.conn.Close()
	}
	if ts.log.String() != "" {
		t.Errorf("log: %s", ts.log)
	}
}

// A ticket counts only in the message that the report returns, and not in the bounce or in
// a message beside it.
func TestOriginOfOtherParts(t *testing.T) {
	ts := originServer(t, nil)
	ticket := ts.ticket("u@example.com")
	inner := sentMail(ticket) + "\r\nHello\r\n"
	bare := sentMail()
	attached := strings.Replace(bounceOf(strings.Replace(bare, "\r\nX-Mailer: news\r\n", "\r\nContent-Type: multipart/mixed; boundary=i\r\n", 1)+
		"\r\n--i\r\nContent-Type: message/rfc822\r\n\r\n"+inner+"\r\n--i--\r\n", "u@example.com"), "\r\nHello\r\n--b--", "\r\n--b--", 1)
	second := strings.Replace(bounceOf(bare, "u@example.com"), "--b--\r\n", "--b\r\nContent-Type: message/rfc822\r\n\r\n"+inner+"\r\n--b--\r\n", 1)
	for name, tt := range map[string]struct {
		body   string
		fields []string
	}{
		"within the returned message": {attached, nil},
		"beside it":                   {second, nil},
		"in the bounce itself":        {bounceOf(bare, "u@example.com"), []string{ticket, "Message-ID: <1234@mail.example.org>"}},
		"in its text":                 {strings.Replace(bounceOf(bare, "u@example.com"), "could not be delivered.\r\n", "could not be delivered.\r\n\r\n"+inner, 1), nil},
	} {
		t.Run(name, func(t *testing.T) {
			c := ts.originClient(t)
			defer c.conn.Close()
			got, records := ts.bounced(t, c, "bounces@example.org", tt.body, tt.fields...)
			if o := got["X-Bounce-Origin"]; !slices.Equal(o, []string{"unproven"}) || len(records) != 1 || records[0].Origin != "unproven" || records[0].Bound {
				t.Errorf("%q, %+v", o, records)
			}
		})
	}
}

// An X-Bounce-Origin from outside is removed, from bounces and other mail, whether or not
// anybody asks for origins.
func TestForgedOrigin(t *testing.T) {
	for name, ts := range map[string]*testServer{"on": originServer(t, nil), "off": originServer(t, func(c *Config) { c.Origin = proof.DefaultOptions() })} {
		c := ts.originClient(t)
		mods := c.report("", "news@example.org", "x-bounce-origin: ours", bounceType, "", bounceOf(sentMail(), "u@example.com"))
		removed, ours := 0, 0
		for _, m := range mods {
			switch {
			case m.op == 'm' && m.name == "X-Bounce-Origin" && m.index == 1 && m.value == "":
				removed++
			case m.op == 'i' && m.name == "X-Bounce-Origin":
				ours++
				if m.value != "unproven" {
					t.Errorf("%s: %q", name, m.value)
				}
			}
		}
		if want := map[string]int{"on": 1}[name]; removed != 1 || ours != want {
			t.Errorf("%s: %d removed, %d inserted: %v", name, removed, ours, mods)
		}
		mods = c.report("jo@example.com", "news@example.org", "Subject: hello", "X-Bounce-Origin: ours", "", "hello")
		if len(mods) != 1 || mods[0].op != 'm' || mods[0].name != "X-Bounce-Origin" {
			t.Errorf("%s, ordinary mail: %v", name, mods)
		}
		c.conn.Close()
	}
}

// Complaints and reports that name nobody say whose the mail is too; what returns no mail
// does not.
func TestOriginOfOtherKinds(t *testing.T) {
	ts := originServer(t, nil)
	complaint := "--b\r\nContent-Type: text/plain\r\n\r\nThis is an abuse report.\r\n--b\r\nContent-Type: message/feedback-report\r\n\r\n" +
		"Feedback-Type: abuse\r\nUser-Agent: FBL/1.0\r\nVersion: 1\r\nOriginal-Rcpt-To: u@example.com\r\n" +
		"--b\r\nContent-Type: message/rfc822\r\n\r\n" + sentMail(ts.ticket("u@example.com")) + "\r\nHello\r\n--b--\r\n"
	const feedback = "Content-Type: multipart/report; report-type=feedback-report; boundary=b"
	nobody := strings.Replace(bounceOf(sentMail(ts.ticket("u@example.com")), "u@example.com"), "Final-Recipient: rfc822;u@example.com", "Final-Recipient: unknown", 1)
	for name, tt := range map[string]struct {
		lines []string
		want  string // "" for none
	}{
		"complaint":         {[]string{feedback, "", complaint}, "ours"},
		"replayed":          {[]string{feedback, "", strings.Replace(complaint, "Rcpt-To: u@", "Rcpt-To: victim@", 1)}, "unproven"},
		"replayed with two": {[]string{feedback, "", strings.Replace(complaint, "Version: 1\r\n", "Version: 1\r\nOriginal-Rcpt-To: victim@example.com\r\n", 1)}, "unproven"},
		"about nobody":      {[]string{bounceType, "", strings.ReplaceAll(nobody, "<u@example.com>: ", "")}, "unproven"},
		"automatic reply":   {[]string{"Subject: Out of office", "Auto-Submitted: auto-replied", "", "I am away.\r\n"}, ""},
		"ordinary mail":     {[]string{"Subject: hello", "", "hello\r\n"}, ""},
	} {
		t.Run(name, func(t *testing.T) {
			c := ts.originClient(t)
			defer c.conn.Close()
			got := ""
			for _, m := range c.report("", "news@example.org", tt.lines...) {
				if m.name == "X-Bounce-Origin" {
					got = m.value
				}
			}
			records := ts.rec.take()
			if got != tt.want {
				t.Errorf("X-Bounce-Origin %q, want %q: %+v", got, tt.want, records)
			}
			for _, r := range records {
				if tt.want == "" && r.Origin != "" {
					t.Errorf("record: %+v", r)
				}
			}
		})
	}
}

// dnsFunc is a resolver.
type dnsFunc func(ctx context.Context, name string) ([]string, error)

func (f dnsFunc) LookupTXT(ctx context.Context, name string) ([]string, error) { return f(ctx, name) }

// A signature of ours is a proof, whose key may come from DNS. A DNS server that does not
// answer, or answers rubbish, keeps no message: it passes unproven, also when all places
// to wait are taken.
func TestOriginFromDNS(t *testing.T) {
	public, private, err := ed25519.GenerateKey(nil)
	if err != nil {
		t.Fatal(err)
	}
	var signed bytes.Buffer
	if err := dkim.Sign(&signed, strings.NewReader(sentMail()+"\r\nHello\r\n"), &dkim.SignOptions{Domain: "example.org", Selector: "s1", Signer: private,
		HeaderKeys: []string{"From", "To", "Subject", "Date", "Message-ID"}}); err != nil {
		t.Fatal(err)
	}
	header, _, _ := strings.Cut(signed.String(), "\r\n\r\n")
	record := "v=DKIM1; k=ed25519; p=" + base64.StdEncoding.EncodeToString(public)
	for name, tt := range map[string]struct {
		dns  dnsFunc
		full bool // all places to wait are taken
		want string
	}{
		"answers": {func(context.Context, string) ([]string, error) { return []string{record}, nil }, false, "ours"},
		"rubbish": {func(context.Context, string) ([]string, error) {
			return []string{"v=DKIM1; p=\x00\xff", strings.Repeat("p=", 1<<20)}, nil
		}, false, "unproven"},
		"never":          {func(ctx context.Context, _ string) ([]string, error) { select {} }, false, "unproven"},
		"too many wait":  {func(context.Context, string) ([]string, error) { return []string{record}, nil }, true, "unproven"},
		"panics in here": {nil, false, "unproven"},
	} {
		t.Run(name, func(t *testing.T) {
			ts := originServer(t, func(c *Config) {
				c.Origin.DKIM = []proof.DKIM{{Domain: "example.org", DNS: true}}
				c.Origin.Resolver = tt.dns
			})
			if tt.dns == nil {
				ts.state.Load().origin.Judge = nil
			}
			for range maxWaiting {
				if tt.full {
					ts.waiting <- struct{}{}
				}
			}
			c := ts.originClient(t)
			defer c.conn.Close()
			for _, victim := range []string{"", "victim@example.com"} {
				rcpt := cmp.Or(victim, "u@example.com")
				got, records := ts.bounced(t, c, "bounces@example.org", bounceOf(header+"\r\n", rcpt))
				if o := got["X-Bounce-Origin"]; !slices.Equal(o, []string{tt.want}) || len(records) != 1 {
					t.Fatalf("%q, want %q: %+v", o, tt.want, records)
				}
				// The signed To names u alone: of anybody else the message is ours, and not bound.
				if r := records[0]; tt.want == "ours" && (r.Proof != "dkim" || r.Bound != (victim == "")) {
					t.Errorf("%s: %+v", rcpt, r.Whose)
				}
			}
			// A ticket needs no DNS.
			got, _ := ts.bounced(t, c, "bounces@example.org", bounceOf(ts.ticket("u@example.com")+"\r\n"+header+"\r\n", "u@example.com"))
			if o := got["X-Bounce-Origin"]; tt.dns != nil && !slices.Equal(o, []string{"ours"}) {
				t.Errorf("with a ticket: %q", o)
			}
			if n := len(ts.waiting); tt.full == (n == 0) {
				t.Errorf("%d places are taken", n)
			}
			if n := ts.errors(stageInspect); (n > 0) != (tt.dns == nil) {
				t.Errorf("%v errors: %s", n, ts.log)
			}
		})
	}
}
