package main

import (
	"context"
	"os"
	"os/signal"
	"syscall"
)

// signals are what a program that stays is told.
type signals struct {
	end    context.Context // ends with SIGTERM or an interrupt; a second one ends the program at once
	reload chan os.Signal  // SIGHUP
	stop   func()
}

// newSignals is called first of all, because a signal may come at any time.
func newSignals() *signals {
	asked, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM, os.Interrupt)
	end, cancel := context.WithCancel(context.Background())
	context.AfterFunc(asked, func() {
		stop() // first, so that a second signal does what it does by default
		cancel()
	})
	s := &signals{end: end, reload: make(chan os.Signal, 1)}
	signal.Notify(s.reload, syscall.SIGHUP)
	// If the reader of the log goes away, the program must not end.
	signal.Ignore(syscall.SIGPIPE)
	s.stop = func() {
		signal.Stop(s.reload)
		stop()
		cancel()
	}
	return s
}

// onReload calls reload at each SIGHUP from now on.
func (s *signals) onReload(reload func()) {
	go func() {
		for range s.reload {
			reload()
		}
	}()
}
