// Package chaos tests that every bounce whose acceptance the MTA was told becomes a
// record at every sink, while everything fails: the daemon is killed, a
// webhook's receiver hangs and answers garbage, servers of a JetStream cluster are
// killed, files are moved away, and the configuration changes.
//
// A program that uses the package must call [natslab.Main] first of all, because it starts
// NATS servers.
package chaos

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/bounce-milter/bounce-milter/internal/lab"
)

// Config says what to try, and for how long.
type Config struct {
	Lab *lab.Lab
	Bin string
	// Postfix sends some of the bounces through a private Postfix.
	Postfix bool
	// Clients is how many connections send at a time, Bounces how many they send
	// between one trouble and the next.
	Clients, Bounces int
	// Rounds is how many rounds of troubles there are at least, Duration for how
	// long they go on.
	Rounds   int
	Duration time.Duration
}

// run is one trial.
type run struct {
	Config
	ledger  ledger
	sinks   *sinks
	daemon  *lab.Daemon
	postfix *lab.Postfix
	box     lab.Maildir
	to      string // the address of box
	sockets []string

	tokens chan struct{} // one for each bounce that clients may send
	fatal  atomic.Bool   // the next client that sees a bounce accepted kills the daemon
	killed chan struct{} // by it

	kills, reloads int
	highest        int64 // resident octets of the daemon
	calm, storm    []time.Duration
}

// Run runs the trial and returns its figures. The error lists what went wrong, one thing
// per line.
func Run(cfg Config) (figures string, err error) {
	r := &run{Config: cfg, tokens: make(chan struct{}), killed: make(chan struct{})}
	if err := r.start(); err != nil {
		return "", err
	}
	ctx, stop := context.WithCancel(context.Background())
	var clients sync.WaitGroup
	for i := range cfg.Clients {
		clients.Go(func() { r.client(ctx, r.sockets[i%len(r.sockets)]) })
	}
	began := time.Now()
	err = r.troubles(began.Add(cfg.Duration))
	stop()
	clients.Wait()
	if err != nil {
		return "", err
	}
	wrong := r.settle()
	figures = r.figures(time.Since(began))
	if len(wrong) > 0 {
		err = fmt.Errorf("%d things are wrong:\n%s", len(wrong), strings.Join(wrong[:min(len(wrong), 40)], "\n"))
	}
	return figures, err
}

// start starts the sinks, the daemon and Postfix.
func (r *run) start() (err error) {
	if r.sinks, err = startSinks(r.Lab); err != nil {
		return err
	}
	socket := r.Lab.Path("chaos.sock")
	top := ""
	if r.Postfix {
		dir, err := r.Lab.SocketDir("chaos-pf")
		if err != nil {
			return err
		}
		socket, top = dir+"/m.sock", "socket_group = \"postfix\"\n"
	}
	ports, err := lab.FreePorts(1)
	if err != nil {
		return err
	}
	r.sockets = []string{socket, lab.Loopback(ports[0])}
	r.daemon, err = r.Lab.StartDaemon("chaos", lab.DaemonConfig{Bin: r.Bin, Listen: []string{"unix:" + socket, "inet:" + r.sockets[1]},
		Top: top, Tables: r.sinks.tables(0)})
	if err != nil || !r.Postfix {
		return err
	}
	r.postfix, err = r.Lab.StartPostfix("chaos-pf", lab.PostfixConfig{Services: []lab.Service{{Name: "smtp", Milters: "unix:milter/m.sock"}}})
	if err == nil {
		r.to, r.box = r.postfix.Mailbox()
	}
	return err
}

// troubles is what happens while clients send.
func (r *run) troubles(end time.Time) error {
	r.send(r.Bounces)
	r.calm = r.ledger.times()
	if r.Postfix {
		if err := r.mail(5); err != nil {
			return err
		}
	}
	r.sinks.storm(true)
	for round := 1; round <= r.Rounds || time.Now().Before(end); round++ {
		if err := r.round(round); err != nil {
			return fmt.Errorf("round %d: %w", round, err)
		}
	}
	r.storm = r.ledger.times()
	r.ledger.newLife()
	r.send(r.Bounces)
	return r.sinks.mend()
}

// round is one round of troubles. The daemon lives on from its end to the middle of the
// next, so that sinks recover by themselves too.
func (r *run) round(n int) error {
	if err := r.sinks.nats(); err != nil {
		return err
	}
	if err := r.sinks.block(n); err != nil {
		return err
	}
	r.send(r.Bounces / 2)
	if n%2 == 0 {
		if err := r.reload(n); err != nil {
			return err
		}
	}
	r.send(r.Bounces / 2)
	if rss, err := r.daemon.Resident(); err == nil {
		r.highest = max(r.highest, rss)
	}
	if n%3 != 0 {
		if err := r.sinks.unblock(); err != nil {
			return err
		}
	}
	r.kill()
	if err := r.daemon.Restart(); err != nil {
		return err
	}
	if err := r.sinks.unblock(); err != nil {
		return err
	}
	if !r.Postfix {
		return nil
	}
	return r.mail(5)
}

// kill has a client end the daemon as kill -9 does, at the moment at which that client
// sees a bounce accepted: were its record not with the kernel by then, it would be lost.
func (r *run) kill() {
	r.kills++
	r.fatal.Store(true)
	for {
		select {
		case r.tokens <- struct{}{}:
		case <-r.killed:
			return
		}
	}
}

// send has clients send bounces.
func (r *run) send(n int) {
	for range n {
		r.tokens <- struct{}{}
	}
}

// reload changes sinks in the configuration.
func (r *run) reload(n int) error {
	r.reloads++
	cfg := r.daemon.Config()
	cfg.Tables = r.sinks.tables(n)
	if err := r.daemon.Configure(cfg); err != nil {
		return err
	}
	taken, err := r.daemon.Reload()
	if err == nil && !taken {
		err = errors.New("a good configuration was refused")
	}
	return err
}

// settle waits until every record is where it belongs, and returns what is wrong.
func (r *run) settle() (wrong []string) {
	var m lab.Metrics
	var c *check
	const patience = 5 * lab.Patience // for a sink that has failed for long is tried once a minute
	err := lab.UntilIn(patience, "every record to be at every sink", func() (ok bool, err error) {
		if m, err = r.daemon.Scrape(); err != nil || m.Sum("events_pending") > 0 {
			return false, err
		}
		c, err = r.check()
		return err == nil && len(c.missing) == 0, err
	})
	if c == nil { // the sinks are not done, but what they have can be looked at
		var more error
		if c, more = r.check(); more != nil {
			return []string{errors.Join(err, more).Error()}
		}
	}
	if err != nil {
		wrong = append(wrong, err.Error())
	}
	wrong = append(append(wrong, c.wrong...), c.missing...)
	wrong = append(wrong, r.metrics(m)...)
	wrong = append(wrong, r.sinks.problems()...)
	for _, bad := range []string{"panic", "DATA RACE"} {
		if n := strings.Count(r.daemon.Log(), bad); n > 0 {
			wrong = append(wrong, fmt.Sprintf("%d times %q in the daemon's log", n, bad))
		}
	}
	if len(wrong) == 0 {
		if code, err := r.daemon.Stop(); err != nil || code != 0 {
			wrong = append(wrong, fmt.Sprintf("the last SIGTERM ended with %d, %v", code, err))
		}
	}
	return wrong
}

// metrics compares what the daemon's last process counted with what it was sent.
func (r *run) metrics(m lab.Metrics) (wrong []string) {
	if n := m.Sum("events_dropped_total"); n != 0 {
		wrong = append(wrong, fmt.Sprintf("%v records were dropped", n))
	}
	least := float64(r.ledger.inThisLife())
	for _, sink := range []string{"archive", "crm", "lists", "fleet"} {
		label := fmt.Sprintf("sink=%q", sink)
		done := m.Sum("events_total", label, `result="delivered"`) + m.Sum("events_total", label, `result="skipped"`)
		if done < least {
			wrong = append(wrong, fmt.Sprintf("the metrics of %s tell of %v records, and its last process accepted %v", sink, done, least))
		}
		if n := m.Sum("events_total", label, `result="parked"`); n != 0 {
			wrong = append(wrong, fmt.Sprintf("%v records are parked by %s", n, sink))
		}
	}
	if n := m.Sum("bounces_total") + m.Sum("messages_total", `kind="feedback"`); n < least {
		wrong = append(wrong, fmt.Sprintf("the metrics tell of %v verdicts, and %v were accepted", n, least))
	}
	return wrong
}

func (r *run) figures(took time.Duration) string {
	accepted, lost, records := r.ledger.counts()
	return fmt.Sprintf(`bounces accepted         %d in %.0f s with %d records; %d more were not seen accepted
daemon                   %d kills, %d reloads, %d MiB resident at the most
time of a bounce         calm %s; in troubles %s
%s`, accepted, took.Seconds(), records, lost, r.kills, r.reloads, r.highest>>20, spread(r.calm), spread(r.storm), r.sinks.figures())
}
