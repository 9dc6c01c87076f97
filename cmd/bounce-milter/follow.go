package main

import (
	"context"
	"errors"
	"log/slog"
	"net"
	"os"
	"path/filepath"
	"sync/atomic"
	"time"

	"github.com/bounce-milter/bounce-milter/classify"
	"github.com/bounce-milter/bounce-milter/config"
	"github.com/bounce-milter/bounce-milter/internal/event/stream"
	"github.com/bounce-milter/bounce-milter/internal/follow"
	"github.com/bounce-milter/bounce-milter/internal/toml"
	"github.com/bounce-milter/bounce-milter/internal/web"
	"github.com/bounce-milter/bounce-milter/milter"
	systemd "github.com/coreos/go-systemd/v22/daemon"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promhttp"
)

func runFollow(a *app, args []string) error {
	if len(args) > 1 {
		return usagef("follow: one log at a time: %s", args[1])
	}
	sig := newSignals()
	defer sig.stop()
	handler, lines := newDaemonLog(a.stderr)
	defer lines.Close()
	w := &watcher{file: a.options.config, handler: handler}
	cfg, engine, err := w.load()
	if err != nil {
		return err
	}
	if len(args) == 1 {
		cfg.Follow.Path = args[0]
	}
	handler.set(cfg.Log)
	w.log = slog.New(handler)
	slog.SetDefault(w.log)
	b := readBuild()
	w.log.Info("starting", "config", fileOf(cfg), "version", b.version, "rules", engine.Version(), "log", cfg.Follow.Path)
	milter.SetMemoryLimit(w.log)

	registry := prometheus.NewRegistry()
	w.metrics = milter.NewProcessMetrics(registry)
	w.metrics.SetBuild(b.with(engine))
	w.metrics.SetReloaded(true)
	w.events, err = stream.New(followed(cfg.Events), b.version, stream.NewMetrics(registry), w.log)
	if err != nil {
		return cfg.Place(err)
	}
	defer w.endEvents(cfg)
	w.follower = follow.New(follow.Options{Path: cfg.Follow.Path, Stdin: a.stdin, StateFile: stateFile(cfg)}, engine, w.events, registry, w.log)
	server, err := w.serve(cfg, registry)
	if err != nil {
		return cfg.Refuse("follow.listen", "%v", err)
	}
	defer server.Close()

	sig.onReload(func() {
		w.events.Reopen()
		w.reload()
	})
	_, _ = systemd.SdNotify(false, systemd.SdNotifyReady) // without systemd there is nobody to tell
	err = w.follower.Run(sig.end)
	_, _ = systemd.SdNotify(false, systemd.SdNotifyStopping)
	w.log.Info("stopped")
	return err
}

// watcher holds what a reload of follow needs.
type watcher struct {
	file     string
	handler  *logHandler
	log      *slog.Logger
	events   *stream.Stream
	follower *follow.Follower
	metrics  *milter.ProcessMetrics
	refused  atomic.Bool
}

// followed are the options of events for follow. The daemon has the spool to itself, so
// follow has one beside it.
func followed(o stream.Options) stream.Options {
	if o.Spool != "" {
		o.Spool = filepath.Clean(o.Spool) + "-follow"
	}
	return o
}

// stateFile returns where the place is kept.
func stateFile(cfg *config.Config) string {
	if cfg.Follow.StateFile != "" {
		return cfg.Follow.StateFile
	}
	if dir := os.Getenv("STATE_DIRECTORY"); dir != "" && filepath.IsAbs(dir) {
		// Several folders are separated by colons (systemd.exec(5)); the first is the unit's own.
		return filepath.Join(filepath.SplitList(dir)[0], "follow.state")
	}
	return ""
}

func (w *watcher) load() (*config.Config, *classify.Engine, error) {
	cfg, err := config.Load(w.file)
	if err != nil {
		return nil, nil, err
	}
	if err := cfg.CheckForFollow(followed(cfg.Events)).Err(); err != nil {
		return nil, nil, err
	}
	engine, err := newEngine(cfg, false)
	if err == nil {
		engine.Prepare()
	}
	return cfg, engine, err
}

func (w *watcher) serve(cfg *config.Config, reg *prometheus.Registry) (*web.Server, error) {
	if cfg.Follow.Listen == (milter.Socket{}) {
		return nil, nil
	}
	lns, err := milter.Listen(cfg.Follow.Listen, "follow.listen")
	if err != nil {
		return nil, err
	}
	opts := cfg.Milter.Web
	if host, _, err := net.SplitHostPort(cfg.Follow.Listen.Address); err == nil && host != "" {
		opts.Hosts = append([]string{host}, opts.Hosts...)
	}
	s, err := web.New(lns, web.Handler(web.Pages{
		Metrics: web.Packed(promhttp.HandlerFor(reg, promhttp.HandlerOpts{EnableOpenMetrics: true})),
		Health:  w.health,
	}), opts, w.log)
	if err != nil {
		return nil, err
	}
	s.Start(func(addr net.Addr, err error) {
		w.log.Error("metrics are no longer served", "address", addr.String(), "error", err)
	})
	w.log.Info("serving metrics", "listen", addressesOf(s.Addrs()))
	return s, nil
}

func addressesOf(addrs []net.Addr) []string {
	list := make([]string, len(addrs))
	for i, addr := range addrs {
		list[i] = addr.Network() + ":" + addr.String()
	}
	return list
}

func (w *watcher) health() web.Health {
	h := web.Health{NotReady: w.follower.Trouble()}
	if w.refused.Load() {
		h.Worries = append(h.Worries, "the last reload was refused and the old configuration stays in force: see the log")
	}
	return h
}

// reload puts other rules and sinks in force. The log that is followed stays.
func (w *watcher) reload() {
	cfg, engine, err := w.load()
	var events *stream.Change
	if err == nil {
		events, err = w.events.Prepare(followed(cfg.Events))
		err = cfg.Place(err)
	}
	w.refused.Store(err != nil)
	if err != nil {
		w.metrics.SetReloaded(false)
		var ps toml.Problems
		if !errors.As(err, &ps) {
			ps = toml.Problems{{Message: err.Error()}}
		}
		for _, p := range ps {
			w.log.Error("the new configuration is refused, the old one stays in force", "error", p.String())
		}
		return
	}
	events.Apply()
	w.follower.SetEngine(engine)
	w.handler.set(cfg.Log)
	w.metrics.SetReloaded(true)
	w.metrics.SetBuild(readBuild().with(engine))
	w.log.Info("configuration", append([]any{"config", fileOf(cfg)}, settings(cfg)...)...)
}

func (w *watcher) endEvents(cfg *config.Config) {
	ctx, cancel := context.WithTimeout(context.Background(), max(cfg.Milter.DrainTimeout, time.Second))
	defer cancel()
	w.events.Close(ctx)
}
