package milter

import (
	"strings"
	"testing"
)

func TestParseSocket(t *testing.T) {
	long := "/" + strings.Repeat("x", 107)
	tests := []struct{ in, network, address, err string }{
		{"inet:8894@127.0.0.1", "tcp", "127.0.0.1:8894", ""},
		{"inet:127.0.0.1:8894", "tcp", "127.0.0.1:8894", ""},
		{"inet:8894@localhost", "tcp", "localhost:8894", ""},
		{"inet:8894@::1", "tcp", "[::1]:8894", ""},
		{"inet:8894@[::1]", "tcp", "[::1]:8894", ""},
		{"inet:[::1]:8894", "tcp", "[::1]:8894", ""},
		{"inet6:8894@::1", "tcp6", "[::1]:8894", ""},
		{"inet:8894", "tcp", ":8894", ""},
		{"inet:0@127.0.0.1", "tcp", "127.0.0.1:0", ""},
		{"unix:/run/bounce-milter/milter.sock", "unix", "/run/bounce-milter/milter.sock", ""},
		{"local:/run//m.sock", "unix", "/run/m.sock", ""},
		{"/run/m.sock", "unix", "/run/m.sock", ""},
		{"systemd", "systemd", "", ""},
		{"systemd:milter", "systemd", "milter", ""},

		{"", "", "", `is empty: write a socket such as "inet:8894@127.0.0.1"`},
		{"127.0.0.1:8894", "", "", `does not say what kind of socket it is: write "inet:8894@127.0.0.1"`},
		{"int:8894@127.0.0.1", "", "", `has an unknown kind "int": write "inet:8894@127.0.0.1"`},
		{"unx:/run/m.sock", "", "", `has an unknown kind "unx": write "unix:/run/m.sock"`},
		{"localhost", "", "", `is not a socket: write "inet:PORT@HOST", "unix:/PATH" or "systemd"`},
		{"inet:smtp@127.0.0.1", "", "", `has port "smtp", which is not a number: write one from 1 to 65535`},
		{"inet:127.0.0.1", "", "", `has port "127.0.0.1", which is not a number: write one from 1 to 65535`},
		{"inet:65536@127.0.0.1", "", "", `has port 65536: the highest is 65535`},
		{"inet:-1@127.0.0.1", "", "", `has port "-1", which is not a number: write one from 1 to 65535`},
		{"inet:@127.0.0.1", "", "", `has no port: add a number from 1 to 65535`},
		{"inet:::1:8894", "", "", `is ambiguous: write "inet:PORT@::1:8894"`},
		{"inet:8894@300.0.0.1", "", "", `has no IP address in "300.0.0.1": check the number`},
		{"inet6:8894@127.0.0.1", "", "", `has an IPv4 address: write "inet:8894@127.0.0.1"`},
		{"unix:", "", "", `has no path: write "unix:/run/bounce-milter/milter.sock"`},
		{"unix:run/m.sock", "", "", `is a relative path: write it from the root, "unix:/…/m.sock"`},
		{"unix:/run/", "", "", `names a folder: add the socket's own name, "unix:/run/milter.sock"`},
		{"unix:" + long, "", "", `is 108 octets long: the system takes socket paths of at most 107`},
	}
	for _, tt := range tests {
		got, err := ParseSocket(tt.in)
		if msg(err) != tt.err {
			t.Errorf("%q: error %q, want %q", tt.in, msg(err), tt.err)
		} else if err == nil && (got.Network != tt.network || got.Address != tt.address) {
			t.Errorf("%q: %+v", tt.in, got)
		}
	}
}

func TestParseMetricsSocket(t *testing.T) {
	tests := []struct{ in, network, address, err string }{
		{"", "", "", ""},
		{"127.0.0.1:9894", "tcp", "127.0.0.1:9894", ""},
		{":9894", "tcp", ":9894", ""},
		{"[::1]:9894", "tcp", "[::1]:9894", ""},
		{"localhost:9894", "tcp", "localhost:9894", ""},
		{"inet:9894@127.0.0.1", "tcp", "127.0.0.1:9894", ""},
		{"inet:9894", "tcp", ":9894", ""},
		{"unix:/run/x.sock", "unix", "/run/x.sock", ""},
		{"systemd", "systemd", "", ""},
		{"systemd:web", "systemd", "web", ""},

		{"9894", "", "", `names no host: write "127.0.0.1:9894"`},
		{"off", "", "", `is not an address: write "HOST:PORT", or "" for no metrics`},
		{"localhost:http", "", "", `has port "http", which is not a number: write one from 1 to 65535`},
		{"[::1:9894", "", "", `is not an address: write "[IPV6-ADDRESS]:PORT"`},
		{"http://127.0.0.1:9894/", "", "", `is not a socket: write "inet:PORT@HOST", "unix:/PATH" or "systemd"`},
	}
	for _, tt := range tests {
		got, err := ParseMetricsSocket(tt.in)
		if msg(err) != tt.err {
			t.Errorf("%q: error %q, want %q", tt.in, msg(err), tt.err)
		} else if err == nil && (got.Network != tt.network || got.Address != tt.address) {
			t.Errorf("%q: %+v", tt.in, got)
		}
	}
}

func msg(err error) string {
	if err == nil {
		return ""
	}
	return err.Error()
}
