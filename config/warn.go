package config

import (
	"io/fs"
	"net"
	"net/netip"
	"os"
	"os/user"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"time"

	"github.com/bounce-milter/bounce-milter/internal/page"
	"github.com/bounce-milter/bounce-milter/internal/statefile"
	"github.com/bounce-milter/bounce-milter/internal/toml"
	"github.com/bounce-milter/bounce-milter/milter"
)

var loopback = []netip.Prefix{netip.MustParsePrefix("127.0.0.0/8"), netip.MustParsePrefix("::1/128")}

// Warnings reports what works but lets others interfere, such as files that they may write
// and networks that anybody may send from, and what can hardly be meant.
func (c *Config) Warnings() toml.Problems {
	w := &warnings{Config: c}
	w.files()
	w.follow()
	w.sockets()
	w.mail()
	w.ps = append(w.ps, c.place(c.Events.Warn())...)
	w.ps = append(w.ps, c.place(c.Milter.Origin.Warn(time.Now()))...)
	w.ps.Sort()
	return w.ps
}

// warnings collects what [Config.Warnings] reports.
type warnings struct {
	*Config
	ps toml.Problems
}

// add adds a warning about a key of the configuration file, "" for the file itself.
func (w *warnings) add(key, format string, a ...any) {
	w.ps = append(w.ps, w.problem(key, format, a...))
}

// files looks at the files and folders by which others could control the daemon, and at
// those that the daemon keeps its state in.
func (w *warnings) files() {
	if w.File != "" {
		if who := writers(w.File, false); who != "" {
			w.add("", "%s may write this file and so control the daemon: chmod go-w %s", who, w.File)
		}
		if dir := filepath.Dir(w.File); writers(dir, true) != "" {
			w.add("", "%s may write the folder %s and so replace this file: chmod go-w %[2]s", writers(dir, true), dir)
		}
	}
	if dir := w.RulesFolder(); dir != "" {
		if who := writers(dir, false); who != "" {
			w.add("rules_dir", "%s may write the folder %s and so decide verdicts: chmod go-w %[2]s", who, dir)
		}
	}
	for _, f := range w.RuleFiles() {
		if who := writers(f, false); who != "" {
			w.ps = append(w.ps, toml.Problem{File: f, Message: who + " may write this file and so decide verdicts: chmod go-w " + f})
		}
	}
	if dir := w.Events.Spool; dir != "" && len(w.Events.Sinks) > 0 {
		if who := writers(dir, false); who != "" {
			w.add("events.spool", "%s may write the folder %s and so change records: chmod go-w %[2]s", who, dir)
		}
	}
	if w.StateFile != "" {
		if err := page.CheckFile(w.StateFile, w.uid()); err != nil {
			w.add("metrics.state_file", "%s %v", w.StateFile, err)
		}
	}
	if file := w.Follow.StateFile; file != "" {
		if err := statefile.Follow.Check(file, w.uid()); err != nil {
			w.add("follow.state_file", "%s %v", file, err)
		} else if filepath.Clean(file) == filepath.Clean(w.StateFile) {
			w.add("follow.state_file", "%s is metrics.state_file too, and each leaves the other's file alone: name another file", file)
		}
	}
}

// follow looks at the log that is followed.
func (w *warnings) follow() {
	if path := w.Follow.Path; path != "journal" && path != "-" && !filepath.IsAbs(path) {
		w.add("follow.path", "%q depends on the folder in which follow is started: write the path from the root", path)
	}
}

// sockets looks at who reaches the sockets, and whether two programs share one.
func (w *warnings) sockets() {
	for i, s := range w.Milter.Listen {
		w.socket(itemKey("listen", i), s)
	}
	w.socket("metrics.listen", w.Milter.Metrics)
	w.socket("follow.listen", w.Follow.Listen)
	s := w.Follow.Listen
	if s == (milter.Socket{}) || s.Network == "systemd" {
		return
	}
	if s == w.Milter.Metrics {
		w.add("follow.listen", "%q is metrics.listen too, so whichever of daemon and follow starts last finds it taken: name another socket", s)
	} else if slices.Contains(w.Milter.Listen, s) {
		w.add("follow.listen", "%q is in listen too, so whichever of daemon and follow starts last finds it taken: name another socket", s)
	}
}

func (w *warnings) socket(key string, s milter.Socket) {
	if everywhere(s) {
		w.add(key, "%q is every address of this host, and whoever reaches it is served: name one address, or let a firewall keep others out", s)
	}
	if s.Network != "unix" || s.Address == "" || s.Address[0] == '@' {
		return
	}
	dir := filepath.Dir(s.Address)
	if who := writers(dir, false); who != "" {
		w.add(key, "%s may write the folder %s and so put a socket in this one's place: name a folder of its own", who, dir)
	}
}

// mail looks at whom the daemon trusts, and at keys that have no effect on any mail.
func (w *warnings) mail() {
	for i, pattern := range w.Milter.VERP {
		if strings.Contains(pattern, "{mac}") && w.Milter.Origin.KeyFile == "" {
			w.add(itemKey("verp.patterns", i), `{mac} proves nothing without a key: make keys with "bounce-milter ticket keygen --append FILE", and name the file in origin.key_file`)
		}
	}
	for i, p := range w.Milter.TrustedNetworks {
		key := itemKey("trusted_networks", i)
		switch {
		case p.Bits() == 0:
			w.add(key, "%s contains every address, so nobody's forged headers are removed: name your relays only", p)
		case p.Overlaps(loopback[0]) || p.Overlaps(loopback[1]):
			w.add(key, "%s contains this host, so whoever may send mail from here may forge headers: name other hosts only", p)
		}
	}
	for i, a := range w.Milter.Actions {
		key := ".match.origin"
		if len(a.Match.Origin) == 0 {
			key = ".match.bound"
		}
		if (len(a.Match.Origin) > 0 || a.Match.Bound) && !w.Milter.Origin.On() {
			w.add(itemKey("action", i)+key, "holds for no message as long as a table [origin] does not name your domains: action %q is never taken", a.Name)
		}
	}
}

// everywhere reports whether a socket takes connections to all addresses of the host.
func everywhere(s milter.Socket) bool {
	if !strings.HasPrefix(s.Network, "tcp") {
		return false
	}
	host, _, err := net.SplitHostPort(s.Address)
	ip, notIP := netip.ParseAddr(host)
	return err == nil && (host == "" || notIP == nil && ip.IsUnspecified())
}

// writers says who besides its owner and root may write at path, "" for nobody.
// With sticky, a folder with the sticky bit does not count, since nobody there can
// replace another's file.
func writers(path string, sticky bool) string {
	info, err := os.Stat(path)
	if err != nil || sticky && info.Mode()&fs.ModeSticky != 0 {
		return ""
	}
	if info.Mode().Perm()&0o002 != 0 {
		return "everybody"
	}
	st, ok := info.Sys().(*syscall.Stat_t)
	if info.Mode().Perm()&0o020 == 0 || !ok || st.Gid == 0 {
		return ""
	}
	id := strconv.FormatUint(uint64(st.Gid), 10)
	if g, err := user.LookupGroupId(id); err == nil {
		id = g.Name
	}
	return "group " + id
}
