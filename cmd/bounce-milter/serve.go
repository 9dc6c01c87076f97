package main

import (
	"context"
	"errors"
	"log/slog"
	"net"
	"os"
	"strconv"
	"strings"
	"sync/atomic"
	"time"

	"github.com/bounce-milter/bounce-milter/classify"
	"github.com/bounce-milter/bounce-milter/classify/dsn"
	"github.com/bounce-milter/bounce-milter/config"
	"github.com/bounce-milter/bounce-milter/internal/event/stream"
	"github.com/bounce-milter/bounce-milter/internal/page"
	"github.com/bounce-milter/bounce-milter/internal/toml"
	"github.com/bounce-milter/bounce-milter/internal/trial"
	"github.com/bounce-milter/bounce-milter/milter"
	"github.com/prometheus/client_golang/prometheus"
)

func runServe(a *app, _ []string) error {
	sig := newSignals()
	defer sig.stop()
	handler, lines := newDaemonLog(a.stderr)
	defer lines.Close()
	d := daemon{file: a.options.config, handler: handler}
	cfg, engine, err := d.load((*config.Config).CheckForMail)
	if err != nil {
		return err
	}
	account, err := accountOf(cfg)
	if err != nil {
		return err
	}
	d.handler.set(cfg.Log)
	log := slog.New(d.handler)
	slog.SetDefault(log) // for libraries that log
	b := readBuild()
	log.Info("starting", "config", fileOf(cfg), "version", b.version, "rules", engine.Version())
	log.Info("configuration", settings(cfg)...)
	milter.SetMemoryLimit(log)
	if account != nil {
		if err := account.become(cfg, log); err != nil {
			return err
		}
	}
	logWarnings(log, cfg, engine)

	registry := prometheus.NewRegistry()
	metrics := milter.NewMetrics(registry, b.with(engine))
	lines.CountLost(metrics.LogLost)
	d.events, err = stream.New(cfg.Events, b.version, stream.NewMetrics(registry), log)
	if err != nil {
		return cfg.Place(err)
	}
	d.drain.Store(int64(cfg.Milter.DrainTimeout))
	defer d.endEvents()
	d.page = metrics.Page()
	defer d.runPage(cfg, log)()
	d.server, err = milter.New(cfg.Milter, milterRules(engine), metrics, log, d.events)
	if err != nil {
		return cfg.Place(err)
	}
	secret, err := trial.New(cfg.File)
	if err != nil {
		log.Debug("doctor --send cannot try the way through the mail server", "error", err)
	}
	defer secret.Close()
	d.server.Trials(secret)
	if err := d.server.Listen(); err != nil {
		return err
	}
	if url := pageURL(d.server.MetricsScheme(), d.server.MetricsAddrs()); url != "" && isTerminal(a.stderr) {
		log.Info("look at the status page in a browser", "url", url)
	}
	sig.onReload(func() {
		d.events.Reopen()
		d.reload()
	})
	if err := d.server.Serve(sig.end); err != nil && !errors.Is(err, milter.ErrServerClosed) {
		return err
	}
	d.endEvents()
	log.Info("stopped")
	return nil
}

// pageURL returns where a browser on this host finds the status page, "" if nowhere.
func pageURL(scheme string, addrs []net.Addr) string {
	for _, addr := range addrs {
		tcp, ok := addr.(*net.TCPAddr)
		if !ok {
			continue
		}
		host := tcp.IP.String()
		if tcp.IP.IsUnspecified() {
			host = "localhost"
		}
		return scheme + "://" + net.JoinHostPort(host, strconv.Itoa(tcp.Port)) + "/"
	}
	return ""
}

// daemon holds what a reload needs.
type daemon struct {
	file    string // "" is the default
	handler *logHandler
	server  *milter.Server
	events  *stream.Stream
	page    *page.Board
	drain   atomic.Int64 // drain_timeout, in nanoseconds
}

// runPage counts for the status page until it is told to end, and keeps its state.
func (d *daemon) runPage(cfg *config.Config, log *slog.Logger) (end func()) {
	d.page.SetSinks(func() []page.Sink {
		var list []page.Sink
		for _, s := range d.events.States() {
			list = append(list, page.Sink{Name: s.Name, Type: string(s.Type), Pending: s.Pending,
				Oldest: int64(s.Oldest / time.Second), Error: s.Error})
		}
		return list
	})
	if err := d.page.Restore(cfg.StateFile); err != nil {
		log.Warn(err.Error())
	}
	stop, ended := make(chan struct{}), make(chan struct{})
	go func() {
		d.page.Run(stop, log)
		close(ended)
	}()
	return func() {
		close(stop)
		<-ended
	}
}

// endEvents hands over the records that wait, and ends what is to be ended once.
func (d *daemon) endEvents() {
	ctx, cancel := context.WithTimeout(context.Background(), max(time.Duration(d.drain.Load()), time.Second))
	defer cancel()
	d.events.Close(ctx)
}

// load reads and checks configuration and rules, without putting them in force. check says
// what is wrong on this host.
func (d *daemon) load(check func(*config.Config) toml.Problems) (*config.Config, *classify.Engine, error) {
	cfg, err := config.Load(d.file)
	if err != nil {
		return nil, nil, err
	}
	if err := dsn.Load(); err != nil { // now, and not with the first message
		return nil, nil, err
	}
	engine, err := newEngine(cfg, false)
	if err != nil {
		return nil, nil, err
	}
	if problems := check(cfg); len(problems) > 0 {
		return nil, nil, problems
	}
	engine.Prepare()
	return cfg, engine, nil
}

// reload puts a new configuration in force, or says why the old one stays.
func (d *daemon) reload() {
	cfg, engine, err := d.load((*config.Config).CheckHost)
	if err == nil {
		// A running daemon cannot change its user any more.
		var other *account
		if other, err = accountOf(cfg); other != nil {
			err = cfg.Refuse("user", "cannot change in a reload: restart the daemon")
		}
	}
	var events *stream.Change
	if err == nil {
		events, err = d.events.Prepare(cfg.Events)
		err = cfg.Place(err)
	}
	if err != nil {
		d.server.ReloadFailed(errors.New(strings.ReplaceAll(err.Error(), "\n", "; ")))
		return
	}
	if d.server.Reload(cfg.Milter, milterRules(engine)) != nil {
		events.Drop()
	} else {
		events.Apply()
		d.drain.Store(int64(cfg.Milter.DrainTimeout))
		d.page.SetFile(cfg.StateFile)
		d.handler.set(cfg.Log)
		log := slog.New(d.handler)
		logWarnings(log, cfg, engine)
		log.Info("configuration", append([]any{"config", fileOf(cfg)}, settings(cfg)...)...)
	}
}

// logWarnings logs what works but lets others interfere, or may not be meant.
func logWarnings(log *slog.Logger, cfg *config.Config, engine *classify.Engine) {
	if os.Geteuid() == 0 {
		log.Warn("running as root, which the daemon does not need: name a user in the configuration, or with User= in the unit")
	}
	for _, p := range append(cfg.Warnings(), cfg.CheckRoom()...) {
		file, line := p.File, p.Line
		p.File = ""
		log.Warn("configuration: "+p.String(), "file", file, "line", line)
	}
	for _, p := range engine.Warnings() {
		log.Warn("rules: "+p.Message, "file", p.File, "line", p.Line)
	}
}
