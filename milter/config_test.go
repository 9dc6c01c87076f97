package milter

import (
	"strings"
	"testing"
	"time"
)

func TestValidate(t *testing.T) {
	def := DefaultConfig()
	if err := def.Validate().Err(); err != nil {
		t.Errorf("the defaults: %v", err)
	}
	tests := []struct {
		name   string
		change func(*Config)
		want   string
	}{
		{"no socket", func(c *Config) { c.Listen = nil }, `listen: is empty: name a socket, or remove the key to use ["inet:8894@127.0.0.1"]`},
		{"one twice", func(c *Config) { c.Listen = append(c.Listen, c.Listen[0]) }, `listen: "inet:8894@127.0.0.1" is listed twice: remove one`},
		{"metrics on it too", func(c *Config) { c.Metrics = c.Listen[0] }, `metrics.listen: "inet:8894@127.0.0.1" is in listen too: name another socket`},
		{"kind of socket", func(c *Config) { c.Listen = []Socket{{"udp", "x"}} }, `listen: "udp" is an unknown kind of socket: write "tcp", "unix" or "systemd"`},
		{"no address", func(c *Config) { c.Listen = []Socket{{"unix", ""}} }, "listen: a unix socket needs an address: add one"},
		{"mode", func(c *Config) { c.Mode = "delete" }, `mode: "delete" is not a mode: write "tag" or "observe"`},
		{"forged", func(c *Config) { c.ForgedHeaders = "" }, `forged_headers: "" is not a choice here: write "remove" or "keep"`},
		{"look at", func(c *Config) { c.LookAt = "body" }, `look_at: "body" is not a choice here: write "header" or "envelope"`},
		{"socket mode", func(c *Config) { c.SocketMode = 0o10660 }, `socket_mode: "10660" is not a file mode: write nine bits, as in "0660"`},
		{"prefix of all mail", func(c *Config) { c.HeaderPrefix = "Rec" }, `header_prefix: "Rec" could remove a header that mail needs`},
		{"prefix with a colon", func(c *Config) { c.HeaderPrefix = "X-B:" }, "a character that is not allowed in a header name"},
		{"prefix too short", func(c *Config) { c.HeaderPrefix = "X-" }, `write a name behind "X-", as in "X-Bounce-"`},
		{"prefix too long", func(c *Config) { c.HeaderPrefix = "X-" + strings.Repeat("a", 63) }, "is 65 octets long: use at most 64"},
		{"drain", func(c *Config) { c.DrainTimeout = -time.Second }, `drain_timeout: "-1s" is out of bounds: write a time from "0s" to "1h"`},
		{"a limit", func(c *Config) { c.Limits.Report.Octets = 10 }, `limits.max_octets: 10 is out of bounds: write a size from "4KiB" to "64MiB"`},
		{"a limit of nothing", func(c *Config) { c.Limits.MaxMemory = 0 }, `limits.max_memory: 0 is out of bounds: write a size from "1MiB" to "64GiB"`},
		{"a negative limit", func(c *Config) { c.Limits.MaxSessions = -1 }, "limits.max_sessions: -1 is out of bounds: write a number from 1 to 1000000"},
	}
	for _, tt := range tests {
		c := DefaultConfig()
		tt.change(&c)
		if err := c.Validate().Err(); err == nil || !strings.Contains(err.Error(), tt.want) {
			t.Errorf("%s: %v, want %q", tt.name, err, tt.want)
		}
	}
	// Everything at once, not the first alone: sockets, prefix, four words, every
	// limit, and the two bounds of tickets.
	var c Config
	if ps := c.Validate(); len(ps) != 6+15+2 {
		t.Errorf("an empty configuration: %v", ps)
	}
}

// A socket is spelled as it is read.
func TestSocketString(t *testing.T) {
	for want, s := range map[string]Socket{
		"inet:8894@127.0.0.1": {"tcp", "127.0.0.1:8894"},
		"inet:8894@::1":       {"tcp", "[::1]:8894"},
		"inet6:8894@::1":      {"tcp6", "[::1]:8894"},
		"inet:8894":           {"tcp", ":8894"},
		"unix:/run/m.sock":    {"unix", "/run/m.sock"},
		"systemd":             {"systemd", ""},
		"systemd:milter":      {"systemd", "milter"},
	} {
		if got := s.String(); got != want {
			t.Errorf("%v = %q, want %q", s.Network, got, want)
		}
		if back, err := ParseSocket(want); err != nil || back != s {
			t.Errorf("%q is read as %v: %v", want, back, err)
		}
	}
	if got := (Socket{}).String(); got != "" {
		t.Errorf("no socket is %q", got)
	}
}
