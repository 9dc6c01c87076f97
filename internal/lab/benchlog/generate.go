package main

import (
	"bufio"
	"fmt"
	"io"
	"math/rand/v2"
	"time"
)

// generator writes a log of Postfix as a busy server would: two weeks of mail, of which a
// share of the deliveries fails.
type generator struct {
	w     *bufio.Writer
	rnd   *rand.Rand
	now   time.Time
	step  time.Duration // between two messages
	share float64       // of deliveries that fail
	id    int
	retry []waiting // deferred messages, in the order of their next attempt
}

// waiting is a deferred message.
type waiting struct {
	at    time.Time
	since time.Time
	id    string
	to    string
	kind  int
	tries int
}

// receivers are where the mail goes.
var receivers = []struct {
	domain, host, ip string
	weight           int
}{
	{"gmail.com", "gmail-smtp-in.l.google.com", "192.0.2.26", 40},
	{"outlook.com", "outlook-com.olc.protection.outlook.com", "192.0.2.52", 20},
	{"yahoo.com", "mta7.am0.yahoodns.net", "192.0.2.77", 12},
	{"gmx.de", "mx01.emig.gmx.net", "192.0.2.88", 6},
	{"example.com", "mx.example.com", "198.51.100.25", 12},
	{"example.net", "mail.example.net", "198.51.100.26", 6},
	{"example.edu", "smtp.example.edu", "203.0.113.25", 4},
}

// failures are what receivers say. %[1]s is the recipient, %[2]s the host with its address,
// %[3]s an id.
var failures = []struct {
	status, dsn string
	relay       bool
	words       string
	weight      int
}{
	{"bounced", "5.1.1", true, "host %[2]s said: 550 5.1.1 <%[1]s>: Recipient address rejected: User unknown in virtual mailbox table (in reply to RCPT TO command)", 25},
	{"bounced", "5.1.1", true, "host %[2]s said: 550-5.1.1 The email account that you tried to reach does not exist. Please try 550-5.1.1 double-checking the recipient's email address for typos or 550-5.1.1 unnecessary spaces. 550 5.1.1 https://support.example/mail/?p=NoSuchUser %[3]s - gsmtp (in reply to RCPT TO command)", 12},
	{"bounced", "5.7.1", true, "host %[2]s said: 550 5.7.1 Unfortunately, messages from [198.51.100.7] weren't sent. Please contact your Internet service provider since part of their network is on our block list (S3140). (in reply to MAIL FROM command)", 6},
	{"bounced", "5.2.2", true, "host %[2]s said: 552-5.2.2 The recipient's inbox is out of storage space. Please direct the recipient 552 5.2.2 to make room. %[3]s - gsmtp (in reply to RCPT TO command)", 6},
	{"deferred", "4.2.0", true, "host %[2]s said: 450 4.2.0 <%[1]s>: Recipient address rejected: Greylisted, see http://postgrey.example/help/%[3]s.html (in reply to RCPT TO command)", 20},
	{"deferred", "4.7.28", true, "host %[2]s said: 421-4.7.28 Gmail has detected an unusual rate of mail originating from your IP address 421-4.7.28 [198.51.100.7]. To protect our users, mail has been temporarily rate limited 421 4.7.28 %[3]s - gsmtp (in reply to end of DATA command)", 10},
	{"deferred", "4.4.1", false, "connect to %[2]s:25: Connection timed out", 12},
	{"deferred", "4.4.3", false, "Host or domain name not found. Name service error for name=example.edu type=MX: Host not found, try again", 4},
	{"deferred", "4.4.2", true, "lost connection with %[2]s while receiving the initial server greeting", 5},
}

// generate writes lines until there are so many octets, and returns how many there are.
func generate(out io.Writer, octets int64, share float64) (int64, error) {
	counted := &counter{w: out}
	// A message is about 850 octets in six lines; the log is to span two weeks.
	step := time.Duration(float64(14*24*time.Hour) / (float64(octets) / 1000))
	g := &generator{w: bufio.NewWriterSize(counted, 1<<20), rnd: rand.New(rand.NewPCG(1, 2)),
		now: time.Date(2026, 11, 13, 0, 0, 0, 0, time.Local), step: step, share: share}
	for counted.n < octets {
		g.message()
	}
	return counted.n, g.w.Flush()
}

type counter struct {
	w io.Writer
	n int64
}

func (c *counter) Write(b []byte) (int, error) {
	n, err := c.w.Write(b)
	c.n += int64(n)
	return n, err
}

// line writes a line of one of Postfix's programs.
func (g *generator) line(program, format string, a ...any) {
	g.w.WriteString(g.now.Format(time.Stamp))
	fmt.Fprintf(g.w, " mx1 postfix/%s[%d]: ", program, 1000+g.rnd.IntN(9000))
	fmt.Fprintf(g.w, format, a...)
	g.w.WriteByte('\n')
}

// message writes what Postfix says about a message, and about those whose next attempt
// is due.
func (g *generator) message() {
	g.now = g.now.Add(g.step)
	for len(g.retry) > 0 && g.retry[0].at.Before(g.now) {
		w := g.retry[0]
		g.retry = g.retry[1:]
		g.attempt(w, g.rnd.Float64() < 0.3)
	}
	g.id++
	w := waiting{since: g.now, id: fmt.Sprintf("4c%07XzQ%d", g.id, g.id%10), kind: -1}
	r := receivers[g.pick(len(receivers), func(i int) int { return receivers[i].weight })]
	w.to = fmt.Sprintf("user%d@%s", g.rnd.IntN(50_000), r.domain)
	client := fmt.Sprintf("app%d.example.org[198.51.100.%d]", g.rnd.IntN(4), 2+g.rnd.IntN(4))
	g.line("submission/smtpd", "connect from %s", client)
	g.line("submission/smtpd", "%s: client=%s, sasl_method=PLAIN, sasl_username=news@example.org", w.id, client)
	g.line("cleanup", "%s: message-id=<%016x.%d@app.example.org>", w.id, g.rnd.Uint64(), g.id)
	g.line("qmgr", "%s: from=<bounces+%d@example.org>, size=%d, nrcpt=1 (queue active)", w.id, g.id, 2000+g.rnd.IntN(60_000))
	g.line("submission/smtpd", "disconnect from %s ehlo=2 starttls=1 auth=1 mail=1 rcpt=1 data=1 quit=1 commands=8", client)
	g.attempt(w, g.rnd.Float64() < g.share)
	if g.rnd.IntN(50) == 0 {
		g.line("smtpd", "NOQUEUE: reject: RCPT from unknown[203.0.113.%d]: 554 5.7.1 <x%d@example.net>: Relay access denied; from=<a@example.net> to=<x%[2]d@example.net> proto=ESMTP helo=<x>", g.rnd.IntN(250), g.id)
	}
	if g.rnd.IntN(30) == 0 {
		g.line("anvil", "statistics: max connection rate %d/60s for (submission:198.51.100.2) at %s", g.rnd.IntN(60), g.now.Format(time.Stamp))
	}
}

// attempt writes what Postfix says about one attempt.
func (g *generator) attempt(w waiting, fails bool) {
	r := receivers[0]
	for _, r = range receivers {
		if len(w.to) > len(r.domain) && w.to[len(w.to)-len(r.domain):] == r.domain {
			break
		}
	}
	host := r.host + "[" + r.ip + "]"
	delay := g.now.Sub(w.since).Seconds() + g.rnd.Float64()*3
	head := fmt.Sprintf("%s: to=<%s>, relay=%s:25, delay=%.1f, delays=%.2g/0.01/0.4/1.1", w.id, w.to, host, delay, max(0, delay-1.5))
	if !fails {
		g.line("smtp", "Untrusted TLS connection established to %s:25: TLSv1.3 with cipher TLS_AES_256_GCM_SHA384 (256/256 bits)", host)
		g.line("smtp", "%s, dsn=2.0.0, status=sent (250 2.0.0 OK  %d %x.%d - gsmtp)", head, g.now.Unix(), g.rnd.Uint64(), g.id%1000)
		g.line("qmgr", "%s: removed", w.id)
		return
	}
	if w.kind < 0 {
		w.kind = g.pick(len(failures), func(i int) int { return failures[i].weight })
	}
	f := failures[w.kind]
	if !f.relay {
		head = fmt.Sprintf("%s: to=<%s>, relay=none, delay=%.1f, delays=%.2g/0.01/30/0", w.id, w.to, delay, max(0, delay-30))
	}
	words := fmt.Sprintf(f.words+"%.0[1]s%.0[2]s%.0[3]s", w.to, host, fmt.Sprintf("%x-%xsi%d", g.rnd.Uint32(), g.rnd.Uint64(), g.id))
	if w.tries++; f.status == "deferred" && w.tries > 8 {
		g.line("qmgr", "%s: from=<bounces@example.org>, status=expired, returned to sender", w.id)
		g.line("qmgr", "%s: removed", w.id)
		return
	}
	g.line("smtp", "%s, dsn=%s, status=%s (%s)", head, f.dsn, f.status, words)
	if f.status == "bounced" {
		g.line("bounce", "%s: sender non-delivery notification: 4d%07X", w.id, g.id)
		g.line("qmgr", "%s: removed", w.id)
		return
	}
	w.at = g.now.Add(time.Hour)
	g.retry = append(g.retry, w)
}

// pick returns one of n by its weight.
func (g *generator) pick(n int, weight func(int) int) int {
	sum := 0
	for i := range n {
		sum += weight(i)
	}
	at := g.rnd.IntN(sum)
	for i := range n {
		if at -= weight(i); at < 0 {
			return i
		}
	}
	return n - 1
}
