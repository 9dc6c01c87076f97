package milter

import (
	"time"

	"github.com/coreos/go-systemd/v22/daemon"
)

// notify tells systemd how we are, when it asks to be told.
func (s *Server) notify(what string) {
	if _, err := daemon.SdNotify(false, what); err != nil {
		s.logs.warn("notify", "telling systemd", "error", err)
	}
}

// notifyReloading says what Type=notify-reload waits for: the state and when.
func (s *Server) notifyReloading() {
	s.notify("RELOADING=1\nMONOTONIC_USEC=" + daemon.SdNotifyMonotonicUsec())
}

// watchdog tells systemd every half of its interval that we live: nothing holds
// our locks, and inspections end. That mail waits, for there is much of it, is no
// sign of the contrary.
func (s *Server) watchdog() (stop func()) {
	interval, err := daemon.SdWatchdogEnabled(false)
	if err != nil || interval <= 0 {
		return func() {}
	}
	done := make(chan struct{})
	go func() {
		t := time.NewTicker(interval / 2)
		defer t.Stop()
		for {
			select {
			case <-t.C:
				s.mu.Lock()
				s.mu.Unlock() // that it can be had is the test
				if d, stuck := s.turns.stuck(); stuck {
					s.logs.error("stuck", "an inspection does not end; systemd's watchdog will end the daemon", "after", d)
					continue
				}
				s.notify("WATCHDOG=1")
			case <-done:
				return
			}
		}
	}()
	return func() { close(done) }
}
