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

// Warnings reports what works but lets others interfere: files and folders that
// they may write, and trusted networks that anybody may send from; and what cannot keep the
// status page, without which the daemon works.
func (c *Config) Warnings() toml.Problems {
	var ps toml.Problems
	warn := func(file, key, format string, a ...any) {
		p := c.problem(key, format, a...)
		p.File = file
		ps = append(ps, p)
	}
	if c.File != "" {
		if who := writers(c.File, false); who != "" {
			warn(c.File, "", "%s may write this file and so control the daemon: chmod go-w %s", who, c.File)
		}
		if dir := filepath.Dir(c.File); writers(dir, true) != "" {
			warn(c.File, "", "%s may write the folder %s and so replace this file: chmod go-w %[2]s", writers(dir, true), dir)
		}
	}
	if dir := c.RulesFolder(); dir != "" {
		if who := writers(dir, false); who != "" {
			warn(c.File, "rules_dir", "%s may write the folder %s and so decide verdicts: chmod go-w %[2]s", who, dir)
		}
		for _, f := range c.RuleFiles() {
			if who := writers(f, false); who != "" {
				warn(f, "", "%s may write this file and so decide verdicts: chmod go-w %s", who, f)
			}
		}
	}
	if c.StateFile != "" {
		if err := page.CheckFile(c.StateFile, c.uid()); err != nil {
			warn(c.File, "metrics.state_file", "%s %v", c.StateFile, err)
		}
	}
	if file := c.Follow.StateFile; file != "" {
		if err := statefile.Follow.Check(file, c.uid()); err != nil {
			warn(c.File, "follow.state_file", "%s %v", file, err)
		} else if filepath.Clean(file) == filepath.Clean(c.StateFile) {
			warn(c.File, "follow.state_file", "%s is metrics.state_file too, and each leaves the other's file alone: name another file", file)
		}
	}
	if path := c.Follow.Path; path != "journal" && path != "-" && !filepath.IsAbs(path) {
		warn(c.File, "follow.path", "%q depends on the folder in which follow is started: write the path from the root", path)
	}
	if s := c.Follow.Listen; s != (milter.Socket{}) && s.Network != "systemd" {
		if s == c.Milter.Metrics {
			warn(c.File, "follow.listen", "%q is metrics.listen too, so whichever of daemon and follow starts last finds it taken: name another socket", s)
		} else if slices.Contains(c.Milter.Listen, s) {
			warn(c.File, "follow.listen", "%q is in listen too, so whichever of daemon and follow starts last finds it taken: name another socket", s)
		}
	}
	for i, pattern := range c.Milter.VERP {
		if strings.Contains(pattern, "{mac}") && c.Milter.Origin.KeyFile == "" {
			warn(c.File, itemKey("verp.patterns", i), `{mac} proves nothing without a key: make keys with "bounce-milter ticket keygen --append FILE", and name the file in origin.key_file`)
		}
	}
	socket := func(key string, s milter.Socket) {
		if everywhere(s) {
			warn(c.File, key, "%q is every address of this host, and whoever reaches it is served: name one address, or let a firewall keep others out", s)
		}
		if s.Network != "unix" || s.Address == "" || s.Address[0] == '@' {
			return
		}
		dir := filepath.Dir(s.Address)
		if who := writers(dir, false); who != "" {
			warn(c.File, key, "%s may write the folder %s and so put a socket in this one's place: name a folder of its own", who, dir)
		}
	}
	for i, s := range c.Milter.Listen {
		socket(itemKey("listen", i), s)
	}
	socket("metrics.listen", c.Milter.Metrics)
	socket("follow.listen", c.Follow.Listen)
	if dir := c.Events.Spool; dir != "" && len(c.Events.Sinks) > 0 {
		if who := writers(dir, false); who != "" {
			warn(c.File, "events.spool", "%s may write the folder %s and so change records: chmod go-w %[2]s", who, dir)
		}
	}
	ps = append(ps, c.place(c.Events.Warn())...)
	ps = append(ps, c.place(c.Milter.Origin.Warn(time.Now()))...)
	for i, p := range c.Milter.TrustedNetworks {
		key := itemKey("trusted_networks", i)
		switch {
		case p.Bits() == 0:
			warn(c.File, key, "%s contains every address, so nobody's forged headers are removed: name your relays only", p)
		case p.Overlaps(loopback[0]) || p.Overlaps(loopback[1]):
			warn(c.File, key, "%s contains this host, so whoever may send mail from here may forge headers: name other hosts only", p)
		}
	}
	for i, a := range c.Milter.Actions {
		key := ".match.origin"
		if len(a.Match.Origin) == 0 {
			key = ".match.bound"
		}
		if (len(a.Match.Origin) > 0 || a.Match.Bound) && !c.Milter.Origin.On() {
			warn(c.File, itemKey("action", i)+key, "holds for no message as long as a table [origin] does not name your domains: action %q is never taken", a.Name)
		}
	}
	ps.Sort()
	return ps
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
