package milter

import (
	"time"

	"github.com/coreos/go-systemd/v22/daemon"
)

// notify tells systemd our state, if systemd asked for it.
func (s *Server) notify(what string) {
	if _, err := daemon.SdNotify(false, what); err != nil {
		s.logs.warn("notify", "cannot notify systemd", "error", err)
	}
}

// notifyReloading sends what Type=notify-reload requires: the state and the time.
func (s *Server) notifyReloading() {
	s.notify("RELOADING=1\nMONOTONIC_USEC=" + daemon.SdNotifyMonotonicUsec())
}

// watchdog tells systemd, twice per interval, that the daemon is alive: nothing holds its
// locks, and inspections end. Mail that waits because there is much of it does not
// count against that.
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
				s.mu.Unlock() // the test is that it can be locked
				if d, stuck := s.turns.stuck(); stuck {
					s.logs.error("stuck", "an inspection does not end; systemd's watchdog will kill the daemon", "after", d)
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
