package config

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"net/netip"
	"os"
	"os/user"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"github.com/bounce-milter/bounce-milter/internal/event/stream"
	"github.com/bounce-milter/bounce-milter/internal/toml"
	"github.com/bounce-milter/bounce-milter/milter"
)

// CheckHost reports folders, users, groups, host names and addresses that the
// configuration names but this host does not have, and files with keys that are wrong. It
// opens no socket.
func (c *Config) CheckHost() toml.Problems {
	ps := append(c.CheckForMail(), c.checkForMetrics()...)
	ps = append(ps, c.checkFollowSocket()...)
	ps.Sort()
	return ps
}

// CheckForFollow is the part of [Config.CheckHost] that follow needs, with its own events.
func (c *Config) CheckForFollow(events stream.Options) toml.Problems {
	ps := append(c.CheckRulesFolder(), c.checkFollowSocket()...)
	if c.Follow.Listen != (milter.Socket{}) {
		ps = append(ps, c.placeOwn(c.Milter.Web.Check())...)
	}
	ps = append(ps, c.place(events.CheckHost(-1))...)
	ps.Sort()
	return ps
}

func (c *Config) checkFollowSocket() (ps toml.Problems) {
	if err := checkSocket(c.Follow.Listen); err != nil {
		ps = append(ps, c.problem("follow.listen", "%s %v", metricsSocket{&c.Follow.Listen}.text(), err))
	}
	return ps
}

// checkForMetrics is the part of [Config.CheckHost] that mail does not need.
func (c *Config) checkForMetrics() (ps toml.Problems) {
	if err := checkSocket(c.Milter.Metrics); err != nil {
		ps = append(ps, c.problem("metrics.listen", "%s %v", metricsSocket{&c.Milter.Metrics}.text(), err))
	}
	return append(ps, c.placeOwn(c.Milter.Web.Check())...)
}

// CheckForMail is the part of [Config.CheckHost] without which no mail is served.
func (c *Config) CheckForMail() toml.Problems {
	var ps toml.Problems
	bad := func(key, format string, a ...any) { ps = append(ps, c.problem(key, format, a...)) }
	for i, s := range c.Milter.Listen {
		key := itemKey("listen", i)
		if err := checkSocket(s); err != nil {
			bad(key, "%q %v", s, err)
		}
	}
	if c.User != "" {
		if _, err := LookupUser(c.User); err != nil {
			bad("user", "%v", err)
		}
	}
	if _, err := milter.LookupGroup(c.Milter.SocketGroup); err != nil {
		bad("socket_group", "%v", err)
	}
	ps = append(ps, c.CheckRulesFolder()...)
	ps = append(ps, c.place(c.Milter.Origin.CheckHost(c.uid()))...)
	ps = append(ps, c.place(c.Events.CheckHost(c.uid()))...)
	ps.Sort()
	return ps
}

// CheckRoom reports what is wrong with this host for now, though the daemon serves mail
// with it: a disk that is full, a certificate that has expired.
func (c *Config) CheckRoom() toml.Problems {
	return append(c.place(c.Events.CheckRoom()), c.placeOwn(c.Milter.Web.CheckNow())...)
}

// uid returns the number of the user that the daemon runs as, -1 where root asks, who
// may not be that user.
func (c *Config) uid() int {
	if c.User == "" {
		if me := os.Geteuid(); me != 0 {
			return me
		}
		return -1
	}
	if u, err := LookupUser(c.User); err == nil {
		if id, err := strconv.Atoi(u.Uid); err == nil {
			return id
		}
	}
	return -1
}

// LookupUser finds a user by name or number. The error names the mend.
func LookupUser(name string) (*user.User, error) {
	u, err := user.Lookup(name)
	if err != nil {
		u, err = user.LookupId(name)
	}
	if err != nil {
		return nil, fmt.Errorf("there is no user %q on this host: create it, or name another", name)
	}
	return u, nil
}

// checkSocket reports why s cannot be listened on here.
func checkSocket(s milter.Socket) error {
	switch s.Network {
	case "unix":
		if err := checkFolder(filepath.Dir(s.Address)); err != nil {
			return fmt.Errorf("cannot be created: %w", err)
		}
		if info, err := os.Lstat(s.Address); err == nil && info.Mode().Type() != fs.ModeSocket {
			return errors.New("already exists and is not a socket: remove it, or name another path")
		}
	case "tcp", "tcp6":
		host, _, _ := net.SplitHostPort(s.Address) // as ParseSocket joined it
		return checkHostName(host)
	}
	return nil
}

// CheckRulesFolder says what is wrong with the folder that [Config.RulesFolder] names: it
// must exist.
func (c *Config) CheckRulesFolder() toml.Problems {
	dir := c.RulesFolder()
	if dir == "" {
		return nil
	}
	if err := checkFolder(dir); err != nil {
		return toml.Problems{c.problem("rules_dir", `%v, or write "" for no rules of your own`, err)}
	}
	return nil
}

// checkFolder says why a folder cannot be used.
func checkFolder(dir string) error {
	info, err := os.Stat(dir)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return fmt.Errorf("the folder %s does not exist: create it", dir)
	case err != nil:
		return err
	case !info.IsDir():
		return fmt.Errorf("%s is not a folder: name one", dir)
	}
	return nil
}

// lookupTimeout bounds the look-up of a host name.
const lookupTimeout = 5 * time.Second

func checkHostName(host string) error {
	if host == "" {
		return nil // all addresses
	}
	ip, err := netip.ParseAddr(host)
	if err != nil {
		ctx, cancel := context.WithTimeout(context.Background(), lookupTimeout)
		defer cancel()
		if _, err := net.DefaultResolver.LookupNetIP(ctx, "ip", host); err != nil {
			return fmt.Errorf("names a host %q that does not resolve: check the name, or write its address", host)
		}
		return nil
	}
	if ip.IsUnspecified() || ip.IsLoopback() || nonLocalBind() {
		return nil
	}
	addrs, err := net.InterfaceAddrs()
	if err != nil {
		return nil // unknown here: binding the address will tell
	}
	for _, a := range addrs {
		if n, ok := a.(*net.IPNet); ok && n.IP.Equal(net.IP(ip.AsSlice())) {
			return nil
		}
	}
	return fmt.Errorf("has the address %s, which this host does not have: see ip address", ip)
}

// nonLocalBind reports whether the host lets programs bind addresses that it
// does not have (yet), as hosts that share an address do.
func nonLocalBind() bool {
	for _, family := range []string{"ipv4", "ipv6"} {
		b, err := os.ReadFile("/proc/sys/net/" + family + "/ip_nonlocal_bind")
		if err == nil && strings.TrimSpace(string(b)) == "1" {
			return true
		}
	}
	return false
}
