package doctor

import (
	"net"
	"path/filepath"
	"strings"

	"github.com/bounce-milter/bounce-milter/milter"
)

// entry is one milter in a list of Postfix.
type entry struct {
	raw     string // as it is written, after expansion
	network string // "tcp" or "unix"
	address string // host:port, or a path
	options map[string]string
}

// readEntries reads the value of smtpd_milters.
func readEntries(value string) []entry {
	var list []entry
	for _, item := range split(value, ", \t\r\n") {
		e := entry{raw: item, options: map[string]string{}}
		words := split(inBraces(item), ", \t\r\n")
		if len(words) == 0 {
			continue
		}
		kind, rest, _ := strings.Cut(words[0], ":")
		e.network, e.address = "unix", rest
		if kind == "inet" {
			e.network = "tcp"
		}
		for _, option := range words[1:] { // "name=value", or "{ name = value }"
			name, value, _ := strings.Cut(inBraces(option), "=")
			e.options[strings.TrimSpace(name)] = strings.TrimSpace(value)
		}
		list = append(list, e)
	}
	return list
}

// is reports whether the milter of an entry is at a socket. A path of a chrooted service
// begins in the queue directory.
func (e *entry) is(s milter.Socket, queue string, chroot bool) bool {
	if s.Network == "unix" {
		return e.network == "unix" && e.path(queue, chroot) == filepath.Clean(s.Address)
	}
	if e.network != "tcp" || !strings.HasPrefix(s.Network, "tcp") {
		return false
	}
	host, port, err := net.SplitHostPort(e.address)
	ours, ourPort, err2 := net.SplitHostPort(s.Address)
	if err != nil || err2 != nil || port != ourPort {
		return false
	}
	return sameHost(host, ours)
}

// path returns where a unix socket is, as the daemon sees it.
func (e *entry) path(queue string, chroot bool) string {
	if chroot || !strings.HasPrefix(e.address, "/") {
		return filepath.Join(queue, e.address)
	}
	return filepath.Clean(e.address)
}

// sameHost reports whether a client that asks for one host reaches a daemon that listens
// on the other.
func sameHost(client, daemon string) bool {
	client, daemon = strings.ToLower(strings.Trim(client, "[]")), strings.ToLower(strings.Trim(daemon, "[]"))
	if client == daemon || daemon == "" || daemon == "0.0.0.0" || daemon == "::" {
		return true
	}
	a, err := net.LookupHost(client)
	b, err2 := net.LookupHost(daemon)
	if err != nil || err2 != nil {
		return false
	}
	for _, x := range a {
		for _, y := range b {
			if net.ParseIP(x).Equal(net.ParseIP(y)) {
				return true
			}
		}
	}
	return false
}

// find returns the place of our entry, -1 if it is not there.
func find(list []entry, sockets []milter.Socket, queue string, chroot bool) int {
	for i := range list {
		for _, s := range sockets {
			if list[i].is(s, queue, chroot) {
				return i
			}
		}
	}
	return -1
}
