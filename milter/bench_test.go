package milter

import (
	"bytes"
	"context"
	"encoding/binary"
	"fmt"
	"io"
	"log/slog"
	"net"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/bounce-milter/bounce-milter/classify"
	gomilter "github.com/emersion/go-milter"
	"github.com/prometheus/client_golang/prometheus"
)

// benchMessage is a bounce of 5 KB with 25 header fields.
func benchMessage() (header [][2]string, body string) {
	header = [][2]string{
		{"Received", "from mx.example.com (mx.example.com [192.0.2.1])\n\tby mail.example.net (Postfix) with ESMTP id 4XYZ12345\n\tfor <user@example.net>; Mon, 6 Jan 2025 10:00:00 +0000 (UTC)"},
		{"Date", "Mon, 6 Jan 2025 10:00:00 +0000 (UTC)"},
		{"From", "MAILER-DAEMON@mx.example.com (Mail Delivery System)"},
		{"Subject", "Undelivered Mail Returned to Sender"},
		{"To", "user@example.net"},
		{"Auto-Submitted", "auto-replied"},
		{"MIME-Version", "1.0"},
		{"Content-Type", "multipart/report; report-type=delivery-status;\n\tboundary=\"bound\""},
		{"Message-Id", "<20250106100000.4XYZ12345@mx.example.com>"},
	}
	for i := len(header); i < 25; i++ {
		header = append(header, [2]string{fmt.Sprintf("X-Header-%d", i), "a value of some length, as they are in header fields"})
	}
	body = strings.ReplaceAll(`This is a MIME-encapsulated message.

--bound
Content-Description: Notification
Content-Type: text/plain; charset=us-ascii

This is the mail system at host mx.example.com.

I'm sorry to have to inform you that your message could not
be delivered to one or more recipients. It's attached below.

<gone@example.com>: host mx1.example.com[192.0.2.2] said: 552-5.2.2 The
    recipient's inbox is out of storage space. (in reply to RCPT TO command)

--bound
Content-Description: Delivery report
Content-Type: message/delivery-status

Reporting-MTA: dns; mx.example.com
X-Postfix-Queue-ID: 4XYZ12345
X-Postfix-Sender: rfc822; user@example.net
Arrival-Date: Mon,  6 Jan 2025 09:59:59 +0000 (UTC)

Final-Recipient: rfc822; gone@example.com
Original-Recipient: rfc822;gone@example.com
Action: failed
Status: 5.2.2
Remote-MTA: dns; mx1.example.com
Diagnostic-Code: smtp; 552-5.2.2 The recipient's inbox is out of storage space.

--bound
Content-Description: Undelivered Message
Content-Type: message/rfc822

From: user@example.net
To: gone@example.com
Subject: hello
Message-Id: <1@example.net>

`+strings.Repeat("Lorem ipsum dolor sit amet, consectetur adipiscing elit, sed do.\n", 55)+"\n--bound--\n", "\n", "\r\n")
	return header, body
}

// benchSession sends messages on one connection. Commands that need no answer are sent
// together with the next one, as an MTA may do.
func benchSession(b *testing.B, network, addr, from string) {
	nc, err := net.Dial(network, addr)
	if err != nil {
		b.Fatal(err)
	}
	defer nc.Close()
	c := newClient(b, nc, offerAll)
	nc.SetDeadline(time.Time{})
	header, body := benchMessage()
	if from != "" {
		header[2][1], header[5][1], header[7][1] = from, "no", "text/plain"
	}
	no := func(bit gomilter.OptProtocol) bool { return c.protocol&bit != 0 }

	// Each batch ends where the client waits for an answer.
	var batches [][]byte
	var batch []byte
	send := func(f []byte, answered bool) {
		batch = append(batch, f...)
		if answered {
			batches = append(batches, batch)
			batch = nil
		}
	}
	send(frame('D', "Mi\x004XYZ12345\x00{mail_addr}\x00"+from+"\x00"), false)
	send(mailFrame(from), !no(gomilter.OptNoMailReply))
	if !no(gomilter.OptNoRcptTo) {
		send(rcptFrame("user@example.net"), true)
	}
	if !no(gomilter.OptNoData) {
		send(frame('T', ""), true)
	}
	for _, h := range header {
		send(headerFrame(h[0], h[1]), !no(gomilter.OptNoHeaderReply))
	}
	send(frame('N', ""), !no(gomilter.OptNoEOHReply))
	send(frame('B', body), !no(gomilter.OptNoBodyReply))
	send(frame('E', ""), true)

	r := &answers{r: nc}
	if _, err := nc.Write(connectFrame("192.0.2.1")); err != nil {
		b.Fatal(err)
	}
	if !no(gomilter.OptNoConnReply) {
		r.next(b)
	}
	b.ReportAllocs()
	cpu := cpuTime(b)
	for b.Loop() {
		for i, p := range batches {
			if _, err := nc.Write(p); err != nil {
				b.Fatal(err)
			}
			code := r.next(b)
			for i == len(batches)-1 && code != 'a' {
				code = r.next(b)
			}
			if code == 'a' {
				break
			}
		}
		if _, err := nc.Write(abortFrame); err != nil {
			b.Fatal(err)
		}
	}
	b.StopTimer()
	b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "msg/s")
	b.ReportMetric(float64((cpuTime(b)-cpu).Microseconds())/float64(b.N), "cpu-µs/msg")
}

// cpuTime returns the CPU time that this process, client and server, has used.
func cpuTime(b *testing.B) time.Duration {
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		b.Fatal(err)
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}

var abortFrame = frame('A', "")

// answers reads frames with as few system calls as possible.
type answers struct {
	r    io.Reader
	buf  [16 << 10]byte
	a, w int
}

func (r *answers) next(b *testing.B) byte {
	for {
		if r.w-r.a >= 5 {
			n := 4 + int(binary.BigEndian.Uint32(r.buf[r.a:]))
			if r.w-r.a >= n {
				code := r.buf[r.a+4]
				r.a += n
				return code
			}
		}
		r.w = copy(r.buf[:], r.buf[r.a:r.w])
		r.a = 0
		n, err := r.r.Read(r.buf[r.w:])
		if err != nil {
			b.Fatal(err)
		}
		r.w += n
	}
}

// BenchmarkSession compares sessions over a unix socket and over TCP: ours with
// the full inspection, ours on ordinary mail, and plain go-milter doing nothing.
func BenchmarkSession(b *testing.B) {
	engine, err := classify.New(classify.Options{})
	if err != nil {
		b.Fatal(err)
	}
	engine.Prepare() // as serve does
	for _, network := range []string{"unix", "tcp"} {
		addr := "127.0.0.1:0"
		if network == "unix" {
			addr = filepath.Join(b.TempDir(), "noop.sock")
		}
		ln, err := net.Listen(network, addr)
		if err != nil {
			b.Fatal(err)
		}
		defer ln.Close()
		noop := &gomilter.Server{NewMilter: func() gomilter.Milter { return gomilter.NoOpMilter{} }, Actions: wantActions}
		go noop.Serve(ln)

		cfg := testConfig(b)
		cfg.Listen = []Socket{{network, addr}}
		if network == "unix" {
			cfg.Listen[0].Address += ".ours"
		}
		rules := Rules{Inspector: engine, Labels: Labels{Rules: engine.RuleIDs(), Providers: engine.Providers()}}
		s, err := New(cfg, rules, NewMetrics(prometheus.NewRegistry(), Build{}), slog.New(slog.NewTextHandler(io.Discard, nil)), nil)
		if err != nil {
			b.Fatal(err)
		}
		go s.Serve(b.Context())
		eventually(b, "the server serves", s.serving.Load)
		ours := s.Addrs()[0].String()

		b.Run(network+"/bounce", func(b *testing.B) { benchSession(b, network, ours, "") })
		b.Run(network+"/ordinary", func(b *testing.B) { benchSession(b, network, ours, "user@example.org") })
		b.Run(network+"/noop", func(b *testing.B) { benchSession(b, network, ln.Addr().String(), "") })
	}
}

// TestBenchMessageIsTagged keeps the benchmark honest.
func TestBenchMessageIsTagged(t *testing.T) {
	engine, err := classify.New(classify.Options{})
	if err != nil {
		t.Fatal(err)
	}
	engine.Prepare() // as serve does
	ts := start(t, nil)
	ts.insp.res = func(raw []byte) classify.Result { return engine.Classify(context.Background(), raw) }
	c := newClient(t, ts.dial(t), offerAll)
	c.expect('c', connectFrame("192.0.2.1"))
	header, body := benchMessage()
	var lines []string
	size := len(body)
	for _, h := range header {
		lines = append(lines, h[0]+": "+h[1])
		size += len(lines[len(lines)-1]) + 2
	}
	mods := c.message("", append(lines, "", body)...)
	if len(mods) != 5 || mods[4].value != "mailbox-full" || size < 5000 || len(header) != 25 {
		t.Errorf("%d octets, %d fields, changes %v", size, len(header), mods)
	}
	if want := fmt.Sprint(len(nullPath) + size + 2); fmt.Sprint(len(ts.insp.last())) != want || !bytes.HasSuffix(ts.insp.last(), []byte(body)) {
		t.Errorf("inspected %d octets, want %s", len(ts.insp.last()), want)
	}
}

// BenchmarkInspect measures the part of BenchmarkSession that reads and judges.
func BenchmarkInspect(b *testing.B) {
	engine, err := classify.New(classify.Options{})
	if err != nil {
		b.Fatal(err)
	}
	engine.Prepare() // as serve does
	header, body := benchMessage()
	var raw []byte
	for _, h := range header {
		raw = append(raw, h[0]+": "+h[1]+"\r\n"...)
	}
	raw = append(append(raw, "\r\n"...), body...)
	b.ReportAllocs()
	b.SetBytes(int64(len(raw)))
	for b.Loop() {
		engine.Classify(b.Context(), raw)
	}
}
