package doctor

import (
	"context"
	"errors"
	"io"
	"net"
	"net/http"
	"os"
	"regexp"
	"slices"
	"strings"
	"time"

	"github.com/bounce-milter/bounce-milter/config"
	"github.com/bounce-milter/bounce-milter/internal/trial"
	"github.com/bounce-milter/bounce-milter/milter"
	"golang.org/x/sys/unix"
)

// maxPage bounds what is read of a page of the daemon.
const maxPage = 4 << 20

// Where the versions stand in the metrics.
const (
	buildInfo = `(?m)^bounce_milter_build_info\{(.*)\} 1$`
	label     = `(\w+)="([^"]*)"`
)

// daemon looks at the running daemon, through its metrics.
func (r *report) daemon(cfg *config.Config) {
	const check = "metrics"
	at := cfg.Milter.Metrics
	switch at.Network {
	case "":
		r.add(check, Note, nil, `metrics are off (metrics.listen = ""): what the daemon does cannot be seen`)
		return
	case milter.Systemd:
		r.add(check, Note, nil, "systemd listens for metrics: see systemctl status bounce-milter-metrics.socket")
		return
	}
	ready, status, err := r.get(at, "/-/ready")
	if err != nil {
		r.wrong(check, []string{"sudo systemctl restart bounce-milter", "journalctl -u bounce-milter -n 20"},
			"nobody answers at %s, where the daemon should serve metrics: %v", at, err)
		return
	}
	switch text := strings.TrimSpace(ready); {
	case status == http.StatusUnauthorized || status == http.StatusForbidden || strings.Contains(text, "HTTPS server"):
		r.add(check, Note, nil, "the daemon answers at %s, but wants a password or TLS: more cannot be seen from here", at)
		return
	case status != http.StatusOK:
		r.wrong("daemon", []string{"journalctl -u bounce-milter -n 20"}, "the daemon at %s is not ready: %s", at, oneLine(text))
	default:
		r.good(check, "the daemon serves mail and metrics at %s", at)
		_, worries, _ := strings.Cut(text, "\n")
		for _, worry := range strings.FieldsFunc(worries, func(c rune) bool { return c == '\n' }) {
			r.add("daemon", Warning, []string{"bounce-milter config check", "sudo systemctl reload bounce-milter", "journalctl -u bounce-milter -n 20"}, "%s", worry)
		}
	}
	page, status, err := r.get(at, "/metrics")
	if err != nil || status != http.StatusOK {
		return
	}
	m := regexp.MustCompile(buildInfo).FindStringSubmatch(page)
	if m == nil {
		r.wrong(check, nil, "what answers at %s is not bounce-milter", at)
		return
	}
	labels := map[string]string{}
	for _, l := range regexp.MustCompile(label).FindAllStringSubmatch(m[1], -1) {
		labels[l[1]] = l[2]
	}
	running, installed := labels["version"], r.Version
	if rev := labels["revision"]; running == installed && rev != r.Revision && isKnown(rev) && isKnown(r.Revision) {
		running, installed = running+" ("+rev+")", installed+" ("+r.Revision+")"
	}
	restart := []string{"sudo systemctl restart bounce-milter"}
	replaced := slices.ContainsFunc(trial.Find(cfg.File), func(d trial.Daemon) bool { return d.Replaced })
	switch {
	case running != installed:
		r.add("version", Warning, restart, "version %s is running, and %s is installed: a reload does not change the program, a restart does", running, installed)
		return
	case replaced:
		r.add("version", Warning, restart, "the program was replaced while it runs: a reload does not change it, a restart does")
		return
	}
	r.good("version", "version %s is running, with the rules %s", labels["version"], labels["ruleset"])
}

// isKnown reports whether a program knows the revision that it was built from.
func isKnown(revision string) bool { return revision != "" && revision != "unknown" }

func oneLine(s string) string { return strings.Join(strings.Fields(s), " ") }

// get fetches a page of the daemon.
func (r *report) get(at milter.Socket, path string) (body string, status int, err error) {
	ctx, cancel := context.WithTimeout(r.ctx, patience)
	defer cancel()
	network, address := at.Network, at.Address
	if host, port, err := net.SplitHostPort(address); err == nil && network != "unix" {
		if ip := net.ParseIP(host); host == "" || ip != nil && ip.IsUnspecified() {
			address = net.JoinHostPort("localhost", port)
		}
	}
	client := http.Client{Transport: &http.Transport{DisableKeepAlives: true, DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
		var d net.Dialer
		return d.DialContext(ctx, network, address)
	}}}
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://localhost"+path, nil)
	if err != nil {
		return "", 0, err
	}
	resp, err := client.Do(req)
	if err != nil {
		if pe := (*net.OpError)(nil); errors.As(err, &pe) {
			err = pe
		}
		return "", 0, err
	}
	defer resp.Body.Close()
	data, err := io.ReadAll(io.LimitReader(resp.Body, maxPage))
	return string(data), resp.StatusCode, err
}

// sockets returns where the daemon listens for mail servers.
func (r *report) sockets(cfg *config.Config) []milter.Socket {
	var list []milter.Socket
	for _, s := range cfg.Milter.Listen {
		if s.Network != milter.Systemd {
			list = append(list, s)
			continue
		}
		out, err := r.run("systemctl", "show", "-p", "Listen", "--value", "bounce-milter.socket")
		if err != nil || strings.TrimSpace(out) == "" {
			r.add("daemon", Unknown, []string{"systemctl status bounce-milter.socket"}, "systemd listens for the daemon, and does not say where")
			continue
		}
		for line := range strings.Lines(out) {
			address, _, _ := strings.Cut(strings.TrimSpace(line), " ")
			switch {
			case strings.HasPrefix(address, "/"):
				list = append(list, milter.Socket{Network: "unix", Address: address})
			case address != "":
				list = append(list, milter.Socket{Network: "tcp", Address: address})
			}
		}
	}
	return list
}

// clock looks at the machine's clock: tickets, log and events go by it.
func (r *report) clock(cfg *config.Config) {
	const check = "clock"
	now := time.Now()
	mend := []string{"timedatectl", "sudo timedatectl set-ntp true"}
	if !r.Built.IsZero() && now.Before(r.Built.Add(-24*time.Hour)) {
		r.wrong(check, mend, "it is %s by this machine's clock, before this program was built (%s)",
			now.UTC().Format(time.DateOnly), r.Built.UTC().Format(time.DateOnly))
		return
	}
	for _, name := range []string{cfg.File, cfg.RulesFolder(), "/var/log", "/run"} {
		if info, err := os.Stat(name); err == nil && info.ModTime().After(now.Add(5*time.Minute)) {
			r.wrong(check, mend, "%s was changed at %s, which is to come by this machine's clock (%s)",
				name, info.ModTime().UTC().Format(time.RFC3339), now.UTC().Format(time.RFC3339))
			return
		}
	}
	var t unix.Timex
	if state, err := unix.Adjtimex(&t); err == nil && (state == unix.TIME_ERROR || t.Status&unix.STA_UNSYNC != 0) {
		r.add(check, Note, mend, "nothing keeps this machine's clock right, as far as the kernel knows")
		return
	}
	r.good(check, "it is %s", now.UTC().Format(time.RFC3339))
}
