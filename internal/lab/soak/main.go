// Command soak tests bounce-milter under load and failures for a while, in three parts.
//
// In the first, eight Postfix clients send bounces and ordinary mail, while the daemon is
// reloaded, drained, killed -9 and restarted, and its port attacked. At the end every
// accepted message must have been delivered exactly once, every bounce that arrived while
// the daemon was up must be tagged, no forged header left, and no goroutine or file
// descriptor leaked.
//
// The second is package chaos: every bounce that was accepted must be a record at every
// sink, whatever was killed or failed. In the third a sink is down for as many records as
// come in an hour, and the daemon's memory must stay bounded.
//
// It prints figures and exits 1 when any of that does not hold.
package main

import (
	"context"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"time"

	"github.com/bounce-milter/bounce-milter/internal/lab"
	"github.com/bounce-milter/bounce-milter/internal/lab/natslab"
)

func main() {
	natslab.Main()
	os.Exit(run())
}

func run() int {
	bin := flag.String("bin", "bin/bounce-milter", "the program to try")
	duration := flag.Duration("duration", 10*time.Minute, "how long mail is sent; chaos takes half of it besides")
	clients := flag.Int("clients", 8, "how many clients send at a time")
	records := flag.Int("records", 3_600_000, "how many records come in while a sink is down")
	parts := flag.String("parts", "mail,chaos,outage", "what to do of it")
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	do := map[string]func() error{
		"mail":   func() error { return soak(ctx, *bin, *duration, *clients) },
		"chaos":  func() error { return troubles(*bin, *duration/2, *clients) },
		"outage": func() error { return outages(*bin, *records) },
	}
	for part := range strings.SplitSeq(*parts, ",") {
		if do[part] == nil {
			fmt.Fprintf(os.Stderr, "soak: -parts: there is no part %q\n", part)
			return 2
		}
		if err := do[part](); err != nil {
			fmt.Fprintf(os.Stderr, "soak: %s: %v\n", part, err)
			return 1
		}
		if ctx.Err() != nil {
			return 1
		}
	}
	return 0
}

// setting is the mail system under test.
type setting struct {
	lab     *lab.Lab
	postfix *lab.Postfix
	daemon  *lab.Daemon
	config  lab.DaemonConfig
	tcp     string
	ledger  *ledger
	harm    *harm
}

func soak(ctx context.Context, bin string, duration time.Duration, clients int) error {
	s, err := newSetting(bin)
	if err != nil {
		return err
	}
	defer s.lab.Close()
	fmt.Printf("Postfix %s, %d clients, %v\n", s.postfix.Version, clients, duration)
	began := time.Now()

	// The last third goes without restarts, so that one process lives long
	// enough to show what it leaks.
	harming, stopHarm := context.WithTimeout(ctx, duration*2/3)
	defer stopHarm()
	sending, stopSending := context.WithTimeout(ctx, duration)
	defer stopSending()
	reading, stopReading := context.WithCancel(context.Background())
	defer stopReading()

	var senders, readers sync.WaitGroup
	for i := range clients {
		box, dir := s.postfix.Mailbox()
		senders.Go(func() { s.client(sending, i, box) })
		readers.Go(func() { s.ledger.read(reading, dir) })
	}
	attacks := &attacks{addr: s.tcp}
	senders.Go(func() { attacks.run(sending) })
	senders.Go(func() { s.watch(sending) })
	err = s.harm.run(harming)
	if err == nil {
		err = s.settle(sending)
	}
	senders.Wait()
	if err == nil {
		err = s.postfix.Flush()
	}
	if err == nil {
		err = lab.Until("Postfix's queue to empty", func() (bool, error) {
			n, err := s.postfix.QueueLength()
			return n == 0 && s.ledger.missing() == 0, err
		})
	}
	stopReading()
	readers.Wait()
	if err != nil && s.ledger.missing() == 0 {
		return err
	}
	return s.verdict(time.Since(began), attacks, err)
}

func newSetting(bin string) (*setting, error) {
	bin, err := filepath.Abs(bin)
	if err != nil {
		return nil, err
	}
	l, err := lab.New()
	if err != nil {
		return nil, err
	}
	s := &setting{lab: l}
	if err := s.start(bin); err != nil {
		l.Close()
		return nil, err
	}
	return s, nil
}

func (s *setting) start(bin string) error {
	ports, err := lab.FreePorts(1)
	if err != nil {
		return err
	}
	s.tcp = lab.Loopback(ports[0])
	sockets, err := s.lab.SocketDir("postfix")
	if err != nil {
		return err
	}
	remote, err := s.lab.StartRemote(func(stage, recipient string) string {
		if stage == "RCPT" {
			return "550 5.1.1 <" + recipient + ">: Recipient address rejected: User unknown"
		}
		return ""
	})
	if err != nil {
		return err
	}
	s.config = lab.DaemonConfig{
		Bin: bin, Listen: []string{"unix:" + sockets + "/m.sock", "inet:" + s.tcp}, Top: "socket_group = \"postfix\"",
		Tables: "[log]\nlevel = \"warn\"\n",
	}
	if s.daemon, err = s.lab.StartDaemon("daemon", s.config); err != nil {
		return err
	}
	s.harm = newHarm(s.daemon, s.config)
	s.ledger = newLedger(s.harm.epoch)
	s.postfix, err = s.lab.StartPostfix("postfix", lab.PostfixConfig{
		Services: []lab.Service{
			{Name: "unix", Milters: "unix:milter/m.sock", Chroot: true},
			{Name: "tcp", Milters: "inet:" + s.tcp},
		},
		OwnBounces: "unix:milter/m.sock", Remote: remote.Addr,
	})
	return err
}

// settle only reloads from here to the end, so that the last process lives long.
func (s *setting) settle(sending context.Context) error {
	if sending.Err() == nil {
		fmt.Println("no more restarts: the last process is watched for leaks")
	}
	for sending.Err() == nil {
		if err := s.harm.reload(); err != nil {
			return err
		}
		select {
		case <-sending.Done():
		case <-time.After(3 * time.Second):
		}
	}
	return nil
}

// watch prints a line now and then and keeps the highest memory seen.
func (s *setting) watch(ctx context.Context) {
	tick := time.NewTicker(500 * time.Millisecond)
	defer tick.Stop()
	for i := 0; ; i++ {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
		rss, err := s.harm.resident()
		if err == nil && i%60 == 59 {
			fmt.Printf("%s; %s; resident %d MiB\n", s.ledger.summary(), s.harm.summary(), rss>>20)
		}
	}
}

// verdict prints the figures and says what was wrong.
func (s *setting) verdict(took time.Duration, a *attacks, wait error) error {
	leaks, err := s.harm.leaks()
	if err != nil {
		return err
	}
	fmt.Printf("\n%s\n%s\n%s\n", s.ledger.report(took), s.harm.report(), a.report())
	wrong := append(s.ledger.wrong(), leaks...)
	if wait != nil {
		wrong = append(wrong, wait.Error())
	}
	if n := strings.Count(s.daemon.Log(), "panic"); n > 0 {
		wrong = append(wrong, fmt.Sprintf("%d lines about a panic in the daemon's log", n))
	}
	if len(wrong) > 0 {
		return fmt.Errorf("%d things are wrong:\n%s", len(wrong), strings.Join(wrong[:min(len(wrong), 40)], "\n"))
	}
	fmt.Println("every accepted message was delivered exactly once, every bounce that came while the daemon was up is tagged, nothing leaked")
	return nil
}
