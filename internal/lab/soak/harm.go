package main

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"sync"
	"sync/atomic"
	"time"

	"github.com/bounce-milter/bounce-milter/internal/lab"
)

// harm reloads, drains, kills and restarts the daemon.
type harm struct {
	daemon *lab.Daemon
	config lab.DaemonConfig

	// up is even while the daemon runs and changes with every end and start.
	up atomic.Uint64

	mu                     sync.Mutex // guards the daemon's process and what follows
	kills, drains, reloads int
	badDrains              []string
	highest                int64       // resident octets
	worked, fresh          lab.Metrics // of a process that has worked and of a new one, both idle
}

func newHarm(d *lab.Daemon, cfg lab.DaemonConfig) *harm { return &harm{daemon: d, config: cfg} }

func (h *harm) epoch() uint64 { return h.up.Load() }

// run harms the daemon every few seconds until ctx ends, and leaves it running.
func (h *harm) run(ctx context.Context) error {
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-time.After(time.Second + rand.N(4*time.Second)):
		}
		var err error
		switch rand.IntN(4) {
		case 0:
			err = h.restart(func() error { h.daemon.Kill(); h.kills++; return nil })
		case 1:
			err = h.restart(h.drain)
		default:
			err = h.reload()
		}
		if err != nil {
			return err
		}
	}
}

// restart ends the daemon with end and starts it again after a while.
func (h *harm) restart(end func() error) error {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.up.Add(1)
	if err := end(); err != nil {
		return err
	}
	time.Sleep(rand.N(2 * time.Second)) // mail goes on without the daemon meanwhile
	if err := h.daemon.Restart(); err != nil {
		return err
	}
	h.up.Add(1)
	return nil
}

// drain ends the daemon as systemd does. Clients with open sessions may keep it for
// drain_timeout.
func (h *harm) drain() error {
	h.drains++
	code, err := h.daemon.Stop()
	if err == nil && code != 0 {
		h.badDrains = append(h.badDrains, fmt.Sprintf("after SIGTERM the daemon ended with %d", code))
	}
	return err
}

// reload changes the configuration under the daemon.
func (h *harm) reload() error {
	h.mu.Lock()
	defer h.mu.Unlock()
	cfg := h.config
	h.reloads++
	bad := h.reloads%5 == 0
	if bad {
		cfg.Top += "\nno_such_key = true"
	} else if h.reloads%2 == 0 {
		cfg.Top += "\ntrusted_networks = [\"192.0.2.0/24\"]"
	}
	if err := h.daemon.Configure(cfg); err != nil {
		return err
	}
	taken, err := h.daemon.Reload()
	if err == nil && taken == bad {
		err = errors.New("a good configuration was refused or a bad one taken")
	}
	if bad { // the file must be good when the daemon starts again
		return errors.Join(err, h.daemon.Configure(h.config))
	}
	return err
}

// resident returns the daemon's memory, and keeps the highest value.
func (h *harm) resident() (int64, error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	rss, err := h.daemon.Resident()
	h.highest = max(h.highest, rss)
	return rss, err
}

// leaks compares what the daemon still holds, once it is idle, with what a
// fresh process holds.
func (h *harm) leaks() ([]string, error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	var err error
	if h.worked, err = h.idle(); err != nil {
		return nil, err
	}
	wrong := h.badDrains
	if code, err := h.daemon.Stop(); err != nil || code != 0 {
		wrong = append(wrong, fmt.Sprintf("the last SIGTERM ended with %d, %v", code, err))
	}
	if err := h.daemon.Restart(); err != nil {
		return nil, err
	}
	if h.fresh, err = h.idle(); err != nil {
		return nil, err
	}
	const slack = 4 // connections of the metrics page, timers that run out
	for _, name := range []string{"go_goroutines", "process_open_fds"} {
		switch had, has := h.fresh[name], h.worked[name]; {
		case had == 0:
			wrong = append(wrong, "the daemon does not say its "+name)
		case has > had+slack:
			wrong = append(wrong, fmt.Sprintf("%s is %v, in a fresh process %v", name, has, had))
		}
	}
	return wrong, nil
}

// idle waits until the daemon has no session and reads its metrics.
func (h *harm) idle() (lab.Metrics, error) {
	var m lab.Metrics
	err := lab.Until("the daemon to be idle", func() (bool, error) {
		var err error
		m, err = h.daemon.Scrape()
		return err == nil && m.Sum("sessions") == 0, err
	})
	return m, err
}

func (h *harm) summary() string {
	h.mu.Lock()
	defer h.mu.Unlock()
	return fmt.Sprintf("%d kills, %d drains, %d reloads", h.kills, h.drains, h.reloads)
}

// report is the figures at the end.
func (h *harm) report() string {
	h.mu.Lock()
	defer h.mu.Unlock()
	return fmt.Sprintf(`daemon                   %d kills, %d drains, %d reloads (every fifth bad)
  goroutines at the end  %.0f, in a fresh process %.0f
  open files at the end  %.0f, in a fresh process %.0f
  resident memory        %.0f MiB at the end, %d MiB at the most, %.0f MiB in a fresh process
  its last process had   %.0f sessions, %.0f refused, %.0f messages, %.0f errors`,
		h.kills, h.drains, h.reloads,
		h.worked["go_goroutines"], h.fresh["go_goroutines"], h.worked["process_open_fds"], h.fresh["process_open_fds"],
		h.worked["process_resident_memory_bytes"]/(1<<20), h.highest>>20, h.fresh["process_resident_memory_bytes"]/(1<<20),
		h.worked.Sum("sessions_total"), h.worked.Sum("sessions_refused_total"), h.worked.Sum("messages_total"), h.worked.Sum("errors_total"))
}
