package jetstream

import (
	"context"
	"fmt"
	"io"
	"net"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/bounce-milter/bounce-milter/classify"
	"github.com/bounce-milter/bounce-milter/classify/dsn"
	"github.com/bounce-milter/bounce-milter/internal/event"
	"github.com/bounce-milter/bounce-milter/internal/lab"
	"github.com/bounce-milter/bounce-milter/internal/lab/natslab"
	"github.com/nats-io/nats.go/jetstream"
)

func TestMain(m *testing.M) {
	natslab.Main()
	os.Exit(m.Run())
}

// ports finds free ports: one for a single server, two for each server of a cluster.
func ports(t testing.TB, servers int) []int {
	t.Helper()
	n := 1
	if servers > 1 {
		n = 2 * servers
	}
	list, err := lab.FreePorts(n)
	if err != nil {
		t.Fatal(err)
	}
	return list
}

func start(t testing.TB, ports []int, conf string) *natslab.Servers {
	t.Helper()
	s, err := natslab.Start(natslab.Config{Dir: t.TempDir(), Ports: ports, Conf: conf})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(s.Close)
	return s
}

// stream makes the stream BOUNCES for the subjects.
func stream(t testing.TB, s *natslab.Servers, subjects ...string) jetstream.JetStream {
	t.Helper()
	nc, js, err := s.Connect()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(nc.Close)
	if err := s.CreateStream(js, "BOUNCES", subjects...); err != nil {
		t.Fatal(err)
	}
	return js
}

func sink(t testing.TB, o Options) event.Sink {
	t.Helper()
	s, err := New(o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { s.Close() })
	return s
}

// items makes n records with consecutive numbers.
func items(t testing.TB, from, n int) (batch []event.Item) {
	t.Helper()
	for i := from; i < from+n; i++ {
		r := &event.Record{ID: fmt.Sprintf("id%06d", i), Source: event.SourceMilter, Host: "mx1.example.org", Kind: dsn.KindDSN}
		r.Category, r.Type, r.Diagnostic = classify.MailboxFull, classify.Soft, strings.Repeat("over quota ", 20)
		batch = append(batch, item(t, r))
	}
	return batch
}

func item(t testing.TB, r *event.Record) event.Item {
	t.Helper()
	it, err := event.NewItem(r)
	if err != nil {
		t.Fatal(err)
	}
	return it
}

// send sends the whole batch and wants no error.
func send(t testing.TB, s event.Sink, batch []event.Item) event.Sent {
	t.Helper()
	sent, err := s.Send(t.Context(), batch)
	if err != nil || sent.Done != len(batch) {
		t.Fatalf("Send = %+v, %v; want %d done", sent, err, len(batch))
	}
	return sent
}

// stored returns what the stream contains, each record as "subject id".
func stored(t testing.TB, js jetstream.JetStream) (list []string) {
	t.Helper()
	all, err := natslab.Messages(js, "BOUNCES")
	if err != nil {
		t.Fatal(err)
	}
	for _, m := range all {
		list = append(list, m.Subject+" "+m.ID)
	}
	return list
}

func TestSend(t *testing.T) {
	t.Parallel()
	servers := start(t, ports(t, 1), "")
	js := stream(t, servers, "bounces.>")
	s := sink(t, Options{Servers: servers.URLs(), Stream: "BOUNCES"})
	complaint := &event.Record{ID: "complaint", Kind: dsn.KindFeedback, Feedback: &event.Feedback{Type: "abuse"}}
	batch := append(items(t, 1, 2), item(t, complaint))
	send(t, s, batch[:2])
	send(t, s, batch) // as after an acknowledgement that was lost
	want := []string{"bounces.mailbox-full id000001", "bounces.mailbox-full id000002", "bounces.feedback complaint"}
	if got := stored(t, js); !slices.Equal(got, want) {
		t.Errorf("the stream holds %q, want %q", got, want)
	}
	all, err := natslab.Messages(js, "BOUNCES")
	if err != nil || string(all[2].Data) != string(batch[2].JSON) {
		t.Errorf("the stream holds %q, %v; want %q", all[2].Data, err, batch[2].JSON)
	}
	send(t, s, nil)
}

// If no stream has the subject, the error says how to create one. The records are stored
// once it exists.
func TestNoStream(t *testing.T) {
	t.Parallel()
	servers := start(t, ports(t, 1), "")
	for _, tt := range []struct {
		opts Options
		want string
	}{
		{Options{}, `no stream of NATS has the subject "bounces.mailbox-full": create one, unless its servers have just gone down: ` +
			`nats stream add BOUNCES --subjects='bounces.*' --storage=file --replicas=3 --dupe-window=1h --defaults`},
		{Options{Subject: "{host}.x-{type}", Stream: "MAIL"}, `no stream of NATS has the subject "mx1_example_org.x-soft": create one, unless ` +
			`its servers have just gone down: nats stream add MAIL --subjects='*.*' --storage=file --replicas=3 --dupe-window=1h --defaults`},
	} {
		tt.opts.Servers = servers.URLs()
		sent, err := sink(t, tt.opts).Send(t.Context(), items(t, 1, 3))
		if err == nil || err.Error() != tt.want || sent.Done != 0 {
			t.Errorf("Send = %+v\n%v\nwant\n%v", sent, err, tt.want)
		}
	}
	s := sink(t, Options{Servers: servers.URLs()})
	if _, err := s.Send(t.Context(), items(t, 1, 3)); err == nil {
		t.Fatal("taken by no stream")
	}
	js := stream(t, servers, "bounces.*")
	send(t, s, items(t, 1, 3))
	if got := stored(t, js); len(got) != 3 {
		t.Errorf("the stream holds %q", got)
	}
	_, err := sink(t, Options{Servers: servers.URLs(), Stream: "OTHER"}).Send(t.Context(), items(t, 4, 1))
	const want = `another stream than "OTHER" has the subject "bounces.mailbox-full": add the subject to "OTHER", or set stream to that other stream`
	if err == nil || err.Error() != want {
		t.Errorf("of another stream: %v\nwant %v", err, want)
	}
}

// A message that is too large for the server or the stream is refused for good; those
// around it are stored.
func TestTooLarge(t *testing.T) {
	t.Parallel()
	servers := start(t, ports(t, 1), "max_payload: 4096")
	js := stream(t, servers, "bounces.>")
	cfg := jetstream.StreamConfig{Name: "BOUNCES", Subjects: []string{"bounces.>"}, MaxMsgSize: 2048, Storage: jetstream.FileStorage}
	if _, err := js.UpdateStream(t.Context(), cfg); err != nil {
		t.Fatal(err)
	}
	s := sink(t, Options{Servers: servers.URLs()})
	batch := items(t, 1, 4)
	batch[1].JSON, batch[2].JSON = make([]byte, 3000), make([]byte, 5000)
	sent := send(t, s, batch)
	if !slices.Equal(sent.Refused, []int{1, 2}) || len(sent.Why) != 2 {
		t.Fatalf("refused %v, %v; want the second and the third", sent.Refused, sent.Why)
	}
	for i, want := range []string{"message size exceeds maximum allowed", "maximum payload exceeded"} {
		if !strings.Contains(sent.Why[i].Error(), want) {
			t.Errorf("refused for %q, want %q", sent.Why[i], want)
		}
	}
	if got := stored(t, js); len(got) != 2 {
		t.Errorf("the stream holds %q", got)
	}
	// The connection is still usable.
	send(t, s, items(t, 5, 1))
}

// Servers that are not running yet do not make Send wait long, and are found once they run.
func TestServersComeLater(t *testing.T) {
	t.Parallel()
	free := ports(t, 1)
	url := fmt.Sprintf("nats://127.0.0.1:%d", free[0])
	s := sink(t, Options{Servers: []string{url}})
	sent, err := s.Send(t.Context(), items(t, 1, 3))
	if err == nil || sent.Done != 0 || !strings.Contains(err.Error(), "connecting to NATS at "+url) {
		t.Fatalf("Send = %+v, %v", sent, err)
	}
	servers := start(t, free, "")
	js := stream(t, servers, "bounces.>")
	resend(t, s, items(t, 1, 3))
	if got := stored(t, js); len(got) != 3 {
		t.Errorf("the stream holds %q", got)
	}
	servers.Kill(0)
	if sent, err := s.Send(t.Context(), items(t, 4, 3)); err == nil {
		t.Fatalf("sent to a server that is dead: %+v", sent)
	}
	if err := servers.Restart(0); err != nil {
		t.Fatal(err)
	}
	resend(t, s, items(t, 4, 3))
	if got := stored(t, js); len(got) != 6 {
		t.Errorf("the stream holds %q", got)
	}
}

// resend does what package stream does: it sends until all records are done.
func resend(t testing.TB, s event.Sink, batch []event.Item) {
	t.Helper()
	var last error
	err := lab.Until("the batch to be taken", func() (bool, error) {
		sent, err := s.Send(t.Context(), batch)
		last = err
		if len(sent.Refused) > 0 {
			return false, lab.Never(fmt.Errorf("refused: %v", sent.Why))
		}
		batch = batch[sent.Done:]
		return len(batch) == 0, nil
	})
	if err != nil {
		t.Fatalf("%v: %v", err, last)
	}
}

// A cluster of three servers loses the stream's leader while records are sent, and gets it
// back: every record is stored once.
func TestCluster(t *testing.T) {
	t.Parallel()
	servers := start(t, ports(t, 3), "")
	js := stream(t, servers, "bounces.>")
	s := sink(t, Options{Servers: servers.URLs()})
	const n, size = 6000, 500
	killed := make(chan int, 1)
	for from := 1; from <= n; from += size {
		switch from {
		case 1 + 4*size:
			leader, err := servers.Leader(js, "BOUNCES")
			if err != nil {
				t.Fatal(err)
			}
			go func() { servers.Kill(leader); killed <- leader }()
		case 1 + 8*size:
			if err := servers.Restart(<-killed); err != nil {
				t.Fatal(err)
			}
		}
		resend(t, s, items(t, from, size))
	}
	seen := map[string]int{}
	for _, m := range stored(t, js) {
		seen[m]++
	}
	for _, it := range items(t, 1, n) {
		key := "bounces.mailbox-full " + it.ID
		if seen[key] != 1 {
			t.Fatalf("%s is stored %d times", key, seen[key])
		}
		delete(seen, key)
	}
	if len(seen) > 0 {
		t.Errorf("stored beside: %v", seen)
	}
}

// A server that accepts everything and never answers holds Send up only until its context
// ends.
func TestServerHangs(t *testing.T) {
	t.Parallel()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer ln.Close()
	taken := make(chan struct{}, 1)
	go func() {
		for {
			c, err := ln.Accept()
			if err != nil {
				return
			}
			go func() {
				defer c.Close()
				io.WriteString(c, `INFO {"server_id":"x","version":"2.15.2","headers":true,"max_payload":1048576}`+"\r\n")
				b := make([]byte, 64<<10)
				for text := ""; ; {
					n, err := c.Read(b)
					if err != nil {
						return
					}
					text = text[max(0, len(text)-10):] + string(b[:n])
					if strings.Contains(text, "PING\r\n") {
						io.WriteString(c, "PONG\r\n")
					}
					if strings.Contains(text, "HPUB ") {
						notify(taken, struct{}{})
					}
				}
			}()
		}
	}()
	s := sink(t, Options{Servers: []string{"nats://" + ln.Addr().String()}})
	ctx, cancel := context.WithCancel(t.Context())
	go func() { <-taken; cancel() }()
	sent, err := s.Send(ctx, items(t, 1, 3*window))
	if err == nil || sent.Done != 0 || ctx.Err() == nil {
		t.Errorf("Send = %+v, %v", sent, err)
	}
	if err := s.Close(); err != nil {
		t.Error(err)
	}
	if _, err := s.Send(t.Context(), items(t, 1, 1)); err == nil {
		t.Error("sent after Close")
	}
}

// BenchmarkSend measures how many records one server, which stores in files, acknowledges
// per second.
func BenchmarkSend(b *testing.B) {
	for _, n := range []int{1, 3} {
		b.Run(fmt.Sprintf("servers=%d", n), func(b *testing.B) {
			servers := start(b, ports(b, n), "")
			js := stream(b, servers, "bounces.>")
			s := sink(b, Options{Servers: servers.URLs()})
			send(b, s, items(b, 0, 1))
			batch := items(b, 1, b.N)
			b.SetBytes(int64(len(batch[0].JSON)))
			b.ResetTimer()
			started := time.Now()
			for from := 0; from < len(batch); from += 500 {
				resend(b, s, batch[from:min(from+500, len(batch))])
			}
			b.ReportMetric(float64(b.N)/time.Since(started).Seconds(), "records/s")
			b.StopTimer()
			if st, err := js.Stream(b.Context(), "BOUNCES"); err != nil || int(st.CachedInfo().State.Msgs) != b.N+1 {
				b.Errorf("the stream holds other than %d messages (%v)", b.N+1, err)
			}
		})
	}
}
