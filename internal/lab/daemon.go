package lab

import (
	"fmt"
	"net"
	"os"
	"strings"
	"syscall"
)

// DaemonConfig says how to run bounce-milter.
type DaemonConfig struct {
	Bin    string
	Listen []string // milter sockets in the spelling of the configuration
	Top    string   // further keys of the top level
	Tables string   // further tables
	Env    []string
}

// Daemon is a running bounce-milter with a configuration file of its own.
type Daemon struct {
	*Process
	// Metrics is the address of /metrics.
	Metrics string
	// ConfigFile is the file that it reads at start and on SIGHUP.
	ConfigFile string
	// RulesDir is the empty folder of the administrator's rules.
	RulesDir string

	lab  *Lab
	name string
	cfg  DaemonConfig
}

// StartDaemon writes a configuration and starts the daemon; it returns when the
// daemon listens on each of its sockets.
func (l *Lab) StartDaemon(name string, cfg DaemonConfig) (*Daemon, error) {
	ports, err := FreePorts(1)
	if err != nil {
		return nil, err
	}
	d := &Daemon{
		Metrics: Loopback(ports[0]), ConfigFile: l.Path(name + ".toml"), RulesDir: l.Path(name + ".rules.d"),
		lab: l, name: name, cfg: cfg,
	}
	if err := os.MkdirAll(d.RulesDir, 0o755); err != nil {
		return nil, fmt.Errorf("making the rules folder: %w", err)
	}
	if err := d.Configure(cfg); err != nil {
		return nil, err
	}
	return d, d.Restart()
}

// Configure rewrites the configuration file; the daemon reads it on SIGHUP or
// when it starts again.
func (d *Daemon) Configure(cfg DaemonConfig) error {
	d.cfg = cfg
	var b strings.Builder
	b.WriteString("listen = [")
	for i, s := range cfg.Listen {
		if i > 0 {
			b.WriteString(", ")
		}
		fmt.Fprintf(&b, "%q", s)
	}
	fmt.Fprintf(&b, "]\nrules_dir = %q\n%s\n[metrics]\nlisten = %q\n%s\n", d.RulesDir, cfg.Top, d.Metrics, cfg.Tables)
	if err := os.WriteFile(d.ConfigFile, []byte(b.String()), 0o644); err != nil {
		return fmt.Errorf("writing the daemon's configuration: %w", err)
	}
	return nil
}

// Config is what the daemon was configured with last.
func (d *Daemon) Config() DaemonConfig { return d.cfg }

// Restart starts the daemon, which must not run, and waits until it serves.
func (d *Daemon) Restart() error {
	p, err := d.lab.Start(Spec{
		Name: "bounce-milter", Path: d.cfg.Bin, Args: []string{"serve", "--config", d.ConfigFile},
		Env: d.cfg.Env, Log: d.lab.Path(d.name + ".log"),
	})
	if err != nil {
		return err
	}
	d.Process = p
	err = Until("bounce-milter to serve", func() (bool, error) {
		if d.Exited() {
			return false, Never(fmt.Errorf("it ended: %s", d.Log()))
		}
		if !up(d.Metrics) {
			return false, nil
		}
		for _, s := range d.cfg.Listen {
			network, addr := split(s)
			conn, err := net.Dial(network, addr)
			if err != nil {
				return false, nil
			}
			conn.Close()
		}
		return true, nil
	})
	return err
}

// split reads the spellings of a socket that the lab itself uses.
func split(spec string) (network, addr string) {
	if path, ok := strings.CutPrefix(spec, "unix:"); ok {
		return "unix", path
	}
	spec = strings.TrimPrefix(spec, "inet:")
	if port, host, ok := strings.Cut(spec, "@"); ok {
		return "tcp", net.JoinHostPort(host, port)
	}
	return "tcp", spec
}

// Reload sends SIGHUP and waits until the daemon has tried its configuration. It reports
// whether the new one is in force.
func (d *Daemon) Reload() (bool, error) {
	before := strings.Count(d.Log(), "ERROR")
	old, err := Scrape(d.Metrics)
	if err != nil {
		return false, err
	}
	if err := d.Signal(syscall.SIGHUP); err != nil {
		return false, err
	}
	const stamp = "config_last_reload_success_timestamp_seconds"
	const good = "config_last_reload_successful"
	taken := false
	err = Until("the reload", func() (bool, error) {
		now, err := Scrape(d.Metrics)
		if err != nil {
			return false, err
		}
		taken = now.Sum(good) == 1 && now.Sum(stamp) > old.Sum(stamp)
		refused := now.Sum(good) == 0 && strings.Count(d.Log(), "ERROR") > before
		return taken || refused, nil
	})
	return taken, err
}

// Scrape reads the daemon's metrics.
func (d *Daemon) Scrape() (Metrics, error) { return Scrape(d.Metrics) }
