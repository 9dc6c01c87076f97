package milter

import (
	"context"
	"errors"
	"log/slog"
	"os"
	"os/signal"
	"syscall"
	"testing"

	"github.com/prometheus/client_golang/prometheus"
)

// systemdChild is the daemon in small, for TestSystemd.
func systemdChild(t *testing.T) {
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM)
	defer stop()
	hup := make(chan os.Signal, 1)
	signal.Notify(hup, syscall.SIGHUP)
	cfg := DefaultConfig()
	cfg.Listen = []Socket{{Network: "systemd"}}
	cfg.Metrics = Socket{Network: "systemd"}
	cfg.Web.ConfigFile = os.Getenv("MILTER_TEST_WEB")
	rules := Rules{Inspector: &fakeInspector{}, Labels: testLabels}
	s, err := New(cfg, rules, NewMetrics(prometheus.NewRegistry(), Build{}), slog.Default(), nil)
	if err != nil {
		t.Fatal(err)
	}
	go func() {
		// Sockets are given up and wanted back, by other names or the same.
		for i := 0; ; i++ {
			<-hup
			next := cfg
			if i%2 == 0 {
				next.Listen, next.Metrics = []Socket{{Network: "systemd", Address: "milter"}}, Socket{}
			}
			if err := s.Reload(next, rules); err != nil {
				t.Error(err)
			}
		}
	}()
	if err := s.Listen(); err != nil {
		t.Fatal(err)
	}
	if len(s.Addrs()) != 1 || len(s.MetricsAddrs()) != 1 {
		t.Errorf("milters at %v, metrics at %v", s.Addrs(), s.MetricsAddrs())
	}
	if err := s.Serve(ctx); !errors.Is(err, ErrServerClosed) {
		t.Error(err)
	}
}
