package milter

import (
	"context"
	"fmt"
	"net"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/bounce-milter/bounce-milter/classify/origin"
	gomilter "github.com/emersion/go-milter"
	"github.com/prometheus/client_golang/prometheus/testutil"
)

// ticketKeys are the keys of these tests: the first signs.
const ticketKeys = "new MDEyMzQ1Njc4OTAxMjM0NTY3ODkwMTIzNDU2Nzg5MDE=\nold YWJjZGVmZ2hpamtsbW5vcHFyc3R1dnd4eXphYmNkZWY=\n"

// withTickets puts tickets on mail of example.org from 192.0.2.0/24.
func withTickets(c *Config) {
	c.Origin.Domains = []string{"example.org"}
	c.Origin.Networks = []netip.Prefix{netip.MustParsePrefix("192.0.2.0/24")}
	c.Origin.Ticket = true
	c.Origin.KeyFile = filepath.Join(filepath.Dir(c.Listen[0].Address), "keys")
	if c.Listen[0].Network != "unix" { // of a transcript over TCP
		dir, err := os.MkdirTemp("", "keys")
		if err != nil {
			panic(err)
		}
		c.Origin.KeyFile = filepath.Join(dir, "keys")
	}
	if err := os.WriteFile(c.Origin.KeyFile, []byte(ticketKeys), 0o600); err != nil {
		panic(err)
	}
}

// ticketJudge says what a ticket proves.
func ticketJudge(t *testing.T) (*origin.Keys, *origin.Judge) {
	t.Helper()
	keys, err := origin.ParseKeys([]byte(ticketKeys))
	if err != nil {
		t.Fatal(err)
	}
	j, err := origin.New(origin.Options{Domains: []string{"example.org"}, Keys: keys})
	if err != nil {
		t.Fatal(err)
	}
	return keys, j
}

// Connections of the kinds that MTAs report.
var (
	fromNetwork = []frames{{connectFrame("192.0.2.1")}}
	fromOutside = []frames{{connectFrame("198.51.100.7")}}
	fromUser    = []frames{{connectFrame("198.51.100.7")}, {frame('D', "M{auth_type}\x00PLAIN\x00{auth_authen}\x00ann\x00")}}
	fromNobody  = []frames{{connectFrame("198.51.100.7")}, {frame('D', "M{auth_type}\x00ANONYMOUS\x00{auth_authen}\x00anonymous\x00")}}
	byHand      = []frames{{frame('C', "localhost\x004\x00\x00127.0.0.1\x00")}}
	byLoopback  = []frames{{frame('C', "localhost\x004\xc8\xc6127.0.0.1\x00")}}
)

type frames [][]byte

// Mail of ours gets one ticket, which names its recipients; everything else is let go as
// soon as ever.
func TestTickets(t *testing.T) {
	keys, judge := ticketJudge(t)
	head := []string{"From: Ann <ann@example.org>", "Message-ID: <1@example.org>", "Subject: x", "", "Hello.\r\n"}
	mail := origin.Mail{Sender: "ann@example.org", From: "Ann <ann@example.org>", MessageID: "<1@example.org>", Recipients: []string{"user@example.net"}}
	carried := func(change func(*origin.Mail)) []string {
		m := mail
		if change != nil {
			change(&m)
		}
		return append([]string{"X-Bounce-Ticket: " + keys.Sign(&m, time.Now(), 0)}, head...)
	}
	many := func(n int) (list []string) {
		for i := range n {
			list = append(list, fmt.Sprintf("user%d@example.net", i))
		}
		return list
	}
	for _, tt := range []struct {
		name   string
		change func(*Config)
		from   []frames
		sender string // ann@example.org unless it is set
		null   bool
		args   string
		to     []string // user@example.net unless it is set
		lines  []string // head unless it is set
		want   string   // "" no ticket; "bound"; "unbound"
		tags   int      // other fields
	}{
		{name: "from a network of ours", from: fromNetwork, want: "bound"},
		{name: "from a user", from: fromUser, want: "bound"},
		{name: "handed in by a program", from: byHand, want: "bound"},
		{name: "of a domain in other letters", from: fromUser, sender: "Ann@EXAMPLE.org", want: "bound"},
		{name: "internationalised", from: fromUser, sender: "änn@example.org", args: "SMTPUTF8", to: []string{"jürgen@bücher.example"}, want: "bound",
			lines: []string{"From: Änn <änn@example.org>", "Message-ID: <ü@example.org>", "", "Grüße\r\n"}},
		{name: "with more arguments", from: fromUser, args: "BODY=8BITMIME", want: "bound"},
		{name: "several recipients", from: fromUser, to: many(20), want: "bound"},
		{name: "too many recipients", from: fromUser, to: many(21), want: "unbound"},
		{name: "far too many", from: fromUser, to: many(500), want: "unbound"},
		{name: "as many as may be configured", from: fromUser, to: many(200), change: func(c *Config) { c.Origin.MaxBound = 200 }, want: "bound"},
		{name: "folded fields", from: fromUser, want: "bound", lines: []string{"From: Ann\n\t(of Example)\n <ann@example.org>", "Message-ID:\n <1@example.org>", "", "x"}},
		{name: "names in other letters", from: fromUser, want: "bound", lines: []string{"FROM: ann@example.org", "message-id: <1@example.org>", "", "x"}},
		{name: "no Message-ID", from: fromUser, want: "bound", lines: []string{"From: ann@example.org", "", "x"}},
		{name: "no author", from: fromUser, want: "bound", lines: []string{"Message-ID: <1@example.org>", "", "x"}},
		{name: "an empty author", from: fromUser, want: "bound", lines: []string{"From: ", "Message-ID: <1@example.org>", "", "x"}},
		{name: "two of each", from: fromUser, want: "bound", lines: []string{"From: ann@example.org", "From: bob@example.org", "Message-ID: <1@example.org>",
			"Message-ID: <2@example.org>", "", "x"}},
		{name: "no header", from: fromUser, want: "bound", lines: []string{"", "x"}},
		{name: "no body", from: fromUser, want: "bound", lines: head[:4]},
		{name: "a large body", from: fromUser, want: "bound", lines: append(slices.Clone(head), slices.Repeat([]string{strings.Repeat("x", 60000)}, 10)...)},
		{name: "envelope alone decides", from: fromUser, change: func(c *Config) { c.LookAt, c.ForgedHeaders = LookAtEnvelope, ForgedKeep }, want: "bound"},
		{name: "forged headers stay", from: fromUser, change: func(c *Config) { c.ForgedHeaders = ForgedKeep }, want: "bound"},
		{name: "a trusted client", from: fromNetwork, change: trustClient, lines: append([]string{"X-Bounce-Type: hard"}, head...), want: "bound"},
		{name: "forged headers", from: fromUser, lines: append([]string{"X-Bounce-Type: hard"}, head...), want: "bound", tags: 1},
		{name: "a report of a user", from: fromUser, lines: append([]string{"Content-Type: multipart/report"}, head...), want: "bound", tags: 6},

		{name: "it has this ticket", from: fromUser, lines: carried(nil)},
		{name: "it has a ticket for more recipients", from: fromUser, lines: carried(func(m *origin.Mail) { m.Recipients = append(m.Recipients, "bob@example.net") })},
		{name: "it has a ticket for others", from: fromUser, lines: carried(func(m *origin.Mail) { m.Recipients = []string{"list@example.org"} }), want: "bound"},
		{name: "it has a ticket of another sender", from: fromUser, sender: "list-bounces@example.org", lines: carried(nil), want: "bound"},
		{name: "it has a ticket that names nobody", from: fromUser, lines: carried(func(m *origin.Mail) { m.More = true }), want: "bound"},
		{name: "it has somebody's ticket", from: fromUser, lines: append([]string{"X-Bounce-Ticket: v=1; k=x; t=1; m=AAAAAAAAAAA; r=; h=AAAAAAAAAAAAAAAAAAAAAA"}, head...), want: "bound"},
		{name: "it has many tickets", from: fromUser, lines: append(slices.Repeat([]string{"X-Bounce-Ticket: v=1"}, 900), head...), want: "bound"},

		{name: "from outside", from: fromOutside},
		{name: "from outside with a ticket", from: fromOutside, lines: carried(nil)},
		{name: "by SMTP on this host", from: byLoopback},
		{name: "logged in as nobody", from: fromNobody},
		{name: "of another domain", from: fromUser, sender: "ann@example.com"},
		{name: "of a subdomain", from: fromUser, sender: "ann@lists.example.org"},
		{name: "without a domain", from: fromUser, sender: "ann"},
		{name: "from nobody", from: fromUser, null: true},
		{name: "the MTA's own", from: byHand, null: true},
		{name: "observed", from: fromUser, change: func(c *Config) { c.Mode = ModeObserve }},
		{name: "tickets are off", from: fromUser, change: func(c *Config) { c.Origin.Ticket = false }},
	} {
		if tt.sender == "" && !tt.null {
			tt.sender = "ann@example.org"
		}
		if tt.to == nil {
			tt.to = []string{"user@example.net"}
		}
		if tt.lines == nil {
			tt.lines = head
		}
		for _, offer := range []gomilter.OptProtocol{offerAll, 0} {
			t.Run(fmt.Sprintf("%x/%s", offer, tt.name), func(t *testing.T) {
				ts := start(t, func(c *Config) {
					withTickets(c)
					if tt.change != nil {
						tt.change(c)
					}
				})
				c := newClient(t, ts.dial(t), offer)
				bound, unbound := 0, 0
				for range 2 { // and nothing is left over for the second
					mods := c.outgoing(tt.from, tt.sender, tt.args, tt.to, tt.lines)
					var tickets []string
					for _, m := range mods {
						if m.name == origin.TicketField && m.op == 'i' && m.index == 0 {
							tickets = append(tickets, m.value)
						}
					}
					if len(mods)-len(tickets) != tt.tags || len(tickets) > 1 || (len(tickets) == 1) != (tt.want != "") {
						t.Fatalf("changes %v", mods)
					}
					if tt.want == "" {
						continue
					}
					var returned strings.Builder
					returned.WriteString("X-Bounce-Ticket: " + tickets[0] + "\n")
					for _, l := range tt.lines[:slices.Index(tt.lines, "")] {
						returned.WriteString(l + "\n")
					}
					e := judge.Examine(context.Background(), &origin.Message{Header: []byte(returned.String()), To: []string{tt.sender}}, time.Now())
					for _, to := range tt.to {
						res := e.Of(origin.Recipient{Final: to})
						if res.Origin != origin.Ours || res.Bound != (tt.want == "bound") {
							t.Fatalf("of %s is said %+v", to, res)
						}
						if res.Bound && !strings.Contains(res.Why, "came back to its envelope sender") {
							t.Errorf("the sender is not in it: %s", res.Why)
						}
					}
					if res := e.Of(origin.Recipient{Final: "victim@example.net"}); res.Bound {
						t.Errorf("another recipient is bound: %+v", res)
					}
					if tt.want == "bound" {
						bound++
					} else {
						unbound++
					}
				}
				for label, want := range map[string]int{boundYes: bound, boundNo: unbound} {
					if got := testutil.ToFloat64(ts.metrics.tickets.WithLabelValues(label)); got != float64(want) {
						t.Errorf("%v tickets are counted with bound=%s, want %d", got, label, want)
					}
				}
				c.send(frame('Q', ""))
				ts.quiet(t)
			})
		}
	}
}

// A ticket is made as soon as the body is skipped. That of a message that is given up then
// is neither counted nor put on the next.
func TestTicketOfAMessageGivenUp(t *testing.T) {
	keys, _ := ticketJudge(t)
	ts := start(t, withTickets)
	c := newClient(t, ts.dial(t), offerAll)
	head := func(user string) []byte { return headerFrame("From", user+"@example.org") }
	c.send(fromNetwork[0]...)
	c.send(mailFrame("ann@example.org"), rcptFrame("first@example.net"), head("ann"), frame('N', ""), frame('B', "Hello.\r\n"))
	if code, _ := c.read(); code != 's' {
		t.Fatalf("the body is answered with %q, want it to be skipped", code)
	}
	c.send(frame('A', ""))
	c.send(mailFrame("bob@example.org"), rcptFrame("second@example.net"), head("bob"), frame('N', ""))
	mods := c.end(frame('E', ""))
	bob := origin.Mail{Sender: "bob@example.org", From: "bob@example.org", Recipients: []string{"second@example.net"}}
	if len(mods) != 1 || mods[0].name != origin.TicketField || !keys.Covers(mods[0].value, &bob, time.Now(), 0) {
		t.Errorf("the second message gets %v", mods)
	}
	c.send(frame('Q', ""))
	ts.quiet(t)
	if got := testutil.ToFloat64(ts.metrics.tickets.WithLabelValues(boundYes)); got != 1 {
		t.Errorf("%v tickets are counted, want 1", got)
	}
}

// outgoing sends a message of a client, which it reports first.
func (c *wireClient) outgoing(from []frames, sender, args string, to, lines []string) []mod {
	c.t.Helper()
	c.expect('c', from[0][0])
	for _, f := range from[1:] {
		c.send(f...)
	}
	mail := mailFrame(sender)
	if args != "" {
		mail = mailFrame(sender, args)
	}
	c.send(mail)
	if c.answered('M') {
		if code, _ := c.read(); code == 'a' {
			return nil
		}
	}
	for _, r := range to {
		if c.protocol&gomilter.OptNoRcptTo == 0 {
			c.expect('c', rcptFrame(r))
		}
	}
	return c.content(lines)
}

// Only a bounce of Postfix's own, with the lines of our recipe, is known to be local: what
// a user hands in with sendmail(1), or sends by SMTP, is not, whatever he writes.
func TestLocalBounce(t *testing.T) {
	named := frame('D', "Cj\x00mx.example.net\x00{daemon_name}\x00own-bounces\x00v\x00Postfix 3.7.11\x00")
	usual := frame('D', "Cj\x00mx.example.net\x00{daemon_name}\x00mx.example.net\x00v\x00Postfix 3.7.11\x00")
	for _, tt := range []struct {
		name   string
		macros []byte
		client []byte
		from   string
		want   bool
	}{
		{"its own bounce", named, byHand[0][0], "", true},
		{"by sendmail(1)", usual, byHand[0][0], "", false},
		{"by sendmail(1), no macros", nil, byHand[0][0], "", false},
		{"by SMTP from this host", named, byLoopback[0][0], "", false},
		{"from outside", named, fromOutside[0][0], "", false},
		{"a client without an address", named, frame('C', "localhost\x00U"), "", false},
		{"to the postmaster", named, byHand[0][0], "double-bounce@mx.example.net", false},
	} {
		s := &session{srv: start(t, nil).Server}
		s.conn = newConn(new(net.TCPConn), s, &s.srv.limits, &s.srv.draining, nil)
		if tt.macros != nil {
			s.macros('C', tt.macros[6:])
		}
		host, client, err := parseConnect(tt.client[5:])
		if err != nil {
			t.Fatal(err)
		}
		s.connected(host, client)
		s.begin(tt.from, false)
		if got := s.localBounce(); got != tt.want {
			t.Errorf("%s: %v, want %v", tt.name, got, tt.want)
		}
		s.endMessage()
	}
}
