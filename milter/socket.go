package milter

import (
	"errors"
	"fmt"
	"net"
	"net/netip"
	"path/filepath"
	"strconv"
	"strings"

	"github.com/bounce-milter/bounce-milter/internal/toml"
)

// Systemd is the network of a socket that systemd passes to the daemon.
const Systemd = "systemd"

// Socket is an address to listen on. It can be compared with ==.
type Socket struct {
	// Network is "tcp", "tcp4", "tcp6", "unix" or [Systemd].
	Network string
	// Address is host:port or a path. For [Systemd] it is the socket's
	// FileDescriptorName; if that is empty, metrics get the sockets called
	// "metrics" and the milter gets all others.
	Address string
}

// String spells the socket as [ParseSocket] reads it, "" for the zero Socket.
func (s Socket) String() string {
	kind := s.Network
	switch s.Network {
	case "tcp", "tcp4", "tcp6":
		kind = "inet"
		if s.Network == "tcp6" {
			kind = "inet6"
		}
		host, port, err := net.SplitHostPort(s.Address)
		if err == nil && host == "" {
			return kind + ":" + port
		} else if err == nil {
			return kind + ":" + port + "@" + host
		}
	case Systemd:
		if s.Address == "" {
			return Systemd
		}
	case "":
		return ""
	}
	return kind + ":" + s.Address
}

// ParseSocket reads a milter socket as Postfix, Sendmail and OpenDKIM users
// spell it: inet:PORT@HOST, inet:HOST:PORT, inet:PORT, the same with inet6:,
// unix:PATH, local:PATH, or an absolute path. It also reads "systemd", and
// "systemd:NAME" for the sockets with this FileDescriptorName.
func ParseSocket(s string) (Socket, error) {
	kind, rest, found := strings.Cut(s, ":")
	switch {
	case s == "":
		return Socket{}, errors.New(`is empty: write a socket such as "inet:8894@127.0.0.1"`)
	case kind == Systemd && (rest != "" || !found):
		return Socket{Network: Systemd, Address: rest}, nil
	case strings.HasPrefix(s, "/"):
		return unixSocket(s)
	case found && (kind == "unix" || kind == "local"):
		return unixSocket(rest)
	case found && (kind == "inet" || kind == "inet6"):
		network := "tcp"
		if kind == "inet6" {
			network = "tcp6"
		}
		address, err := inetAddress(rest, kind)
		return Socket{Network: network, Address: address}, err
	}
	if host, port, err := net.SplitHostPort(s); err == nil && isNumber(port) {
		return Socket{}, fmt.Errorf(`does not say what kind of socket it is: write "inet:%s@%s"`, port, host)
	}
	if near := toml.Nearest(kind, []string{"inet", "inet6", "unix", "local", Systemd}); found && near != "" {
		return Socket{}, fmt.Errorf(`has an unknown kind %q: write "%s:%s"`, kind, near, rest)
	}
	return Socket{}, errors.New(`is not a socket: write "inet:PORT@HOST", "unix:/PATH" or "systemd"`)
}

// ParseMetricsSocket reads the address of the metrics page: host:port, as is usual
// for HTTP, or any spelling of a milter socket; "" turns it off.
func ParseMetricsSocket(s string) (Socket, error) {
	if s == "" {
		return Socket{}, nil
	}
	if host, port, err := net.SplitHostPort(s); err == nil && !strings.Contains(host, ":") || strings.HasPrefix(s, "[") {
		if err != nil {
			return Socket{}, errors.New(`is not an address: write "[IPV6-ADDRESS]:PORT"`)
		}
		if _, isKind := map[string]bool{"inet": true, "inet6": true, "unix": true, "local": true, Systemd: true}[host]; !isKind {
			if err := checkPort(port); err != nil {
				return Socket{}, err
			}
			return Socket{Network: "tcp", Address: s}, nil
		}
	}
	if isNumber(s) {
		return Socket{}, fmt.Errorf(`names no host: write "127.0.0.1:%s"`, s)
	}
	sock, err := ParseSocket(s)
	if err != nil && !strings.Contains(s, ":") {
		err = errors.New(`is not an address: write "HOST:PORT", or "" for no metrics`)
	}
	return sock, err
}

func unixSocket(path string) (Socket, error) {
	switch {
	case path == "":
		return Socket{}, errors.New(`has no path: write "unix:/run/bounce-milter/milter.sock"`)
	case !strings.HasPrefix(path, "/"):
		return Socket{}, fmt.Errorf(`is a relative path: write it from the root, "unix:/…/%s"`, filepath.Base(path))
	case len(path) > maxUnixPath:
		return Socket{}, fmt.Errorf("is %d octets long: the system takes socket paths of at most %d", len(path), maxUnixPath)
	case strings.HasSuffix(path, "/"):
		return Socket{}, fmt.Errorf(`names a folder: add the socket's own name, "unix:%smilter.sock"`, path)
	}
	return Socket{Network: "unix", Address: filepath.Clean(path)}, nil
}

// inetAddress reads PORT@HOST, HOST:PORT or PORT. IPv6 hosts may stand in
// brackets, and must in the HOST:PORT form.
func inetAddress(s, kind string) (string, error) {
	port, host, at := strings.Cut(s, "@")
	if !at {
		if i := strings.LastIndexByte(s, ':'); i >= 0 {
			host, port = s[:i], s[i+1:]
			if strings.Contains(host, ":") && !strings.HasPrefix(host, "[") {
				return "", fmt.Errorf(`is ambiguous: write "%s:PORT@%s"`, kind, s)
			}
		} else {
			port = s
		}
	}
	if err := checkPort(port); err != nil {
		return "", err
	}
	host = strings.TrimSuffix(strings.TrimPrefix(host, "["), "]")
	if strings.Contains(host, ":") || isAddressLike(host) {
		ip, err := netip.ParseAddr(host)
		if err != nil {
			return "", fmt.Errorf("has no IP address in %q: check the number", host)
		}
		if kind == "inet6" && ip.Is4() {
			return "", fmt.Errorf(`has an IPv4 address: write "inet:%s@%s"`, port, host)
		}
	}
	return net.JoinHostPort(host, port), nil
}

// isAddressLike reports whether a host consists of digits and dots only: it can be an
// IPv4 address but no host name.
func isAddressLike(host string) bool {
	return host != "" && strings.Trim(host, "0123456789.") == ""
}

func checkPort(s string) error {
	if s == "" {
		return errors.New("has no port: add a number from 1 to 65535")
	}
	if n, err := strconv.Atoi(s); err != nil || n < 0 || n > 65535 {
		if !isNumber(s) {
			return fmt.Errorf("has port %q, which is not a number: write one from 1 to 65535", s)
		}
		return fmt.Errorf("has port %s: the highest is 65535", s)
	}
	return nil
}

func isNumber(s string) bool { return s != "" && strings.Trim(s, "0123456789") == "" }
